"""The whole tagger as one ONNX graph: from ids to tags, path score, log-partition and marginals.

The recursions over time are ``Scan`` operators, so batch and length stay free: a traced loop would freeze the
length. The chain is computed in float64, as the kernels do, and in log space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._lazy import require
from ..nn import BiLSTMTagger, CharCNN, CharLSTM

__all__ = ["OPSET", "build_graph"]

OPSET = 18


class _Builder:
    """Nodes and constants of a graph, with names of their own."""

    def __init__(self, prefix: str = "") -> None:
        self.onnx = require("onnx", "onnx")
        self.prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def name(self, kind: str) -> str:
        return f"{self.prefix}{kind}_{len(self.nodes) + len(self.constants)}"

    def __call__(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; its output's name, or the names of several."""
        names = [f"{self.name(kind)}_{i}" if outputs > 1 else self.name(kind) for i in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value: Any) -> str:
        """Add a constant: an integer is int64, a float float64, arrays and tensors are what they are."""
        if isinstance(value, Tensor):
            value = value.detach().cpu().numpy()
        name = self.name("constant")
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def scan(
        self, body: _Body, states: Sequence[str], scanned: Sequence[str], outputs: int, *, back: bool = False
    ) -> list[str]:
        """Run a body over time: the last states, and what it gave at each step."""
        count = len(scanned)
        return self(
            "Scan",
            *states,
            *scanned,
            outputs=len(states) + outputs,
            body=body.graph(),
            num_scan_inputs=count,
            scan_input_directions=[int(back)] * count,
            scan_output_directions=[int(back)] * outputs,
        )


class _Body(_Builder):
    """The graph of one step."""

    def __init__(self, name: str, inputs: Sequence[tuple[str, int]]) -> None:
        super().__init__(f"{name}_")
        self.title = name
        self.inputs = [(f"{name}_in_{i}", kind) for i, (_, kind) in enumerate(inputs)]
        self.outputs: list[tuple[str, int]] = []

    def give(self, value: str, kind: int) -> None:
        """An output: states first, then what is given at each step."""
        self.outputs.append((self("Identity", value), kind))

    def graph(self) -> Any:
        info = self.onnx.helper.make_tensor_value_info
        return self.onnx.helper.make_graph(
            self.nodes,
            self.title,
            [info(name, kind, None) for name, kind in self.inputs],
            [info(name, kind, None) for name, kind in self.outputs],
            self.constants,
        )


def build_graph(model: BiLSTMTagger, temperature: float = 1.0) -> Any:
    """The graph of a model, an ``onnx.ModelProto``.

    Inputs, all int64: ``words`` (B, T), ``lengths`` (B,) of at least 1; and, where the model reads them,
    ``chars`` (U, C), ``shapes`` (U,) of the batch's distinct tokens and ``types`` (B, T), the row of each
    token. Outputs: ``tags`` (B, T) int64, -1 where padded or where there is no path; ``score`` (B,),
    ``log_partition`` (B,) and ``marginals`` (B, T, K), float64.

    Args:
        model: the network.
        temperature: what all scores are divided by.

    Raises:
        MissingExtra: onnx is not installed.
    """
    onnx = require("onnx", "onnx")
    graph = _Builder()
    names = {"words": ["B", "T"], "lengths": ["B"]}
    if model.chars is not None:
        names["chars"] = ["U", "C"]
    if model.shapes is not None:
        names["shapes"] = ["U"]
    if model.chars is not None or model.shapes is not None:
        names["types"] = ["B", "T"]
    emissions = _emissions(graph, model)
    results = _chain(graph, model, emissions, temperature)
    info, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    shapes = {"tags": ["B", "T"], "score": ["B"], "log_partition": ["B"], "marginals": ["B", "T", "K"]}
    outputs = []
    for name, value in results.items():
        graph.nodes.append(onnx.helper.make_node("Identity", [value], [name]))
        kind = kinds.INT64 if name == "tags" else kinds.DOUBLE
        outputs.append(info(name, kind, [model.head.num_tags if n == "K" else n for n in shapes[name]]))
    made = onnx.helper.make_graph(
        graph.nodes,
        "chaincrf",
        [info(name, kinds.INT64, shape) for name, shape in names.items()],
        outputs,
        graph.constants,
    )
    opset = [onnx.helper.make_opsetid("", OPSET)]
    proto = onnx.helper.make_model(made, opset_imports=opset, producer_name="chaincrf", ir_version=9)
    onnx.checker.check_model(proto)
    return proto


def _emissions(g: _Builder, model: BiLSTMTagger) -> str:
    """From ids to scores, (B, T, K)."""
    vectors = [_words(g, model)]
    if isinstance(model.chars, CharCNN):
        vectors.append(g("Gather", _char_cnn(g, model.chars), "types"))
    elif isinstance(model.chars, CharLSTM):
        vectors.append(g("Gather", _char_lstm(g, model.chars), "types"))
    if model.shapes is not None:
        vectors.append(g("Gather", g("Gather", g.constant(model.shapes.weight), "shapes"), "types"))
    states = g("Concat", *vectors, axis=2)
    lengths = g("Cast", "lengths", to=g.onnx.TensorProto.INT32)
    states = g("Transpose", states, perm=[1, 0, 2])
    for ahead, back in zip(model.encoder.forwards, model.encoder.backwards, strict=True):
        states = _lstm(g, ahead, back, states, lengths)[0]
    states = g("Transpose", states, perm=[1, 0, 2])
    scores = g("MatMul", states, g.constant(model.projection.weight.T))
    return g("Add", scores, g.constant(model.projection.bias))


def _words(g: _Builder, model: BiLSTMTagger) -> str:
    table, trained = model.words, g.constant(np.int64(model.words.num_trained))
    last = g("Sub", trained, g.constant(np.int64(1)))
    vectors = g("Gather", g.constant(table.weight), g("Min", "words", last))
    if not len(table.frozen):
        return vectors
    place = g("Max", g("Sub", "words", trained), g.constant(np.int64(0)))
    pretrained = g("Cast", g("Gather", g.constant(table.frozen), place), to=g.onnx.TensorProto.FLOAT)
    known = g("Unsqueeze", g("Less", "words", trained), g.constant(np.array([2])))
    return g("Where", known, vectors, pretrained)


def _char_cnn(g: _Builder, chars: CharCNN) -> str:
    vectors = g("Transpose", g("Gather", g.constant(chars.embedding.weight), "chars"), perm=[0, 2, 1])
    width, bias = chars.width, chars.convolution.bias
    assert bias is not None
    scores = g(
        "Conv", vectors, g.constant(chars.convolution.weight), g.constant(bias), pads=[width // 2, width // 2]
    )
    padded = g("Unsqueeze", g("Equal", "chars", g.constant(np.int64(0))), g.constant(np.array([1])))
    scores = g("Where", padded, g.constant(np.float32(-np.inf)), scores)
    return g("ReduceMax", scores, g.constant(np.array([2])), keepdims=0)


def _char_lstm(g: _Builder, chars: CharLSTM) -> str:
    vectors = g("Transpose", g("Gather", g.constant(chars.embedding.weight), "chars"), perm=[1, 0, 2])
    known = g("Cast", g("Not", g("Equal", "chars", g.constant(np.int64(0)))), to=g.onnx.TensorProto.INT32)
    lengths = g("ReduceSum", known, g.constant(np.array([1])), keepdims=0)
    _, last = _lstm(g, chars.lstm.forwards[0], chars.lstm.backwards[0], vectors, lengths)
    ahead, back = g("Split", last, outputs=2, axis=0, num_outputs=2)
    axis = g.constant(np.array([0]))
    return g("Concat", g("Squeeze", ahead, axis), g("Squeeze", back, axis), axis=1)


def _lstm(g: _Builder, ahead: nn.Module, back: nn.Module, inputs: str, lengths: str) -> tuple[str, str]:
    """All states (T, B, 2H), and the last ones of both directions (2, B, H)."""
    weights: list[list[Tensor]] = [[], [], []]
    for lstm in (ahead, back):
        assert isinstance(lstm, nn.LSTM)
        weight, recurrent, *biases = (_gates(part) for part in lstm.all_weights[0])
        for kind, part in zip(weights, (weight, recurrent, torch.cat(biases)), strict=True):
            kind.append(part)
    assert isinstance(ahead, nn.LSTM)
    parts = [g.constant(torch.stack(kind)) for kind in weights]
    states, last, _ = g(
        "LSTM", inputs, *parts, lengths, outputs=3, hidden_size=ahead.hidden_size, direction="bidirectional"
    )
    states = g("Transpose", states, perm=[0, 2, 1, 3])
    return g("Reshape", states, g.constant(np.array([0, 0, -1]))), last


def _gates(weight: Tensor) -> Tensor:
    """PyTorch's order of the gates, i f g o, in ONNX's: i o f g."""
    i, f, g, o = weight.detach().chunk(4)
    return torch.cat([i, o, f, g])


def _chain(g: _Builder, model: BiLSTMTagger, emissions: str, temperature: float) -> dict[str, str]:
    """From scores to the answers of the chain.

    Every recursion goes over the T moves into tokens 1 .. T, where token T is one that does not count: so
    there is always a move, and a sentence ends where it does not count any more.
    """
    K, kinds = model.head.num_tags, g.onnx.TensorProto
    with torch.no_grad():
        chain = model.head.chain(torch.zeros(1, 1, K), constrained=True)
        scores = [chain.transitions, chain.start_transitions, chain.end_transitions]
        transitions, start, end = (g.constant(score.double() / temperature) for score in scores)
    scored = g("Mul", g("Cast", emissions, to=kinds.DOUBLE), g.constant(np.float64(1 / temperature)))
    by_time = g("Transpose", scored, perm=[1, 0, 2])
    first = g(
        "Squeeze",
        g("Slice", by_time, *map(g.constant, map(np.array, ([0], [1], [0])))),
        g.constant(np.array([0])),
    )
    zeros = g("Mul", g("Unsqueeze", first, g.constant(np.array([0]))), g.constant(np.float64(0)))
    far = g.constant(np.array([np.iinfo(np.int64).max]))
    rest = g("Slice", by_time, g.constant(np.array([1])), far, g.constant(np.array([0])))
    moved = g("Concat", rest, zeros, axis=0)
    length = g("Gather", g("Shape", "words"), g.constant(np.int64(1)))
    position = g("Range", g.constant(np.int64(0)), length, g.constant(np.int64(1)))
    position = g("Unsqueeze", position, g.constant(np.array([1])))
    following = g("Add", position, g.constant(np.int64(1)))
    counts = g("Unsqueeze", g("Less", following, "lengths"), g.constant(np.array([2])))  # (T, B, 1)
    alpha = g("Add", first, start)

    best, moves = g.scan(_viterbi_step(transitions, g), [alpha], [moved, counts], 1)
    best = g("Add", best, end)
    score = g("ReduceMax", best, g.constant(np.array([1])), keepdims=0)
    last = g("ArgMax", best, axis=1, keepdims=1)
    _, path = g.scan(_trace_step(), [last], [moves], 1, back=True)
    tags = g("Transpose", g("Squeeze", path, g.constant(np.array([2]))), perm=[1, 0])
    inside = g(
        "Less", g("Transpose", position, perm=[1, 0]), g("Unsqueeze", "lengths", g.constant(np.array([1])))
    )
    possible = g("Greater", g("Unsqueeze", score, g.constant(np.array([1]))), g.constant(np.float64(-np.inf)))
    tags = g("Where", g("And", inside, possible), tags, g.constant(np.int64(-1)))

    total, alphas = g.scan(_sum_step(transitions, g, ahead=True), [alpha], [moved, counts], 1)
    log_z = _log_sum_exp(g, g("Add", total, end), 1, keep=False)
    final = g("Add", g("Mul", first, g.constant(np.float64(0))), end)
    final = g("Where", g("IsNaN", final), end, final)
    _, betas = g.scan(_sum_step(transitions, g, ahead=False), [final], [moved, counts], 1, back=True)
    finite = g("Where", g("IsInf", log_z), g.constant(np.float64(0)), log_z)
    both = g("Sub", g("Add", alphas, betas), g("Unsqueeze", finite, g.constant(np.array([0, 2]))))
    p = g("Transpose", g("Min", g("Exp", both), g.constant(np.float64(1))), perm=[1, 0, 2])
    p = g("Where", g("Unsqueeze", inside, g.constant(np.array([2]))), p, g.constant(np.float64(0)))
    return {"tags": tags, "score": score, "log_partition": log_z, "marginals": p}


def _log_sum_exp(g: _Builder, x: str, axis: int, *, keep: bool) -> str:
    """Over an axis; -inf where all is, without NaN."""
    axes = g.constant(np.array([axis]))
    most = g("ReduceMax", x, axes, keepdims=1)
    most = g("Where", g("IsInf", most), g.constant(np.float64(0)), most)
    total = g("Add", g("Log", g("ReduceSum", g("Exp", g("Sub", x, most)), axes, keepdims=1)), most)
    return total if keep else g("Squeeze", total, axes)


def _step_inputs(g: _Builder) -> list[tuple[str, int]]:
    kinds = g.onnx.TensorProto
    return [("state", kinds.DOUBLE), ("scores", kinds.DOUBLE), ("counts", kinds.BOOL)]


def _viterbi_step(transitions: str, outer: _Builder) -> _Body:
    """The best score of each tag, and the previous tag that it comes from (itself, where nothing counts)."""
    g = _Body("viterbi", _step_inputs(outer))
    (state, _), (scores, _), (counts, _) = g.inputs
    moved = g("Add", g("Unsqueeze", state, g.constant(np.array([2]))), transitions)
    best = g("Add", g("ReduceMax", moved, g.constant(np.array([1])), keepdims=0), scores)
    origin = g("ArgMax", moved, axis=1, keepdims=0)
    size = g("Gather", g("Shape", transitions), g.constant(np.int64(0)))
    same = g("Range", g.constant(np.int64(0)), size, g.constant(np.int64(1)))
    g.give(g("Where", counts, best, state), g.onnx.TensorProto.DOUBLE)
    g.give(g("Where", counts, origin, same), g.onnx.TensorProto.INT64)
    return g


def _trace_step() -> _Body:
    """The tag before, from the tag after."""
    kind = require("onnx", "onnx").TensorProto.INT64
    g = _Body("trace", [("tag", kind), ("moves", kind)])
    (tag, _), (moves, _) = g.inputs
    before = g("GatherElements", moves, tag, axis=1)
    g.give(before, kind)
    g.give(before, kind)
    return g


def _sum_step(transitions: str, outer: _Builder, *, ahead: bool) -> _Body:
    """Alpha of the token reached, giving the one that was left; or beta of the token before, giving that."""
    g = _Body("forward" if ahead else "backward", _step_inputs(outer))
    (state, _), (scores, _), (counts, _) = g.inputs
    if ahead:
        moved = g("Add", g("Unsqueeze", state, g.constant(np.array([2]))), transitions)
        new = g("Add", _log_sum_exp(g, moved, 1, keep=False), scores)
    else:
        onward = g("Unsqueeze", g("Add", state, scores), g.constant(np.array([1])))
        new = _log_sum_exp(g, g("Add", onward, transitions), 2, keep=False)
    new = g("Where", counts, new, state)
    g.give(new, g.onnx.TensorProto.DOUBLE)
    g.give(state if ahead else new, g.onnx.TensorProto.DOUBLE)
    return g
