"""ngram-linear: weighted ridge regression on n-grams of the normalised stream.

In:     the vector of `fugato.represent.ngrams`, its blocks of equal variance, seen from the mean of all pieces at distance 1: short
        pieces lie far from everything, since few of the grams occur in them, and would be taken for extremes of a style. Where a file has
        no beats its metre is not known, and taken for that of the mean piece: it says nothing.
Model:  one linear score a composer, fitted to the one-hot labels by least squares with an L2 penalty. There are ten times as many
        cells as pieces, so it is solved in its dual form (Saunders, Gammerman & Vovk, "Ridge regression learning algorithm in
        dual variables", ICML 1998): one Gram matrix serves every fold and every setting.
Weights: a piece counts the less the more files its work has (inverse root), and composers count the same (inverse of their sum).
Copies: of one notated file of every work a copy as if it were played (`fugato.represent.played`) is learnt from too, so that the
        timing of performances is no composer's trait, and an excerpt, so that shortness is none; and one of a performance of it.
        Nothing is judged on either.
Figure: no publication; it replaces the untuned linear SVM over n-grams that the project started from.

The inverse document frequencies and block variances are those of all prepared pieces and played copies, held-out ones included.
They use no labels.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from fugato.composer.ngram_linear import NEAREST
from fugato.corpus import Corpus, Piece
from fugato.errors import FugatoError
from fugato.recipes.counting import counted
from fugato.recipes.options import check_names
from fugato.represent import ngrams
from fugato.write.network_picture import Layer

NAME: Final = "ngram-linear"
DEFAULTS: Final[dict[str, float]] = {
    "penalty": 0.3,  # of the squared weights, against pieces of weight 1 and vectors of variance 1
    "work_power": 0.5,  # a file of a work with k files counts k ** -work_power
    "class_power": 1.1,  # a composer whose files weigh s together counts s ** (1 - class_power)
    "played_weight": 1.0,  # of a copy as if played, against the work that it is a copy of
    "excerpt_weight": 0.25,  # of an excerpt, likewise
}
SPACE: Final = {
    "penalty": (0.1, 10.0),
    "work_power": (0.0, 1.0),
    "class_power": (0.0, 1.5),
    "played_weight": (0.0, 2.0),
    "excerpt_weight": (0.0, 1.0),
}
LEAST_WEIGHT: Final = 1e-6  # of a copy: none may be zero
LEAST_PIECES: Final = 3  # a gram in fewer pieces cannot speak for anyone else's
HASHED_WEIGHT: Final = 1.0  # variance of a hashed block against an exact one
COLUMNS: Final = 4096  # of the vector at a time, when the Gram matrix is made: bounds the memory

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Vectors of all pieces that could be read, and after them of copies: as if played, and excerpts.

    Attributes
    ----------
    pieces : tuple of Piece
    original : ndarray of int64, shape=(n_copies,)
        The piece that each copy is of.
    cut : ndarray of bool, shape=(n_copies,)
        Those that are excerpts.
    vectors : csr_matrix of float32, shape=(n_pieces + n_copies, width)
        Scaled so that a block's columns have the variance of its weight; not centred.
    distance : ndarray of float32, shape=(n_pieces + n_copies,)
        Of each vector from `origin`.
    origin : ndarray of float32, shape=(width,)
        Mean of the vectors.
    rarity : ndarray of float32, shape=(width,)
    scale : ndarray of float32, shape=(width,)
        What `ngrams.weigh` was multiplied with.
    failed : tuple of FugatoError
        Of the pieces that could not be read or judged.
    """

    pieces: tuple[Piece, ...]
    original: NDArray[np.int64]
    cut: NDArray[np.bool_]
    vectors: Any
    distance: Floats
    origin: Floats
    rarity: Floats
    scale: Floats
    failed: tuple[FugatoError, ...]

    @cached_property
    def has_metre(self) -> NDArray[np.bool_]:
        """Which pieces and copies have beats, shape=(n_pieces + n_copies,)."""
        return _has_metre(self.vectors.indices, self.vectors.indptr)

    @cached_property
    def gram(self) -> Floats:
        """Cosines of all pieces and copies as seen from the origin, shape=(n_pieces + n_copies, n_pieces + n_copies)."""
        columns = self.vectors.tocsc()
        unmetred, metrical = np.flatnonzero(~self.has_metre), ngrams.metrical()
        out = np.zeros((columns.shape[0],) * 2, np.float32, order="F")
        for start in range(0, columns.shape[1], COLUMNS):
            strip = slice(start, start + COLUMNS)
            dense = columns[:, strip].toarray()
            dense -= self.origin[None, strip]
            dense[np.ix_(unmetred, np.flatnonzero(metrical[strip]))] = 0
            dense /= self.distance[:, None]
            # Half the work of a product of any two matrices: only the lower triangle is filled.
            out = scipy.linalg.blas.ssyrk(1.0, dense.T, beta=1.0, c=out, trans=1, lower=1, overwrite_c=1)
            _log.debug("inner products: %d of %d columns", start, columns.shape[1])
        for start in range(0, len(out), COLUMNS):  # mirrored in strips: no second matrix of its size
            strip = slice(start, start + COLUMNS)
            out[strip, strip] += np.tril(out[strip, strip], -1).T
            out[strip, start + COLUMNS :] = out[start + COLUMNS :, strip].T
        return out

    def select(self, rows: NDArray[np.int64]) -> Prepared:
        """Some of the pieces, weighed and scaled as they were among all of them."""
        place = np.full(len(self.pieces), -1)
        place[rows] = np.arange(len(rows))
        kept = np.flatnonzero(place[self.original] >= 0)
        chosen = np.concatenate([rows, len(self.pieces) + kept])
        return Prepared(
            tuple(self.pieces[row] for row in rows),
            place[self.original[kept]],
            self.cut[kept],
            self.vectors[chosen],
            self.distance[chosen],
            self.origin,
            self.rarity,
            self.scale,
            self.failed,
        )

    def joined(self, other: Prepared) -> Prepared:
        """With the pieces of another after its own; both weighed and scaled alike (`prepare_like`)."""
        n, m = len(self.pieces), len(other.pieces)
        return Prepared(
            self.pieces + other.pieces,
            np.concatenate([self.original, other.original + n]),
            np.concatenate([self.cut, other.cut]),
            scipy.sparse.vstack(
                [self.vectors[:n], other.vectors[:m], self.vectors[n:], other.vectors[m:]], format="csr"
            ),
            np.concatenate([self.distance[:n], other.distance[:m], self.distance[n:], other.distance[m:]]),
            self.origin,
            self.rarity,
            self.scale,
            self.failed + other.failed,
        )

    def with_copies(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Rows of `vectors` to learn from, pieces first; the position in `rows` of the piece of each; which of the copies are excerpts."""
        place = np.full(len(self.pieces), -1)
        place[rows] = np.arange(len(rows))
        of = place[self.original]
        kept = np.flatnonzero(of >= 0)
        every = np.concatenate([rows, len(self.pieces) + kept])
        return every, np.concatenate([np.arange(len(rows)), of[kept]]), self.cut[kept]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A solution on some of the prepared pieces.

    Attributes
    ----------
    labels : tuple of str
    rows : ndarray of int64, shape=(n_train,)
        Of the prepared vectors: pieces and their copies.
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


class _Counts:
    """Grams of many pieces, one after another."""

    def __init__(self) -> None:
        self.cells: list[NDArray[np.int32]] = []
        self.times: list[NDArray[np.uint16]] = []

    def append(self, table: NDArray[np.int32]) -> None:
        self.cells.append(table[0])
        self.times.append(np.minimum(table[1], 65535).astype(np.uint16))

    def joined(self) -> tuple[NDArray[np.int32], NDArray[np.uint16], NDArray[np.int64]]:
        """All cells and times, and where each piece ends, from 0."""
        ends = np.cumsum([0, *map(len, self.cells)])
        return np.concatenate(self.cells), np.concatenate(self.times), ends


def prepare(corpus: Corpus, *, jobs: int = 2, progress: Progress | None = None) -> Prepared:
    """Read every piece once, in worker processes, and count its grams."""
    return _scaled(_count(corpus, jobs, progress))


def prepare_like(base: Prepared, corpus: Corpus, *, jobs: int = 2, progress: Progress | None = None) -> Prepared:
    """The same for other pieces, weighed and scaled as those of `base` are and seen from the same place."""
    return _placed(_count(corpus, jobs, progress), base.rarity, base.scale, base.origin)


@dataclass(frozen=True, eq=False)
class _Collection:
    """Grams of pieces and after them of copies; those of number i lie from ``ends[i]`` to ``ends[i + 1]``."""

    pieces: tuple[Piece, ...]
    original: NDArray[np.int64]
    cut: NDArray[np.bool_]
    cell: NDArray[np.int32]
    time: NDArray[np.uint16]
    ends: NDArray[np.int64]
    failed: tuple[FugatoError, ...]

    def weighed(self, rarity: Floats) -> Floats:
        """What each cell of each piece counts, before scaling."""
        places = ngrams.layout()
        return np.concatenate(
            [
                ngrams.weigh(self.cell[a:b], self.time[a:b].astype(np.int32), rarity, places)
                for a, b in itertools.pairwise(self.ends)
            ]
        )


def _count(corpus: Corpus, jobs: int, progress: Progress | None) -> _Collection:
    pieces: list[Piece] = []
    failed: list[FugatoError] = []
    copied: list[int] = []
    excerpted: list[int] = []
    counts, copies, excerpts = _Counts(), _Counts(), _Counts()
    for piece, table, copy, excerpt in counted(corpus, failed, jobs=jobs, progress=progress):
        counts.append(table)
        for found, of, kept in ((copy, copied, copies), (excerpt, excerpted, excerpts)):
            if found is not None:
                of.append(len(pieces))
                kept.append(found)
        pieces.append(piece)
    for some in (copies, excerpts):
        counts.cells += some.cells
        counts.times += some.times
    original = np.array([*copied, *excerpted], np.int64)
    cut = np.arange(len(original)) >= len(copied)
    return _Collection(tuple(pieces), original, cut, *counts.joined(), tuple(failed))


def _scaled(found: _Collection) -> Prepared:
    n, width, places = len(found.ends) - 1 - int(found.cut.sum()), ngrams.width(), ngrams.layout()
    seen = found.cell[: found.ends[n]]  # excerpts are part of what has been seen already
    frequency = np.bincount(seen, minlength=width)
    least = min(LEAST_PIECES, n)
    rarity = (
        np.where(frequency >= least, np.log((1 + n) / (1 + frequency)) + 1, 0).astype(np.float16).astype(np.float32)
    )
    values = found.weighed(rarity)
    some = values[: len(seen)]
    of_metre = max(int(_has_metre(seen, found.ends[: n + 1]).sum()), 1)
    pieces = np.where(ngrams.metrical(), of_metre, n)  # that a cell could have been in
    mean = np.bincount(seen, some, minlength=width) / pieces
    square = np.bincount(seen, some * some, minlength=width) / pieces
    scale = np.ones(width, np.float32)
    weights = np.array([HASHED_WEIGHT if p.hashed else 1.0 for p in places])
    for place, weight in zip(places, weights / weights.sum(), strict=True):
        part = slice(place.start, place.stop)
        variance = float(square[part].sum() - (mean[part] ** 2).sum())
        scale[part] = np.sqrt(weight / variance) if variance > 1e-6 else 0.0
    return _placed(found, rarity, scale, (mean * scale).astype(np.float32), values)


def _placed(
    found: _Collection, rarity: Floats, scale: Floats, origin: Floats, values: Floats | None = None
) -> Prepared:
    cell, ends = found.cell, found.ends
    values = (found.weighed(rarity) if values is None else values) * scale[cell]
    vectors = scipy.sparse.csr_matrix((values, cell, ends), shape=(len(ends) - 1, ngrams.width()), dtype=np.float32)
    exact = values.astype(np.float64)
    squares = np.square(origin, dtype=np.float64)
    apart = np.add.reduceat(exact * (exact - 2 * origin[cell]), ends[:-1]) + squares.sum()
    apart -= np.where(_has_metre(cell, ends), 0, squares[ngrams.metrical()].sum())
    distance = np.sqrt(np.maximum(apart, NEAREST**2)).astype(np.float32)
    return Prepared(found.pieces, found.original, found.cut, vectors, distance, origin, rarity, scale, found.failed)


def _has_metre(cell: NDArray[np.int32], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pieces have grams that only a file with beats has, shape=(n,); arrays as of `_Collection`, or a sparse matrix's."""
    found: NDArray[np.bool_] = np.logical_or.reduceat(ngrams.metrical()[cell], ends[:-1])
    return found


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
    check_names(NAME, settings, DEFAULTS)
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
    rows, piece, cut = prepared.with_copies(rows)
    weight = piece_weights(labels, groups, chosen["work_power"], chosen["class_power"])
    _, work = np.unique(groups, return_inverse=True)
    copies = np.bincount(work, weight)[work][piece[len(weight) :]]  # a copy stands for its whole work
    factor = np.where(cut, chosen["excerpt_weight"], chosen["played_weight"])
    weight = np.concatenate([weight, np.maximum(factor * copies, LEAST_WEIGHT)])
    share = (weight / weight.sum()).astype(np.float32)
    names, index = np.unique(labels, return_inverse=True)
    index = index[piece]
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
    triangle = scipy.linalg.cho_factor(inner, lower=True, overwrite_a=True, check_finite=False)
    dual = scipy.linalg.cho_solve(triangle, target - prior, check_finite=False)
    # Scores are (k - m - mean of k + c) dual + prior; sums over the dual turn that into k @ shifted + bias.
    total = dual.sum(axis=0)
    shifted = dual - share[:, None] * total[None, :]
    bias = prior - mean @ dual + centre * total
    return Fitted(tuple(str(n) for n in names), rows, shifted.astype(np.float32), bias.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Columns:
    """Scores as they are added up from grams.

    Attributes
    ----------
    weights : ndarray of float32, shape=(width, n)
        Of cells before scaling, seen from the origin.
    bias : ndarray of float32, shape=(n,)
    """

    weights: Floats
    bias: Floats

    def beside(self, other: Columns) -> Columns:
        """These columns, and after them others."""
        return Columns(np.hstack([self.weights, other.weights]), np.concatenate([self.bias, other.bias]))


def columns(prepared: Prepared, fitted: Fitted, labels: Sequence[str] | None = None) -> Columns:
    """The solution in its primal form, of all labels or of some."""
    of = range(len(fitted.labels)) if labels is None else [fitted.labels.index(label) for label in labels]
    dual = fitted.dual[:, list(of)] / prepared.distance[fitted.rows, None]
    weights = np.asarray(prepared.vectors[fitted.rows].T @ dual) - prepared.origin[:, None] * dual.sum(axis=0)
    unmetred = dual[~prepared.has_metre[fitted.rows]].sum(axis=0)  # their metre lies at the origin
    weights += (prepared.origin * ngrams.metrical())[:, None] * unmetred
    return Columns(weights * prepared.scale[:, None], fitted.bias[list(of)])


def export(prepared: Prepared, fitted: Fitted, more: Columns | None = None) -> dict[str, Any]:
    """Parts of the model folder: int8 weights with a scale for each block and column, those of the labels first."""
    found = columns(prepared, fitted)
    if more is not None:
        found = found.beside(more)
    places = ngrams.layout()
    quantised = np.zeros(found.weights.shape, np.int8)
    scale = np.zeros((len(places), len(found.bias)), np.float32)
    origin = (prepared.origin / np.where(prepared.scale > 0, prepared.scale, 1)).astype(np.float16)
    at_origin = np.zeros(len(found.bias), np.float32)
    for number, place in enumerate(places):
        part = found.weights[place.start : place.stop]
        scale[number] = np.maximum(np.abs(part).max(axis=0) / 127, 1e-12)
        rounded = np.rint(part / scale[number])
        quantised[place.start : place.stop] = rounded
        at_origin += (origin[place.start : place.stop].astype(np.float32) @ rounded) * scale[number]
    return {
        "weights": {
            "weights": quantised,
            "scale": scale,
            "bias": found.bias,
            "rarity": prepared.rarity.astype(np.float16),
            "origin": origin,
            "at_origin": at_origin,
            "block_scale": np.array([prepared.scale[place.start] for place in places], np.float32),
        }
    }


def representation() -> dict[str, Any]:
    """What the card says of the input."""
    return {"name": NAME, "settings": {"version": ngrams.VERSION, "width": ngrams.width(), "seen_from": "origin"}}


def layers(n_labels: int) -> list[Layer]:
    """What happens to a piece, for a drawing of the recipe."""
    width = ngrams.width()
    return [
        Layer("n-grams of the stream", "Input", ("n", width), 0),
        Layer("rarity", "Weighting: log counts, rarity", ("n", width), width),
        Layer("origin", "Less the mean, to length 1", ("n", width), width),
        Layer("weights", "Dense", ("n", n_labels), (width + 1) * n_labels),
        Layer("", "Softmax", ("n", n_labels), 0),
    ]
