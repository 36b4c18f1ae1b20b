"""The style space: n-grams of the stream as a vector of a few hundred numbers, near for music that is alike.

Three steps. The n-grams of a piece are weighed as for the composer model (`fugato.represent.ngrams`), so key, tempo and encoding are gone.
They are *sketched*: every cell is added, with a sign, to one of `SKETCH` sums, exact and hashed blocks apart, which keeps inner products
up to noise and needs no table (the sparse random projection of Achlioptas, "Database-friendly random projections", 2003, with one
entry a cell: Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009). The sketch, less its mean, is then
multiplied with a learnt matrix that turns down whatever differs between two files of one work (editions, arrangements, scores and their
performances) and, less strongly, between works of one composer: the within-class whitening of speaker recognition (Hatch, Kajarekar &
Stolcke, "Within-class covariance normalization for SVM-based speaker recognition", Interspeech 2006). `fugato.train.style` learns it.

Vectors have unit length, so that their inner product is the cosine of the angle between them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.represent import ngrams
from fugato.represent.stream import Stream

SKETCH: Final = 1024  # sums of the exact blocks, and as many of the hashed ones
SHIPPED: Final = Path(__file__).parents[1] / "models" / "shipped" / "composer-style" / "weights.safetensors"

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class StyleSpace:
    """The learnt part of the embedding.

    Attributes
    ----------
    rarity : ndarray of float32, shape=(width,)
        Inverse document frequency of every n-gram, 0 for one that is left out.
    mean : ndarray of float32, shape=(2 * SKETCH,)
        Of the sketches that it was learnt from.
    matrix : ndarray of float32, shape=(2 * SKETCH, n_dimensions)
    """

    rarity: Floats
    mean: Floats
    matrix: Floats

    @property
    def n_dimensions(self) -> int:
        """Length of the vectors."""
        return int(self.matrix.shape[1])

    def embed(self, events: Stream) -> Floats:
        """The vector of a stream: float32, shape=(n_dimensions,), of unit length; zeros for a stream without events."""
        cell, times = ngrams.count(events)
        return self.embed_counts(cell, times)

    def embed_counts(self, cell: NDArray[np.int32], times: NDArray[np.int32]) -> Floats:
        """The same from n-grams as `ngrams.count` gives them."""
        if not len(cell):
            return np.zeros(self.n_dimensions, np.float32)
        return unit((sketch(cell, times, self.rarity) - self.mean) @ self.matrix)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As they are kept in a file."""
        return {
            "rarity": self.rarity.astype(np.float16),
            "mean": self.mean.astype(np.float32),
            "matrix": self.matrix.astype(np.float16),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], where: str | None = None) -> StyleSpace:
        """The inverse of `arrays`.

        Raises
        ------
        FugatoError
            ``bad-model`` where an array is missing or has another shape than this version's n-grams.
        """
        try:
            space = cls(*(arrays[name].astype(np.float32) for name in ("rarity", "mean", "matrix")))
        except KeyError as error:
            raise FugatoError("bad-model", f"It is no style space: there is no array {error}.", where) from None
        shapes = (space.rarity.shape, space.mean.shape, space.matrix.shape[:1])
        if shapes != ((ngrams.width(),), (2 * SKETCH,), (2 * SKETCH,)) or space.matrix.ndim != 2:
            raise FugatoError(
                "bad-model",
                f"Its arrays have the shapes {', '.join(map(str, shapes))}; this version of Fugato counts {ngrams.width()} n-grams into "
                f"{2 * SKETCH} sums. Make it again with this version.",
                where,
            )
        return space


@lru_cache(maxsize=4)
def load_space(path: str | Path = SHIPPED) -> StyleSpace:
    """A style space from its file, read once; the shipped one by default.

    Raises
    ------
    FugatoError
        ``no-model`` where there is no such file, ``bad-model`` where it holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return StyleSpace.from_arrays(load(Path(path).read_bytes()), os.fspath(path))
    except FileNotFoundError:
        raise FugatoError("no-model", "There is no style space of that name.", os.fspath(path)) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise FugatoError("bad-model", f"It cannot be read as safetensors ({error}).", os.fspath(path)) from error


def sketch(cell: NDArray[np.int32], times: NDArray[np.int32], rarity: Floats) -> Floats:
    """N-grams of a piece in a fixed number of sums.

    Parameters
    ----------
    cell, times : ndarrays, shape=(n_cells,)
        As `ngrams.count` gives them.
    rarity : ndarray of float32, shape=(width,)

    Returns
    -------
    ndarray of float32, shape=(2 * SKETCH,)
        Of unit length.
    """
    sums, signs = _places()
    values = ngrams.weigh(cell, times, rarity, ngrams.layout()) * signs[cell]
    return unit(np.bincount(sums[cell], values, minlength=2 * SKETCH))


def unit(vectors: NDArray[Any]) -> Floats:
    """Vectors along the last axis at unit length; zeros stay as they are."""
    length = np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    scaled: Floats = (vectors / np.where(length > 0, length, 1)).astype(np.float32)
    return scaled


@lru_cache(maxsize=1)
def _places() -> tuple[NDArray[np.int64], Floats]:
    """The sum that each cell is added to, and with which sign: fixed by a hash (splitmix64), the same on every machine."""
    with np.errstate(over="ignore"):
        code = (np.arange(ngrams.width(), dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        code ^= code >> np.uint64(31)
    places = ngrams.layout()
    hashed = np.repeat([place.hashed for place in places], [place.stop - place.start for place in places])
    sums = (code % np.uint64(SKETCH)).astype(np.int64) + SKETCH * hashed
    signs = np.where((code >> np.uint64(40)) & np.uint64(1), 1, -1).astype(np.float32)
    return sums, signs
