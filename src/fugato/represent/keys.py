"""Which key a piece is in, and which one it is in just now: profile correlation after Krumhansl and Kessler.

Carol Krumhansl & Edward Kessler, "Tracing the dynamic changes in perceived tonal organization in a spatial representation of musical
keys", Psychological Review 89, 1982. A key here is a number from 0 to 23: the tonic's pitch class, and 12 more in minor.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fugato.represent.stream import Stream

SPAN: Final = 24  # events on either side that the key of a moment is heard in
SMOOTH: Final = 16  # events on either side over which the evidence is averaged, lest a chord be taken for a key
HEARD_FOR_CLARITY: Final = 256  # events of a piece at most, evenly spread
LONGEST: Final = 4.0  # median steps after which a chord that lasts longer counts no more

_MAJOR: Final = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR: Final = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def _profiles() -> NDArray[np.float64]:
    """All 24 keys, major first, centred and of unit length, shape=(24, 12)."""
    table = np.array([np.roll(p, k) for p in (_MAJOR, _MINOR) for k in range(12)])
    table -= table.mean(axis=1, keepdims=True)
    unit: NDArray[np.float64] = table / np.linalg.norm(table, axis=1, keepdims=True)
    return unit


_PROFILES: Final = _profiles()


_BITS: Final = ((np.arange(4096)[:, None] >> np.arange(12)) & 1).astype(
    np.float64
)  # members of every set of pitch classes


def tonic(pitch_classes: NDArray[np.float64]) -> tuple[int, int]:
    """Pitch class of the tonic, and 0 for major or 1 for minor, that fit a distribution of shape=(12,) best."""
    best = int(np.argmax(_PROFILES @ (pitch_classes - pitch_classes.mean())))
    return best % 12, best // 12


def local_keys(events: Stream) -> NDArray[np.int64]:
    """The key at every event, shape=(n_events,), 0..23, from the events around it."""
    n = len(events)
    if not n:
        return np.zeros(0, np.int64)
    steps = np.append(np.maximum(np.diff(events.onset), 1e-4), 0.0)
    usual = float(np.median(steps[:-1])) if n > 1 else 1.0
    steps[-1] = usual
    weight = np.sqrt(np.minimum(steps / usual, LONGEST))
    fit, _ = _fit(_summed(_sounding(events) * weight[:, None], SPAN))
    # Rounded: what is equal in theory must not be told apart by the order of additions, which a transposition changes.
    keys: NDArray[np.int64] = np.round(_summed(fit, SMOOTH), 6).argmax(axis=1)
    return keys


def clarity(events: Stream) -> float:
    """How clear the keys are, on average over a piece: the correlation of the pitch classes around an event with the best key profile.

    Music in keys has 0.7 to 0.95, notes drawn by lot some 0.55; 1 where there is nothing to hear.
    """
    n = len(events)
    if not n:
        return 1.0
    centre = np.unique(np.linspace(0, n - 1, min(n, HEARD_FOR_CLARITY)).astype(np.int64))
    fit, length = _fit(_summed(_sounding(events), SPAN)[centre])
    return float(np.where(length > 0, fit.max(axis=1), 1.0).mean())


def _fit(pitch_classes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Correlation of distributions, shape=(n, 12), with every key, shape=(n, 24), and how uneven they are, shape=(n,)."""
    centred = pitch_classes - pitch_classes.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    fit: NDArray[np.float64] = (centred @ _PROFILES.T) / np.maximum(length, 1e-9)[:, None]
    return fit, length


def _sounding(events: Stream) -> NDArray[np.float64]:
    """Which pitch classes sound at every event, 1 or 0, shape=(n_events, 12)."""
    up = events.bass % 12
    found: NDArray[np.float64] = _BITS[((events.chord << up) | (events.chord >> (12 - up))) & 4095]
    return found


def _summed(table: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """Sums over the rows from `span` before to `span` after each, shape as given."""
    n = len(table)
    total = np.concatenate([np.zeros((1, table.shape[1])), np.cumsum(table, axis=0)])
    at = np.arange(n)
    found: NDArray[np.float64] = total[np.minimum(at + span + 1, n)] - total[np.maximum(at - span, 0)]
    return found
