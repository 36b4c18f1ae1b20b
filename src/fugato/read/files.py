"""Sources (paths, bytes, file objects) -> bytes, and the music files of a folder."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from fugato.errors import FugatoError
from fugato.read.limits import DEFAULT_LIMITS, Limits
from fugato.read.sniff import SUFFIXES

Source = str | os.PathLike[str] | bytes | BinaryIO


class NamedBytes(io.BytesIO):
    """Bytes in memory that keep the name of their file, whose suffix helps where the bytes leave the format open."""

    name: str = ""


def suffixes() -> tuple[str, ...]:
    """The suffixes, in small letters with their dot, that `find_files` looks for."""
    return tuple(SUFFIXES)


def find_files(folder: str | os.PathLike[str], suffixes: Collection[str] = SUFFIXES) -> Iterator[Path]:
    """Every file of music under `folder`, down to the last, in sorted order of path; a folder met twice by links is
    walked once.

    Hidden files and folders (and so macOS's ``._`` shadows) are left out; the suffix decides, in large or small
    letters. `suffixes` are those of files with notes, unless others are given.

    Raises
    ------
    FugatoError
        ``bad-data`` where it is no folder.
    """
    top = Path(folder)
    if not top.is_dir():
        raise FugatoError("bad-data", "There is no such folder.", os.fspath(folder))
    yield from _walk(top, frozenset(suffixes), set())


def _walk(folder: Path, suffixes: frozenset[str], seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
        entries = sorted(folder.iterdir(), key=lambda p: p.name)
    except OSError:
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, suffixes, seen)
        elif entry.suffix.lower() in suffixes:
            yield entry


def name_of(source: Source) -> str | None:
    """The path or name of a source; None for bytes."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else None


def bytes_of(source: Source, name: str | None = None, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """All bytes of a source, refused before they are read where they are too many.

    Raises
    ------
    FugatoError
        ``bad-data`` where there is no such file or it cannot be opened, ``too-large``.
    """
    most = max(limits.midi_bytes, limits.text_bytes)
    try:
        if isinstance(source, (bytes, bytearray, memoryview)):
            data = bytes(source)
        elif isinstance(source, (str, os.PathLike)):
            path = Path(source)
            if path.is_dir():
                raise FugatoError("bad-data", "It is a folder, not a file.", name)
            if path.exists() and not path.is_file():
                raise FugatoError("bad-data", "It is no ordinary file.", name)
            with path.open("rb") as file:
                data = file.read(most + 1)
        else:
            data = source.read(most + 1)
    except FileNotFoundError as e:
        raise FugatoError("bad-data", "There is no such file.", name) from e
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) and e.strerror else str(e)
        raise FugatoError("bad-data", f"It cannot be opened: {reason}.", name) from e
    if not isinstance(data, bytes):
        raise FugatoError("bad-data", "A file object must be opened for bytes (mode 'rb').", name)
    if len(data) > most:
        raise FugatoError("too-large", f"More than {most:,} bytes.", name)
    return data
