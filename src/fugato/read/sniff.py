"""What a file is, judged by its bytes first and its suffix second, and the wrappings that are taken off.

Wrappings of MIDI: RIFF ``RMID`` (MIDI Manufacturers Association, RP-029), the 128 bytes of MacBinary, and other bytes
before ``MThd``.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final, NamedTuple

from fugato.errors import FugatoError

SUFFIXES: Final = {
    ".mid": "midi",
    ".midi": "midi",
    ".kar": "midi",
    ".rmi": "midi",
    ".musicxml": "musicxml",
    ".xml": "musicxml",
    ".mxl": "mxl",
    ".krn": "kern",
    ".abc": "abc",
}
JUNK: Final = 65_536  # bytes before MThd that are looked through
HEAD: Final = 4_096  # characters of text that are looked at

KERN: Final = re.compile(r"^\*\*(kern|[a-z]+\t(?:.*\t)?\*\*kern)", re.M)
ABC_TUNE: Final = re.compile(r"^X:\s*\d+", re.M)
ABC_KEY: Final = re.compile(r"^K:", re.M)
MUSICXML: Final = re.compile(r"<(?:!DOCTYPE\s+)?(score-partwise|score-timewise|opus)\b")


class Found(NamedTuple):
    """A format, its bytes without wrapping, and what was taken off."""

    format: str  # "midi", "musicxml", "mxl", "kern" or "abc"
    data: bytes
    warnings: tuple[str, ...] = ()


def sniff(data: bytes, name: str | None = None) -> Found:
    """The format of `data`.

    Raises
    ------
    FugatoError
        ``empty`` for no bytes, ``not-music`` for other things, ``unsupported`` for music in a format that is not read.
    """
    if not data:
        raise FugatoError("empty", "The file has no bytes.")
    if data[:4] == b"MThd":
        return Found("midi", data)
    if data[:4] in (b"RIFF", b"RIFX") and data[8:12] == b"RMID":
        return _unwrap_riff(data)
    if data[:8] == b"SMF2CLIP":
        raise FugatoError("unsupported", "It is a MIDI 2.0 clip; save it as a Standard MIDI File (.mid).")
    if data[:2] == b"PK":
        return Found("mxl", data)
    if data[:4] == b"MTrk":
        raise FugatoError("corrupt", "The MIDI header is missing, so the length of a quarter note cannot be known.")
    where = data.find(b"MThd", 0, JUNK)
    if where > 0 and b"MTrk" in data[where : where + 64]:
        kind = "a MacBinary header" if where == 128 and data[0] == 0 else f"{where} bytes"
        return Found("midi", data[where:], (f"There was {kind} before the MIDI header; left out.",))
    if data[0] == 0xF0 and b"\xf7" in data:
        raise FugatoError("unsupported", "It is a dump of system exclusive messages, with no notes in it.")
    return _sniff_text(data, PurePath(name).suffix.lower() if name else "")


def _sniff_text(data: bytes, suffix: str) -> Found:
    text = decode(data)
    if text is None:
        if b"MTrk" in data[:JUNK]:
            raise FugatoError("corrupt", "The MIDI header is missing, so the length of a quarter note cannot be known.")
        raise FugatoError("not-music", "Its bytes are no MIDI, MusicXML, kern or ABC.")
    head = text[:HEAD]
    if head.lstrip("\ufeff \r\n\t").startswith("<"):
        root = MUSICXML.search(text[: 16 * HEAD])
        if root and root[1] == "opus":
            raise FugatoError("unsupported", "It is a MusicXML opus, a list of other files; give those files.")
        if root or "<!ENTITY" in head:
            return Found("musicxml", data)
        raise FugatoError("not-music", "It is XML, but no MusicXML score.")
    if KERN.search(text):
        return Found("kern", data)
    if ABC_TUNE.search(text) and ABC_KEY.search(text):
        return Found("abc", data)
    if suffix == ".abc" and ABC_KEY.search(text):
        return Found("abc", data, ("The tune has no number (X:).",))
    if suffix == ".krn" and re.search(r"^\*\*\w", text, re.M):
        raise FugatoError("unsupported", "It is a Humdrum file without a **kern spine.")
    raise FugatoError("not-music", "It is text, but no MusicXML, kern or ABC.")


def decode(data: bytes) -> str | None:
    """Text of UTF-8, UTF-16 (with a byte order mark) or Windows Latin bytes; None where it is no text."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    control = sum(data.count(c) for c in (b"\0", b"\1", b"\2", b"\3", b"\x7f"))
    return text if control == 0 else None


def _unwrap_riff(data: bytes) -> Found:
    """The ``data`` chunk of a RIFF RMID file (chunk lengths little-endian, padded to even)."""
    order = "little" if data[:4] == b"RIFF" else "big"
    pos = 12
    while pos + 8 <= len(data):
        size = int.from_bytes(data[pos + 4 : pos + 8], order)  # type: ignore[arg-type]
        if data[pos : pos + 4] == b"data" and data[pos + 8 : pos + 12] == b"MThd":
            return Found("midi", data[pos + 8 : pos + 8 + size])
        pos += 8 + size + size % 2
    where = data.find(b"MThd")
    if where < 0:
        raise FugatoError("corrupt", "It is a RIFF file for MIDI, but there is no MIDI in it.")
    return Found("midi", data[where:], ("The RIFF wrapping is damaged; the MIDI file in it was read.",))
