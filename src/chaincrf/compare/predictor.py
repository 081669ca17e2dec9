"""Does this data look as if it needs a CRF? What labelled data say before anything is trained.

A token's *options* are the tags that its type has in the data; it is *ambiguous* with two or more. The
measures of Lester et al. (2020), as they are computed here:

strictly dominated
    Share of the ambiguous tokens of which the scheme leaves one option: each other one is forbidden beside
    every option of the token before, or of the token after. There, constraints decide and nothing is to be
    learned.
easy first, easy last
    Share of the spans of two tokens and more whose first (last) token has a single option: an anchor from
    which constraints reach into the span.

What a chain can learn beyond constraints is in its neighbours: the mutual information of neighbouring tags,
in all, and of the labels of neighbouring spans.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from ..data.sentence import Sentence
from ..labels import get_scheme, tags_to_spans

__all__ = ["LESTER", "PREDICTORS", "entropy", "mutual_information", "predictors", "reading"]

PREDICTORS: Mapping[str, str] = {
    "ambiguous": "tokens whose type has more than one tag",
    "strictly_dominated": "of those, tokens to which the constraints leave one tag",
    "easy_first": "longer spans whose first token has one tag",
    "easy_last": "longer spans whose last token has one tag",
    "long_spans": "spans of two tokens and more",
    "unigram_entropy": "entropy of a tag, bits",
    "bigram_entropy": "entropy of a tag after the one before it, bits",
    "mutual_information": "mutual information of neighbouring tags, bits",
    "learnable_information": "the part of it that the constraints do not give, bits",
}
"""The figures, and what they are; shares are 0 to 1."""

LESTER: Mapping[str, tuple[float, float, float, float]] = {
    "CoNLL-2003": (0.712, 0.583, 0.940, 0.17),
    "OntoNotes": (0.159, 0.162, 0.559, 1.30),
    "Snips": (0.267, 0.324, 0.911, -0.03),
}
"""Published, BIOES: strictly dominated, easy first, easy last; the points that a CRF added to constraints."""


def predictors(sentences: Sequence[Sentence], scheme: str | None) -> dict[str, float]:
    """The figures of ``PREDICTORS`` for labelled sentences; for POS those that need no spans.

    Args:
        sentences: with tags, well-formed in the scheme.
        scheme: the scheme; None for POS.

    Cost: linear in the tokens, for a bounded number of tags a type.
    """
    options: defaultdict[str, set[str]] = defaultdict(set)
    for sentence in sentences:
        for token, tag in zip(sentence.tokens, sentence.tags or (), strict=True):
            options[token].add(tag)
    tokens = sum(map(len, sentences))
    ambiguous = sum(len(options[token]) > 1 for sentence in sentences for token in sentence.tokens)
    moves = Counter(move for s in sentences for move in pairwise(("^", *(s.tags or ()), "$")))
    unigrams = Counter(tag for sentence in sentences for tag in sentence.tags or ())
    befores = Counter[str]()
    for (before, _), count in moves.items():
        befores[before] += count
    found = {
        "ambiguous": ambiguous / max(tokens, 1),
        "unigram_entropy": entropy(unigrams.values()),
        "bigram_entropy": entropy(moves.values()) - entropy(befores.values()),
        "mutual_information": mutual_information(moves),
    }
    if scheme is None:
        return found | {"learnable_information": found["mutual_information"]}
    dominated = sum(map(sum, (_dominated(s, options, scheme) for s in sentences)))
    spans = [
        (options[s.tokens[span.start]], options[s.tokens[span.end - 1]], span.end - span.start)
        for s in sentences
        for span in tags_to_spans(s.tags or (), scheme)
    ]
    longer = [(first, last) for first, last, length in spans if length > 1]
    found |= {
        "strictly_dominated": dominated / max(ambiguous, 1),
        "easy_first": sum(len(first) == 1 for first, _ in longer) / max(len(longer), 1),
        "easy_last": sum(len(last) == 1 for _, last in longer) / max(len(longer), 1),
        "long_spans": len(longer) / max(len(spans), 1),
        "learnable_information": found["mutual_information"] - _of_the_scheme(moves, scheme),
    }
    return {name: found[name] for name in PREDICTORS}


def entropy(counts: Iterable[int]) -> float:
    """Shannon entropy of a count, in bits."""
    values = [count for count in counts if count]
    total = sum(values)
    return -math.fsum(n / total * math.log2(n / total) for n in values)


def mutual_information(pairs: Mapping[tuple[str, str], int]) -> float:
    """``I(X; Y) = H(X) + H(Y) - H(X, Y)`` of counted pairs, in bits; not negative."""
    first, second = Counter[str](), Counter[str]()
    for (one, other), count in pairs.items():
        first[one] += count
        second[other] += count
    value = entropy(first.values()) + entropy(second.values()) - entropy(pairs.values())
    return max(value, 0.0)


def _dominated(sentence: Sentence, options: Mapping[str, set[str]], scheme: str) -> Iterator[bool]:
    """For each ambiguous token whether the constraints leave it one option."""
    allows = get_scheme(scheme).allows
    sets: list[set[str] | None] = [None, *(options[token] for token in sentence.tokens), None]
    for before, own, after in zip(sets, sets[1:], sets[2:], strict=False):
        if own is None or len(own) < 2:
            continue
        left = [
            tag
            for tag in own
            if any(allows(other, tag) for other in (before or (None,)))
            and any(allows(tag, other) for other in (after or (None,)))
        ]
        yield len(left) == 1


def _of_the_scheme(moves: Mapping[tuple[str, str], int], scheme: str) -> float:
    """The mutual information of a chain that knows the constraints alone.

    Each tag is followed by the allowed ones in proportion to how often they follow anything: what neighbours
    say of each other when only the scheme binds them.
    """
    allows = get_scheme(scheme).allows
    befores, afters = Counter[str](), Counter[str]()
    for (before, after), count in moves.items():
        befores[before] += count
        afters[after] += count
    total = sum(moves.values())
    information = 0.0
    for before, count in befores.items():
        here = None if before == "^" else before
        left = sum(n for tag, n in afters.items() if allows(here, None if tag == "$" else tag))
        information += count / total * math.log2(total / left)
    return information


def reading(found: Mapping[str, float], scheme: str | None) -> str:
    """The figures in words, beside the published ones: what they suggest, which is no measurement."""
    lines = [f"{PREDICTORS[name]:<62}{value:7.3f}" for name, value in found.items()]
    if scheme is None:
        lines += ["", "No constraints hold among these tags: only what is learned can help."]
        return "\n".join(lines)
    names = list(PREDICTORS)[1:4]
    lines += [
        "",
        "Published (Lester et al. 2020, BIOES), and what a CRF added to constrained decoding:",
    ]
    distances = {}
    for corpus, (*shares, gain) in LESTER.items():
        shown = "  ".join(f"{name.replace('_', ' ')} {x:.3f}" for name, x in zip(names, shares, strict=True))
        lines.append(f"  {corpus:<11}{shown}  CRF {gain:+.2f}")
        distances[corpus] = sum(abs(found[name] - x) for name, x in zip(names, shares, strict=True))
    near = min(distances, key=distances.__getitem__)
    much = LESTER[near][3] > 0.5
    there = "a CRF had something to add there" if much else "constraints gave nearly all there"
    lines += [
        "",
        f"Of these the data look most like {near}: {there}.",
        "That is a resemblance, no measurement; how such guesses fared is in docs/results/index.md.",
        "Without --predict the command measures.",
    ]
    return "\n".join(lines)
