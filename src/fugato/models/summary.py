"""What a model in a folder is made of, layer by layer, without torch: from its ONNX graph, or from its arrays.

The layers of a network are read off the graph, the shapes between them are observed in one run on zeros (`fugato.models.onnx_graph`).
What only carries shapes about is left out, activations and pooling are kept, and weights that the export shares between layers count
where they are first used.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from ..errors import FugatoError
from ..write.network_picture import Layer, Summary
from .folder import Model
from .onnx_graph import Graph, Node, observed_shapes, read_graph

MARKER: Final = 3  # inputs at a time in the run on zeros: what comes out with so many rows has "n"
KINDS: Final = {  # operator: what it is called
    "Gemm": "Dense",
    "MatMul": "Product",
    "MatMulInteger": "Dense, 8 bits",
    "DynamicQuantizeMatMul": "Dense, 8 bits",
    "Conv": "Conv",
    "ConvInteger": "Conv, 8 bits",
    "LSTM": "LSTM",
    "DynamicQuantizeLSTM": "LSTM, 8 bits",
    "GRU": "GRU",
    "RNN": "RNN",
    "BatchNormalization": "BatchNorm",
    "LayerNormalization": "LayerNorm",
    "InstanceNormalization": "InstanceNorm",
    "MaxPool": "Max pool",
    "AveragePool": "Average pool",
    "GlobalAveragePool": "Global average pool",
    "GlobalMaxPool": "Global max pool",
    "ReduceMean": "Mean",
    "ReduceMax": "Maximum",
    "ReduceSum": "Sum",
    "Relu": "ReLU",
    "LeakyRelu": "Leaky ReLU",
    "Gelu": "GELU",
    "Erf": "GELU",
    "Tanh": "tanh",
    "Sigmoid": "Sigmoid",
    "Softmax": "Softmax",
    "LogSoftmax": "Log softmax",
    "Add": "Add",
    "Concat": "Concatenate",
    "Flatten": "Flatten",
    "Attention": "Attention",
    "TreeEnsembleClassifier": "Trees",
    "SVMClassifier": "Support vectors",
    "LinearClassifier": "Dense",
}
SCALES: Final = {"Sub", "Div", "Mul", "Add"}  # with weights: scaling of what comes in, or a bias
PASSING: Final = {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "DequantizeLinear"}  # of weights


def model_summary(model: Model) -> Summary:
    """The layers of a loaded model.

    Parameters
    ----------
    model : Model
        Of any task and recipe: every ``.onnx`` part is read, and where there is none, the arrays of its ``.safetensors`` parts.

    Returns
    -------
    Summary

    Raises
    ------
    FugatoError
        ``bad-model`` where a network cannot be read or run.
    """
    card = model.card
    networks = {part: model.folder / file.file for part, file in card.files.items() if file.file.endswith(".onnx")}
    layers: list[Layer] = []
    for part, path in networks.items():
        found = network_layers(path)
        several = len(networks) > 1
        layers += [Layer(f"{part}: {x.name}" if several else x.name, x.kind, x.output, x.parameters) for x in found]
    read_from = "its ONNX graph" if networks else "its arrays"
    if not networks:
        layers = _of_arrays(model)
    elif "pool" in card.calibration:  # n-grams beside the network
        n, weights = len(card.labels), len(card.calibration["pool"])
        pool = [
            Layer("pool", "Weighted sum of log probabilities", ("n", n), weights),
            Layer("", "Softmax", ("n", n), 0),
        ]
        layers = [*_of_arrays(model)[:-1], *layers, *pool]
        read_from = "its arrays and its ONNX graph"
    about = f"{card.recipe}, task {card.task}, {len(card.labels)} names; read from {read_from}"
    learnt = bool(networks) or any(x.kind.startswith("Dense") for x in layers)
    return Summary(f"{card.name} {card.version}", about, tuple(layers), "parameters" if learnt else "numbers")


def network_layers(path: Path) -> list[Layer]:
    """The layers of an ONNX file, its inputs first.

    Raises
    ------
    FugatoError
        ``bad-model`` where it cannot be read or run.
    """
    graph = read_graph(path)
    shapes = observed_shapes(path, batch=MARKER)
    layers = [Layer(name, "Input", _output(shapes[name]), 0) for name in graph.inputs]
    weights, fresh = _weights_of_nodes(graph)
    scaling: dict[str, int] = {}  # path of a module to its place among the layers
    for node, used, new in zip(graph.nodes, weights, fresh, strict=True):
        shape = shapes.get(node.outputs[0], ()) if node.outputs else ()
        count = sum(math.prod(graph.weights[name]) for name in new)
        module = _module(node)
        if node.op in SCALES and used:
            before = layers[-1]
            if before.kind.startswith(("Dense", "Conv")) and node.op == "Add" and _follows(node, graph, before.name):
                layers[-1] = Layer(before.name, before.kind, before.output, before.parameters + count)
            elif module in scaling:
                at = scaling[module]
                old = layers[at]
                layers[at] = Layer(old.name, old.kind, _output(shape), old.parameters + count)
            elif len(shape) >= 2:
                scaling[module] = len(layers)
                layers.append(Layer(module, "Scale" if node.op != "Add" else "Bias", _output(shape), count))
            continue
        if node.op == "Gather" and used and len(graph.weights[used[0]]) == 2:
            layers.append(Layer(module, "Embedding", _output(shape), count))
        elif node.op in KINDS and (count or len(shape) >= 2):
            if node.op in {"Add", "Concat"} and not used and not _joins(node, shapes):
                continue
            if node.op in {"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"}:
                shape = _recurrent(shape)
            layers.append(Layer(module, _kind(node, used, graph), _output(shape), count))
        elif count:
            layers.append(Layer(module, node.op, _output(shape), count))
    return layers


def _weights_of_nodes(graph: Graph) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The initializers that each node uses, looking through nodes that merely pass weights on; and those that no node before it used."""
    alias: dict[str, tuple[str, ...]] = {name: (name,) for name in graph.weights}
    seen: set[str] = set()
    used: list[tuple[str, ...]] = []
    fresh: list[tuple[str, ...]] = []
    for node in graph.nodes:
        named = tuple(dict.fromkeys(w for name in node.inputs for w in alias.get(name, ())))
        if node.op in PASSING and named and all(name in alias for name in node.inputs if name):
            for name in node.outputs:
                alias[name] = named
            named = ()
        used.append(named)
        fresh.append(tuple(w for w in named if w not in seen))
        seen.update(named)
    return used, fresh


def _kind(node: Node, used: tuple[str, ...], graph: Graph) -> str:
    shapes = [graph.weights[name] for name in used]
    name = KINDS[node.op]
    if node.op == "MatMul" and shapes:
        return "Dense"
    if node.op in {"Conv", "ConvInteger"} and shapes:
        kernel = shapes[0][2:]
        return f"Conv{len(kernel)}D {'×'.join(map(str, kernel))}"
    if node.op in {"LSTM", "GRU", "RNN"} and shapes:
        return f"Bidirectional {name}" if shapes[0][0] == 2 else name
    return name


def _joins(node: Node, shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether a node brings two streams together, as a residual connection does."""
    wide = [shapes.get(name, ()) for name in node.inputs]
    return len([s for s in wide if len(s) >= 2]) >= 2


def _follows(node: Node, graph: Graph, module: str) -> bool:
    """Whether the node before, the one whose output this takes, lies in `module`: then this adds its bias."""
    makers = {name: other for other in graph.nodes for name in other.outputs}
    return any(_module(makers[name]) == module for name in node.inputs if name in makers)


def _module(node: Node) -> str:
    """ "/recurrent/lstm/LSTM" -> "recurrent.lstm"; the path of a child of a sequence holds its parent's name already."""
    parts = [part for part in node.name.split("/")[:-1] if part]
    kept: list[str] = []
    for part in parts:
        if kept and part.startswith(f"{kept[-1]}."):
            kept[-1] = part
        else:
            kept.append(part)
    return ".".join(kept)


def _recurrent(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(steps, directions, n, units) -> (n, steps, directions x units)."""
    return (shape[2], shape[0], shape[1] * shape[3]) if len(shape) == 4 else shape


def _output(shape: tuple[int, ...]) -> tuple[int | str, ...]:
    """With "n" for the number of inputs, and "n·512" where steps were laid beside them."""
    if not shape or shape[0] % MARKER or not shape[0]:
        return shape
    return ("n" if shape[0] == MARKER else f"n·{shape[0] // MARKER}", *shape[1:])


def _of_arrays(model: Model) -> list[Layer]:
    """The layers of a model without a network: for linear models what happens to a vector, else its arrays as they are kept."""
    card = model.card
    arrays = {
        f"{part}: {name}" if sum(f.file.endswith(".safetensors") for f in card.files.values()) > 1 else name: array
        for part, file in card.files.items()
        if file.file.endswith(".safetensors")
        for name, array in sorted(model.arrays(part).items())
    }
    if not arrays:
        raise FugatoError(
            "bad-model", "It holds neither a network nor arrays: there is nothing to draw.", str(model.folder)
        )
    settings = card.representation.get("settings", {})
    inputs = card.representation["name"]
    if {"weights", "scale", "bias", "rarity"} <= arrays.keys():
        width, n = arrays["weights"].shape
        seen_from = sum(int(arrays[name].size) for name in ("origin", "at_origin", "block_scale") if name in arrays)
        return [
            Layer(inputs, "Input", ("n", width), 0),
            Layer("rarity", "Weighting: log counts, rarity", ("n", width), int(arrays["rarity"].size)),
            *([Layer("origin", "Less the mean, to length 1", ("n", width), seen_from)] if seen_from else []),
            Layer(
                "weights",
                f"Dense, {arrays['weights'].dtype} with scales",
                ("n", n),
                int(arrays["weights"].size + arrays["scale"].size + arrays["bias"].size),
            ),
            Layer("", "Softmax", ("n", n), 0),
        ]
    if {"mean", "scale", "weights", "bias"} <= arrays.keys():
        sizes, n = arrays["weights"].shape[:-1], arrays["weights"].shape[-1]
        scaling, dense = (
            sum(int(arrays[name].size) for name in names) for names in (("mean", "scale"), ("weights", "bias"))
        )
        return [
            Layer(inputs, "Input", ("n", *sizes), 0),
            Layer("mean, scale", "Standardise", ("n", *sizes), scaling),
            Layer("weights, bias", f"Dense, {arrays['weights'].dtype}", ("n", n), dense),
            Layer("", "Softmax", ("n", n), 0),
        ]
    width = settings.get("width")
    first = Layer(inputs, "Input", ("n", width) if isinstance(width, int) else (), 0)
    return [first, *(Layer(name, f"Array, {a.dtype}", tuple(a.shape), int(a.size)) for name, a in arrays.items())]
