"""The trained decoder, step by step, without PyTorch: an ONNX network with a key/value cache, and its five heads in NumPy.

The heads are a few small products; drawing the attributes of a step in turn, with masks between them, is simplest where they can be seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.models import Model, log_softmax, onnx_session
from fugato.represent.tokens import N_ATTRIBUTES

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
ROOM: Final = 64  # steps that fit at first


class Heads:
    """What comes next, attribute by attribute: event, part, pitch, duration, velocity.

    Parameters
    ----------
    arrays : mapping
        ``state``, ``state_bias``; ``known_i`` for the first four attributes; ``scores_i``, ``scores_bias_i`` for all five.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        own = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
        self.state, self.state_bias = own["state"].T.copy(), own["state_bias"]
        self.known = [own[f"known_{i}"] for i in range(N_ATTRIBUTES - 1)]
        self.scores = [own[f"scores_{i}"].T.copy() for i in range(N_ATTRIBUTES)]
        self.bias = [own[f"scores_bias_{i}"] for i in range(N_ATTRIBUTES)]

    def hidden(self, state: Floats) -> Floats:
        """States (n, units) -> what the heads start from, (n, 5, head_units); `attribute` changes it."""
        hidden: Floats = (state @ self.state + self.state_bias).reshape(len(state), N_ATTRIBUTES, -1)
        return hidden

    def attribute(self, i: int, hidden: Floats) -> Floats:
        """Scores of attribute `i`, shape=(n, vocabulary)."""
        scores: Floats = gelu(hidden[:, i]) @ self.scores[i] + self.bias[i]
        return scores

    def tell(self, i: int, value: Ints, hidden: Floats) -> None:
        """Attribute `i` has that value, shape=(n,) or scalar: those after it take it into account."""
        if i < N_ATTRIBUTES - 1:
            hidden[:, i + 1 :] += self.known[i][value].reshape(-1, N_ATTRIBUTES - 1 - i, hidden.shape[2])

    def log_likelihood(self, state: Floats, target: Ints) -> NDArray[np.float64]:
        """Of the attributes of the next steps, (n, 5) -> (n, 5), natural logarithms; attributes that do not apply included."""
        hidden = self.hidden(state)
        out = np.zeros((len(state), N_ATTRIBUTES))
        for i in range(N_ATTRIBUTES):
            scores = log_softmax(self.attribute(i, hidden).astype(np.float64))
            out[:, i] = scores[np.arange(len(state)), target[:, i]]
            self.tell(i, target[:, i], hidden)
        return out


class Past:
    """What the network has seen: keys and values of each layer, in arrays that have room for more.

    The network reads the arrays where they lie. Joined anew at every step, they would cost more than all its products.

    Attributes
    ----------
    length : int
        Steps that count. Set to fewer, the network forgets those after them.
    """

    def __init__(self, names: Sequence[str], batch: int, n_head: int, head_size: int) -> None:
        self.length = 0
        self.arrays = {name: np.zeros((batch, n_head, ROOM, head_size), np.float32) for name in names}

    def keep(self, new: Mapping[str, Floats]) -> None:
        """Go on with keys and values of further steps, shape=(batch, n_head, n, head_size) each."""
        end = self.length + next(iter(new.values())).shape[2]
        for name, array in self.arrays.items():
            room = array.shape[2]
            if end > room:  # twice as much, as often as needed
                more = ROOM * 2 ** math.ceil(math.log2(end / ROOM)) - room
                array = self.arrays[name] = np.pad(array, ((0, 0), (0, 0), (0, more), (0, 0)))
            array[:, :, self.length : end] = new[name]
        self.length = end


class Decoder:
    """The network of a model folder.

    Parameters
    ----------
    model : Model
        Parts ``network`` (ONNX) and ``heads``.
    threads : int
        Threads inside one operation.

    Raises
    ------
    FugatoError
        ``bad-model`` where its network takes other inputs.
    """

    def __init__(self, model: Model, *, threads: int = 1) -> None:
        self.session = onnx_session(model.path("network"), threads=threads)
        self.heads = Heads(model.arrays("heads"))
        shapes = {i.name: i.shape for i in self.session.get_inputs()}
        if "before" not in shapes:
            raise FugatoError(
                "bad-model", "Its network was exported by an earlier Fugato; train it again.", str(model.folder)
            )
        self.keys = [name for name in shapes if name.startswith("keys_")]
        self.values = [name for name in shapes if name.startswith("values_")]
        _, self.n_head, _, self.head_size = shapes[self.keys[0]]

    def empty(self, batch: int) -> Past:
        """The past of nothing."""
        return Past([*self.keys, *self.values], batch, self.n_head, self.head_size)

    def feed(self, steps: Ints, past: Past) -> Floats:
        """Steps (B, T, 20) after a past, which grows by them -> the states after each of them (B, T, units)."""
        given = {"steps": steps, "before": np.array([past.length]), **past.arrays}
        state: Floats
        state, keys, values = self.session.run(["state", "keys", "values"], given)
        past.keep({**dict(zip(self.keys, keys, strict=True)), **dict(zip(self.values, values, strict=True))})
        return state


def gelu(x: Floats) -> Floats:
    """x times the normal distribution function, by Abramowitz & Stegun 7.1.26 (error below 1.5e-7)."""
    z = np.abs(x) / math.sqrt(2)
    u = 1 / (1 + 0.3275911 * z)
    tail = u * (0.254829592 + u * (-0.284496736 + u * (1.421413741 + u * (-1.453152027 + u * 1.061405429))))
    erf = np.sign(x) * (1 - tail * np.exp(-z * z))
    out: Floats = (0.5 * x * (1 + erf)).astype(np.float32)
    return out
