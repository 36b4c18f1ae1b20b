"""Where files lie: paths, and the addresses that fsspec knows (``s3://bucket/folder/``, ``zip://::music.zip``, ``https://…``).

A chained address is read from the inside out, as fsspec writes it: ``zip://nocturnes/1.mid::s3://bucket/music.zip`` is a member of an
archive in a bucket. What a protocol needs beside fsspec (s3fs, gcsfs, adlfs) is the user's to install.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fugato.errors import FugatoError

if TYPE_CHECKING:
    from fugato.corpus import Corpus

ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
PAUSES: Final = (0.5, 2.0)  # seconds before a file that could not be fetched is asked for again
BLOCK: Final = 1 << 20  # bytes

Found = TypeVar("Found")


def is_remote(name: str) -> bool:
    """Whether a name is an address for fsspec, and no path."""
    return ADDRESS.match(name) is not None


def find(address: str, suffixes: Collection[str]) -> list[str]:
    """The addresses of all files of the kind below one, in sorted order; hidden ones are left out. That of a file is itself.

    Raises
    ------
    FugatoError
        ``bad-option`` for a protocol that is unknown or not installed, ``bad-data`` where nothing is there.
    """
    if PurePosixPath(address.partition("::")[0]).suffix.lower() in suffixes:
        return [address]
    before, names, after = _listed(address)
    return [f"{before}{name}{after}" for name in names if PurePosixPath(name).suffix.lower() in suffixes]


def list_pieces(address: str) -> Corpus:
    """A labelled collection at an address: a folder for each composer, as `fugato.corpus.load_corpus` takes it on a disk."""
    from fugato.corpus.sources import from_names

    before, names, after = _listed(address)
    return from_names(names, lambda name: f"{before}{name}{after}", address)


def fetch(address: str, most: int) -> bytes:
    """All bytes of a file at an address.

    Raises
    ------
    FugatoError
        ``bad-data`` where it cannot be fetched, after three attempts; ``too-large`` over `most` bytes.
    """

    def whole() -> bytes:
        with _open(address) as file:
            data: bytes = file.read(most + 1)
        return data

    data = _again(whole, address)
    if len(data) > most:
        raise FugatoError("too-large", f"More than {most:,} bytes.", address)
    return data


@contextmanager
def fetched(address: str, most: int) -> Iterator[str]:
    """The path of a temporary copy of a file at an address. Errors as in `fetch`."""
    file, path = tempfile.mkstemp(prefix="fugato-", suffix=PurePosixPath(address.partition("::")[0]).suffix[:16])
    os.close(file)

    def copy() -> int:
        copied = 0
        with open(path, "wb") as out, _open(address) as source:
            while copied <= most and (block := source.read(BLOCK)):
                copied += out.write(block)
        return copied

    try:
        if _again(copy, address) > most:
            raise FugatoError("too-large", f"More than {most:,} bytes.", address)
        yield path
    finally:
        os.unlink(path)


def _listed(address: str) -> tuple[str, list[str], str]:
    """The names of the files below an address, sorted, hidden ones left out, and what stands before and after each name."""
    head, mark, rest = address.partition("::")
    try:
        system, path = _system(address)
        if not system.exists(path):
            raise FugatoError("bad-data", "There is nothing at this address.", address)
        if not system.isdir(path):
            return "", [address], ""
        paths = sorted(system.find(path))
    except FugatoError:
        raise
    except Exception as error:  # every file system has errors of its own
        raise FugatoError("bad-data", f"It cannot be listed: {_reason(error)}.", address) from error
    root = path.strip("/")
    names = [found.strip("/").removeprefix(root).strip("/") for found in paths]
    shown = [name for name in names if not any(part.startswith(".") for part in PurePosixPath(name).parts)]
    start = "/" if path.startswith("/") else ""
    return f"{head.partition('://')[0]}://{start}{root}{'/' if root else ''}", shown, mark + rest


def _open(address: str) -> Any:
    system, path = _system(address)
    return system.open(path, "rb")


def _system(address: str) -> tuple[Any, str]:
    """The file system of an address and the path in it; that of an archive is kept open for its next member."""
    head, mark, rest = address.partition("::")
    protocol, _, path = head.partition("://")
    if not mark:
        return _by_fsspec(address)
    system, _ = _archive(f"{protocol}://{mark}{rest}", os.getpid())
    return system, path


@lru_cache(maxsize=4)
def _archive(address: str, process: int) -> tuple[Any, str]:
    return _by_fsspec(address)


def _by_fsspec(address: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise FugatoError(
            "bad-option", 'Files at an address are read with fsspec; install it with: pip install "fugato[scale]".'
        ) from None
    try:
        system, path = url_to_fs(address)
    except ImportError as error:
        raise FugatoError("bad-option", f"This address needs another package: {error}.", address) from error
    except ValueError as error:
        raise FugatoError("bad-option", f"There is no such kind of address ({error}).", address) from error
    return system, path


def _again(step: Callable[[], Found], address: str) -> Found:
    """`step`, tried again after a pause where the network, and not the file, may be the cause."""
    for pause in (*PAUSES, None):
        try:
            return step()
        except FugatoError:
            raise
        except (FileNotFoundError, IsADirectoryError, KeyError) as error:
            raise FugatoError("bad-data", "There is no such file.", address) from error
        except Exception as error:  # every file system has errors of its own
            if pause is None:
                raise FugatoError("bad-data", f"It cannot be fetched: {_reason(error)}.", address) from error
            time.sleep(pause)
    raise AssertionError


def _reason(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split()).rstrip(".")[:300]
