"""Answers in Parquet shards with a manifest, in a folder that a run can go on with wherever it was stopped.

::

    run.json                     what was asked; another question is refused
    manifest/00000.parquet       a row for each input: input, sha256, status, attempt, kind, message
    rows/00000.parquet           what was found about the answered ones: answers, or rows of a feature table
    failed.jsonl                 the inputs without an answer, with the reason, when the run has ended

Every file is written beside its place and takes its name when it is whole. Answers are kept at once, in pieces (``00003-000012.parquet``)
that are put together to a shard when there are enough. A file of the manifest is written after its rows, and is what counts: rows
without one are dropped when a run goes on, and so are pieces whose shard is there. Then each input is in the manifest exactly once.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

from fugato import __version__
from fugato.errors import FugatoError
from fugato.scale.lock import lock_file
from fugato.study.featurise import json_of, write_whole, writing

INPUTS: Final = 20_000  # of a shard at most
ROWS: Final = 500_000  # of a shard after which it is closed
PIECE: Final = 64  # inputs that are kept together at most; as many are lost with a process that is killed
GROUP: Final = 8_000_000  # bytes of a shard that are held while it is put together, and one piece more
FORMAT: Final = 1
_FILE: Final = re.compile(r"(\d{5})(?:-(\d{6}))?\.parquet")


class Entry(NamedTuple):
    """A row of the manifest; `error` is (kind, message) of an input that could not be answered."""

    name: str
    sha256: str
    error: tuple[str, str] | None
    attempt: int = 1


class Shards:
    """A folder of shards, open for one run.

    Parameters
    ----------
    folder : path
        Made where it is missing.
    asked : mapping
        What the run asks, as JSON values: a later run that goes on must ask the same.
    resume : bool
        Go on with a run that is there. Without it, a folder that holds one is refused.
    overwrite : bool
        Replace a run that is there, when the first of the new answers are kept.
    piece : int
        Inputs that are kept together.

    Attributes
    ----------
    done, failed_before : set of str
        Inputs in the manifest, and those of them without an answer when the run began.
    answered : int
        Inputs with an answer.

    Raises
    ------
    FugatoError
        ``busy`` where another process writes to it; ``bad-output`` where it cannot be written, holds something else or another run.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        asked: Mapping[str, Any],
        *,
        resume: bool = False,
        overwrite: bool = False,
        piece: int = PIECE,
    ) -> None:
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise FugatoError(
                "bad-option", 'Shards are written with pyarrow; install it with: pip install "fugato[scale]".'
            ) from None
        self.folder = Path(folder)
        self.done: set[str] = set()
        self.failed_before: set[str] = set()
        self.answered = 0
        self._piece = max(1, min(piece, PIECE))
        self._entries: list[Entry] = []
        self._tables: list[Any] = []
        self._about = json.loads(json.dumps({"format": FORMAT, "version": __version__, **asked}))
        self._shard, self._number, self._inputs, self._rows = 0, 0, 0, 0
        with writing(self.folder):
            self._check_place()
            for below in ("manifest", "rows"):
                (self.folder / below).mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / ".lock").open("ab")
        try:
            lock_file(self._lock, str(self.folder), "--shards")
            self._replaces = overwrite and not resume and (self.folder / "run.json").exists()
            if not self._replaces:
                with writing(self.folder):
                    self._check_run(self._about, resume)
                    self._read_back()
                self._tell_asked()
        except BaseException:
            self._lock.close()
            raise

    def left(self, inputs: Sequence[str]) -> list[str]:
        """The inputs that are not in the manifest yet."""
        return [name for name in inputs if _unicode(name) not in self.done]

    def add(self, entry: Entry, table: Any | None = None) -> None:
        """Keep what became of one input; `table` has its rows."""
        name = _unicode(entry.name)
        if name in self.done:
            return
        self.done.add(name)
        self.answered += entry.error is None
        self._entries.append(entry)
        if table is not None and table.num_rows:
            self._tables.append(table)
        if len(self._entries) >= self._piece:
            self.flush()

    def write(self, answer: dict[str, Any]) -> None:
        """Keep an answer object of the contract, or an error object."""
        error = answer.get("error")
        entry = Entry(
            answer["input"],
            answer.get("sha256") or "",
            (error["kind"], error["message"]) if error else None,
            int(answer.pop("attempt", 1)),
        )
        self.add(entry, None if error else _row(answer))

    def flush(self) -> None:
        """Write what is held as a piece, and close the shard if it is full."""
        if self._entries:
            self._replace()
            name = f"{self._shard:05}-{self._number:06}.parquet"
            self._commit(name, [_manifest(self._entries)], [_joined(self._tables)] if self._tables else [])
            self._inputs += len(self._entries)
            self._rows += sum(table.num_rows for table in self._tables)
            self._number += 1
            self._entries, self._tables = [], []
        if self._inputs >= INPUTS or self._rows >= ROWS:
            self._close_shard()

    def __enter__(self) -> Shards:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not isinstance(error, FugatoError) or error.kind != "bad-output":
                self.flush()
            if error is None:
                self._replace()
                self._close_shard()
                self._tell_failed()
        finally:
            self._lock.close()

    # -- files ---------------------------------------------------------------------------------------------------------

    def _check_place(self) -> None:
        """Refuse a file, and a folder of something else."""
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise FugatoError("bad-output", "That is a file; shards are written to a folder.", str(self.folder))
        others = sorted(p.name for p in self.folder.iterdir() if p.name not in (".lock", "manifest", "rows"))
        if others and "run.json" not in others:
            raise FugatoError(
                "bad-output", f"The folder holds {others[0]}, and no run; choose another.", str(self.folder)
            )

    def _check_run(self, about: dict[str, Any], resume: bool) -> None:
        """Refuse a run of another question, or one that is not to be gone on with."""
        path = self.folder / "run.json"
        if not path.exists():
            return
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            before = None
        if not resume:
            raise FugatoError(
                "bad-output",
                "The folder holds a run already: go on with it by --resume, replace it with --overwrite, or choose another.",
                str(self.folder),
            )
        for key in sorted({*about, *(before or {})}):
            if not isinstance(before, dict) or before.get(key) != about.get(key):
                was = before.get(key) if isinstance(before, dict) else "something else"
                raise FugatoError(
                    "bad-output",
                    f"The run there was asked otherwise ({key}: {was!r}, now {about.get(key)!r}); choose another folder.",
                    str(self.folder),
                )

    def _replace(self) -> None:
        """Remove the run that is overwritten. A kill leaves some of it, which says that it is that run's."""
        if not self._replaces:
            return
        with writing(self.folder):
            (self.folder / "failed.jsonl").unlink(missing_ok=True)
            for below in ("manifest", "rows"):
                for path in (self.folder / below).glob("*.parquet"):
                    path.unlink()
        self._tell_asked()
        self._replaces = False

    def _tell_asked(self) -> None:
        write_whole(self.folder / "run.json", json_of(self._about))

    def _read_back(self) -> None:
        """What is answered already; what a run that was killed left unfinished is removed."""
        from pyarrow import parquet

        files = _files(self.folder / "manifest")
        whole = {shard for shard, piece in files if piece is None}
        for below in ("manifest", "rows"):
            for partial in (self.folder / below).glob(".*.parquet.*"):
                partial.unlink()
        for (shard, piece), path in [*files.items()]:
            if piece is not None and shard in whole:
                path.unlink()
                del files[shard, piece]
        for key, path in _files(self.folder / "rows").items():
            if key not in files:
                path.unlink()
        self._shard, self._number, self._inputs, self._rows = (max(whole) + 1 if whole else 0), 0, 0, 0
        for (shard, piece), path in sorted(files.items(), key=lambda item: item[1].name):
            table = parquet.read_table(path, columns=["input", "status"])
            names, status = table.column("input").to_pylist(), table.column("status").to_pylist()
            failed = {name for name, how in zip(names, status, strict=True) if how == "failed"}
            self.done.update(names)
            self.failed_before |= failed
            self.answered += len(names) - len(failed)
            if piece is not None:
                self._shard, self._number = shard, piece + 1
                self._inputs += len(names)
                rows = self.folder / "rows" / path.name
                self._rows += parquet.read_metadata(rows).num_rows if rows.exists() else 0

    def _close_shard(self) -> None:
        """Put the pieces of the shard together, `GROUP` bytes at a time."""
        pieces = [path for (shard, piece), path in _files(self.folder / "manifest").items() if piece is not None]
        if not pieces:
            return
        beside = [self.folder / "rows" / path.name for path in pieces]
        rows = _grouped([path for path in beside if path.exists()])
        self._commit(f"{self._shard:05}.parquet", _grouped(pieces), rows, sync=True)
        with writing(self.folder):
            for path in [*pieces, *beside]:
                path.unlink(missing_ok=True)
        self._shard, self._number, self._inputs, self._rows = self._shard + 1, 0, 0, 0

    def _commit(self, name: str, manifest: Iterable[Any], rows: Iterable[Any], sync: bool = False) -> None:
        _write(self.folder / "rows" / name, rows, sync)
        _write(self.folder / "manifest" / name, manifest, sync)

    def _tell_failed(self) -> None:
        from pyarrow import dataset

        found = dataset.dataset(sorted(map(str, _files(self.folder / "manifest").values())) or [])
        lines: list[bytes] = []
        if self.failed_before or self.answered < len(self.done):
            table = found.to_table(filter=dataset.field("status") == "failed")
            for row in table.to_pylist():
                lines.append(json.dumps(FugatoError(row["kind"], row["message"], row["input"]).to_dict()).encode())
        write_whole(self.folder / "failed.jsonl", b"".join(line + b"\n" for line in lines))


def _files(folder: Path) -> dict[tuple[int, int | None], Path]:
    """The Parquet files of a folder by shard and piece, in order."""
    found = {}
    for path in sorted(folder.iterdir()):
        if match := _FILE.fullmatch(path.name):
            found[int(match[1]), int(match[2]) if match[2] else None] = path
    return found


def _manifest(entries: Sequence[Entry]) -> Any:
    import pyarrow

    kinds, messages = zip(*(entry.error or (None, None) for entry in entries), strict=True)
    text = pyarrow.string()
    return pyarrow.table(
        {
            "input": pyarrow.array([_unicode(entry.name) for entry in entries], text),
            "sha256": pyarrow.array([entry.sha256 for entry in entries], text),
            "status": pyarrow.array(["failed" if entry.error else "answered" for entry in entries], text),
            "attempt": pyarrow.array([entry.attempt for entry in entries], pyarrow.int32()),
            "kind": pyarrow.array(kinds, text),
            "message": pyarrow.array(messages, text),
        }
    )


def _row(answer: dict[str, Any]) -> Any:
    """An answer as a row: what one asks a table for, and the whole object as JSON."""
    import pyarrow

    model = answer.get("model") or {}
    text = pyarrow.string()
    return pyarrow.table(
        {
            "input": pyarrow.array([_unicode(answer["input"])], text),
            "sha256": pyarrow.array([answer.get("sha256")], text),
            "name": pyarrow.array([answer["name"]], text),
            "probability": pyarrow.array([answer["probability"]], pyarrow.float32()),
            "known": pyarrow.array([answer["known"]], pyarrow.bool_()),
            "model": pyarrow.array([f"{model.get('name')} {model.get('version')}"], text),
            "answer": pyarrow.array([json.dumps(answer)], text),
        }
    )


def _joined(tables: Sequence[Any]) -> Any:
    import pyarrow

    return pyarrow.concat_tables(tables)


def _grouped(paths: Iterable[Path]) -> Iterator[Any]:
    """The tables of Parquet files one after another, as few as hold some `GROUP` bytes each."""
    from pyarrow import parquet

    held: list[Any] = []
    size = 0
    for path in paths:
        held.append(parquet.read_table(path))
        size += held[-1].nbytes
        if size >= GROUP:
            yield _joined(held)
            held, size = [], 0
    if held:
        yield _joined(held)


def _write(path: Path, tables: Iterable[Any], sync: bool) -> None:
    """A Parquet file, a group of rows for each table, that takes its name when it is whole; none where there are no tables."""
    from pyarrow import parquet

    partial = path.with_name(f".{path.name}.{os.getpid()}")
    left = iter(tables)
    with writing(path):
        try:
            first = next(left, None)
            if first is None:
                return
            with partial.open("wb") as file:
                with parquet.ParquetWriter(file, first.schema, compression="zstd") as writer:
                    for table in itertools.chain([first], left):
                        writer.write_table(table)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _unicode(text: str) -> str:
    """A name as Unicode text; the bytes of a file name that are none are written as ``\\xe9``."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_manifest(folder: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The rows of the manifest of a run, in order; also of one that goes on, which puts pieces together meanwhile."""
    from pyarrow import parquet

    place, shard = Path(folder) / "manifest", 0
    while True:
        files = _files(place)
        shard = min((number for number, _ in files if number >= shard), default=-1)
        if shard < 0:
            return
        pieces = [path for (number, piece), path in files.items() if number == shard and piece is not None]
        paths = [files[shard, None]] if (shard, None) in files else pieces
        try:
            tables = [parquet.read_table(path) for path in paths]
        except FileNotFoundError:  # put together just now
            continue
        for table in tables:
            yield from table.to_pylist()
        shard += 1
