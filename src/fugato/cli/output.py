"""Where answers go: JSON Lines on stdout or in a file, exactly one line for each input."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from ..errors import FugatoError
from ..scale.lock import lock_file


def json_line(value: Any) -> bytes:
    """`value` as one line of JSON in UTF-8; names that are no Unicode text are written in ASCII escapes."""
    try:
        return json.dumps(value, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value).encode() + b"\n"


def print_json(value: Any) -> None:
    """One JSON line on stdout, at once, so that a program downstream can go on."""
    line = json_line(value)
    stdout = sys.stdout
    if hasattr(stdout, "buffer"):
        stdout.flush()
        stdout.buffer.write(line)
        stdout.buffer.flush()
    else:
        stdout.write(line.decode())
        stdout.flush()


def is_table(as_json: bool) -> bool:
    """Whether answers are shown as a table: on a terminal, unless JSON was asked for."""
    return not as_json and sys.stdout.isatty()


class JsonLines:
    """A file of answers, one line for each input, that an interruption cannot spoil.

    Each line is appended and flushed whole. With `resume` a torn last line is dropped first and the inputs that have a line
    already are in `done`. Without it a file that holds something is refused, or with `overwrite` emptied when the first answer
    comes, so that a run that never gets so far costs nothing. The file is locked, where the platform can, against a second writer.

    Raises
    ------
    FugatoError
        ``busy`` where another process writes to it, ``bad-output`` where it cannot be written, holds something and is neither to
        be gone on with nor overwritten, or, with `resume`, holds something else than answers.
    """

    def __init__(self, path: str | os.PathLike[str], *, resume: bool = False, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.done: set[str] = set()
        self.failed_before: set[str] = set()
        self._replaces = False
        try:
            self._file: BinaryIO = self.path.open("a+b", buffering=0)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            lock_file(self._file, str(self.path))
            if resume:
                self._read_back()
            elif _holds_something(self._file):
                self._replaces = overwrite
                if not overwrite:
                    raise not_empty(self.path)
        except OSError as error:
            self._file.close()
            raise self._unwritable(error) from error
        except FugatoError:
            self._file.close()
            raise

    def write(self, answer: dict[str, Any]) -> None:
        """Append one answer; what does not fit leaves the lines before it whole."""
        line = memoryview(json_line(answer))
        written = 0
        try:
            if self._replaces:
                self._file.truncate(0)
                self._replaces = False
            while line:
                size = self._file.write(line)
                written += size
                line = line[size:]
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._file.seek(0, os.SEEK_END) - written)
            raise self._unwritable(error) from error

    def left(self, inputs: Iterable[str]) -> list[str]:
        """The inputs that have no line yet."""
        return [name for name in inputs if name not in self.done]

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _read_back(self) -> None:
        """Collect what is answered already, and cut off a line that was not finished."""
        self._file.seek(0)
        whole = 0  # bytes up to the end of the last whole line
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    answer = json.loads(line)
                    name = answer["input"]
                    failed = "error" in answer
                except (ValueError, KeyError, TypeError, RecursionError):
                    raise FugatoError(
                        "bad-output",
                        f"Line {number} is no answer of Fugato's, so the file is left alone; give another name to --out.",
                        str(self.path),
                    ) from None
                whole += len(line)
                self.done.add(name)
                if failed:
                    self.failed_before.add(name)
        self._file.truncate(whole)

    def _unwritable(self, error: OSError) -> FugatoError:
        return FugatoError(
            "bad-output", f"The answers cannot be written there ({error.strerror or error}).", str(self.path)
        )


def not_empty(path: Path, resumable: bool = True) -> FugatoError:
    """That an output is there already, and what can be done."""
    ways = "go on with it by --resume, replace it with --overwrite," if resumable else "replace it with --overwrite"
    return FugatoError("bad-output", f"It is there already and is not empty: {ways} or choose another name.", str(path))


def check_new(path: Path, overwrite: bool) -> None:
    """Refuse a file that holds something, unless it is to be overwritten.

    Raises
    ------
    FugatoError
        ``bad-output``.
    """
    if not overwrite and path.is_file() and path.stat().st_size:
        raise not_empty(path, resumable=False)


def _holds_something(file: BinaryIO) -> bool:
    """Whether it is a file with bytes in it; pipes and devices never are."""
    about = os.fstat(file.fileno())
    return stat.S_ISREG(about.st_mode) and about.st_size > 0
