"""Tags for encoded sentences, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..crf import LinearChain
from ..data.batching import EncodedSentences
from ..nn import CRF, BiLSTMTagger, Softmax

__all__ = ["Way", "left_to_right", "predict_tags"]

Way = bool | Literal["greedy", "posterior"] | None
"""A way to decode: by the best path with the constraints (True), without (False) or as the head was built
(None); ``"greedy"``: see :func:`left_to_right`; ``"posterior"``: the path of the most right tokens expected.
The last two keep to no constraints of their own."""


def predict_tags(
    model: BiLSTMTagger,
    data: EncodedSentences,
    tags: Sequence[str],
    *,
    batch_size: int = 64,
    constrained: Sequence[Way] = (None,),
) -> list[list[list[str]]]:
    """Decode sentences, in one or several ways.

    Args:
        model: the tagger; it is put into evaluation mode.
        data: the sentences.
        tags: the tag of each index.
        batch_size: sentences in a batch; changes the speed, not the result.
        constrained: how to decode, once each over the same emissions.

    Returns:
        For each way, in the order of the sentences, their tags.
    """
    model.eval()
    device = model.projection.weight.device
    results: list[list[list[str]]] = [[[] for _ in data.sentences] for _ in constrained]
    with torch.inference_mode():
        for batch in data.batches(batch_size):
            moved = batch.to(device)
            emissions = model.emissions(**moved.inputs)
            for way, result in zip(constrained, results, strict=True):
                decoded: list[list[int]] = _decode(model.head, emissions, moved.mask, way).tolist()
                for row, path in zip(batch.index.tolist(), decoded, strict=True):
                    result[row] = [tags[tag] for tag in path[: len(data.sentences[row])]]
    return results


def left_to_right(chain: LinearChain) -> Int[Tensor, "B T"]:
    """Each token takes its best tag after the tag that the one before it took; -1 where masked.

    What potentials give without a search: ``y_t = argmax_j emissions[t, j] + transitions[y_(t-1), j]``.
    The transitions are those of one table. O(T K).
    """
    emissions = chain.emissions
    B, T, _ = emissions.shape
    mask = emissions.new_ones(B, T, dtype=torch.bool) if chain.mask is None else chain.mask
    into = chain.start_transitions.expand(B, -1)
    tags = []
    for t in range(T):
        best = (emissions[:, t] + into).argmax(1)
        into = torch.where(mask[:, t, None], chain.transitions[best], into)
        tags.append(torch.where(mask[:, t], best, -1))
    return torch.stack(tags, dim=1)


def _decode(
    head: CRF | Softmax, emissions: Float[Tensor, "B T K"], mask: Bool[Tensor, "B T"], way: Way
) -> Int[Tensor, "B T"]:
    if way == "greedy":
        return left_to_right(head.chain(emissions, mask))
    if way == "posterior":
        return head.chain(emissions, mask).posterior_decode()[0]
    return head.decode(emissions, mask, constrained=way)
