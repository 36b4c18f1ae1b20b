"""A Gaussian kernel machine over segments of three seconds, as it answers: arrays from a model folder, NumPy alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.genre.heard import Heard, n_stretches
from fugato.models import Model
from fugato.represent.sampled_mel import sampled
from fugato.represent.segment_statistics import VERSION, block_scale, segment_vector, segments, width

CLIP: Final = 4.0  # deviations beyond which a cell is no further away

Floats = NDArray[np.float32]


def kernel_scores(vectors: Floats, arrays: Mapping[str, NDArray[Any]]) -> Floats:
    """Scores of segments.

    Parameters
    ----------
    vectors : ndarray of float32, shape=(n, width)
    arrays : mapping
        mean, scale : (width,); directions : (width, rank); vectors : (n_train, rank); dual : (n_train, n_labels); gamma : (1,).

    Returns
    -------
    ndarray of float32, shape=(n, n_labels)
    """
    limit = CLIP * block_scale()
    found = np.clip((vectors - arrays["mean"]) * arrays["scale"], -limit, limit) @ arrays["directions"]
    out: Floats = gaussian(found, arrays["vectors"], float(arrays["gamma"][0])) @ arrays["dual"]
    return out


def gaussian(a: Floats, b: Floats, gamma: float) -> Floats:
    """exp(-gamma |a - b|^2) of all pairs, shape=(len(a), len(b))."""
    apart = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None] - 2 * a @ b.T
    out: Floats = np.exp(-gamma * np.maximum(apart, 0))
    return out


class SegmentHearer:
    """A model folder of the recipe "segment-kernel"."""

    def __init__(self, model: Model) -> None:
        self.model, self.labels = model, model.labels
        about = model.card.representation.get("settings", {})
        arrays = model.arrays("segments")
        if about.get("version") != VERSION or arrays["mean"].shape != (width(),):
            raise FugatoError(
                "bad-model",
                f"It was made with version {about.get('version')} of the segments; this version of Fugato has {VERSION}. Train it again.",
                str(model.folder),
            )
        self._arrays = {name: array.astype(np.float32) for name, array in arrays.items()}

    def hear(self, decibels: Floats) -> Heard:
        """The segments of a passage, and their mean."""
        stretches = n_stretches(decibels.shape[1])
        heard = sampled(decibels)
        edges = segments(heard.shape[1])
        vectors = np.stack([segment_vector(heard[:, a:b]) for a, b in itertools.pairwise(edges)])
        scores = kernel_scores(vectors, self._arrays)
        middle = (np.arange(stretches) + 0.5) * len(scores) / stretches
        return Heard(scores.mean(axis=0), False, scores[middle.astype(np.int64)])
