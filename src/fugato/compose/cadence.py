"""How a piece ends: with a cadence, the tonic held to the bar line.

The bass of the last harmony is the tonic and comes from the dominant, the leading note, the second degree or the subdominant (an
authentic or a plagal cadence, as harmony books have them); whatever sounds with it belongs to the tonic chord.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.compose.grammar import HIGHEST_PITCH, LOWEST_PITCH, TRIADS, Plan
from fugato.represent import tokens as t

APPROACHES: Final = frozenset({2, 5, 7, 11})  # semitones above the tonic, of the bass before it
LOOKED_BACK: Final = 160  # steps
_LEFT_OUT: Final = ((), (1,), (0,), (0, 1))  # of the three upper notes
VOICINGS: Final = len(_LEFT_OUT)

Rows = NDArray[np.uint8]
Ints = NDArray[np.int64]


def harmonies(rows: NDArray[Any]) -> list[frozenset[int]]:
    """Pitches that sound at each onset of some steps, in order; what was struck before the first of them is not known."""
    steps = rows.astype(np.int64)
    bars = steps[:, t.EVENT] == t.BAR
    ends = np.cumsum(np.where(bars, steps[:, t.LENGTH], 0))
    begin = np.maximum.accumulate(np.where(bars, ends - steps[:, t.LENGTH], 0))
    notes = steps[:, t.EVENT] < t.BAR
    start = begin[notes] + steps[notes, t.EVENT]
    end = start + t.LONG_DURATIONS[steps[notes, t.DURATION] - 1]
    pitch = steps[notes, t.PITCH] - 1
    return [frozenset(pitch[(start <= at) & (end > at)].tolist()) for at in np.unique(start)]


def is_prepared(rows: NDArray[Any], key: int) -> bool:
    """Whether the bass, before any tonic in it, stands where a cadence comes from."""
    tonic = (key - 1) % 12
    for sounds in reversed(harmonies(rows[-LOOKED_BACK:])):
        degree = (min(sounds) - tonic) % 12
        if degree:
            return degree in APPROACHES
    return False


def closes(before: NDArray[Any], rows: NDArray[Any], plan: Plan) -> bool:
    """Whether a last bar, its own step not among `rows`, makes a cadence with what stands before it.

    Parameters
    ----------
    before : ndarray, shape=(n, 10)
        Steps of the bars before.
    rows : ndarray, shape=(m, 10)
        The notes of the last bar.
    plan : Plan
    """
    if not len(rows) or not plan.key:
        return False
    last = rows[rows[:, t.EVENT] == rows[:, t.EVENT].max()].astype(np.int64)
    if (last[:, t.EVENT] + t.LONG_DURATIONS[last[:, t.DURATION] - 1] != plan.length).any():
        return False
    whole = np.concatenate([before[-LOOKED_BACK:], plan.row()[None], rows])
    tonic, minor = (plan.key - 1) % 12, (plan.key - 1) // 12
    final = harmonies(whole)[-1]
    return (
        (min(final) - tonic) % 12 == 0
        and {(pitch - tonic) % 12 for pitch in final} <= set(TRIADS[minor])
        and is_prepared(whole, plan.key)
    )


def held_to_the_end(rows: Rows, plan: Plan) -> Rows:
    """The notes of a last bar with what starts last in it held to the bar line."""
    rows = rows.copy()
    if len(rows):
        final = rows[:, t.EVENT] == rows[:, t.EVENT].max()
        rows[final, t.DURATION] = t.duration_index(np.array([plan.length - int(rows[final, t.EVENT][0])]))[0]
    return rows


def written_by_rule(before: NDArray[Any], plan: Plan, n_parts: int, voicing: int = 0) -> Rows:
    """A last bar that is a cadence: the dominant, then the tonic to the bar line; basses and upper notes near those heard before.

    Parameters
    ----------
    before : ndarray, shape=(n, 10)
        Steps of the bars before.
    plan : Plan
    n_parts : int
        The last one takes the bass, the first one the rest.
    voicing : int
        0, or 1 to `VOICINGS` - 1 without some of the upper notes.
    """
    tonic, minor = (plan.key - 1) % 12, (plan.key - 1) // 12
    heard = before[before[:, t.EVENT] < t.BAR][-24:, t.PITCH].astype(np.int64) - 1
    low, high = (int(heard.min()), int(heard.max())) if len(heard) else (48, 67)
    bass = _near(min(low, 66), tonic)  # an octave and more stays above it
    top = max(_near(high, tonic), bass + 12)
    third = top - 12 + TRIADS[minor][1]
    dominant = bass - 5 if bass - 5 >= LOWEST_PITCH else bass + 7
    chords = [
        [(n_parts, dominant), (1, top - 10), (1, top - 5), (1, top - 1)],
        [(n_parts, bass), (1, third), (1, top - 5), (1, top)],
    ]
    chords = [
        [chord[0], *(note for i, note in enumerate(chord[1:]) if i not in _LEFT_OUT[voicing])] for chord in chords
    ]
    half = plan.length // 2 if plan.length % 36 else plan.length // 3
    rows = []
    for chord, start, stop in zip(chords, (0, half), (half, plan.length), strict=True):
        lowest = chord[0][1]
        for part, pitch in sorted({note for note in chord if note[1] > lowest or note == chord[0]}):
            row = np.zeros(len(t.COLUMNS), np.uint8)
            row[t.EVENT], row[t.PART], row[t.PITCH] = start, part, pitch + 1
            row[t.DURATION] = t.duration_index(np.array([stop - start]))[0]
            rows.append(row)
    return np.stack(rows)


def _near(pitch: int, pitch_class: int) -> int:
    """The note of a pitch class nearest to a pitch, on a piano."""
    found = pitch + (pitch_class - pitch + 6) % 12 - 6
    if found < LOWEST_PITCH:
        found += 12
    return found - 12 if found > HIGHEST_PITCH else found
