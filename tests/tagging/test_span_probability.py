"""Span probabilities against the enumeration: read every path, add up those that contain the span."""

from itertools import product

import pytest
import torch
from torch import Tensor

from chaincrf.crf import LinearChain, backend
from chaincrf.crf.reference import window
from chaincrf.errors import ArgumentError, LabelError
from chaincrf.labels import REPAIRS, SCHEMES, Span, constraints_from_tags, scheme_tags, tags_to_spans
from chaincrf.nn.crf import CRF
from chaincrf.nn.softmax import Softmax
from chaincrf.tagging.span_probability import span_log_probability
from crf import oracle

LABELS = ["PER", "LOC"]


def every_span(length: int, labels: list[str]) -> list[Span]:
    borders = [(i, j) for i in range(length) for j in range(i + 1, length + 1)]
    return [Span(i, j, label) for (i, j), label in product(borders, labels)]


def enumerated(
    chain: LinearChain, spans: list[list[Span]], tags: list[str], scheme: str, repair: str
) -> Tensor:
    totals = []
    for row, found in enumerate(spans):
        p = oracle.log_probabilities(chain, row).exp()
        paths = oracle.paths(chain, row).tolist()
        read = [set(tags_to_spans([tags[i] for i in path], scheme, repair)) for path in paths]
        totals += [p[torch.tensor([span in spans for spans in read])].sum() for span in found]
    return torch.stack(totals)


def chains(tags: list[str], scheme: str) -> list[LinearChain]:
    """Of a CRF, of a constrained one, and of a softmax; full rows, shorter ones, gaps and an empty one."""
    K, T = len(tags), 4 if len(tags) <= 5 else 3
    g = torch.Generator().manual_seed(0)
    emissions = torch.randn(4, T, K, generator=g, dtype=torch.float64) * 2
    mask = torch.ones(4, T, dtype=torch.bool)
    mask[1, 0] = mask[2, 1:] = mask[3] = False
    crf = CRF(K, constraints_from_tags(tags, scheme)).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter, generator=g)
    return [
        crf.chain(emissions, mask, constrained=False),
        crf.chain(emissions, mask, constrained=True),
        Softmax(K).chain(emissions, mask),
    ]


@pytest.mark.parametrize("repair", REPAIRS)
@pytest.mark.parametrize("labels", [LABELS, LABELS[:1]])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_span_of_every_scheme(scheme: str, labels: list[str], repair: str) -> None:
    tags = scheme_tags(labels, scheme)
    for chain in chains(tags, scheme):
        spans = [every_span(n, labels) for n in chain.lengths.tolist()]
        expected = enumerated(chain, spans, tags, scheme, repair)
        for way in ("auto", "reference"):
            with backend(way):
                values = span_log_probability(chain, spans, tags, scheme, repair)
            torch.testing.assert_close(values.exp(), expected, rtol=1e-9, atol=1e-12)
            assert not values.isnan().any()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_repair_policies_agree_where_constraints_hold(scheme: str) -> None:
    tags = scheme_tags(LABELS, scheme)
    chain = chains(tags, scheme)[1]
    spans = [every_span(n, LABELS) for n in chain.lengths.tolist()]
    first, *others = (span_log_probability(chain, spans, tags, scheme, repair) for repair in REPAIRS)
    for other in others:
        torch.testing.assert_close(first, other)


def test_in_bio_the_next_tag_must_not_continue_the_span() -> None:
    tags = scheme_tags(["PER"], "BIO")  # O, B-PER, I-PER
    p = torch.tensor([[[0.1, 0.7, 0.2], [0.3, 0.1, 0.6]]])
    chain = LinearChain(p.log(), torch.zeros(3, 3))
    value = span_log_probability(chain, [[Span(0, 1, "PER")]], tags, "BIO").exp()
    torch.testing.assert_close(value, torch.tensor([0.9 * 0.4]))  # B or I, then not I


def test_differentiable_and_empty() -> None:
    tags = scheme_tags(LABELS, "BIOES")
    emissions = torch.randn(2, 3, len(tags), requires_grad=True)
    chain = LinearChain(emissions, torch.zeros(len(tags), len(tags)))
    span_log_probability(chain, [[Span(0, 2, "PER")], []], tags, "BIOES").sum().backward()
    assert emissions.grad is not None
    assert emissions.grad[0].abs().sum() > 0
    assert (emissions.grad[1] == 0).all()
    assert span_log_probability(chain, [[], []], tags, "BIOES").shape == (0,)


def test_a_label_that_is_not_there_has_no_mass() -> None:
    emissions = torch.zeros(1, 2, 3, requires_grad=True)
    chain = LinearChain(emissions, torch.zeros(3, 3))
    value = span_log_probability(chain, [[Span(0, 1, "LOC")]], scheme_tags(["PER"], "BIO"), "BIO")
    assert value.tolist() == [-torch.inf]
    assert (torch.autograd.grad(value.sum(), emissions)[0] == 0).all()


def test_wrong_arguments() -> None:
    tags = scheme_tags(["PER"], "BIO")
    chain = LinearChain(torch.zeros(1, 2, 3), torch.zeros(3, 3))
    with pytest.raises(ArgumentError, match="expected 3 tags and spans for 1 sequences, got 2 and 1"):
        span_log_probability(chain, [[]], tags[:2], "BIO")
    with pytest.raises(ArgumentError, match=r"sequence 0 has 2 tokens: Span\(start=1, end=3"):
        span_log_probability(chain, [[Span(1, 3, "PER")]], tags, "BIO")
    with pytest.raises(ArgumentError, match="repair: expected one of"):
        span_log_probability(chain, [[]], tags, "BIO", repair="guess")
    with pytest.raises(LabelError, match="scheme"):
        span_log_probability(chain, [[]], tags, "BIOX")
    with pytest.raises(LabelError, match="tag 'S-PER'"):
        span_log_probability(chain, [[]], ["O", "B-PER", "S-PER"], "BIO")


def test_a_short_span_costs_no_more_for_a_long_one_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = scheme_tags(["PER"], "BIO")
    chain = LinearChain(torch.randn(2, 30, 3), torch.randn(3, 3))
    rows = []
    step = window.logsumexp
    monkeypatch.setattr(window, "logsumexp", lambda x, dim: rows.append(len(x)) or step(x, dim=dim))
    short = [Span(i, i + 1, "PER") for i in range(8)]
    spans = [short, [*short, Span(5, 29, "PER")]]
    with backend("reference"):
        mixed = span_log_probability(chain, spans, tags, "BIO")
    assert sorted(rows)[len(rows) // 2] == 2  # most steps see the windows of the long span alone
    alone = [
        span_log_probability(chain, [[span] if n == row else [] for n in range(2)], tags, "BIO")
        for row in range(2)
        for span in spans[row]
    ]
    torch.testing.assert_close(mixed, torch.cat(alone))
