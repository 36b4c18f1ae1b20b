"""segment-kernel: a Gaussian kernel machine on segments of three seconds.

In:     the vector of `fugato.represent.segment_statistics` of every segment, standardised, in its `RANK` main directions.
Model:  least squares to the one-hot labels in the space of a Gaussian kernel (Suykens & Vandewalle, "Least squares support vector machine
        classifiers", Neural Processing Letters 9, 1999). A passage is the mean over its segments.
Figure: none published; it answers the published protocol of random segments (0.721), where what is judged has neighbours of its own clip
        among what is learnt. It recognises those, which is why it shines there and not over artists.

It keeps all segments that it learnt from: 5 MB for 1,000 clips.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.genre.segments import CLIP, gaussian, kernel_scores
from fugato.recipes.options import check_names
from fugato.recipes.passages import Passages
from fugato.represent.segment_statistics import VERSION, block_scale, segment_vector, segments, width

NAME: Final = "segment-kernel"
DEFAULTS: Final[dict[str, float]] = {
    "penalty": 0.1,  # of the squared weights, against segments of weight 1 and a kernel of 1
    "gamma": 1.5,  # of the kernel exp(-gamma d^2), for vectors of about unit length
}
SPACE: Final = {"penalty": (0.01, 1.0), "gamma": (0.3, 5.0)}
RANK: Final = 256

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Vectors of all segments.

    Attributes
    ----------
    passages : Passages
    vectors : ndarray of float32, shape=(n_segments, width)
    owner : ndarray of int64, shape=(n_segments,)
        The passage of each; ascending.
    failed : tuple of FugatoError
    """

    passages: Passages
    vectors: Floats
    owner: Ints
    failed: tuple[FugatoError, ...] = ()

    def select(self, rows: Ints) -> Prepared:
        """Some of the passages."""
        at = np.concatenate([np.zeros(0, np.int64), *(np.flatnonzero(self.owner == row) for row in rows)])
        owner = np.repeat(np.arange(len(rows)), [int((self.owner == row).sum()) for row in rows])
        return Prepared(self.passages.select(rows), self.vectors[at], owner, self.failed)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A kernel machine over segments.

    Attributes
    ----------
    labels : tuple of str
    mean, scale : ndarrays of float32, shape=(width,)
    directions : ndarray of float32, shape=(width, rank)
    vectors : ndarray of float32, shape=(n_train, rank)
    dual : ndarray of float32, shape=(n_train, n_labels)
    gamma : float
    """

    labels: tuple[str, ...]
    mean: Floats
    scale: Floats
    directions: Floats
    vectors: Floats
    dual: Floats
    gamma: float

    def segment_logits(self, vectors: Floats) -> Floats:
        """Scores of segments, shape=(n, n_labels)."""
        return kernel_scores(vectors, self.arrays())

    def logits(self, prepared: Prepared, rows: Ints) -> Floats:
        """Scores of prepared passages, shape=(len(rows), n_labels): the mean over their segments."""
        return np.stack([self.segment_logits(prepared.vectors[prepared.owner == row]).mean(axis=0) for row in rows])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For a model folder."""
        return {
            "mean": self.mean,
            "scale": self.scale,
            "directions": self.directions,
            "vectors": self.vectors,
            "dual": self.dual,
            "gamma": np.array([self.gamma], np.float32),
        }


def prepare(passages: Passages, *, progress: Progress | None = None, **settings: float) -> Prepared:
    """Vectors of the segments of all passages."""
    vectors, owner = [], []
    for number in range(len(passages)):
        heard = passages.decibels(number)
        edges = segments(heard.shape[1])
        for a, b in itertools.pairwise(edges):
            vectors.append(segment_vector(heard[:, a:b]))
            owner.append(number)
        if progress is not None:
            progress(number + 1, len(passages))
    if not vectors:
        raise FugatoError("bad-data", "None of its passages lasts 3 s.", passages.name)
    return Prepared(passages, np.stack(vectors), np.array(owner, np.int64))


def check(settings: Mapping[str, float]) -> None:
    """Raise FugatoError("bad-option") for a setting that there is not, or a value that makes no sense."""
    check_names(NAME, settings, DEFAULTS)
    for name, value in settings.items():
        if not math.isfinite(value) or value <= 0:
            raise FugatoError("bad-option", f"The setting {name} is {value:g}; it must be a number above 0.")


def fit(prepared: Prepared, rows: Ints, labels: NDArray[Any], groups: NDArray[Any], **settings: float) -> Fitted:
    """Solve for the segments of the passages in `rows`; parameters as in `fugato.recipes.mel_covariance.fit`."""
    place = np.full(len(prepared.passages), -1)
    place[rows] = np.arange(len(rows))
    which = np.flatnonzero(place[prepared.owner] >= 0)
    return fit_segments(prepared.vectors[which], labels[place[prepared.owner[which]]], **settings)


def fit_segments(vectors: Floats, labels: NDArray[Any], **settings: float) -> Fitted:
    """Solve for segments as they are.

    Parameters
    ----------
    vectors : ndarray of float32, shape=(n, width)
    labels : ndarray, shape=(n,)
    """
    chosen = {**DEFAULTS, **settings}
    mean = vectors.mean(axis=0)
    scale = (block_scale() / np.maximum(vectors.std(axis=0), 1e-6)).astype(np.float32)
    limit = CLIP * block_scale()
    x = np.clip((vectors - mean) * scale, -limit, limit)
    _, directions = np.linalg.eigh(x.T @ x)
    directions = np.ascontiguousarray(directions[:, ::-1][:, : min(RANK, len(x))])
    x = x @ directions
    names, index = np.unique(labels, return_inverse=True)
    target = np.full((len(x), len(names)), -1 / len(names), np.float32)
    target[np.arange(len(x)), index] += 1
    weight = (len(x) / len(names) / np.bincount(index))[index]
    inner = gaussian(x, x, chosen["gamma"])
    inner[np.diag_indices(len(x))] += (chosen["penalty"] / weight).astype(np.float32)
    dual = np.linalg.solve(inner, target)
    return Fitted(tuple(str(n) for n in names), mean, scale, directions, x, dual, chosen["gamma"])


def export(prepared: Prepared, fitted: Fitted) -> dict[str, Any]:
    """Parts of the model folder."""
    arrays = fitted.arrays()
    halved = {name: arrays[name].astype(np.float16) for name in ("directions", "vectors")}
    return {"segments": {**arrays, **halved}}


def representation() -> dict[str, Any]:
    """What the card says of the input."""
    return {"name": "segment-statistics", "settings": {"version": VERSION, "width": width()}}
