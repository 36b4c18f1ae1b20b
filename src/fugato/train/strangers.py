"""Music by nobody of a model's composers: columns of n-grams that tell it from theirs.

A composer's score says who of all composers, not whether any of them. One more column is fitted to just that, on pieces of the composers
and on pieces by others, and is one of the facts by which a panel says "none of these". What it is worth is measured on pieces by names
that it has not learnt: there are three columns, one that has learnt all names and two that have learnt a half each.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.corpus import Corpus, Piece
from fugato.recipes.ngram_linear import Columns, Prepared, columns

OWN: Final = "own"
OTHERS: Final = "others"
EACH: Final = 40  # pieces of a composer at most, so that those with most do not stand for all
SETTINGS: Final = {"penalty": 1.0, "class_power": 1.0}  # of the n-grams: both sides count the same
_log = logging.getLogger(__name__)


def side_of(name: str) -> int:
    """The half of the strangers, 0 or 1, that a name belongs to: always the same one."""
    return zlib.crc32(name.encode()) % 2


def fit_columns(
    linear: Any,
    prepared: Prepared,
    learn: NDArray[np.int64],
    others: Corpus,
    *,
    jobs: int = 2,
    progress: Any = None,
) -> Columns:
    """How much a piece is like the composers' music rather than others'.

    Parameters
    ----------
    linear : module
        The recipe of the n-grams.
    prepared : Prepared
        Of the composers' pieces.
    learn : ndarray of int64, shape=(n,)
        Of these, the pieces to learn from.
    others : Corpus
        Pieces by others.
    jobs, progress
        Of counting their grams.

    Returns
    -------
    Columns
        Three: learnt from all others, from those of side 1, from those of side 0. So column ``1 + side`` has never met a name of that side.
    """
    rng = np.random.default_rng(0)
    of = np.array([prepared.pieces[row].composer for row in learn])
    some = np.sort(np.concatenate([rng.permutation(learn[of == name])[:EACH] for name in np.unique(of)]))
    foreign = linear.prepare_like(prepared, others, jobs=jobs, progress=progress)
    both = prepared.select(some).joined(foreign)
    n, m = len(some), len(foreign.pieces)
    side = np.array([side_of(piece.composer) for piece in foreign.pieces])
    _log.info("%d pieces of the composers, %d by others", n, m)
    found = []
    for taken in (np.ones(m, bool), side == 1, side == 0):
        rows = np.concatenate([np.arange(n), n + np.flatnonzero(taken)])
        label = np.where(rows < n, OWN, OTHERS)
        fitted = linear.fit(both, rows, label, works_of([both.pieces[row] for row in rows]), **SETTINGS)
        found.append(columns(both, fitted, [OWN]))
    return reduce(Columns.beside, found)


def first(found: Columns) -> Columns:
    """The column that has learnt from all strangers, which is what is shipped."""
    return Columns(found.weights[:, :1], found.bias[:1])


def works_of(pieces: Sequence[Piece]) -> NDArray[Any]:
    """The work of each piece, or the piece itself where that is not known."""
    return np.array([piece.group or piece.id for piece in pieces])
