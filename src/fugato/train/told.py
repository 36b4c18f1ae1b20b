"""What a training tells as it goes: how far each stage is, and what was left out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from fugato.errors import FugatoError

NAMED: Final = 5  # of the things left out, in a warning; the rest are counted

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all
_log = logging.getLogger(__name__)


def stage(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    """Told (steps done, steps in all) of one thing that is being done."""
    return None if progress is None else partial(progress, what)


def named(things: Sequence[str]) -> str:
    """The first few by name, the rest as a number."""
    more = f" and {len(things) - NAMED} more" if len(things) > NAMED else ""
    return ", ".join(things[:NAMED]) + more


def report_failures(failed: Sequence[FugatoError], what: str = "files") -> None:
    """Warn of what could not be used, by kind of error."""
    if failed:
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(error.kind for error in failed).most_common())
        _log.warning("%s that could not be used (%s): %s", what, kinds, named([str(error.input) for error in failed]))
    for error in failed:
        _log.debug("%s", error)
