"""N-grams of a whole collection, of copies as if played and of excerpts: what recipes over n-grams start from.

The timing of a performance is no composer's trait, nor is the length of what somebody asks about. Of one notated file of every work a
copy as if it were played (`fugato.represent.played`) and some bars by themselves are counted too, and some bars of one performance of it;
nothing is ever judged on them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.composer.identify import judgeable
from fugato.corpus import Corpus, Piece
from fugato.errors import FugatoError
from fugato.read import read_many
from fugato.recipes.reading import opened
from fugato.represent import ngrams
from fugato.represent.played import played
from fugato.represent.stream import Stream, stream
from fugato.score import Score

EXCERPT_BARS: Final = (
    8,
    32,
)  # of an excerpt, both included, of music that is longer than that; of a performance a bar is two seconds

Table = NDArray[np.int32]
Progress = Callable[[int, int], None]


class Counted(NamedTuple):
    """Grams of a piece, shape=(2, n_cells): cells over how often each occurs; and, if it stands for its work, of its copy and excerpt."""

    piece: Piece
    table: Table
    copy: Table | None
    excerpt: Table | None


def counts_bytes(score: Score, *, name: str, sha256: str) -> bytes:
    """Grams of one piece, of a copy as if played where its beats are notated, and of an excerpt; for `fugato.read.read_many`.

    Returns
    -------
    bytes
        Three arrays of int32, shape=(2, n_cells), in NumPy's format: cells over how often each occurs; without cells for what there is not.
    """
    whole, drawn = judgeable(score, name), int(sha256[:16], 16)
    copy = stream(played(score, np.random.default_rng(drawn))) if score.beats == "notated" else None
    streams: list[Stream | None] = [whole, copy, _excerpt(score, drawn)]
    out = io.BytesIO()
    for events in streams:
        np.save(out, np.zeros((2, 0), np.int32) if events is None else np.stack(ngrams.count(events)))
    return out.getvalue()


def _excerpt(score: Score, drawn: int) -> Stream | None:
    """Some bars of it, the same ones for the same number; None where it is too short, or they are of rest."""
    rng = np.random.default_rng([drawn, 1])
    bars = int(rng.integers(EXCERPT_BARS[0], EXCERPT_BARS[1] + 1))
    if len(score.bars) <= bars:
        return None
    start = int(rng.integers(len(score.bars) - bars + 1))
    try:
        return judgeable(score.excerpt(start, start + bars - 1))
    except FugatoError:
        return None


def counted(corpus: Corpus, failed: list[FugatoError], *, jobs: int, progress: Progress | None) -> Iterator[Counted]:
    """Every piece that can be read and judged, counted in worker processes; the others are added to `failed`.

    Raises
    ------
    FugatoError
        ``bad-data`` where none could be used.
    """
    stood: set[tuple[str, bool]] = set()  # works of which a notated file, and works of which a performance was met
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
        table, copy, excerpt = (np.load(tables, allow_pickle=False) for _ in range(3))
        kind = piece.group or piece.id, bool(copy.size)
        stands = kind not in stood
        stood.add(kind)
        n += 1
        yield Counted(piece, table, *(found if stands and found.size else None for found in (copy, excerpt)))
    if not n:
        first = f" The first: {failed[0]}" if failed else ""
        raise FugatoError("bad-data", f"None of its {len(corpus)} files could be used.{first}", corpus.name)
