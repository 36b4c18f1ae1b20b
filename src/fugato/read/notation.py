"""Printed music as text (MusicXML, kern, ABC): limits first, then the reader of the format."""

from __future__ import annotations

from fugato.errors import FugatoError
from fugato.read.limits import DEFAULT_LIMITS, Limits
from fugato.read.sniff import Found, decode
from fugato.score import Score


def read_notation(found: Found, limits: Limits = DEFAULT_LIMITS, *, every: bool = True) -> list[Score]:
    """Every piece in the text, or the first; at least one."""
    if found.format == "mxl":
        from fugato.read.mxl import unpack_mxl

        found = Found("musicxml", unpack_mxl(found.data, limits), found.warnings)
    if len(found.data) > limits.text_bytes:
        raise FugatoError("too-large", f"{len(found.data):,} bytes of text; it may have {limits.text_bytes:,}.")
    if found.format == "musicxml":
        from fugato.read.musicxml import read_musicxml

        return [read_musicxml(found.data, limits, found.warnings)]
    text = decode(found.data)
    if text is None:
        raise FugatoError("not-music", "It is no text.")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if found.format == "kern":
        from fugato.read.humdrum import read_kern

        return [read_kern(text, limits, found.warnings)]
    from fugato.read.abc import read_abc

    return read_abc(text, limits, found.warnings, every=every)
