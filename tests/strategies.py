"""Hypothesis strategies for tags and spans."""

from __future__ import annotations

from hypothesis import strategies as st

from chaincrf.labels import SCHEMES, Span, scheme_tags

# Labels that a careless split or replacement of prefixes would damage.
LABELS = ("X", "EU-ORG", "I-B-x")

# Made here, once: while a strategy draws, nothing may call a type-checked function with a sequence (beartype
# looks at a random element, and Hypothesis refuses the use of `random` while drawing).
TAGS = {name: scheme_tags(LABELS, name) for name in SCHEMES}

scheme_names = st.sampled_from(list(SCHEMES))


def tag_sequences(name: str) -> st.SearchStrategy[list[str]]:
    """Tags of a scheme in any order, so mostly ill-formed."""
    return st.lists(st.sampled_from(TAGS[name]), max_size=12)


# Such tags with the name of their scheme.
tagged = scheme_names.flatmap(lambda name: st.tuples(tag_sequences(name), st.just(name)))


@st.composite
def span_lists(draw: st.DrawFn, *, touching: bool = True) -> tuple[list[Span], int]:
    """Draw the spans of a sentence, in order, and its length; ``touching`` lets equal labels touch."""
    spans: list[Span] = []
    end = 0
    pieces = st.lists(st.tuples(st.sampled_from((None, *LABELS)), st.integers(1, 4)), max_size=8)
    for label, size in draw(pieces):
        if label is not None and (touching or not spans or spans[-1][1:] != (end, label)):
            spans.append(Span(end, end + size, label))
        end += size
    return spans, end
