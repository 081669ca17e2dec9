"""Small taggers with random weights, for what does not depend on training."""

import torch

from chaincrf.data import Vocabulary
from chaincrf.data.shapes import SHAPES
from chaincrf.labels import scheme_tags
from chaincrf.tagging import Architecture, Bundle, ModelConfig

WORDS = ["Ann", "saw", "Rome", ".", "the"]


def random_bundle(
    tags: list[str] | None = None,
    *,
    scheme: str | None = "BIOES",
    head: str = "crf",
    constrained: bool = True,
    chars: str = "cnn",
    seed: int = 0,
) -> Bundle:
    """A model of PER and LOC, or of the given tags, with scores that are far from even."""
    if tags is None:
        tags = scheme_tags(["PER", "LOC"], scheme) if scheme else ["NOUN", "VERB", "DET"]
    vocabulary = Vocabulary(
        words=("<padding>", "<unknown>", *(word.lower() for word in WORDS)),
        chars=("<padding>", "<unknown>", *sorted(set("".join(WORDS)))),
        tags=tuple(tags),
        num_trained=len(WORDS) + 2,
    )
    architecture = Architecture(
        num_words=len(vocabulary.words),
        num_tags=len(tags),
        num_chars=len(vocabulary.chars),
        num_trained=vocabulary.num_trained,
        num_shapes=len(SHAPES),
        word_dim=8,
        char_dim=6,
        char_filters=6,
        char_encoder=chars,
        shape_dim=2,
        hidden=8,
        layers=1,
        dropout=0.0,
        word_dropout=0.0,
        head=head,
        constrain="always" if head == "crf" else "decode",
    )
    torch.manual_seed(seed)
    config = ModelConfig(
        task="ner" if scheme else "pos", scheme=scheme, constrained=constrained, architecture=architecture
    )
    bundle = Bundle.build(config, vocabulary)
    with torch.no_grad():
        bundle.model.projection.weight.mul_(6)
        for parameter in bundle.model.head.parameters():
            parameter.normal_()
    bundle.model.eval()
    return bundle
