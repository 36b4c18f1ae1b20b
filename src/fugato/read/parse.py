"""Bytes -> Scores in this very process; `fugato.read` decides which bytes may come here and which go to a worker."""

from __future__ import annotations

import logging

from fugato.errors import FugatoError
from fugato.read.limits import DEFAULT_LIMITS, Limits
from fugato.read.sniff import Found, sniff
from fugato.score import Score

log = logging.getLogger(__name__)


def parse(data: bytes, name: str | None = None, limits: Limits = DEFAULT_LIMITS, *, every: bool = True) -> list[Score]:
    """The piece in a file; of a book of tunes every one, or the first. At least one."""
    return parse_found(sniff(data, name), limits, every=every)


def parse_found(found: Found, limits: Limits = DEFAULT_LIMITS, *, every: bool = True) -> list[Score]:
    """As `parse`, with the format known.

    Raises
    ------
    FugatoError
        Only that; a reader that stumbles over the contents makes the file ``corrupt``.
    """
    try:
        if found.format == "midi":
            from fugato.read.midi import read_midi

            return [read_midi(found.data, limits, found.warnings)]
        from fugato.read.notation import read_notation

        return read_notation(found, limits, every=every)
    except (FugatoError, MemoryError):
        raise
    except RecursionError as e:
        raise FugatoError("corrupt", "Its contents are nested too deeply to be music.") from e
    except Exception as e:
        log.debug("reading %s failed", found.format, exc_info=True)
        reason = " ".join(f"{type(e).__name__}: {e}".split())[:200]
        raise FugatoError("corrupt", f"Its {found.format} contents make no sense ({reason}).") from e
