"""Temperature scaling: one number that makes a model's probabilities mean what they say.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017): divide the logits by a temperature that minimises the log loss
on pieces held out from training. The order of the ranking never changes. The error that remains is measured in `fugato.metrics`.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import FugatoError

SEARCH: Final = (1e-3, 1e3)  # the inverse temperature is searched in this range
_GOLDEN: Final = (math.sqrt(5.0) - 1.0) / 2.0


def log_softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Natural logarithms of `softmax`, shape=(..., n_labels)."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    out: NDArray[np.float64] = scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
    return out


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities, shape=(..., n_labels), each row summing to 1; a higher temperature flattens them."""
    out: NDArray[np.float64] = np.exp(log_softmax(logits, temperature))
    return out


def log_loss(logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0, weights: ArrayLike | None = None) -> float:
    """Mean negative log probability, in nats, of the true labels.

    Parameters
    ----------
    logits : array, shape=(n, n_labels)
    labels : array of int, shape=(n,)
        Index of the true label of each row.
    temperature : float
        Above 0.
    weights : array, shape=(n,), optional
        How much each row counts, as when every label is to count the same.
    """
    rows = log_softmax(logits, temperature)
    truth = np.asarray(labels)
    return float(
        -np.average(rows[np.arange(len(truth)), truth], weights=None if weights is None else np.asarray(weights))
    )


def fit_temperature(logits: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """The temperature that minimises the log loss on held-out pieces.

    The loss is convex in the inverse temperature, so a golden-section search over its logarithm finds the only minimum.

    Parameters
    ----------
    logits : array, shape=(n, n_labels)
        Scores of pieces that the model was not trained on.
    labels : array of int, shape=(n,)
    weights : array, shape=(n,), optional

    Returns
    -------
    float
        Within 0.001 to 1000; the lower end means that the scores separate the labels without a fault.

    Raises
    ------
    FugatoError
        ``bad-data`` for empty, unequal or non-finite input.
    """
    scores, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if scores.ndim != 2 or len(scores) != len(truth) or not len(truth):
        raise FugatoError(
            "bad-data",
            f"Calibration needs scores of shape (n, labels) and n labels; got {scores.shape} and {truth.shape}.",
        )
    if not np.isfinite(scores).all():
        raise FugatoError("bad-data", "Calibration needs finite scores; the model gave infinite or undefined ones.")
    counts: Any = None if weights is None else np.asarray(weights, dtype=np.float64)

    def loss(log_inverse: float) -> float:
        return log_loss(scores, truth, math.exp(-log_inverse), counts)

    low, high = math.log(SEARCH[0]), math.log(SEARCH[1])
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    while high - low > 1e-6:
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - _GOLDEN * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + _GOLDEN * (high - low)
            loss_right = loss(right)
    return math.exp(-(low + high) / 2)
