"""markov: note events of order k with backoff, by counting (`fugato.compose.markov`).

In:     note events of all pieces in C major or A minor.
Model:  counts of what follows 0 to k events, for the step, the pitch and the length of the next, mixed by Witten & Bell's estimate.
Figure: none; it is the baseline that the networks must beat.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fugato.compose.markov import SIZES, count
from fugato.recipes.next_step import check_settings, events_of

NAME: Final = "markov"
DEFAULTS: Final[dict[str, float]] = {"order": 3, "min_works": 15}
BUDGETS: Final[dict[str, dict[str, float]]] = {"full": {}, "small": {}}
SPACE: Final = {"order": (1, 8)}


def check(chosen: dict[str, Any]) -> None:
    """Raise FugatoError("bad-option") for a setting that there is not, or a value that makes no sense."""
    check_settings(NAME, chosen, DEFAULTS, whole=("order",))


def learn(
    phrases: Any,
    settings: dict[str, float],
    folder: Path,
    *,
    seed: int,
    resume: bool = False,
    minutes: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Count the pieces of the training part; seconds, so that there is nothing to resume."""
    pieces = events_of(phrases, "train")
    order = int(settings["order"])
    parts = {
        "counts": count(pieces, order),
        "vocabulary": {"order": order, "sizes": list(SIZES)},
    }
    if progress:
        progress(1, 1)
    return parts, {"name": "note-events", "settings": {"order": order}}, [], {"notes": sum(len(p.step) for p in pieces)}
