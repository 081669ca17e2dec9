"""Compiled kernels behind the operators of ``crf/ops.py``; each folder is imported only when it is used."""
