"""The ways in which the publications split their windows, under their own names. Each lets pieces stand on both sides.

They are rebuilt to be measured beside the honest way, never to be relied on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.corpus.splits import random_holdout_files
from fugato.errors import FugatoError
from fugato.represent.chunks import FEATURES
from fugato.train.loop import Examples
from fugato.train.networks import drawn
from fugato.train.store import Windows

SAYS: Final = {
    "mixed-chunks": "files split at random; all notes of a composer sorted by start and cut anew, so a window mixes pieces",
    "random-windows": "windows split at random, so those of one piece stand on all sides",
    "random-files": "files split at random, so versions of one work stand on both sides",
}
QUARTERS: Final = 4
FILES: Final = {"train": 0.7, "valid": 0.15, "test": 0.15}

Ints = NDArray[np.int64]


class Sides(NamedTuple):
    """Windows to learn from, to stop by and to judge."""

    learn: Examples
    stop: Examples
    judge: Examples


def published(
    protocol: str,
    windows: Windows,
    labels: Sequence[str],
    names: Sequence[str],
    *,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    pieces_per_composer: int = 0,
    windows_per_composer: int = 0,
    seed: int = 42,
) -> Sides:
    """Split windows as a publication did.

    Parameters
    ----------
    protocol : "mixed-chunks" or "random-windows"
    windows : Windows
    labels : sequence of str, length n_pieces
    names : sequence of str
        All composers; labels are places in it.
    fractions : tuple
        Of the windows, for "random-windows".
    pieces_per_composer, windows_per_composer : int
        Drawn at random; 0 for all.
    seed : int
    """
    label = np.array([list(names).index(name) for name in labels], np.int64)
    chosen = drawn(np.arange(len(labels)), label, pieces_per_composer, seed)
    if protocol == "mixed-chunks":
        ids = [windows.pieces[i].id for i in chosen]
        split = random_holdout_files([labels[i] for i in chosen], FILES, seed, ids=ids)
        return Sides(*(_mixed(windows, chosen[split.part(part)], label) for part in FILES))
    if protocol == "random-windows":
        which = windows.of_pieces(chosen)
        which = drawn(which, label[windows.piece[which]], windows_per_composer, seed)
        which = np.random.default_rng(seed).permutation(which)
        edges = np.rint(np.cumsum(fractions)[:2] * len(which)).astype(int)
        return Sides(*(Examples(windows, w, label[windows.piece[w]]) for w in np.split(which, edges)))
    raise FugatoError("bad-option", f"There is no published protocol {protocol!r}; there are {', '.join(SAYS)}.")


def pieces_within(windows: Windows, side: Examples) -> Ints:
    """How many pieces each window of a "mixed-chunks" side was mixed from, shape=(n,); `windows` are those that were split."""
    order = np.argsort(windows.starts)
    starts, piece = windows.starts[order], windows.piece[order]
    mixed = side.windows
    assert mixed.order is not None  # `_mixed` gives one
    rows = mixed.order[mixed.starts[side.which][:, None] + np.arange(windows.size)]
    owner = np.sort(piece[np.searchsorted(starts, rows, side="right") - 1], axis=1)
    count: Ints = 1 + (np.diff(owner, axis=1) != 0).sum(axis=1)
    return count


def quarters(draws: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """Accuracy along the judged windows of a composer, which are sorted by start: in the last of them only the longest pieces sound.

    Parameters
    ----------
    draws : sequence of dict
        Each with ``truth``, ``named`` and ``pieces`` (as `pieces_within` gives) of the judged windows, shape=(n,).

    Returns
    -------
    dict
        Lists of four: ``accuracy``, ``lowest`` and ``pieces a window``; empty where no composer has so many windows.
    """
    parts: list[list[tuple[float, float]]] = [[] for _ in range(QUARTERS)]
    for draw in draws:
        for label in np.unique(draw["truth"]):
            mine = np.flatnonzero(draw["truth"] == label)
            for part, which in zip(parts, np.array_split(mine, QUARTERS), strict=True):
                if len(which):
                    right = float((draw["named"][which] == label).mean())
                    part.append((right, float(draw["pieces"][which].mean())))
    if not all(parts):
        return {}
    return {
        "accuracy": [round(float(np.mean([right for right, _ in part])), 4) for part in parts],
        "lowest": [round(min(right for right, _ in part), 4) for part in parts],
        "pieces a window": [round(float(np.mean([n for _, n in part])), 1) for part in parts],
    }


def _mixed(windows: Windows, pieces: Ints, label: Ints) -> Examples:
    """All notes of each composer's pieces, sorted by start, cut in windows: every one may hold notes of many pieces."""
    size, column = windows.size, FEATURES.index("start")
    orders, named = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for name in np.unique(label[pieces]):
        starts = windows.starts[windows.of_pieces(pieces[label[pieces] == name])]
        rows = (starts[:, None] + np.arange(size)).ravel()
        rows = rows[np.argsort(windows.rows[rows, column], kind="stable")]
        orders.append(rows)
        named.append(np.full(len(starts), name))
    order, whose = np.concatenate(orders), np.concatenate(named)
    n = len(whose)
    mixed = replace(windows, starts=np.arange(n, dtype=np.int64) * size, piece=np.full(n, -1), order=order)
    return Examples(mixed, np.arange(n), whose)
