"""The trained decoder, step by step, without PyTorch: an ONNX network with a key/value cache, and its five heads in NumPy.

The heads are a few small products; drawing the attributes of a step in turn, with masks between them, is simplest where they can be seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fugato.models import Model, log_softmax, onnx_session
from fugato.represent.tokens import N_ATTRIBUTES

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


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


class Decoder:
    """The network of a model folder.

    Parameters
    ----------
    model : Model
        Parts ``network`` (ONNX) and ``heads``.
    threads : int
        Threads inside one operation.
    """

    def __init__(self, model: Model, *, threads: int = 1) -> None:
        self.session = onnx_session(model.path("network"), threads=threads)
        self.heads = Heads(model.arrays("heads"))
        shape = next(i for i in self.session.get_inputs() if i.name == "past").shape
        self.layers, self.n_head, self.head_size = int(shape[0]), int(shape[3]), int(shape[5])

    def empty(self, batch: int) -> Floats:
        """The past of nothing."""
        return np.zeros((self.layers, 2, batch, self.n_head, 0, self.head_size), np.float32)

    def feed(self, steps: Ints, past: Floats) -> tuple[Floats, Floats]:
        """Steps (B, T, 20) after a past -> the states after each of them (B, T, units), and the past with them."""
        state, present = self.session.run(["state", "present"], {"steps": steps, "past": past})
        return state, present


def gelu(x: Floats) -> Floats:
    """x times the normal distribution function, by Abramowitz & Stegun 7.1.26 (error below 1.5e-7)."""
    z = np.abs(x) / math.sqrt(2)
    u = 1 / (1 + 0.3275911 * z)
    tail = u * (0.254829592 + u * (-0.284496736 + u * (1.421413741 + u * (-1.453152027 + u * 1.061405429))))
    erf = np.sign(x) * (1 - tail * np.exp(-z * z))
    out: Floats = (0.5 * x * (1 + erf)).astype(np.float32)
    return out
