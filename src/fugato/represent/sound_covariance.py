"""What a passage of sound is like as a whole: how its spectrum's parts vary together, now and a moment later.

A log-mel spectrogram is looked at through several series (cepstra, cepstra with their own past, rises of level in bands, the roughness
of the spectrum along frequency …). Of each the covariance matrix is taken, and of that the matrix logarithm: covariances form a curved
space, in which the logarithm makes straight lines of natural paths (Arsigny et al., "Log-Euclidean metrics for fast and simple calculus on
diffusion tensors", Magnetic Resonance in Medicine 56, 2006). Delayed copies beside the series put rhythm and texture into the
covariance. Means over time, which loudness and equalising move, are nearly all left out.

The vector is the upper triangles of these logarithms, off-diagonal cells times the root of two, so that its inner products are those of the
matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.represent.mfcc import cosines

VERSION: Final = 1  # of the layout; a model made with another one cannot be used
N_CEPSTRA: Final = 40
LEAST_FRAMES: Final = 32  # so many are needed that the longest delay (25 frames, 2 s) leaves something
CLIP: Final = 4.0  # deviations beyond which a cell is no further away
SMOOTH: Final = 9  # mel bands over which the spectrum is smoothed, to see what stands out of it

Floats = NDArray[np.float32]
Series = Callable[["_Views"], NDArray[Any]]


@dataclass(frozen=True)
class Block:
    """A part of the vector.

    Attributes
    ----------
    name : str
    series : callable
        Gives the series, shape=(size, n_frames).
    size : int
    floor : float
        Added to the variances before the logarithm: what is quieter counts as nothing.
    """

    name: str
    series: Series
    size: int
    floor: float

    @property
    def width(self) -> int:
        """Cells of the vector."""
        return self.size * (self.size + 1) // 2


class _Views:
    """The series that blocks share."""

    def __init__(self, decibels: NDArray[Any]) -> None:
        self.decibels = np.asarray(decibels, np.float64)
        n_mels, n = self.decibels.shape
        self.cepstra = cosines(N_CEPSTRA, n_mels) @ self.decibels
        self.bands = self.decibels.reshape(32, n_mels // 32, n).mean(axis=1)
        self.rises = np.maximum(np.diff(self.bands, axis=1), 0)
        padded = np.pad(self.decibels, ((SMOOTH // 2 + 1, SMOOTH // 2), (0, 0)))
        total = np.cumsum(padded, axis=0)
        self.detail = self.decibels - (total[SMOOTH:] - total[:-SMOOTH]) / SMOOTH


def delayed(series: NDArray[Any], delays: Sequence[int]) -> NDArray[Any]:
    """A series beside its own later copies, shape=(len(delays) * size, n_frames - longest delay)."""
    n = series.shape[1] - max(delays)
    return np.concatenate([series[:, delay : delay + n] for delay in delays])


def _cepstra(count: int, delays: Sequence[int], name: str) -> Block:
    return Block(name, lambda v: delayed(v.cepstra[:count], delays), count * len(delays), 1.0)


BLOCKS: Final[tuple[Block, ...]] = (
    _cepstra(32, (0,), "cepstra"),
    Block("changes of cepstra", lambda v: np.diff(v.cepstra[:32], axis=1), 32, 1.0),
    _cepstra(24, (0, 1, 2), "24 cepstra over 0.2 s"),
    _cepstra(16, (0, 1, 2), "16 cepstra over 0.2 s"),
    _cepstra(16, range(6), "16 cepstra over 0.4 s"),
    _cepstra(12, (0, 2, 4, 6), "12 cepstra over 0.5 s"),
    _cepstra(8, range(12), "8 cepstra over 0.9 s"),
    _cepstra(4, range(26), "4 cepstra over 2 s"),
    Block("bands", lambda v: v.bands, 32, 1.0),
    Block("rises", lambda v: v.rises, 32, 0.5),
    Block("rises over 1 s", lambda v: delayed(v.rises.reshape(8, 4, -1).mean(axis=1), range(0, 13, 2)), 56, 0.5),
    Block("roughness", lambda v: np.abs(v.detail).reshape(32, 4, -1).mean(axis=1), 32, 0.1),
    Block("roughness over 0.2 s", lambda v: delayed(v.detail.reshape(16, 8, -1).std(axis=1), (0, 1, 2)), 48, 0.1),
)


def width() -> int:
    """Length of the vector."""
    return sum(block.width for block in BLOCKS)


@lru_cache(maxsize=1)
def edges() -> tuple[int, ...]:
    """Where each block begins, and the end of the last."""
    return tuple(int(edge) for edge in np.cumsum([0, *(block.width for block in BLOCKS)]))


def covariance_vector(decibels: NDArray[Any]) -> Floats:
    """The vector of one passage.

    Parameters
    ----------
    decibels : ndarray of floats, shape=(128, n_frames)
        A sampled log-mel spectrogram (`fugato.represent.sampled_mel`) of at least `LEAST_FRAMES` frames, 2.5 s.

    Returns
    -------
    ndarray of float32, shape=(width(),)
    """
    views = _Views(decibels)
    return np.concatenate([log_vector(block.series(views), block.floor) for block in BLOCKS])


def log_vector(series: NDArray[Any], floor: float) -> Floats:
    """The logarithm of the covariance of a series, its eigenvalues raised by `floor`, as a vector.

    Parameters
    ----------
    series : ndarray of floats, shape=(size, n_frames)

    Returns
    -------
    ndarray of float32, shape=(size * (size + 1) / 2,)
    """
    values, vectors = np.linalg.eigh(np.cov(series))
    matrix = (vectors * np.log(np.maximum(values, 0) + floor)) @ vectors.T
    rows, columns, weights = _triangle(len(matrix))
    out: Floats = (matrix[rows, columns] * weights).astype(np.float32)
    return out


@lru_cache(maxsize=32)
def _triangle(size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    rows, columns = np.triu_indices(size)
    return rows, columns, np.where(rows == columns, 1.0, np.sqrt(2.0))


def block_scale() -> Floats:
    """One over the root of a block's cells times the number of blocks, for each cell: a standardised vector has about unit length."""
    widths = np.diff(edges())
    out: Floats = np.repeat(1 / np.sqrt(widths * len(widths)), widths).astype(np.float32)
    return out


def standardised(vectors: Floats, mean: Floats, scale: Floats) -> Floats:
    """Vectors, shape=(..., width()), less their mean, scaled, and cut off at `CLIP` deviations.

    Parameters
    ----------
    mean, scale : ndarrays of float32, shape=(width(),)
        `scale` is `block_scale` over the deviations.
    """
    limit = CLIP * block_scale()
    out: Floats = np.clip((vectors - mean) * scale, -limit, limit)
    return out


def strangeness(vectors: Floats, usual: Floats) -> NDArray[np.float64]:
    """How far standardised vectors lie from those that were learnt from, along the directions in which those differ most.

    Parameters
    ----------
    vectors : ndarray of float32, shape=(..., width())
    usual : ndarray of float32, shape=(width(), n_directions)
        Each such that what was learnt from has deviation 1 along it.

    Returns
    -------
    ndarray of float64, shape=(...)
        Mean square along the directions; 1 is usual.
    """
    out: NDArray[np.float64] = np.square(vectors @ usual, dtype=np.float64).mean(axis=-1)
    return out
