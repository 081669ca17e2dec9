"""Hypothesis draws the same chains at every run; numbers of examples weigh the cost of the enumeration."""

from hypothesis import settings

settings.register_profile("crf", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("crf")
