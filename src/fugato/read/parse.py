"""Bytes -> Scores in this very process; `fugato.read` decides which bytes may come here and which go to a worker."""

from __future__ import annotations

from fugato.errors import FugatoError
from fugato.read.limits import DEFAULT_LIMITS, Limits
from fugato.read.sniff import Found, sniff
from fugato.score import Score


def parse_all(data: bytes, name: str | None = None, limits: Limits = DEFAULT_LIMITS) -> list[Score]:
    """Every piece in a file: one for most, one a tune for a book of tunes; at least one."""
    return parse_found(sniff(data, name), name, limits)


def parse_found(found: Found, name: str | None = None, limits: Limits = DEFAULT_LIMITS) -> list[Score]:
    """As `parse_all`, with the format known."""
    if found.format == "midi":
        from fugato.read.midi import read_midi

        return [read_midi(found.data, limits, found.warnings)]
    raise FugatoError("unsupported", f"{found.format} cannot be read.", name)
