"""The whole tagger as one ``torch.export`` program: from ids to tags, scores and marginals.

Batch and length stay free: the LSTM, Viterbi and forward-backward are operators in it, not traced loops. So
the program runs where PyTorch and ``chaincrf.tagging.program``, which brings the operators, are imported.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ..errors import ModelError
from ..nn import BiLSTM, BiLSTMTagger, CharLSTM
from .onnx_runner import OUTPUTS, OnnxTagger, Run

__all__ = ["ProgramTagger", "build_program"]


def _lstm(inputs: Tensor, weights: list[Tensor]) -> Tensor:
    zeros = inputs.new_zeros(1, len(inputs), weights[1].shape[1])
    return torch.lstm(inputs, (zeros, zeros), weights, True, 1, 0.0, False, False, True)[0]


_library = torch.library.Library("chaincrf", "FRAGMENT")
_library.define("lstm(Tensor inputs, Tensor[] weights) -> Tensor")
_library.impl("lstm", _lstm, "CompositeExplicitAutograd")
torch.library.register_fake(
    "chaincrf::lstm",
    lambda inputs, weights: inputs.new_empty(*inputs.shape[:2], weights[1].shape[1]),
    lib=_library,
)


class _Encoder(nn.Module):
    """A :class:`BiLSTM` for masks without gaps, whose steps a tracer does not see."""

    def __init__(self, encoder: BiLSTM) -> None:
        super().__init__()
        self.forwards, self.backwards = encoder.forwards, encoder.backwards

    def forward(self, inputs: Float[Tensor, "B T D"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T H"]:
        position = torch.arange(mask.shape[1], device=mask.device)
        lengths = mask.sum(dim=1, keepdim=True)
        mirror = torch.where(position < lengths, lengths - 1 - position, position)[:, :, None]

        def run(lstm: Any, states: Tensor) -> Tensor:
            return torch.ops.chaincrf.lstm(states, lstm.all_weights[0])

        def mirrored(states: Tensor) -> Tensor:
            return states.gather(1, mirror.expand(-1, -1, states.shape[2]))

        states = inputs
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            states = torch.cat([run(ahead, states), mirrored(run(back, mirrored(states)))], dim=2)
        return states


class _Program(nn.Module):
    """What is traced."""

    def __init__(self, model: BiLSTMTagger, temperature: float) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).cpu().eval()
        self.temperature = temperature
        self.model.encoder = _Encoder(self.model.encoder)  # type: ignore[assignment]
        if isinstance(self.model.chars, CharLSTM):
            self.model.chars.lstm = _Encoder(self.model.chars.lstm)  # type: ignore[assignment]

    def forward(
        self,
        words: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
        chars: Int[Tensor, "U C"] | None = None,
        shapes: Int[Tensor, " U"] | None = None,
        types: Int[Tensor, "B T"] | None = None,
    ) -> dict[str, Tensor]:
        mask = torch.arange(words.shape[1], device=words.device) < lengths[:, None]
        emissions = self.model.emissions(words, mask, chars=chars, shapes=shapes, types=types)
        chain = self.model.head.chain(emissions, mask, constrained=True).scaled(1 / self.temperature)
        potentials = chain.emissions, chain.transitions, chain.start_transitions, chain.end_transitions, mask
        tags, score = torch.ops.chaincrf.viterbi(*potentials)
        log_z, marginals, *_ = torch.ops.chaincrf.log_partition(*potentials, True)  # its gradient
        return {"tags": tags, "score": score, "log_partition": log_z, "marginals": marginals}


def build_program(model: BiLSTMTagger, temperature: float = 1.0) -> ExportedProgram:
    """The program of a model; inputs, by name, and outputs are those of the ONNX graph, on the CPU.

    See :func:`chaincrf.tagging.onnx_graph.build_graph`; numbers are of the model's precision.

    Args:
        model: the network.
        temperature: what all scores are divided by.
    """
    B, T, U, C = Dim("batch"), Dim("length"), Dim("types"), Dim("characters")  # pyright: ignore
    inputs = {"words": torch.ones(3, 5, dtype=torch.int64), "lengths": torch.tensor([5, 3, 2])}
    free: dict[str, dict[int, Any]] = {"words": {0: B, 1: T}, "lengths": {0: B}}
    if model.chars is not None:
        inputs["chars"], free["chars"] = torch.ones(4, 7, dtype=torch.int64), {0: U, 1: C}
    if model.shapes is not None:
        inputs["shapes"], free["shapes"] = torch.ones(4, dtype=torch.int64), {0: U}
    if len(inputs) > 2:
        inputs["types"], free["types"] = torch.zeros(3, 5, dtype=torch.int64), {0: B, 1: T}
    with torch.no_grad():
        return torch.export.export(_Program(model, temperature), (), inputs, dynamic_shapes=free)


class ProgramTagger(OnnxTagger):
    """A tagger that ``chaincrf export --format torch`` wrote, with the answers of an exported ONNX graph.

    PyTorch's own format can hold pickled objects, and ``torch.export.load`` runs them: open only what you
    exported. (A model folder and an ONNX graph cannot.)

    Args:
        folder: what was written.

    Raises:
        ModelError: it holds no program.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder, "model.pt2")

    def _open(self, path: Path) -> tuple[set[str], Run]:
        if not path.is_file():
            raise ModelError(f"{path}: expected an exported program, found no file")
        program = torch.export.load(path)
        module = program.module()

        def run(given: dict[str, np.ndarray]) -> list[np.ndarray]:
            with torch.inference_mode():
                found = module(**{name: torch.from_numpy(value) for name, value in given.items()})
            return [found[name].numpy() for name in OUTPUTS]

        return set(map(str, program.graph_signature.user_inputs)), run
