"""A collection as a picture: every piece a point, near to those that are alike in style.

The style space is laid out in two dimensions by neighbour embedding: each piece is drawn to its `NEAR` nearest and pushed from
random others. This is the contrastive form of t-SNE (van der Maaten & Hinton, 2008) and UMAP (McInnes, Healy & Melville, 2018) as Damrich
et al., "From t-SNE to UMAP with contrastive learning" (ICLR 2023) describe it. `trustworthiness` (Venna & Kaski, 2001) says how far
the picture can be believed. NumPy alone; a few thousand pieces take seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.composer import StyleCollection, embed_collection
from fugato.corpus import Corpus, composer_info
from fugato.errors import FugatoError
from fugato.study.style_page import page

NEAR: Final = 15  # neighbours that a point is drawn to
PUSHED: Final = 5  # random others that it is pushed from, for each of them
ROUNDS: Final = 200
STEP: Final = 1.0  # at the first round; it falls to 0
FURTHEST: Final = 4.0  # that a point moves in a round, along an axis
ROWS: Final = 1024  # whose neighbours are looked for at a time: bounds the memory
LEAST: Final = 3  # pieces of a picture
ASKED: Final = 2_000  # points whose neighbourhoods say how far to trust the picture

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class StyleMap:
    """What was drawn.

    Attributes
    ----------
    page : Path
    pieces, composers : int
        On the map.
    left_out : tuple of FugatoError
        Of the files that could not be read.
    trust : float
        Trustworthiness over `NEAR` neighbours, 0.5 (random) to 1: whether points that are near in the picture are near in style.
    random_seed : int
    """

    page: Path
    pieces: int
    composers: int
    left_out: tuple[FugatoError, ...]
    trust: float
    random_seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "page": str(self.page),
            "pieces": self.pieces,
            "composers": self.composers,
            "left_out": [error.to_dict() for error in self.left_out],
            "trust": round(self.trust, 4),
            "random_seed": self.random_seed,
        }


def style_map(
    data: str | os.PathLike[str] | Corpus | StyleCollection,
    out: str | os.PathLike[str],
    *,
    jobs: int = 2,
    random_seed: int = 0,
    progress: Progress | None = None,
) -> StyleMap:
    """Draw a collection on one self-contained page.

    Parameters
    ----------
    data : path, Corpus or StyleCollection
        Any folder of music, or what `fugato.load_corpus` takes.
    out : path
        Ends in .html; a file that is there is replaced.
    jobs : int
        Reading processes.
    random_seed : int
        The same seed gives the same picture.
    progress : callable, optional
        Told (pieces done, pieces in all) now and then.

    Raises
    ------
    FugatoError
        ``bad-output`` where it cannot be written there or so; ``bad-data`` with fewer than three pieces.
    """
    target = Path(out)
    if target.suffix.lower() not in (".html", ".htm"):
        raise FugatoError("bad-output", "The map is a page: give it a name that ends in .html.", str(target))
    if not target.parent.is_dir():
        raise FugatoError("bad-output", "There is no such folder.", str(target.parent))
    found = data if isinstance(data, StyleCollection) else embed_collection(data, jobs=jobs, progress=progress)
    if len(found.pieces) < LEAST:
        raise FugatoError("bad-data", f"A map needs {LEAST} pieces; only {len(found.pieces)} can be read.")
    points = layout(found.vectors, random_seed=random_seed)
    trust = trustworthiness(found.vectors, points, random_seed=random_seed)
    rows = []
    for piece, (x, y) in zip(found.pieces, points.tolist(), strict=True):
        info = composer_info(piece.composer) if piece.composer else None
        title = piece.title or Path(piece.path).stem
        rows.append((x, y, title, piece.composer or "unnamed", info.period if info else "", piece.id))
    text = page(rows, trust=trust, near=NEAR, left_out=len(found.failed))
    try:
        target.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise FugatoError(
            "bad-output", f"The map cannot be written there ({error.strerror or error}).", str(target)
        ) from error
    return StyleMap(target, len(rows), len({row[3] for row in rows}), found.failed, trust, random_seed)


def layout(
    vectors: NDArray[Any], *, near: int = NEAR, rounds: int = ROUNDS, random_seed: int = 0
) -> NDArray[np.float64]:
    """Places of points in two dimensions.

    Parameters
    ----------
    vectors : ndarray, shape=(n, n_dimensions)
        Of unit length.
    near : int
        Neighbours that a point is drawn to.
    rounds : int
    random_seed : int

    Returns
    -------
    ndarray of float64, shape=(n, 2)
        Centred; from -1 to 1 along the longer side.
    """
    n = len(vectors)
    rng = np.random.default_rng(random_seed)
    places = _principal(vectors) + rng.normal(0, 1e-3, (n, 2))
    near = min(near, n - 1)
    if near > 0 and n > 2:
        head = np.repeat(np.arange(n), near)
        tail = _nearest(vectors, near).ravel()
        for number in range(rounds):
            step = STEP * (1 - number / rounds)
            places += np.clip(step * _moves(places, head, tail, rng), -FURTHEST, FURTHEST)
    places -= (places.max(axis=0) + places.min(axis=0)) / 2
    scaled: NDArray[np.float64] = places / max(float(np.abs(places).max()), 1e-12)
    return scaled


def _moves(
    places: NDArray[np.float64], head: NDArray[np.int64], tail: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Where each point is drawn and pushed to, with the kernel 1 / (1 + d^2) of t-SNE."""
    n = len(places)
    moves = np.zeros_like(places)
    apart = places[tail] - places[head]
    pull = apart * (2 / (1 + (apart**2).sum(axis=1)))[:, None]
    for axis in (0, 1):
        moves[:, axis] += np.bincount(head, pull[:, axis], n) - np.bincount(tail, pull[:, axis], n)
    for _ in range(PUSHED):
        apart = places[head] - places[rng.integers(n, size=len(head))]
        square = (apart**2).sum(axis=1)
        push = apart * (2 / ((0.01 + square) * (1 + square)))[:, None]
        np.clip(push, -FURTHEST, FURTHEST, out=push)
        for axis in (0, 1):
            moves[:, axis] += np.bincount(head, push[:, axis], n)
    return moves / max(len(head) // n, 1)


def _principal(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """The two principal components, of unit deviation, with signs that the data fix, shape=(n, 2)."""
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    found = centred @ directions[:, :-3:-1]
    if found.shape[1] < 2:
        found = np.column_stack([found, np.zeros(len(found))])
    found *= np.where(found[np.abs(found).argmax(axis=0), [0, 1]] < 0, -1, 1)
    scaled: NDArray[np.float64] = found / np.maximum(found.std(axis=0), 1e-9)
    return scaled


def _nearest(vectors: NDArray[Any], near: int) -> NDArray[np.int64]:
    """The nearest others of each point, the nearest first, shape=(n, near)."""
    out = np.zeros((len(vectors), near), np.int64)
    for start in range(0, len(vectors), ROWS):
        cosine = vectors[start : start + ROWS] @ vectors.T
        cosine[np.arange(len(cosine)), start + np.arange(len(cosine))] = -np.inf
        some = np.argpartition(-cosine, near - 1, axis=1)[:, :near]
        order = np.argsort(-np.take_along_axis(cosine, some, 1), axis=1, kind="stable")
        out[start : start + ROWS] = np.take_along_axis(some, order, 1)
    return out


def trustworthiness(
    vectors: NDArray[Any], points: NDArray[np.float64], *, near: int = NEAR, random_seed: int = 0
) -> float:
    """Whether what is near in the picture is near in style.

    Parameters
    ----------
    vectors : ndarray, shape=(n, n_dimensions)
        Of unit length.
    points : ndarray of float64, shape=(n, 2)
    near : int
        Size of the neighbourhoods; less than half the points.
    random_seed : int
        Of the points that are looked at where there are more than `ASKED`.

    Returns
    -------
    float
        1 where every neighbour in the picture is one in style, about 0.5 where it is drawn at random (Venna & Kaski, 2001).
    """
    n = len(points)
    near = min(near, max((n - 1) // 2, 1))
    asked = np.random.default_rng(random_seed).permutation(n)[:ASKED]
    penalty = 0
    for part in np.array_split(asked, -(-len(asked) // 256)):
        rows = np.arange(len(part))
        apart = ((points[part][:, None] - points[None]) ** 2).sum(axis=2)
        apart[rows, part] = np.inf
        drawn = np.argpartition(apart, near - 1, axis=1)[:, :near]
        cosine = (vectors[part] @ vectors.T).astype(np.float64)
        cosine[rows, part] = np.inf
        rank = np.empty((len(part), n), np.int64)
        np.put_along_axis(rank, np.argsort(-cosine, axis=1, kind="stable"), np.arange(n)[None], 1)
        penalty += int(np.maximum(np.take_along_axis(rank, drawn, 1) - near, 0).sum())
    worst = len(asked) * near * (2 * n - 3 * near - 1) / 2
    return float(1 - penalty / worst) if worst > 0 else 1.0
