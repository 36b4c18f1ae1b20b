"""Learns the style space (`fugato.represent.style_space`): which directions of the sketch are music and which are the file.

Two scatters of the sketches are wanted small. Within a work: its other files and editions, and a copy as if played of every notated one
(`fugato.represent.played`), differ in encoding, timing and scoring. Between the works of one composer: they differ in everything but
style. One is wanted large, that between all works. The matrix holds the leading generalised eigenvectors of the large against the small
ones (Fisher's discriminants; Rao, 1948), each scaled by the root of its eigenvalue: the more reliable a direction is, the more it counts.

Every work counts once, however many files it has, and every composer with `LEAST_WORKS` works or more counts once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from fugato.corpus import Corpus, Piece
from fugato.errors import FugatoError
from fugato.models import load_model
from fugato.recipes.counting import counted
from fugato.represent import ngrams
from fugato.represent.style_space import SKETCH, StyleSpace, sketch, unit

DIMENSIONS: Final = 256
COMPOSER_SHARE: Final = 0.3  # of the scatter between works of a composer, against that within works
SHRINKAGE: Final = (
    0.3  # of the small scatter towards a multiple of the identity (Ledoit & Wolf, 2004, fit it; here it was tried)
)
LEAST_WORKS: Final = 5  # of a composer whose works are compared with each other
QUANTILES: Final = 201  # of a table: every half per cent
NEAR: Final = 5  # pieces that vote for a composer
PAIRS: Final = 200_000  # of works that a table is made from

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Sketches:
    """Sketches of all pieces that could be read, and after them of copies as if played.

    Attributes
    ----------
    pieces : tuple of Piece
    original : ndarray of int64, shape=(n_copies,)
        The piece that each copy is of.
    vectors : ndarray of float32, shape=(n_pieces + n_copies, 2 * SKETCH)
    rarity : ndarray of float32, shape=(width,)
        That the n-grams were weighed with.
    failed : tuple of FugatoError
    """

    pieces: tuple[Piece, ...]
    original: NDArray[np.int64]
    vectors: Floats
    rarity: Floats
    failed: tuple[FugatoError, ...]

    @property
    def works(self) -> NDArray[Any]:
        """The work of each piece, shape=(n_pieces,)."""
        return np.array([p.group or p.id for p in self.pieces])

    @property
    def composers(self) -> NDArray[Any]:
        """The composer of each piece, shape=(n_pieces,)."""
        return np.array([p.composer for p in self.pieces])


def prepare(corpus: Corpus, *, jobs: int = 1, progress: Progress | None = None) -> Sketches:
    """Read every piece once; n-grams are weighed as the shipped composer model weighs them, without those that no performance has."""
    rarity = load_model("composer").arrays("weights")["rarity"].astype(np.float32)
    rarity[ngrams.metrical()] = 0
    pieces: list[Piece] = []
    failed: list[FugatoError] = []
    vectors: list[Floats] = []
    copies: list[Floats] = []
    original: list[int] = []
    for piece, table, copy, _ in counted(corpus, failed, jobs=jobs, progress=progress):
        vectors.append(sketch(table[0], table[1], rarity))
        if copy is not None:
            original.append(len(pieces))
            copies.append(sketch(copy[0], copy[1], rarity))
        pieces.append(piece)
    together = np.stack([*vectors, *copies])
    return Sketches(tuple(pieces), np.array(original, np.int64), together, rarity, tuple(failed))


def fit(
    sketches: Sketches,
    rows: NDArray[np.int64] | None = None,
    *,
    dimensions: int = DIMENSIONS,
    composer_share: float = COMPOSER_SHARE,
    shrinkage: float = SHRINKAGE,
) -> StyleSpace:
    """Learn a space from some of the pieces and their copies.

    Parameters
    ----------
    sketches : Sketches
    rows : ndarray of int64, optional
        Pieces to learn from; all by default.
    dimensions : int
        Of the vectors.
    composer_share, shrinkage : float
        See the constants of these names.

    Raises
    ------
    FugatoError
        ``bad-data`` where no work has two files or copies.
    """
    n = len(sketches.pieces)
    rows = np.arange(n) if rows is None else rows
    chosen = np.zeros(n, bool)
    chosen[rows] = True
    copies = np.flatnonzero(chosen[sketches.original])
    vectors = sketches.vectors[np.concatenate([rows, n + copies])]
    of = np.concatenate([rows, sketches.original[copies]])
    mean = vectors.mean(axis=0)
    vectors = vectors - mean
    _, work = np.unique(sketches.works[of], return_inverse=True)
    files = np.bincount(work)
    if not (files > 1).any():
        raise FugatoError(
            "bad-data", "No work has two files, so there is nothing to learn the differences of files from."
        )
    works = _means(vectors, work)
    within = _scatter(vectors, works, work, files > 1)
    composer_of_work = np.empty(len(files), object)
    composer_of_work[work] = sketches.composers[of]
    _, composer = np.unique(composer_of_work.astype(str), return_inverse=True)
    counts = np.bincount(composer)
    if (counts >= LEAST_WORKS).any():
        within = within + composer_share * _scatter(works, _means(works, composer), composer, counts >= LEAST_WORKS)
    between = works - works.mean(axis=0)
    within[np.diag_indices(2 * SKETCH)] += shrinkage * np.trace(within) / (2 * SKETCH)
    dimensions = min(dimensions, len(works) - 1)
    size = 2 * SKETCH
    values, directions = scipy.linalg.eigh(
        between.T @ between / len(works), within, subset_by_index=[size - dimensions, size - 1], check_finite=False
    )
    matrix = directions[:, ::-1] * np.sqrt(np.maximum(values[::-1], 0))
    _log.info("style space from %d files and %d copies of %d works", len(rows), len(copies), len(files))
    return StyleSpace(sketches.rarity, mean, np.ascontiguousarray(matrix, np.float32))


def project(space: StyleSpace, sketches: Sketches) -> Floats:
    """Style vectors of all pieces, copies left out, shape=(n_pieces, n_dimensions)."""
    return unit((sketches.vectors[: len(sketches.pieces)] - space.mean) @ space.matrix)


def tables(
    vectors: Floats, works: Sequence[str], composers: Sequence[str], *, random_seed: int = 0
) -> dict[str, list[float]]:
    """How alike pairs of works are: what a cosine means.

    Parameters
    ----------
    vectors : ndarray of float32, shape=(n, n_dimensions)
        Of works that the space was not learnt from.
    works, composers : sequences of length n
    random_seed : int
        One file of each work is drawn, and pairs.

    Returns
    -------
    dict
        Quantiles of the cosine, 0 to 1 in equal steps: "different", pairs of works by two composers; "same", pairs of two works by
        one composer. Composers are drawn first and then their works, so that none counts for its many works.
    """
    rng = np.random.default_rng(random_seed)
    order = rng.permutation(len(works))
    first = {works[i]: i for i in order}
    by_composer: dict[str, list[int]] = {}
    for i in sorted(first.values()):
        by_composer.setdefault(composers[i], []).append(i)
    several = [rows for rows in by_composer.values() if len(rows) >= LEAST_WORKS]
    if len(several) < 2:
        raise FugatoError("bad-data", f"The tables need two composers with {LEAST_WORKS} works or more.")
    rows = np.concatenate(several)
    sizes = np.array([len(r) for r in several])
    starts = np.cumsum(sizes) - sizes
    one = rng.integers(len(several), size=PAIRS)
    other = (one + rng.integers(1, len(several), size=PAIRS)) % len(several)
    place = rng.integers(sizes[one])
    pairs = {
        "different": (starts[one] + place, starts[other] + rng.integers(sizes[other])),
        "same": (starts[one] + place, starts[one] + (place + rng.integers(1, sizes[one])) % sizes[one]),
    }
    steps = np.linspace(0, 1, QUANTILES)
    out = {}
    for name, (left, right) in pairs.items():
        cosine = np.concatenate(
            [
                (vectors[rows[a]] * vectors[rows[b]]).sum(axis=1)
                for a, b in zip(np.array_split(left, 64), np.array_split(right, 64), strict=True)
            ]
        )
        out[name] = [round(float(q), 4) for q in np.quantile(cosine, steps)]
    return out


def nearest_names(asked: Floats, known: Floats, names: NDArray[Any], near: int = NEAR) -> list[str]:
    """The composer for whom the nearest known pieces vote with their cosines.

    Parameters
    ----------
    asked : ndarray of float32, shape=(m, n_dimensions)
    known : ndarray of float32, shape=(n, n_dimensions)
    names : ndarray of str, shape=(n,)
        Composers of the known pieces.
    near : int
        How many vote; fewer than n.

    Returns
    -------
    list of str, length m
    """
    labels, index = np.unique(names, return_inverse=True)
    out: list[str] = []
    for part in np.array_split(asked, max(len(asked) // 500, 1)):
        cosine = part @ known.T
        best = np.argpartition(-cosine, near, axis=1)[:, :near]
        rows = np.arange(len(part))
        votes = np.zeros((len(part), len(labels)))
        for column in best.T:
            np.add.at(votes, (rows, index[column]), cosine[rows, column])
        out += labels[votes.argmax(axis=1)].tolist()
    return out


def _means(vectors: Floats, group: NDArray[np.int64]) -> Floats:
    """Mean of each group, shape=(n_groups, size)."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    sums = np.add.reduceat(vectors[order], starts, axis=0)
    means: Floats = (sums / np.bincount(group)[:, None]).astype(np.float32)
    return means


def _scatter(vectors: Floats, means: Floats, group: NDArray[np.int64], counted: NDArray[np.bool_]) -> Floats:
    """Mean scatter within the groups that are counted, each of them alike, shape=(size, size)."""
    kept = counted[group]
    apart = (vectors[kept] - means[group[kept]]) / np.sqrt(np.bincount(group)[group[kept]])[:, None].astype(np.float32)
    scatter: Floats = apart.T @ apart / counted.sum()
    return scatter
