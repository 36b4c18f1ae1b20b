"""Windows of a whole collection on disk, memory-mapped: read and cut once, then shared by every fold and every try."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.corpus import Corpus, Piece
from fugato.errors import FugatoError
from fugato.read import read_many
from fugato.recipes.network import NetworkRecipe
from fugato.recipes.reading import opened
from fugato.represent.windows import KINDS, Table, gather, kind_of
from fugato.train.ranks import is_first, together
from fugato.write.place import replaced_folder

VERSION: Final = 1  # of the folder and of the windows in it
Progress = Callable[[int, int], None]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of many pieces.

    Attributes
    ----------
    kind : str
        A name in `fugato.represent.windows.KINDS`, or in `SOUND_KINDS` there.
    pieces : tuple of Piece
        Those that could be read.
    failed : tuple of FugatoError
        Of those that could not.
    rows : ndarray, shape=(n_rows, n_columns)
        Of all pieces, one after another; memory-mapped.
    starts : ndarray of int64, shape=(n_windows,)
        Row at which each window begins.
    piece : ndarray of int64, shape=(n_windows,)
        The piece that it is of, a place in `pieces`.
    copied : ndarray of bool, shape=(n_windows,), optional
        Those of copies as if played, to learn from and never to judge by.
    order : ndarray of int64, shape=(n_rows,), optional
        Windows take the rows in this order: only the published chunks that mix pieces do.
    """

    kind: str
    pieces: tuple[Piece, ...]
    failed: tuple[FugatoError, ...]
    rows: NDArray[Any]
    starts: Ints
    piece: Ints
    copied: NDArray[np.bool_] | None = None
    order: Ints | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def size(self) -> int:
        """Rows of a window."""
        return kind_of(self.kind).size

    def take(self, which: Ints) -> NDArray[Any]:
        """Some windows, shape=(len(which), size, n_columns)."""
        return gather(self.rows, self.starts[which], self.size, self.order)

    def near(self, which: Ints, rows: int, rng: np.random.Generator) -> NDArray[Any]:
        """As `take`, but each begins up to so many rows earlier or later, between the first and the last window of its piece."""
        first, last = self._reach
        starts = self.starts[which] + rng.integers(-rows, rows + 1, len(which))
        return gather(self.rows, np.clip(starts, first[which], last[which]), self.size, self.order)

    @cached_property
    def _reach(self) -> tuple[Ints, Ints]:
        """The first and the last start in the piece, or in the copy of it, that each window is of."""
        table = 2 * self.piece + (0 if self.copied is None else self.copied)
        _, table = np.unique(table, return_inverse=True)
        first, last = np.full(len(table), len(self.rows)), np.zeros(len(table), np.int64)
        np.minimum.at(first, table, self.starts)
        np.maximum.at(last, table, self.starts)
        return first[table], last[table]

    def select(self, pieces: Ints) -> Windows:
        """The windows of some pieces alone, over the same rows."""
        place = np.full(len(self.pieces), -1)
        place[pieces] = np.arange(len(pieces))
        kept = np.flatnonzero(place[self.piece] >= 0)
        return replace(
            self,
            pieces=tuple(self.pieces[i] for i in pieces),
            starts=self.starts[kept],
            piece=place[self.piece[kept]],
            copied=None if self.copied is None else self.copied[kept],
        )

    def of_pieces(self, pieces: Ints, *, copies: bool = False) -> Ints:
        """The windows of some pieces, ascending; those of their copies only where asked for."""
        wanted = np.zeros(len(self.pieces), bool)
        wanted[pieces] = True
        found = wanted[self.piece]
        if self.copied is not None and not copies:
            found &= ~self.copied
        return np.flatnonzero(found)


def prepare(
    corpus: Corpus,
    folder: str | os.PathLike[str],
    kind: str,
    *,
    hop: int = 0,
    limit: int = 0,
    copies: bool = False,
    jobs: int = 2,
    progress: Progress | None = None,
) -> Windows:
    """Read every piece once, in worker processes, and keep its windows in a folder.

    A folder that holds the same windows of the same files is used as it is; anything else of the kind in it is replaced.

    Parameters
    ----------
    corpus : Corpus
    folder : path
    kind : str
    hop, limit : int
        As `fugato.represent.windows.table`.
    copies : bool
        Keep windows of copies as if played beside those of notated files.
    jobs : int
    progress : callable, optional
        Told (files done, files in all).

    Raises
    ------
    FugatoError
        ``bad-data`` where no file could be used; ``bad-output``.
    """
    target = Path(folder)
    key = _key(corpus, kind, hop, limit, copies)
    if is_first() and (found := _load(target, key, corpus)) is None:
        with replaced_folder(target, "the windows of the collection") as building:
            _fill(building, corpus, kind, hop, limit, copies, key, jobs, progress)
        found = _load(target, key, corpus)
    together()
    if not is_first():
        found = _load(target, key, corpus)
    if found is None:
        raise FugatoError(
            "bad-output",
            "What the first process has kept there is not found here; all machines need the same folders.",
            str(target),
        )
    return found


def prepare_for(
    recipe: NetworkRecipe,
    corpus: Corpus,
    folder: str | os.PathLike[str],
    *,
    jobs: int = 2,
    progress: Progress | None = None,
) -> Windows:
    """`prepare` with the windows that a recipe learns from."""
    return prepare(
        corpus,
        folder,
        recipe.kind,
        hop=recipe.hop,
        limit=recipe.limit,
        copies=recipe.copies,
        jobs=jobs,
        progress=progress,
    )


def file_state(path: str) -> str:
    """Changes whenever the file does, as far as its size and time tell; empty for a member of an archive."""
    try:
        about = os.stat(path)
    except OSError:
        return ""
    return f"{about.st_size} {about.st_mtime_ns}"


def _key(corpus: Corpus, kind: str, hop: int, limit: int, copies: bool) -> str:
    """Changes whenever the windows would."""
    columns = kind_of(kind).columns
    digest = hashlib.sha256(f"{VERSION} {kind} {columns} {hop} {limit}{' copies' * copies}\n".encode())
    for piece in corpus:
        digest.update(f"{piece.id}\t{piece.path}\t{file_state(piece.path)}\n".encode())
    return digest.hexdigest()


def _fill(
    folder: Path,
    corpus: Corpus,
    kind: str,
    hop: int,
    limit: int,
    copies: bool,
    key: str,
    jobs: int,
    progress: Progress | None,
) -> None:
    """Write rows.bin as they come, so that memory stays flat, then the small arrays and a description."""
    starts: list[Ints] = []
    owner: list[Ints] = []
    copied: list[NDArray[np.bool_]] = []
    kept: list[int] = []
    failed: list[list[Any]] = []
    n_rows = 0
    items = read_many(
        (opened(corpus, piece) for piece in corpus),
        jobs=jobs,
        then="fugato.represent.windows:table_bytes",
        options={"kind": kind, "hop": hop, "limit": limit, "copies": copies},
    )
    with (folder / "rows.bin").open("wb") as file:
        for number, item in enumerate(items):
            if progress is not None:
                progress(number + 1, len(corpus))
            if isinstance(item.result, FugatoError):
                failed.append([number, item.result.kind, item.result.message])
                continue
            assert isinstance(item.result, bytes)  # what table_bytes gave
            table = Table.from_bytes(item.result)
            rows = np.ascontiguousarray(table.rows, dtype=KINDS[kind].dtype)
            file.write(rows.data)
            starts.append(table.starts + n_rows)
            owner.append(np.full(len(table.starts), len(kept), np.int64))
            copied.append(np.arange(len(table.starts)) >= len(table.starts) - table.copied)
            kept.append(number)
            n_rows += len(rows)
    none = np.zeros(0, np.int64)
    np.savez(
        folder / "index.npz",
        starts=np.concatenate([none, *starts]),
        piece=np.concatenate([none, *owner]),
        copied=np.concatenate([np.zeros(0, bool), *copied]),
    )
    description = {"key": key, "kind": kind, "rows": n_rows, "kept": kept, "failed": failed}
    (folder / "windows.json").write_text(json.dumps(description), encoding="utf-8")


def _load(folder: Path, key: str, corpus: Corpus) -> Windows | None:
    try:
        description = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if description.get("key") != key:
        return None
    kind = str(description["kind"])
    pieces: Sequence[Piece] = list(corpus)
    failed = tuple(FugatoError(k, message, pieces[i].path) for i, k, message in description["failed"])
    if not description["kept"]:
        first = f" The first: {failed[0]}" if failed else ""
        raise FugatoError("bad-data", f"None of its {len(corpus)} files could be used.{first}", corpus.name)
    with np.load(folder / "index.npz", allow_pickle=False) as index:
        starts, piece = index["starts"], index["piece"]
        copied = index["copied"] if "copied" in index else np.zeros(len(starts), bool)
    shape = (description["rows"], len(KINDS[kind].columns))
    rows = np.memmap(folder / "rows.bin", KINDS[kind].dtype, "r", shape=shape)
    return Windows(kind, tuple(pieces[i] for i in description["kept"]), failed, rows, starts, piece, copied)
