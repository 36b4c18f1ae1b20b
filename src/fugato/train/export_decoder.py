"""A trained decoder as parts of a model folder: an ONNX network with a key/value cache, and its heads, in half precision.

Weights are rounded to float16 first and computed with in float32, so that the exported network is the judged one to the last bit that
matters.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fugato.compose.network import Heads
from fugato.errors import FugatoError
from fugato.models import Model, log_softmax, onnx_session
from fugato.recipes.exported import OPSET, TOLERANCE, quiet
from fugato.recipes.remi_transformer import HEAD_SIZE, Network, Past
from fugato.represent import tokens as t

ROOM: Final = 9  # steps of the past that do not count, in the check
SMALL: Final = 1000  # numbers in an array that is not worth halving
COLUMNS: Final = len(t.COLUMNS) + len(t.CONTROLS)


class _Step(nn.Module):
    """The network as it is served: a past always comes in, of which nothing counts at first."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, steps: Tensor, before: Tensor, *past: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        state, new = self.network(steps, Past(_pairs(past), before))
        return state, torch.stack([keys for keys, _ in new]), torch.stack([values for _, values in new])


def _pairs(tensors: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return list(zip(tensors[::2], tensors[1::2], strict=True))


def rounded(network: Network) -> Network:
    """A copy with every weight as float16 has it, in evaluation mode."""
    out: Network = copy.deepcopy(network).cpu().eval()
    with torch.no_grad():
        for p in out.parameters():
            p.copy_(p.half().float())
    return out


def weights_of(model: Model, network: Network) -> dict[str, Tensor]:
    """The weights of a model folder for a new network of the same shape.

    Raises
    ------
    FugatoError
        ``bad-model`` where they do not fit.
    """
    graph = onnx.load(str(model.path("network"))).graph
    found = {a.name.removesuffix(".half"): onnx.numpy_helper.to_array(a) for a in graph.initializer}
    named = {name.removeprefix("network."): array for name, array in found.items()}
    for node in graph.node:  # the exporter turns the matrices of layers round, and calls them after the product
        if node.op_type == "MatMul" and node.input[1] in found:
            layer = node.name.removeprefix("/network/").removesuffix("/MatMul").replace("/", ".")
            named[f"{layer}.weight"] = found[node.input[1]].T
    heads = model.arrays("heads")
    out = {}
    for name, own in network.state_dict().items():
        array = named[name] if name in named else heads.get(_head_name(name))
        if array is None or tuple(array.shape) != tuple(own.shape):
            raise FugatoError("bad-model", f"Its weights {name} do not fit the network.", str(model.folder))
        out[name] = torch.from_numpy(np.array(array, np.float32))
    return out


def _head_name(name: str) -> str:
    """``heads.scores.2.bias`` -> ``scores_bias_2``: as it stands in the part ``heads``."""
    words = name.split(".")[1:]
    kind = "_bias" if words[-1] == "bias" else ""
    return f"{words[0]}{kind}" + (f"_{words[1]}" if len(words) == 3 else "")


def decoder_parts(network: Network) -> dict[str, Any]:
    """The parts ``network`` (bytes of ONNX) and ``heads`` (arrays) of a network that `rounded` gave.

    Raises
    ------
    FugatoError
        ``bad-model`` where ONNX Runtime answers otherwise than the network, with or without a past.
    """
    heads = {
        "state": network.heads.state.weight,
        "state_bias": network.heads.state.bias,
        **{f"known_{i}": layer.weight for i, layer in enumerate(network.heads.known)},
        **{f"scores_{i}": layer.weight for i, layer in enumerate(network.heads.scores)},
        **{f"scores_bias_{i}": layer.bias for i, layer in enumerate(network.heads.scores)},
    }
    arrays = {name: np.asarray(weight.detach().numpy(), np.float16) for name, weight in heads.items()}
    return {"network": _onnx(network, arrays), "heads": arrays}


def _onnx(network: Network, heads: dict[str, NDArray[Any]]) -> bytes:
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(0)
    steps = torch.stack([torch.randint(0, v, (2, 24)) for v in t.VOCABULARY], dim=-1)
    steps = torch.cat([steps, torch.zeros(2, 24, len(t.CONTROLS), dtype=torch.long)], dim=-1)
    torch.random.set_rng_state(torch_state)
    names = [f"{what}_{i}" for i in range(len(network.blocks)) for what in ("keys", "values")]
    with torch.no_grad():  # what inference mode makes, the exporter does not take
        whole, past = network(steps)
        unseen = torch.full((2, int(network.norm.weight.shape[0]) // HEAD_SIZE, ROOM, HEAD_SIZE), 7.0)
        room = [torch.cat([part[:, :, :16], unseen], dim=2) for layer in past for part in layer]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        with quiet():
            torch.onnx.export(
                _Step(network).eval(),
                (steps[:, :5], torch.tensor([16]), *room),
                str(path),
                input_names=["steps", "before", *names],
                output_names=["state", "keys", "values"],
                dynamic_axes={
                    "steps": {0: "batch", 1: "steps"},
                    "state": {0: "batch", 1: "steps"},
                    "keys": {1: "batch", 3: "steps"},
                    "values": {1: "batch", 3: "steps"},
                    **{name: {0: "batch", 2: "room"} for name in names},
                },
                opset_version=OPSET,
                dynamo=False,
            )
        data = halved(onnx.load(str(path))).SerializeToString()
        path.write_bytes(data)
        session = onnx_session(path)
        for first in (0, 16):  # with nothing before, and with steps before that do not fill the room
            given = {name: part.numpy() for name, part in zip(names, room, strict=True)}
            given |= {"steps": steps[:, first:].numpy(), "before": np.array([first])}
            state, keys, values = session.run(None, given)
            _same(state, whole[:, first:].numpy())
            for new, answered in ((0, keys), (1, values)):
                _same(answered, np.stack([layer[new][:, :, first:].numpy() for layer in past]))
    flat = steps[0, 1:, : t.N_ATTRIBUTES]
    with torch.inference_mode():
        scores = network.heads(whole[0, :-1], flat)
    told = np.stack(
        [
            log_softmax(s.numpy().astype(np.float64))[np.arange(len(flat)), flat[:, i].numpy()]
            for i, s in enumerate(scores)
        ],
        axis=1,
    )
    _same(Heads(heads).log_likelihood(whole[0, :-1].numpy(), flat.numpy()), told)
    return bytes(data)


def _same(answered: NDArray[Any], expected: NDArray[Any]) -> None:
    if not np.allclose(answered, expected, rtol=TOLERANCE, atol=TOLERANCE):
        worst = float(np.abs(answered - expected).max())
        raise FugatoError("bad-model", f"The exported network answers otherwise than the trained one, by {worst:.3g}.")


def halved(model: Any) -> Any:
    """An ONNX model whose large arrays are kept as float16 and cast when it is loaded."""
    casts = []
    for array in model.graph.initializer:
        values = onnx.numpy_helper.to_array(array)
        if array.data_type != onnx.TensorProto.FLOAT or values.size < SMALL:
            continue
        name = array.name
        array.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    for i, node in enumerate(casts):
        model.graph.node.insert(i, node)
    return model
