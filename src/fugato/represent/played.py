"""A score as somebody might have played it: training copies that teach a model to hear through the timing.

A model that learns from notated files alone takes the looseness of a performance for a trait of whichever composer has the most
recordings. Copies with wandering tempo, uneven chords and pedalled or detached notes leave it only the music to go by. The sizes
follow what is known of piano performance: local tempo moves by tens of per cent over some beats (Repp, "Diversity and commonality in music
performance", JASA 92, 1992), notes of a chord spread by 10 to 50 ms (Goebl, "Melody lead in piano performance", JASA 110, 2001).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fugato.score import Score

QUARTER_SECONDS: Final = (0.35, 0.8)  # of the whole piece, drawn evenly: 171 down to 75 quarters a minute
KNOT_QUARTERS: Final = (1.5, 4.0)  # distance of the points between which the tempo glides
DRIFT: Final = 0.08  # of the natural log of the local tempo, standard deviation from point to point
WOBBLE: Final = 0.06  # the same at each point by itself
FURTHEST: Final = 0.35  # that it drifts from the mean
JITTER_SECONDS: Final = 0.012  # standard deviation of each onset
ARTICULATION: Final = (0.5, 1.0)  # share of its written length for which a note is held, before its own deviation
PEDALLED: Final = 0.7  # share of pieces whose notes ring on
RING_SECONDS: Final = (0.05, 0.5)  # mean of that, drawn once a piece
SHORTEST_SECONDS: Final = 0.03
QUARTERS_A_SECOND: Final = 2.0  # as a file without a beat is read: at 120 to the minute


def played(score: Score, rng: np.random.Generator) -> Score:
    """A copy of a score with the onsets and lengths of a performance.

    Parameters
    ----------
    score : Score
        With notated beats.
    rng : numpy.random.Generator

    Returns
    -------
    Score
        The same pitches; its quarter notes only count time at 120 to the minute, and its bars are not those of the music.
    """
    notes = score.notes.copy()
    begin = notes["onset"].astype(np.float64)
    end = begin + notes["duration"]
    seconds = _tempo_curve(float(end.max(initial=1.0)), rng)
    begin, end = np.interp(begin, *seconds), np.interp(end, *seconds)
    held = (end - begin) * np.exp(rng.normal(np.log(rng.uniform(*ARTICULATION)), 0.3, len(notes)))
    if rng.random() < PEDALLED:
        held += rng.exponential(rng.uniform(*RING_SECONDS), len(notes))
    begin = np.maximum(begin + rng.normal(0.0, JITTER_SECONDS, len(notes)), 0.0)
    held = np.maximum(held, SHORTEST_SECONDS)
    notes["onset_seconds"], notes["duration_seconds"] = begin, held
    notes["onset"], notes["duration"] = begin * QUARTERS_A_SECOND, held * QUARTERS_A_SECOND
    notes = notes[np.lexsort((notes["pitch"], notes["onset"]))]
    notes.flags.writeable = False
    return replace(score, notes=notes, beats="default")


def _tempo_curve(quarters: float, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of score time (quarter notes) and when they are played (seconds), each of shape=(n_points,)."""
    spacing = rng.uniform(*KNOT_QUARTERS)
    at = np.arange(0.0, quarters + 2 * spacing, spacing)
    drift = np.cumsum(rng.normal(0.0, DRIFT, len(at)))
    drift -= np.linspace(0.0, drift[-1], len(at))  # it comes back: pieces neither race nor die away
    pace = np.clip(drift, -FURTHEST, FURTHEST) + rng.normal(0.0, WOBBLE, len(at))
    steps = spacing * np.exp((pace[:-1] + pace[1:]) / 2) * rng.uniform(*QUARTER_SECONDS)
    return at, np.concatenate([[0.0], np.cumsum(steps)])
