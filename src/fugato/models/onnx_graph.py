"""The graph of an ONNX file, read without the package onnx: its nodes, its weights, and the shapes that really occur.

An ONNX file is one protocol buffer (https://protobuf.dev/programming-guides/encoding/; the numbers of its fields are those of
onnx.proto). Only what a summary needs is read: names and operators of the nodes, shapes of the initializers, inputs and outputs. Shapes of
what flows between the nodes are not worked out but observed: every node's output is made an output of the graph, and ONNX Runtime runs
it once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import FugatoError

# Field numbers of onnx.proto.
MODEL_GRAPH: Final = 7
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OP = 1, 2, 3, 4
TENSOR_DIMS, TENSOR_NAME = 1, 8
VALUE_NAME: Final = 1

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MOST_BYTES: Final = 200_000_000
DTYPES: Final = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes
    ----------
    name : str
        Where it stood in the network that was exported: "/vgg/vgg.0/Conv".
    op : str
        The operator: "Conv".
    inputs, outputs : tuple of str
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """What an ONNX file holds, as far as it is read.

    Attributes
    ----------
    nodes : tuple of Node
        In the order in which they are computed.
    weights : dict
        Name of an initializer to its shape.
    inputs, outputs : tuple of str
    """

    nodes: tuple[Node, ...]
    weights: dict[str, tuple[int, ...]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_graph(path: Path) -> Graph:
    """The graph of an ONNX file.

    Raises
    ------
    FugatoError
        ``bad-model`` where the bytes are no ONNX file.
    """
    try:
        return _graph(_part(_bytes(path)))
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise FugatoError("bad-model", f"It is no ONNX file that can be read ({error}).", str(path)) from error


def observed_shapes(path: Path, *, batch: int = 1) -> dict[str, tuple[int, ...]]:
    """The shape of everything that flows in a network, by name, for inputs of zeros.

    Parameters
    ----------
    path : Path
    batch : int
        What stands for every dimension that is free.

    Raises
    ------
    FugatoError
        ``bad-model`` where ONNX Runtime cannot run it.
    """
    from .session import load_onnxruntime

    onnxruntime = load_onnxruntime()

    data = _bytes(path)
    graph = read_graph(path)
    extra = b"".join(
        _field(GRAPH_OUTPUT, _field(VALUE_NAME, name.encode()))
        for node in graph.nodes
        for name in node.outputs
        if name and name not in graph.outputs
    )
    whole = b"".join(
        _field(number, bytes(value) + (extra if number == MODEL_GRAPH else b"")) if kind == BYTES else raw
        for number, kind, value, raw in _fields(data)
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(whole, options, providers=["CPUExecutionProvider"])
        feed: dict[str, NDArray[Any]] = {}
        for entry in session.get_inputs():
            size = tuple(d if isinstance(d, int) and d > 0 else batch for d in entry.shape)
            feed[entry.name] = np.zeros(size, DTYPES.get(entry.type, np.float32))
        names = [entry.name for entry in session.get_outputs()]
        found = session.run(names, feed)
    except Exception as error:  # its exception classes are private
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FugatoError("bad-model", f"ONNX Runtime cannot run the network ({reason}).", str(path)) from error
    shapes = {name: tuple(np.shape(value)) for name, value in zip(names, found, strict=True)}
    return shapes | {name: value.shape for name, value in feed.items()}


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise FugatoError("too-large", f"The network has more than {MOST_BYTES:,} bytes.", str(path))
        return path.read_bytes()
    except OSError as error:
        raise FugatoError("bad-model", f"It cannot be read ({error.strerror or error}).", str(path)) from error


def _part(data: bytes) -> memoryview:
    for number, kind, value, _ in _fields(data):
        if number == MODEL_GRAPH and kind == BYTES:
            return memoryview(value)
    raise ValueError("there is no graph in it")


def _graph(data: memoryview) -> Graph:
    nodes: list[Node] = []
    weights: dict[str, tuple[int, ...]] = {}
    inputs: list[str] = []
    outputs: list[str] = []
    for number, kind, value, _ in _fields(data):
        if kind != BYTES:
            continue
        if number == GRAPH_NODE:
            nodes.append(_node(value))
        elif number == GRAPH_INITIALIZER:
            name, shape = _tensor(value)
            weights[name] = shape
        elif number in (GRAPH_INPUT, GRAPH_OUTPUT):
            names = inputs if number == GRAPH_INPUT else outputs
            names.append(next(_text(v) for n, _, v, _ in _fields(value) if n == VALUE_NAME))
    return Graph(tuple(nodes), weights, tuple(n for n in inputs if n not in weights), tuple(outputs))


def _node(data: Any) -> Node:
    found: dict[int, list[str]] = {NODE_INPUT: [], NODE_OUTPUT: [], NODE_NAME: [], NODE_OP: []}
    for number, kind, value, _ in _fields(data):
        if kind == BYTES and number in found:
            found[number].append(_text(value))
    return Node("".join(found[NODE_NAME]), "".join(found[NODE_OP]), tuple(found[NODE_INPUT]), tuple(found[NODE_OUTPUT]))


def _tensor(data: Any) -> tuple[str, tuple[int, ...]]:
    name, dims = "", []
    for number, kind, value, _ in _fields(data):
        if number == TENSOR_DIMS and kind == VARINT:
            dims.append(value)
        elif number == TENSOR_DIMS and kind == BYTES:  # packed
            at = 0
            while at < len(value):
                dim, at = _varint(value, at)
                dims.append(dim)
        elif number == TENSOR_NAME and kind == BYTES:
            name = _text(value)
    return name, tuple(dims)


def _text(value: Any) -> str:
    return bytes(value).decode("utf-8")


# -- protocol buffers --------------------------------------------------------------------------------------------------


def _fields(data: Any) -> Iterator[tuple[int, int, Any, bytes]]:
    """Number, wire type and value of each field of a message, and the field as it stands."""
    view = memoryview(data)
    at = 0
    while at < len(view):
        start = at
        key, at = _varint(view, at)
        number, kind = key >> 3, key & 7
        value: Any
        if kind == VARINT:
            value, at = _varint(view, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
            value, at = view[at : at + size], at + size
        elif kind == BYTES:
            size, at = _varint(view, at)
            value, at = view[at : at + size], at + size
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if at > len(view):
            raise ValueError("it breaks off")
        yield number, kind, value, bytes(view[start:at]) if kind != BYTES else b""


def _varint(view: Any, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number without an end")


def _field(number: int, value: bytes) -> bytes:
    """A field of bytes."""
    return _number(number << 3 | BYTES) + _number(len(value)) + value


def _number(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
