"""Tags for encoded sentences, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..data.batching import EncodedSentences
from ..nn import BiLSTMTagger

__all__ = ["predict_tags"]


def predict_tags(
    model: BiLSTMTagger,
    data: EncodedSentences,
    tags: Sequence[str],
    *,
    batch_size: int = 64,
    constrained: Sequence[bool | None] = (None,),
) -> list[list[list[str]]]:
    """Decode sentences, in one or several ways.

    Args:
        model: the tagger; it is put into evaluation mode.
        data: the sentences.
        tags: the tag of each index.
        batch_size: sentences in a batch; changes the speed, not the result.
        constrained: how to decode, once each over the same emissions: with the constraints, without, or
            (None) as the head was built.

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
                decoded: list[list[int]] = model.head.decode(emissions, moved.mask, constrained=way).tolist()
                for row, path in zip(batch.index.tolist(), decoded, strict=True):
                    result[row] = [tags[tag] for tag in path[: len(data.sentences[row])]]
    return results
