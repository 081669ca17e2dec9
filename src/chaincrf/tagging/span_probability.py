"""How sure the model is of a span: the mass of all paths in which one would read exactly this span.

A span is read off its own tags and its two neighbours: ``B-PER I-PER`` is a span of two tokens in BIO only if
no ``I-PER`` follows. So the paths that contain it are those whose tags lie in a window of sets: one for the
token before, one for each token of the span, one for the token after. Where what may come before depends on
the first tag (or what may come after on the last) there are a few such windows, and no path lies in two.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ..crf import LinearChain
from ..crf.reference.forward_backward import at_most, logsumexp
from ..errors import ArgumentError
from ..labels import REPAIRS, Scheme, Span, get_scheme, split_tag, tags_to_spans

__all__ = ["span_log_probability"]

Tags = frozenset[int | None]  # tag indices; None is the border of the sentence


def span_log_probability(
    chain: LinearChain,
    spans: Sequence[Sequence[Span]],
    tags: Sequence[str],
    scheme: str | Scheme,
    repair: str = "conlleval",
) -> Float[Tensor, " N"]:
    """The log-probability of each span: log of the summed p(y) of all paths y whose reading contains it.

    Exact; differentiable; one forward-backward for all spans, and O(K^2) for each token of each span.

    Args:
        chain: the distribution over paths, of a CRF or of a softmax alike.
        spans: the spans of each sequence, in tokens that count.
        tags: the K tags in their order.
        scheme: the scheme that the paths are read in.
        repair: how ill-formed paths are read, one of ``chaincrf.labels.REPAIRS``.

    Returns:
        One value a span, sequence after sequence.

    Raises:
        ArgumentError: the tags are not K, a sequence has no list of spans, a span is not within
            its sequence, or no such repair policy.
        LabelError: a tag is not of this scheme.
    """
    B, _, K = chain.emissions.shape
    if (len(tags), len(spans)) != (K, B):
        raise ArgumentError(
            f"expected {K} tags and spans for {B} sequences, got {len(tags)} and {len(spans)}"
        )
    if repair not in REPAIRS:
        raise ArgumentError(f"repair: expected one of {', '.join(REPAIRS)}, got {repair!r}")
    names, scheme = tuple(tags), get_scheme(scheme)
    for tag in names:
        scheme.split(tag)
    lengths = chain.lengths.tolist()
    windows = []
    for row, (length, found) in enumerate(zip(lengths, spans, strict=True)):
        for span in found:
            if not 0 <= span.start < span.end <= length:
                raise ArgumentError(f"sequence {row} has {length} tokens: {span} is not within it")
            reading = _reading(names, scheme, repair, span.label)
            windows.append((row, max(span.start - 1, 0), _windows(reading, span, length)))
    if not windows:
        return chain.emissions.new_zeros(0)

    def width(n: int) -> int:  # all windows of a span have the same, if it has any
        return max(map(len, windows[n][2]), default=1)

    order = sorted(range(len(windows)), key=width, reverse=True)
    most = max(1, *(len(sets) for _, _, sets in windows))
    nothing: list[Tags] = [frozenset()] * width(order[0])  # of a window that is not there: it has no mass
    sets = [
        [*window, *nothing[len(window) :]]
        for n in order
        for window in windows[n][2] + [nothing] * (most - len(windows[n][2]))
    ]
    kinds = {tags: n for n, tags in enumerate(dict.fromkeys(tags for window in sets for tags in window))}
    table = torch.tensor([[i in tags for i in range(K)] for tags in kinds])
    allowed = table[torch.tensor([[kinds[tags] for tags in window] for window in sets])]
    device = chain.emissions.device
    rows = torch.tensor([windows[n][0] for n in order], device=device).repeat_interleave(most)
    starts = torch.tensor([windows[n][1] for n in order], device=device).repeat_interleave(most)
    widths = [width(n) for n in order for _ in range(most)]
    mass = chain.window_log_probability(starts, allowed.to(device), rows, widths)
    total = logsumexp(mass.unflatten(0, (-1, most)), dim=1)
    return at_most(total, 0.0)[torch.tensor(order, device=device).argsort()]


class _Reading(NamedTuple):
    """Where a span of one label begins, goes on and ends; of ``begins`` and ``ends`` each pair is disjoint.

    Attributes:
        begins: sets (before, first): the span begins at a first tag if what is before is in the set.
        goes_on: the tags that are of one span with a next one.
        continues: the tags that are of one span with the one before.
        ends: sets (last, after): the span ends at a last tag if what is after is in the set.
    """

    begins: list[tuple[Tags, Tags]]
    goes_on: Tags
    continues: Tags
    ends: list[tuple[Tags, Tags]]


@lru_cache(maxsize=1024)
def _reading(tags: tuple[str, ...], scheme: Scheme, repair: str, label: str) -> _Reading:
    """What the definitions in ``labels.spans`` say of a span of this label."""
    own = [i for i, tag in enumerate(tags) if split_tag(tag)[1] == label]
    around: list[int | None] = [None, *range(len(tags))]

    def name(i: int | None) -> str | None:
        return None if i is None else tags[i]

    def joined(i: int | None, j: int | None) -> bool:
        if i is None or j is None or i not in own or j not in own:
            return False
        return len(tags_to_spans((tags[i], tags[j]), scheme)) == 1

    def begins(before: int | None, first: int) -> bool:
        well_formed = scheme.allows(name(before), tags[first])
        kept = {
            "conlleval": True,
            "strict": well_formed or scheme.allows(None, tags[first]),
            "drop": well_formed,
        }
        return kept[repair] and not joined(before, first)

    def ends(last: int, after: int | None) -> bool:
        kept = {
            "conlleval": True,
            "strict": scheme.allows(tags[last], None),
            "drop": scheme.allows(tags[last], name(after)),
        }
        return kept[repair] and not joined(last, after)

    before = {i: frozenset(b for b in around if begins(b, i)) for i in own}
    after = {i: frozenset(a for a in around if ends(i, a)) for i in own}
    return _Reading(
        [
            (group, frozenset(i for i in own if before[i] == group))
            for group in dict.fromkeys(before.values())
        ],
        frozenset(i for i in own if any(joined(i, j) for j in own)),
        frozenset(j for j in own if any(joined(i, j) for i in own)),
        [(frozenset(i for i in own if after[i] == group), group) for group in dict.fromkeys(after.values())],
    )


def _windows(reading: _Reading, span: Span, length: int) -> list[list[Tags]]:
    """The disjoint windows of a span: sets of tags from the token before it, if any, to the one after it."""
    inner = [reading.goes_on & reading.continues] * (span.end - span.start - 2)
    windows = []
    for before, first in reading.begins:
        for last, after in reading.ends:
            if span.end - span.start == 1:
                within = [first & last]
            else:
                within = [first & reading.goes_on, *inner, last & reading.continues]
            if (span.start == 0 and None not in before) or (span.end == length and None not in after):
                continue
            windows.append(
                [*([before] if span.start else []), *within, *([after] if span.end < length else [])]
            )
    return windows
