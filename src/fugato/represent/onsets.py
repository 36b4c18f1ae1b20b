"""Events of the normalised stream as rows of small whole numbers: what a network reads that looks along them.

The columns are symbols of `fugato.represent.ngrams`, which key, tempo and encoding do not change, one row an event. 0 stands for what
there is not: nothing moved into the first event, nothing is known beyond the last, and a performance has no bars.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.represent import ngrams
from fugato.represent.stream import Stream

# Symbol, and how many events after the one that it starts at it is written down: a step is known where it ends.
SYMBOLS: Final = (
    ("melody", 1),
    ("bass", 1),
    ("gap", 0),
    ("size", 0),
    ("step", 1),
    ("ratio", 2),
    ("top_length", 0),
    ("bass_length", 0),
    ("hold", 0),
    ("bass_hold", 0),
    ("sounding", 0),
    ("held", 0),
    ("degree", 0),
    ("bass_degree", 0),
    ("register", 0),
    ("bass_register", 0),
    ("local_degree", 0),
    ("local_bass_degree", 0),
    ("echo", 0),
    *((f"{line}_{span}", span) for span in ngrams.SPANS for line in ("low", "high")),
    ("place", 0),
    ("written_step", 1),
    ("written_top", 0),
    ("written_bass", 0),
    ("bar_length", 0),
)
# Pitch classes above the lowest note of the event, and of spans.
SETS: Final = ("chord", "chord_4", "chord_8", "chord_16")
COLUMNS: Final = (
    *(name for name, _ in SYMBOLS),
    *(f"{name} {bits}" for name in SETS for bits in ("0-7", "8-11")),
)
SIZES: Final = tuple(ngrams.ALPHABETS[name] + 1 for name, _ in SYMBOLS)  # values of each symbol column, 0 included
LENGTHS: Final = tuple(
    i
    for i, (name, _) in enumerate(SYMBOLS)
    if name in {"step", "ratio", "top_length", "bass_length", "hold", "bass_hold"}
)
TIMING: Final = (*LENGTHS, *(i for i, (name, _) in enumerate(SYMBOLS) if name in {"sounding", "held"}))
METRE: Final = tuple(i for i, (name, _) in enumerate(SYMBOLS) if name in ngrams.METRE)
DEGREES: Final = tuple(i for i, (name, _) in enumerate(SYMBOLS) if name.endswith("degree"))

NO_TIMING: Final = 0.35  # share of windows whose timing is taken away
NO_METRE: Final = 0.2  # share of windows whose metre is taken away, beside those without timing
LOOSE: Final = 0.4  # share whose timing is made uneven
LOOSENESS: Final = 0.6  # of a half-octave, standard deviation
FORGOTTEN: Final = 0.07  # share of windows that lose a column
SHORT: Final = 0.3  # share that ends early, as an excerpt does
SHORTEST: Final = 20  # events that are left
OTHER_KEY: Final = 0.1  # share whose tonic is taken for another


def onsets(events: Stream) -> NDArray[np.uint8]:
    """One row an event, shape=(n_events, 40): `COLUMNS`, symbols counted from 1."""
    n = len(events)
    found = ngrams.symbols(events)
    out = np.zeros((n, len(COLUMNS)), np.uint8)
    for column, (name, later) in enumerate(SYMBOLS):
        values = found[name][0][: n - later] if n > later else np.zeros(0, np.int64)
        out[later : later + len(values), column] = values + 1
    for column, name in enumerate(SETS):
        sets = 2 * found[name][0] + 1  # with the lowest note itself
        low, high = len(SYMBOLS) + 2 * column, len(SYMBOLS) + 2 * column + 1
        out[: len(sets), low], out[: len(sets), high] = sets & 255, sets >> 8
    return out


def changed(rows: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Copies of windows for training, shape=(n, size, 40).

    Timing is loosened or gone, metre gone, a column forgotten, the tonic misheard, or the window ends early.
    A performance differs from its score in timing first of all, and an estimated key may be wrong: what a network learns must not hang
    on either.
    """
    out = rows.copy()
    n = len(out)
    loose = np.flatnonzero(rng.random(n) < LOOSE)
    for column in LENGTHS:
        values = out[loose, :, column].astype(np.int64)
        moved = np.clip(values + np.rint(rng.normal(0, LOOSENESS, values.shape)).astype(np.int64), 1, SIZES[column] - 1)
        out[loose, :, column] = np.where(values > 0, moved, 0)
    none = rng.random(n) < NO_TIMING
    unmetred = none | (rng.random(n) < NO_METRE)
    for columns, taken in ((TIMING, none), (METRE, unmetred)):
        for column in columns:
            out[taken, :, column] = 0
    for column in range(len(SYMBOLS)):
        out[rng.random(n) < FORGOTTEN, :, column] = 0
    other = np.flatnonzero(rng.random(n) < OTHER_KEY)
    by = rng.integers(0, 12, len(other))[:, None]
    for column in DEGREES:
        values = out[other, :, column].astype(np.int64) - 1
        turned = (values % 12 + by) % 12 + values // 12 * 12 + 1
        out[other, :, column] = np.where(values >= 0, turned, 0)
    size = out.shape[1]
    for row in np.flatnonzero(rng.random(n) < SHORT) if size > SHORTEST else ():
        left = SHORTEST * (size / SHORTEST) ** rng.random()  # half as long as often as a quarter as long
        out[row, int(left) :] = 0
    return out
