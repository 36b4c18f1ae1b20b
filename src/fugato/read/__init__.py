"""Files -> Score: MIDI, MusicXML, kern and ABC, with limits and a sandbox."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from fugato.errors import FugatoError
from fugato.read.limits import DEFAULT_LIMITS, Limits
from fugato.read.parse import parse_all
from fugato.score import Score

__all__ = ["Limits", "read"]

Source = str | os.PathLike[str] | bytes | BinaryIO


def read(source: Source, *, name: str | None = None, limits: Limits = DEFAULT_LIMITS, sandbox: bool = True) -> Score:
    """The piece in a file."""
    if isinstance(source, (bytes, bytearray)):
        data = bytes(source)
    elif isinstance(source, (str, os.PathLike)):
        name = name or os.fspath(source)
        try:
            data = Path(source).read_bytes()
        except OSError as e:
            raise FugatoError("bad-data", f"It cannot be opened: {e.strerror}.", name) from e
    else:
        data = source.read()
    try:
        return parse_all(data, name, limits)[0]
    except FugatoError as e:
        raise FugatoError(e.kind, e.message, name) from e
