"""mel-covariance: linear discriminants on how the parts of a sound's spectrum vary together.

In:     the vector of `fugato.represent.sound_covariance` of a passage of half a minute, each cell standardised on training passages, each
        block of equal weight.
Model:  linear discriminant analysis with a shrunken covariance within the genres (Friedman, "Regularized discriminant analysis", Journal of
        the American Statistical Association 84, 1989). There are thirty times as many cells as passages, so it is solved among
        the passages: one system of their inner products.
Copies: of every passage as other recordings of it might look (`fugato.represent.sound_copies`), which tell the analysis what varies
        within a genre and means nothing. Nothing is judged on copies.
Figure: no publication; it replaces an RBF support vector machine on log-mel statistics (0.566 on the filtered split of GTZAN).

Means and deviations are those of the passages that are learnt from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.corpus.splits import Split
from fugato.errors import FugatoError
from fugato.recipes.options import check_names
from fugato.recipes.passages import Passages
from fugato.represent import sound_covariance
from fugato.represent.sampled_mel import SECONDS
from fugato.represent.sound_copies import copied
from fugato.represent.sound_covariance import (
    CLIP,
    LEAST_FRAMES,
    block_scale,
    covariance_vector,
    standardised,
    strangeness,
)

NAME: Final = "mel-covariance"
DEFAULTS: Final[dict[str, float]] = {
    "copies": 6,  # of each passage
    "shrinkage": 2.0,  # added to the variances within genres, in units of their mean over the first RANK directions
}
SPACE: Final = {"copies": (0, 12), "shrinkage": (0.25, 16.0)}
WHOLE: Final = frozenset({"copies"})  # settings that are whole numbers
SHORT: Final = (4.0, 8.0, 15.0)  # seconds of excerpts on which it is seen what is strange
STRANGE: Final = (
    0.975,
    0.975,
    0.99,
    0.99,
)  # shares of held-out passages, of each of these lengths and whole, that are not called strange
EASE: Final = (
    1.0,
    1.0,
    1.05,
    1.1,
)  # times the strangeness that those reach: longer passages lie closer together, and noise further off
DIRECTIONS: Final = 16  # along which it is seen what is strange
RANK: Final = 900  # directions that vary within a genre

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Vectors of passages and of their copies.

    Attributes
    ----------
    passages : Passages
    vectors : ndarray of float32, shape=(1 + n_copies, n, width)
        The passages themselves, then each set of copies.
    short : ndarray of float32, shape=(len(SHORT), n, width)
        So many seconds from the middle of each; the whole of shorter ones.
    failed : tuple of FugatoError
    """

    passages: Passages
    vectors: Floats
    short: Floats
    failed: tuple[FugatoError, ...] = ()

    def select(self, rows: NDArray[np.int64]) -> Prepared:
        """Some of the passages."""
        return Prepared(self.passages.select(rows), self.vectors[:, rows], self.short[:, rows], self.failed)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Discriminants.

    Attributes
    ----------
    labels : tuple of str
    mean, scale : ndarrays of float32, shape=(width,)
        A cell is (value - mean) * scale, at most `CLIP` deviations.
    weights : ndarray of float32, shape=(width, n_labels)
    bias : ndarray of float32, shape=(n_labels,)
    usual : ndarray of float32, shape=(width, n_directions)
        See `fugato.represent.sound_covariance.strangeness`.
    """

    labels: tuple[str, ...]
    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats
    usual: Floats

    def logits(self, prepared: Prepared, rows: NDArray[np.int64]) -> Floats:
        """Scores of prepared passages, shape=(len(rows), n_labels)."""
        out: Floats = standardised(prepared.vectors[0, rows], self.mean, self.scale) @ self.weights + self.bias
        return out


def prepare(
    passages: Passages, *, random_seed: int = 0, progress: Progress | None = None, **settings: float
) -> Prepared:
    """Vectors of every passage long enough, and of copies that the seed and the passage's name fix."""
    chosen = {**DEFAULTS, **settings}
    copies = int(chosen["copies"])
    lengths = passages.stops - passages.starts
    enough = np.flatnonzero(lengths >= LEAST_FRAMES)
    short = [
        FugatoError("too-short", "It is too short.", passages.clips[i].id)
        for i in np.flatnonzero(lengths < LEAST_FRAMES)
    ]
    if not len(enough):
        raise FugatoError("bad-data", "None of its passages lasts 3 s.", passages.name)
    kept = passages.select(enough)
    vectors = np.empty((1 + copies, len(kept), sound_covariance.width()), np.float32)
    shorter = np.empty((len(SHORT), len(kept), sound_covariance.width()), np.float32)
    for number in range(len(kept)):
        heard = kept.decibels(number)
        vectors[0, number] = covariance_vector(heard)
        for copy in range(copies):
            rng = np.random.default_rng([random_seed, copy, *kept.clips[number].id.encode(), int(enough[number])])
            longest = heard.shape[1]
            vectors[1 + copy, number] = covariance_vector(
                _enough(copied(heard, rng, shortest=min(1.0, 1.3 * LEAST_FRAMES / longest)))
            )
        for place, seconds in enumerate(SHORT):
            frames = round(seconds / SECONDS)
            start = max((heard.shape[1] - frames) // 2, 0)
            whole = heard.shape[1] <= frames
            shorter[place, number] = (
                vectors[0, number] if whole else covariance_vector(heard[:, start : start + frames])
            )
        if progress is not None:
            progress(number + 1, len(kept))
    return Prepared(kept, vectors, shorter, tuple(short))


def _enough(decibels: Floats) -> Floats:
    """A copy of a short passage that was made faster, repeated to the least length."""
    times = -(-LEAST_FRAMES // decibels.shape[1])
    return np.tile(decibels, times) if times > 1 else decibels


def check(settings: Mapping[str, float]) -> None:
    """Raise FugatoError("bad-option") for a setting that there is not, or a value that makes no sense."""
    check_names(NAME, settings, DEFAULTS)
    for name, value in settings.items():
        if not math.isfinite(value) or value < 0 or (name in WHOLE and value != int(value)):
            wanted = "a whole number from 0" if name in WHOLE else "a number above 0"
            raise FugatoError("bad-option", f"The setting {name} is {value:g}; it must be {wanted}.")
        if name == "shrinkage" and value == 0:
            raise FugatoError("bad-option", "The setting shrinkage is 0; it must be a number above 0.")


def fit(
    prepared: Prepared, rows: NDArray[np.int64], labels: NDArray[Any], groups: NDArray[Any], **settings: float
) -> Fitted:
    """Solve for the passages in `rows`.

    Parameters
    ----------
    rows : ndarray of int64, shape=(n_train,)
    labels : ndarray, shape=(n_train,)
        Genre of each.
    groups : ndarray
        Not used: what belongs together counts in splits alone.
    settings
        Any of `DEFAULTS`.
    """
    chosen = {**DEFAULTS, **settings}
    mean, scale = _seen(prepared.vectors[0, rows])
    used = prepared.vectors[: 1 + int(chosen["copies"])]
    x = np.concatenate([standardised(part[rows], mean, scale) for part in used])
    usual = _usual(x[: len(rows)])
    names, index = np.unique(labels, return_inverse=True)
    index = np.tile(index, len(used))
    n, counts = len(x), np.bincount(index)
    centres = np.stack([x[index == k].mean(axis=0) for k in range(len(names))])
    x -= centres[index]
    inner = x @ x.T
    # Variance within genres, a mean over as many directions as it can have; genres count the same.
    weight = (n / len(names) / counts)[index].astype(np.float32)
    root = np.sqrt(weight)
    inner *= root[:, None] * root[None, :]
    directions = min(RANK, n - len(names), x.shape[1])
    floor = chosen["shrinkage"] * float(np.trace(inner)) / max(directions, 1)
    # (X'X + f)^-1 m = (m - X' (XX' + f)^-1 X m) / f, by Woodbury's identity.
    inner[np.diag_indices(n)] += np.float32(floor)
    across = root[:, None] * (x @ centres.T)
    solved = np.linalg.solve(inner, across)
    weights = (centres.T - x.T @ (root[:, None] * solved)) * (n / floor)
    weights -= weights.mean(axis=1, keepdims=True)
    bias = -0.5 * np.einsum("kd,dk->k", centres, weights)
    return Fitted(
        tuple(str(name) for name in names),
        mean.astype(np.float32),
        scale,
        weights.astype(np.float32),
        bias.astype(np.float32),
        usual,
    )


def strange_limits(prepared: Prepared, split: Split) -> list[list[float]]:
    """What `STRANGE` of the passages do not exceed when the other folds are learnt from, with some ease.

    Returns
    -------
    list of [seconds, strangeness]
        For the lengths of `SHORT` and for whole passages, ascending.
    """
    sets = [*prepared.short, prepared.vectors[0]]
    found = [np.zeros(len(prepared.passages)) for _ in sets]
    for learn, judge in split.sides():
        mean, scale = _seen(prepared.vectors[0, learn])
        usual = _usual(standardised(prepared.vectors[0, learn], mean, scale))
        for out, vectors in zip(found, sets, strict=True):
            out[judge] = strangeness(standardised(vectors[judge], mean, scale), usual)
    frames = float(np.median(prepared.passages.stops - prepared.passages.starts))
    lengths = [seconds for seconds in SHORT if seconds < 0.9 * frames * SECONDS]
    limits = [
        round(float(np.quantile(out, share)) * ease, 4) for out, share, ease in zip(found, STRANGE, EASE, strict=True)
    ]
    return [
        *([seconds, limit] for seconds, limit in zip(lengths, limits, strict=False)),
        [round(frames * SECONDS, 1), limits[-1]],
    ]


def _usual(x: Floats) -> Floats:
    """The directions in which standardised passages differ most, scaled to deviation 1, shape=(width, n_directions)."""
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    count = min(DIRECTIONS, max(len(x) - 2, 1))
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    out: Floats = (centred.T @ (vectors / np.maximum(values, 1e-12)) * np.sqrt(len(x))).astype(np.float32)
    return out


def _seen(plain: Floats) -> tuple[Floats, Floats]:
    """Mean and scale of the passages that are learnt from."""
    return plain.mean(axis=0), (block_scale() / np.maximum(plain.std(axis=0), 1e-6)).astype(np.float32)


def export(prepared: Prepared, fitted: Fitted) -> dict[str, Any]:
    """Parts of the model folder."""
    return {
        "covariance": {
            "mean": fitted.mean,
            "scale": fitted.scale,
            "weights": _halved(fitted.weights),
            "bias": fitted.bias,
            "usual": _halved(fitted.usual),
        }
    }


def _halved(weights: Floats) -> NDArray[np.float16]:
    """As float16; weights are far from its limits."""
    out: NDArray[np.float16] = weights.astype(np.float16)
    return out


def representation() -> dict[str, Any]:
    """What the card says of the input."""
    return {
        "name": "sound-covariance",
        "settings": {"version": sound_covariance.VERSION, "width": sound_covariance.width(), "clip": CLIP},
    }
