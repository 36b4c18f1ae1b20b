"""ngram-linear: weighted ridge regression on n-grams of the normalised stream.

In:     the vector of `fugato.represent.ngrams`, its blocks centred and of equal variance but for `BLOCK_WEIGHTS`.
Model:  one linear score a composer, fitted to the one-hot labels by least squares with an L2 penalty. There are ten times as many
        cells as pieces, so it is solved in its dual form (Saunders, Gammerman & Vovk, "Ridge regression learning algorithm in
        dual variables", ICML 1998): one Gram matrix serves every fold and every setting.
Weights: a piece counts the less the more files its work has (inverse root), and composers count the same (inverse of their sum).
Figure: no publication; it replaces the untuned linear SVM over n-grams that the project started from.

The inverse document frequencies and block variances are those of all prepared pieces, held-out ones included. They use no labels.
"""

from __future__ import annotations

import io
import itertools
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from fugato.composer.identify import judgeable
from fugato.corpus import Corpus, Piece
from fugato.corpus.corpus import MEMBER
from fugato.errors import FugatoError
from fugato.read import read_many
from fugato.represent import ngrams
from fugato.score import Score

NAME: Final = "ngram-linear"
DEFAULTS: Final[dict[str, float]] = {
    "penalty": 0.7,  # of the squared weights, against pieces of weight 1 and vectors of variance 1
    "work_power": 0.5,  # a file of a work with k files counts k ** -work_power
    "class_power": 1.1,  # a composer whose files weigh s together counts s ** (1 - class_power)
}
SPACE: Final = {"penalty": (0.1, 10.0), "work_power": (0.0, 1.0), "class_power": (0.0, 1.5)}
LEAST_PIECES: Final = 3  # a gram in fewer pieces cannot speak for anyone else's
HASHED_WEIGHT: Final = 1.0  # variance of a hashed block against an exact one
COLUMNS: Final = 4096  # of the vector at a time, when the Gram matrix is made: bounds the memory

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Vectors of all pieces that could be read.

    Attributes
    ----------
    pieces : tuple of Piece
    vectors : csr_matrix of float32, shape=(n_pieces, width)
        Scaled so that a block's columns have the variance of its weight; not centred.
    rarity : ndarray of float32, shape=(width,)
    scale : ndarray of float32, shape=(width,)
        What `ngrams.weigh` was multiplied with.
    failed : tuple of FugatoError
        Of the pieces that could not be read or judged.
    """

    pieces: tuple[Piece, ...]
    vectors: Any
    rarity: Floats
    scale: Floats
    failed: tuple[FugatoError, ...]

    @cached_property
    def gram(self) -> Floats:
        """Inner products of all pieces, shape=(n_pieces, n_pieces)."""
        columns = self.vectors.tocsc()
        out = np.zeros((len(self.pieces),) * 2, np.float32)
        for start in range(0, columns.shape[1], COLUMNS):
            dense = columns[:, start : start + COLUMNS].toarray()
            out += dense @ dense.T
            _log.debug("inner products: %d of %d columns", start, columns.shape[1])
        return out

    def select(self, rows: NDArray[np.int64]) -> Prepared:
        """Some of the pieces, weighed and scaled as they were among all of them."""
        pieces = tuple(self.pieces[row] for row in rows)
        return Prepared(pieces, self.vectors[rows], self.rarity, self.scale, self.failed)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A solution on some of the prepared pieces.

    Attributes
    ----------
    labels : tuple of str
    rows : ndarray of int64, shape=(n_train,)
    dual : ndarray of float32, shape=(n_train, n_labels)
    bias : ndarray of float32, shape=(n_labels,)
    """

    labels: tuple[str, ...]
    rows: NDArray[np.int64]
    dual: Floats
    bias: Floats

    def logits(self, prepared: Prepared, rows: NDArray[np.int64]) -> Floats:
        """Scores of other prepared pieces, shape=(len(rows), n_labels)."""
        return prepared.gram[np.ix_(rows, self.rows)] @ self.dual + self.bias


def counts_bytes(score: Score, *, name: str, sha256: str) -> bytes:
    """Grams of one piece, for `fugato.read.read_many` to call in a worker process."""
    cell, times = ngrams.count(judgeable(score, name))
    out = io.BytesIO()
    np.save(out, np.stack((cell, times)))
    return out.getvalue()


def prepare(corpus: Corpus, *, jobs: int = 2, progress: Progress | None = None) -> Prepared:
    """Read every piece once, in worker processes, and count its grams."""
    pieces, failed = [], []
    cells, times, ends = [], [], [0]
    sources = (_opened(corpus, piece) for piece in corpus)
    items = read_many(sources, jobs=jobs, then="fugato.recipes.ngram_linear:counts_bytes")
    for done, (piece, item) in enumerate(zip(corpus, items, strict=True), 1):
        if progress is not None:
            progress(done, len(corpus))
        if isinstance(item.result, FugatoError):
            failed.append(FugatoError(item.result.kind, item.result.message, piece.path))
            continue
        assert isinstance(item.result, bytes)  # what counts_bytes gave
        cell, time = np.load(io.BytesIO(item.result), allow_pickle=False)
        pieces.append(piece)
        cells.append(cell)
        times.append(np.minimum(time, 65535).astype(np.uint16))
        ends.append(ends[-1] + len(cell))
    if not pieces:
        first = f" The first: {failed[0]}" if failed else ""
        raise FugatoError("bad-data", f"None of its {len(corpus)} files could be used.{first}", corpus.name)
    cell, time = np.concatenate(cells), np.concatenate(times)
    return _scaled(tuple(pieces), cell, time, np.array(ends), tuple(failed))


class _Member(io.BytesIO):
    """A member of an archive in memory, under its name; one that cannot be unpacked says so when it is read."""

    def __init__(self, corpus: Corpus, piece: Piece) -> None:
        self.name = piece.path
        self._error: FugatoError | None = None
        try:
            super().__init__(corpus.open(piece))
        except FugatoError as error:
            self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        if self._error is not None:
            raise self._error
        return super().read(size)


def _opened(corpus: Corpus, piece: Piece) -> str | _Member:
    return _Member(corpus, piece) if MEMBER in piece.path else piece.path


def _scaled(
    pieces: tuple[Piece, ...],
    cell: NDArray[np.int32],
    time: NDArray[np.uint16],
    ends: NDArray[np.int64],
    failed: tuple[FugatoError, ...],
) -> Prepared:
    n, width, places = len(pieces), ngrams.width(), ngrams.layout()
    frequency = np.bincount(cell, minlength=width)
    least = min(LEAST_PIECES, n)
    rarity = (
        np.where(frequency >= least, np.log((1 + n) / (1 + frequency)) + 1, 0).astype(np.float16).astype(np.float32)
    )
    values = np.concatenate(
        [ngrams.weigh(cell[a:b], time[a:b].astype(np.int32), rarity, places) for a, b in itertools.pairwise(ends)]
    )
    mean = np.bincount(cell, values, minlength=width) / n
    square = np.bincount(cell, values * values, minlength=width) / n
    scale = np.ones(width, np.float32)
    weights = np.array([HASHED_WEIGHT if p.hashed else 1.0 for p in places])
    for place, weight in zip(places, weights / weights.sum(), strict=True):
        part = slice(place.start, place.stop)
        variance = float(square[part].sum() - (mean[part] ** 2).sum())
        scale[part] = np.sqrt(weight / variance) if variance > 1e-6 else 0.0
    vectors = scipy.sparse.csr_matrix((values * scale[cell], cell, ends), shape=(n, width), dtype=np.float32)
    return Prepared(pieces, vectors, rarity, scale, failed)


def piece_weights(
    labels: NDArray[Any], groups: NDArray[Any], work_power: float, class_power: float
) -> NDArray[np.float64]:
    """How much each training piece counts, shape=(n,), mean 1."""
    _, group, size = np.unique(groups, return_inverse=True, return_counts=True)
    weight = size[group].astype(np.float64) ** -work_power
    _, label = np.unique(labels, return_inverse=True)
    weight *= np.bincount(label, weight)[label] ** -class_power
    share: NDArray[np.float64] = weight / weight.mean()
    return share


def check(settings: Mapping[str, float]) -> None:
    """Raise FugatoError("bad-option") for a setting that there is not, or a value that makes no sense."""
    unknown = sorted(settings.keys() - DEFAULTS.keys())
    if unknown:
        raise FugatoError(
            "bad-option", f"{NAME} has no setting {', '.join(unknown)}; its settings are {', '.join(DEFAULTS)}."
        )
    for name, value in settings.items():
        least = "above 0" if name == "penalty" else "0 or more"
        if not math.isfinite(value) or value < 0 or (value == 0 and name == "penalty"):
            raise FugatoError("bad-option", f"The setting {name} is {value:g}; it must be a number {least}.")


def fit(
    prepared: Prepared,
    rows: NDArray[np.int64],
    labels: NDArray[Any],
    groups: NDArray[Any],
    **settings: float,
) -> Fitted:
    """Solve for the pieces in `rows`.

    Parameters
    ----------
    rows : ndarray of int64, shape=(n_train,)
        Positions in `prepared`.
    labels, groups : ndarrays, shape=(n_train,)
        Composer and work of each.
    settings
        Any of `DEFAULTS`.
    """
    chosen = {**DEFAULTS, **settings}
    weight = piece_weights(labels, groups, chosen["work_power"], chosen["class_power"])
    share = (weight / weight.sum()).astype(np.float32)
    names, index = np.unique(labels, return_inverse=True)
    target = np.zeros((len(rows), len(names)), np.float32)
    target[np.arange(len(rows)), index] = 1
    prior = share @ target
    inner = prepared.gram[np.ix_(rows, rows)]
    # Centred with the weighted mean: K - m1' - 1m' + c, so that the bias goes unpunished.
    mean = inner @ share
    centre = float(mean @ share)
    inner -= mean[:, None]
    inner -= mean[None, :] - centre
    inner[np.diag_indices(len(rows))] += (chosen["penalty"] / weight).astype(np.float32)
    factor = scipy.linalg.cho_factor(inner, lower=True, overwrite_a=True, check_finite=False)
    dual = scipy.linalg.cho_solve(factor, target - prior, check_finite=False)
    # Scores are (k - m - mean of k + c) dual + prior; sums over the dual turn that into k @ shifted + bias.
    total = dual.sum(axis=0)
    shifted = dual - share[:, None] * total[None, :]
    bias = prior - mean @ dual + centre * total
    return Fitted(tuple(str(n) for n in names), rows, shifted.astype(np.float32), bias.astype(np.float32))


def export(prepared: Prepared, fitted: Fitted) -> dict[str, Any]:
    """Parts of the model folder: int8 weights with a scale for each block and composer."""
    weights = np.asarray(prepared.vectors[fitted.rows].T @ fitted.dual) * prepared.scale[:, None]
    places = ngrams.layout()
    quantised = np.zeros(weights.shape, np.int8)
    scale = np.zeros((len(places), weights.shape[1]), np.float32)
    for number, place in enumerate(places):
        part = weights[place.start : place.stop]
        scale[number] = np.maximum(np.abs(part).max(axis=0) / 127, 1e-12)
        quantised[place.start : place.stop] = np.rint(part / scale[number])
    return {
        "weights": {
            "weights": quantised,
            "scale": scale,
            "bias": fitted.bias,
            "rarity": prepared.rarity.astype(np.float16),
        }
    }


def representation() -> dict[str, Any]:
    """What the card says of the input."""
    return {"name": NAME, "settings": {"version": ngrams.VERSION, "width": ngrams.width()}}
