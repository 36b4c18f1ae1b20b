"""The feature table of a collection, as Parquet or CSV: a row for each note, chunk or piece.

The features are those of `fugato.represent.chunks`: runs of 200 notes of one instrument, drums left out. Files are read in worker
processes and the table is written as they come, row group by row group, so that memory does not grow with the collection. The
table appears under its name when it is whole; beside it a JSON file says what became of every file, composer by composer.

It needs pyarrow (the extra ``train`` or ``scale``).
"""

from __future__ import annotations

import io
import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato import __version__
from fugato.corpus import Corpus, Piece, load_corpus
from fugato.errors import FugatoError
from fugato.read import read_many
from fugato.read.files import NamedBytes
from fugato.represent.chunks import CHUNK_FEATURES, FEATURES, NOTE_FEATURES, SIZE, Chunks

LEVELS: Final = ("note", "chunk", "piece")
SUFFIXES: Final = (".parquet", ".csv")
ROWS: Final = 65_536  # of a row group: what is held in memory at a time
THEN: Final = "fugato.represent.chunks:chunks_bytes"

# What a chunk's notes come to. The mean of the intervals and the deviation of the durations are in CHUNK_FEATURES already.
STATISTICS: Final = (
    "pitch_mean",
    "pitch_std",
    "duration_mean",
    "velocity_mean",
    "velocity_std",
    "delta_time_mean",
    "delta_time_std",
    "interval_std",
    "accented",  # share of the notes
    "program",
)
CHUNK_COLUMNS: Final = (*CHUNK_FEATURES, *STATISTICS, "start", "end")
PIECE_COLUMNS: Final = (*CHUNK_FEATURES, *STATISTICS)  # means over the chunks; the program is that of most chunks
_KEYS: Final = {
    "note": ("composer", "piece", "group", "part", "chunk"),
    "chunk": ("composer", "piece", "group", "part", "chunk"),
    "piece": ("composer", "piece", "group", "parts", "chunks"),
}
_NUMBERS: Final = {"note": FEATURES, "chunk": CHUNK_COLUMNS, "piece": PIECE_COLUMNS}

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]


class Read(NamedTuple):
    """A piece and its chunks, one element for each tune of a book; or why there are none."""

    piece: Piece
    result: tuple[Chunks, ...] | FugatoError


@dataclass
class Counts:
    """What became of one composer's files.

    Attributes
    ----------
    used : int
        Files with a chunk at least.
    skipped : dict
        Files without, by the kind of the reason (`fugato.errors.KINDS`).
    chunks, notes : int
        In the table, or that its rows stand for.
    parts_used : int
    parts_skipped : dict
        Of used files, by reason ("drums", "too-short").
    notes_left_over : int
        At the end of used parts, not enough for a chunk.
    """

    used: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    chunks: int = 0
    notes: int = 0
    parts_used: int = 0
    parts_skipped: dict[str, int] = field(default_factory=dict)
    notes_left_over: int = 0

    def add(self, result: tuple[Chunks, ...] | FugatoError) -> None:
        """Count one file."""
        if isinstance(result, FugatoError):
            self.skipped[result.kind] = self.skipped.get(result.kind, 0) + 1
            return
        self.used += 1
        for made in result:
            self.chunks += len(made)
            self.notes += len(made) * made.size
            self.parts_used += made.parts_used
            self.notes_left_over += made.left_over
            for part in made.skipped:
                self.parts_skipped[part.reason] = self.parts_skipped.get(part.reason, 0) + 1


@dataclass(frozen=True)
class FeatureTable:
    """A table that has been written, and what became of the files.

    Attributes
    ----------
    path, counts_path : Path
        The table, and the JSON file beside it.
    level : str
        "note", "chunk" or "piece".
    size : int
        Notes of a chunk.
    columns : tuple of str
    rows : int
    composers : dict of Counts
        In order of name.
    skipped : tuple of (piece, composer, kind, message)
        Files that gave no row.
    not_taken : tuple of (path, reason)
        What the collection holds beside its pieces.
    seconds : float
        It took.
    """

    path: Path
    counts_path: Path
    level: str
    size: int
    columns: tuple[str, ...]
    rows: int
    composers: dict[str, Counts]
    skipped: tuple[tuple[str, str, str, str], ...]
    not_taken: tuple[tuple[str, str], ...]
    seconds: float

    @property
    def used(self) -> int:
        """Files with a row at least."""
        return sum(c.used for c in self.composers.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        skipped = [dict(zip(("piece", "composer", "kind", "message"), s, strict=True)) for s in self.skipped]
        return {
            "table": self.path.name,
            "version": __version__,
            "level": self.level,
            "size": self.size,
            "columns": list(self.columns),
            "rows": self.rows,
            "files": {"used": self.used, "skipped": len(self.skipped), "not_taken": len(self.not_taken)},
            "seconds": round(self.seconds, 2),
            "composers": {name: asdict(counts) for name, counts in self.composers.items()},
            "skipped": skipped,
            "not_taken": [{"path": path, "reason": reason} for path, reason in self.not_taken],
        }

    def lines(self, most: int = 40) -> list[str]:
        """The counts as lines of text, the composers with most files first; after `most` of them the rest together."""
        ranked = sorted(
            self.composers.items(), key=lambda item: (-item[1].used - sum(item[1].skipped.values()), item[0])
        )
        width = max((len(name) for name, _ in ranked[:most]), default=0)
        out = [
            f"{name:<{width}}  {c.used:>6,} used  {c.chunks:>8,} chunks  {_reasons(c.skipped)}"
            for name, c in ranked[:most]
        ]
        if rest := ranked[most:]:
            used, skipped = sum(c.used for _, c in rest), sum(sum(c.skipped.values()) for _, c in rest)
            out.append(f"and {len(rest)} more composers: {used:,} files used, {skipped:,} skipped")
        return [line.rstrip() for line in out]


def featurise(
    data: str | os.PathLike[str] | Corpus,
    out: str | os.PathLike[str],
    *,
    level: str = "chunk",
    size: int = SIZE,
    jobs: int = 2,
    progress: Progress | None = None,
    reads: Iterable[Read] | None = None,
) -> FeatureTable:
    """Write the feature table of a collection.

    Parameters
    ----------
    data : path, "music21" or Corpus
        As for `fugato.corpus.load_corpus`.
    out : path
        Ends in .parquet or .csv; its folder must be there. A file of that name is replaced, when the new one is whole.
    level : str
        A row for each "note" (the published table: the chunk's statistics repeated on its notes), "chunk" or "piece"
        (means over its chunks).
    size : int
        Notes of a chunk, at least 2.
    jobs : int
        Reading processes.
    progress : callable, optional
        Told (files done, files in all) after each.
    reads : iterable of Read, optional
        The chunks of its pieces, where something else than `read_chunks` reads them; then `jobs` and `progress` are not used.

    Returns
    -------
    FeatureTable

    Raises
    ------
    FugatoError
        ``bad-option``, ``bad-output``, or ``bad-data`` where no file gives a row (then nothing is written).
    """
    began = time.perf_counter()
    target = check_out(Path(out))
    check_level(level)
    corpus = load_corpus(data)
    composers: dict[str, Counts] = {}
    skipped: list[tuple[str, str, str, str]] = []
    with _writer(target, level) as rows:
        for piece, result in reads or read_chunks(corpus, size=size, jobs=jobs, progress=progress):
            composers.setdefault(piece.composer, Counts()).add(result)
            if isinstance(result, FugatoError):
                skipped.append((piece.id, piece.composer, result.kind, result.message))
                continue
            rows.add_all(piece, result)
        rows.flush()
        if not rows.count:
            raise no_chunks(corpus, skipped, size)
    table = FeatureTable(
        path=target,
        counts_path=target.with_name(f"{target.name}.json"),
        level=level,
        size=size,
        columns=(*_KEYS[level], *_NUMBERS[level]),
        rows=rows.count,
        composers=dict(sorted(composers.items())),
        skipped=tuple(skipped),
        not_taken=tuple(corpus.skipped),
        seconds=time.perf_counter() - began,
    )
    write_whole(table.counts_path, json_of(table.to_dict()))
    return table


def read_chunks(corpus: Corpus, *, size: int = SIZE, jobs: int = 2, progress: Progress | None = None) -> Iterator[Read]:
    """The chunks of every piece of a collection, read in worker processes, in order but for files that cannot be opened.

    Parameters
    ----------
    corpus : Corpus
    size : int
        Notes of a chunk, at least 2.
    jobs : int
    progress : callable, optional
        Told (files done, files in all) after each.
    """
    if size < 2:
        raise FugatoError("bad-option", f"Chunks of {size} notes; a chunk has at least 2.")
    waiting: deque[Piece] = deque()
    unopened: deque[Read] = deque()

    def sources() -> Iterator[io.BytesIO]:
        for piece in corpus:
            try:
                source = NamedBytes(corpus.open(piece))
            except FugatoError as error:
                unopened.append(Read(piece, error))
                continue
            source.name = piece.path
            waiting.append(piece)
            yield source

    def told() -> Iterator[Read]:
        for item in read_many(sources(), jobs=jobs, then=THEN, options={"size": size}):
            while unopened:
                yield unopened.popleft()
            found = [Chunks.from_bytes(r) for r in item.tunes or (item.result,) if isinstance(r, bytes)]
            yield Read(waiting.popleft(), _error(item.result) if not found else tuple(found))
        yield from unopened

    for done, read in enumerate(told(), 1):
        if progress is not None:
            progress(done, len(corpus))
        yield read


def _error(result: Any) -> FugatoError:
    assert isinstance(result, FugatoError)  # what is not bytes is one
    return result


def no_chunks(corpus: Corpus, skipped: list[tuple[str, str, str, str]], size: int) -> FugatoError:
    """What to say of a collection in which no file gives a chunk."""
    kinds = _reasons(Counter(kind for _, _, kind, _ in skipped))
    first = f" The first: {skipped[0][0]}: {skipped[0][3]}" if skipped else ""
    return FugatoError(
        "bad-data",
        f"None of its {len(corpus)} files has an instrument with {size} notes ({kinds}).{first}",
        corpus.name or None,
    )


# -- rows --------------------------------------------------------------------------------------------------------------


def chunk_statistics(made: Chunks) -> Floats:
    """A row for each chunk, shape=(n_chunks, 19), the columns `CHUNK_COLUMNS`."""
    notes = made.notes.astype(np.float64)
    at = {name: notes[:, :, i] for i, name in enumerate(NOTE_FEATURES)}
    columns = {
        "pitch_mean": at["pitch"].mean(axis=1),
        "pitch_std": at["pitch"].std(axis=1),
        "duration_mean": at["duration"].mean(axis=1),
        "velocity_mean": at["velocity"].mean(axis=1),
        "velocity_std": at["velocity"].std(axis=1),
        "delta_time_mean": at["delta_time"][:, 1:].mean(axis=1),
        "delta_time_std": at["delta_time"][:, 1:].std(axis=1),
        "interval_std": at["interval"][:, 1:].std(axis=1),
        "accented": at["accented"].mean(axis=1),
        "program": at["program"][:, 0],
        "start": at["start"][:, 0],
        "end": at["end"].max(axis=1),
    }
    ordered = [columns[name] for name in (*STATISTICS, "start", "end")]
    table: Floats = np.column_stack([made.summary, *ordered]).astype(np.float32)
    return table


def piece_statistics(made: Chunks) -> Floats:
    """One row, shape=(1, 17), the columns `PIECE_COLUMNS`."""
    table = chunk_statistics(made)[:, : len(PIECE_COLUMNS)]
    row: Floats = table.mean(axis=0, dtype=np.float64).astype(np.float32)
    program = PIECE_COLUMNS.index("program")
    row[program] = np.bincount(table[:, program].astype(np.int64)).argmax()
    return row[None, :]


class Rows:
    """Gathers rows and writes them group by group."""

    def __init__(self, level: str, write: Callable[[Any], None]) -> None:
        self.count = 0
        self._level, self._write = level, write
        self._pieces: list[tuple[str, str, str | None]] = []
        self._sizes: list[int] = []
        self._keys: list[NDArray[np.int32]] = []
        self._numbers: list[Floats] = []
        self._held = 0

    def add_all(self, piece: Piece, result: Sequence[Chunks]) -> None:
        """The rows of one file, whose tunes are numbered where there are several."""
        for number, made in enumerate(result):
            self.add(piece, f"{piece.id}#{number + 1}" if len(result) > 1 else piece.id, made)

    def add(self, piece: Piece, name: str, made: Chunks) -> None:
        """The rows of one piece."""
        place = np.arange(len(made)) - np.searchsorted(made.part, made.part)  # of each chunk within its part
        keys = np.stack([made.part, place], axis=1).astype(np.int32)
        if self._level == "note":
            numbers, keys = made.rows(), np.repeat(keys, made.size, axis=0)
        elif self._level == "chunk":
            numbers = chunk_statistics(made)
        else:
            numbers, keys = piece_statistics(made), np.array([[made.parts_used, len(made)]], np.int32)
        for start in range(0, len(numbers), ROWS):
            part = slice(start, start + ROWS)
            self._pieces.append((piece.composer, name, piece.group))
            self._sizes.append(len(numbers[part]))
            self._keys.append(keys[part])
            self._numbers.append(numbers[part])
            self._held += len(numbers[part])
            if self._held >= ROWS:
                self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if not self._held:
            return
        import pyarrow

        index = pyarrow.array(np.repeat(np.arange(len(self._pieces), dtype=np.int32), self._sizes))
        names, keys, numbers = _KEYS[self._level], np.concatenate(self._keys), np.concatenate(self._numbers)
        columns = [
            pyarrow.array([_unicode(t) for t in texts], pyarrow.string()).take(index)
            for texts in zip(*self._pieces, strict=True)
        ]
        columns += [pyarrow.array(np.ascontiguousarray(column)) for column in (*keys.T, *numbers.T)]
        self._write(pyarrow.table(columns, names=[*names, *_NUMBERS[self._level]]))
        self.count += self._held
        self._held = 0
        for held in (self._pieces, self._sizes, self._keys, self._numbers):
            held.clear()


# -- files -------------------------------------------------------------------------------------------------------------


def check_level(level: str) -> None:
    """Refuse what no row can stand for."""
    if level not in LEVELS:
        raise FugatoError(
            "bad-option", f"There is no level {level!r}; a row is a {', a '.join(LEVELS[:-1])} or a piece."
        )


def check_out(path: Path) -> Path:
    """The path, if a table can be written there."""
    if path.suffix.lower() not in SUFFIXES:
        raise FugatoError(
            "bad-output", "A table is written as .parquet or .csv; give it a name that ends so.", str(path)
        )
    if path.is_dir():
        raise FugatoError("bad-output", "That is a folder; give the table a name in it.", str(path))
    if not path.absolute().parent.is_dir():
        raise FugatoError("bad-output", "There is no such folder to write the table to; make it first.", str(path))
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise FugatoError(
            "bad-option", 'Tables are written with pyarrow; install it with: pip install "fugato[train]".'
        ) from None
    return path


@contextmanager
def _writer(path: Path, level: str) -> Iterator[Rows]:
    """Rows into a file beside `path`, which takes its name when all went well, and goes when not."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    made: list[Any] = []

    def write(table: Any) -> None:
        with writing(path):
            if not made:
                made.append(_open_writer(file, path.suffix.lower(), table.schema))
            made[0].write_table(table)

    with writing(path):
        file = partial.open("wb")
    try:
        yield Rows(level, write)
        with writing(path):
            if made:
                made[0].close()
            file.close()
            partial.replace(path)
    finally:
        with suppress(OSError):  # what could not be written a moment ago need not be told again
            file.close()
        partial.unlink(missing_ok=True)


def _open_writer(file: Any, suffix: str, schema: Any) -> Any:
    if suffix == ".csv":
        from pyarrow import csv

        return csv.CSVWriter(file, schema)
    from pyarrow import parquet

    return parquet.ParquetWriter(file, schema, compression="zstd")


def json_of(value: Any) -> bytes:
    """JSON in UTF-8; names that are no Unicode text are written in ASCII escapes."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value, indent=1).encode() + b"\n"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system refuses within becomes ``bad-output``, about `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise FugatoError("bad-output", f"It cannot be written there ({reason}).", str(path)) from error


def _unicode(text: str | None) -> str | None:
    """A name as Unicode text: what a file name holds beside that becomes question marks."""
    return text if text is None else text.encode("utf-8", "replace").decode()


def _reasons(counts: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{n:,} {kind}" for kind, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
