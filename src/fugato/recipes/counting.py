"""N-grams of a whole collection, and of copies as if played: what recipes over n-grams start from.

The timing of a performance is no composer's trait. Of one notated file of every work a copy as if it were played
(`fugato.represent.played`) is counted too; nothing is ever judged on copies.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.composer.identify import judgeable
from fugato.corpus import Corpus, Piece
from fugato.errors import FugatoError
from fugato.read import read_many
from fugato.recipes.reading import opened
from fugato.represent import ngrams
from fugato.represent.played import played
from fugato.represent.stream import stream
from fugato.score import Score

Table = NDArray[np.int32]
Progress = Callable[[int, int], None]


class Counted(NamedTuple):
    """Grams of a piece, shape=(2, n_cells): cells over how often each occurs; and those of its copy, if it stands for its work."""

    piece: Piece
    table: Table
    copy: Table | None


def counts_bytes(score: Score, *, name: str, sha256: str) -> bytes:
    """Grams of one piece and, where its beats are notated, of a copy as if played; for `fugato.read.read_many` to call in a worker.

    Returns
    -------
    bytes
        One or two arrays of int32, shape=(2, n_cells), in NumPy's format: cells over how often each occurs.
    """
    streams = [judgeable(score, name)]
    if score.beats == "notated":
        streams.append(stream(played(score, np.random.default_rng(int(sha256[:16], 16)))))
    out = io.BytesIO()
    for events in streams:
        np.save(out, np.stack(ngrams.count(events)))
    return out.getvalue()


def counted(corpus: Corpus, failed: list[FugatoError], *, jobs: int, progress: Progress | None) -> Iterator[Counted]:
    """Every piece that can be read and judged, counted in worker processes; the others are added to `failed`.

    Raises
    ------
    FugatoError
        ``bad-data`` where none could be used.
    """
    copied: set[str] = set()
    n = 0
    sources = (opened(corpus, piece) for piece in corpus)
    items: Any = read_many(sources, jobs=jobs, then="fugato.recipes.counting:counts_bytes")
    for done, (piece, item) in enumerate(zip(corpus, items, strict=True), 1):
        if progress is not None:
            progress(done, len(corpus))
        if isinstance(item.result, FugatoError):
            failed.append(FugatoError(item.result.kind, item.result.message, piece.path))
            continue
        assert isinstance(item.result, bytes)  # what counts_bytes gave
        tables = io.BytesIO(item.result)
        table, copy = np.load(tables, allow_pickle=False), None
        work = piece.group or piece.id
        if work not in copied and tables.tell() < len(item.result):
            copied.add(work)
            copy = np.load(tables, allow_pickle=False)
        n += 1
        yield Counted(piece, table, copy)
    if not n:
        first = f" The first: {failed[0]}" if failed else ""
        raise FugatoError("bad-data", f"None of its {len(corpus)} files could be used.{first}", corpus.name)
