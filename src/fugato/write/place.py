"""Where a file is to be written: checked before anything is made, and written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import FugatoError


def check_place(out: str | os.PathLike[str]) -> Path:
    """The path, if a file can be put there.

    Raises
    ------
    FugatoError
        ``bad-output`` where it is a folder, or its folder is not there.
    """
    path = Path(out)
    if path.is_dir():
        raise FugatoError("bad-output", "That is a folder; give the file a name in it.", str(path))
    if not path.absolute().parent.is_dir():
        raise FugatoError("bad-output", "There is no such folder to write to; make it first.", str(path))
    return path


def make_folder(out: str | os.PathLike[str]) -> Path:
    """The folder, made with those above it where it is not there.

    Raises
    ------
    FugatoError
        ``bad-output`` where it cannot be made.
    """
    path = Path(out)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FugatoError("bad-output", f"Cannot make the folder ({error}).", str(path)) from error
    return path


@contextmanager
def replaced_folder(target: Path, what: str) -> Iterator[Path]:
    """A new folder to fill, which takes the place of ``target`` when the block ends well: nobody meets it half full.

    Raises
    ------
    FugatoError
        ``bad-output`` where it, or ``what`` within it, cannot be written; ``target`` is then as it was.
    """
    building = target.with_name(f".{target.name}.making")
    try:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        yield building
        shutil.rmtree(target, ignore_errors=True)
        building.rename(target)
    except OSError as error:
        raise FugatoError("bad-output", f"Cannot keep {what} there ({error}).", str(target)) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def put(path: Path, data: bytes) -> Path:
    """Write all bytes of a file, in place of one that is there.

    Raises
    ------
    FugatoError
        ``bad-output`` where it cannot be written.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise FugatoError("bad-output", f"It cannot be written ({error.strerror or error}).", str(path)) from error
    return path
