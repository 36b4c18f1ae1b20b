"""A piece as a person might play it: loudness and time by rules of performance, for the ear alone.

The rules and their directions are those of the KTH system (Friberg, Bresin and Sundberg, "Overview of the KTH rule system for musical
performance", Advances in Cognitive Psychology 2, 2006): phrase arch, high loud, metrical accents, duration contrast, final ritard, and
noise of the hand; the melody leads its chord (Goebl, "Melody lead in piano performance", JASA 110, 2001). The final ritard is that of
Friberg and Sundberg (JASA 105, 1999): the tempo falls as a runner's speed. Phrases end at the widest local gap of the upper voice
(Cambouropoulos, "The local boundary detection model", ICMC 2001) within three to eight bars. Tests against performances:
``benchmarks/humanise.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.score import Score, Tempo, seconds_at

LEAST_PHRASE, MOST_PHRASE = 3, 8  # bars
ARCH_TEMPO: Final = 0.08  # share by which a phrase begins and ends slower than its middle, halved: about its mean
ARCH_VELOCITY: Final = 10.0
HIGH_VELOCITY: Final = 4.0  # an octave above the middle of the piece
MELODY_VELOCITY: Final = 8.0  # upper voice over the inner ones
ACCENTS: Final = (5.0, 2.0, -2.0)  # first beat of a bar, other beats, between beats
LONG_VELOCITY: Final = 3.0  # of a note twice as long as usual
LEAD: Final = 0.020  # seconds by which the upper voice comes before its chord
HAND: Final = (0.006, 2.5)  # standard deviations of a hand: seconds, velocity
RITARD_BEATS: Final = 4.0  # quarter notes before the last onset
RITARD_END: Final = 0.6  # tempo at the last onset, of that before
RITARD_POWER: Final = 3.0  # q of Friberg and Sundberg: 2 is constant braking force, 3 constant braking power


def humanise(score: Score, amount: float = 1.0, random_seed: int = 0) -> Score:
    """Play a written piece with phrasing, accents and small inequalities.

    Parameters
    ----------
    score : Score
        With beats; its pitches and its written lengths stay.
    amount : float
        Of everything; 1 as the sources have it, 0 changes nothing, up to 3.
    random_seed : int
        Of the noise of the hand.

    Returns
    -------
    Score
        Velocities, a tempo for each beat, and onsets a few hundredths of a second beside the grid. For MIDI and sound; notation is
        written from the piece as it was.

    Raises
    ------
    FugatoError
        ``bad-option`` for an amount outside 0 to 3, ``empty`` without notes, ``unsupported`` where there is no beat: a performance
        has been played already.
    """
    if not 0 <= amount <= 3:
        raise FugatoError("bad-option", f"humanise is {amount:g}; it must lie between 0 and 3.")
    if not len(score):
        raise FugatoError("empty", "There are no notes in it to play.")
    if score.beats == "default":
        raise FugatoError("unsupported", "This is a performance without beats; it has its own time already.")
    if amount == 0:
        return score
    rng = np.random.default_rng(random_seed)
    phrases = phrase_starts(score)
    notes = score.notes.copy()
    loudness = velocity_rules(score, phrases) + rng.normal(0.0, HAND[1], len(notes))
    notes["velocity"] = np.clip(np.rint(notes["velocity"] + amount * loudness), 8, 127)
    tempos = _tempos(score, phrases, amount)
    early = np.where(_upper(score), LEAD, 0.0) * _in_chord(score) + rng.normal(0.0, HAND[0], len(notes))
    rate = np.array([t.qpm for t in tempos])[_segment(tempos, notes["onset"])] / 60.0  # quarter notes a second
    moved = np.maximum(notes["onset"] - amount * early * rate, 0.0)
    ends = notes["onset"] + notes["duration"]
    notes["onset"] = np.minimum(moved, ends - 0.25 * notes["duration"])  # nothing is lost by it
    notes["duration"] = ends - notes["onset"]
    notes["onset_seconds"] = seconds_at(tempos, notes["onset"].copy())
    notes["duration_seconds"] = seconds_at(tempos, ends) - notes["onset_seconds"]
    notes = notes[np.lexsort((notes["pitch"], notes["onset"]))]
    notes.flags.writeable = False
    return replace(score, notes=notes, tempos=tuple(tempos))


def phrase_starts(score: Score) -> NDArray[np.float64]:
    """Where phrases begin, by the bar, in quarter notes, shape=(n_phrases,); the first is that of the piece."""
    bars = score.bars
    melody = score.notes[_upper(score)]
    onsets, ends = melody["onset"], melody["onset"] + melody["duration"]
    starts = [0]
    while len(bars) - starts[-1] > MOST_PHRASE:
        choices = range(starts[-1] + LEAST_PHRASE, min(starts[-1] + MOST_PHRASE, len(bars) - LEAST_PHRASE) + 1)
        if not len(choices):
            break
        starts.append(
            max(choices, key=lambda bar: (_boundary(onsets, ends, float(bars[bar])), -abs(bar - starts[-1] - 4)))
        )
    return np.asarray(bars[starts], np.float64)


def velocity_rules(score: Score, phrases: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the rules add to each note's velocity at amount 1, without noise, shape=(n_notes,), of mean near 0."""
    notes = score.notes
    pitch = notes["pitch"].astype(np.float64)
    upper = _upper(score)
    high = np.clip((pitch - np.median(pitch)) / 12.0, -2, 2) * HIGH_VELOCITY
    voice = np.where(upper, MELODY_VELOCITY, 0.0)
    in_bar = notes["onset"] - score.bars[score.bar_of(notes["onset"])]
    on_beat = np.abs(in_bar - np.rint(in_bar)) < 0.02
    accent = np.where(in_bar < 0.02, ACCENTS[0], np.where(on_beat, ACCENTS[1], ACCENTS[2]))
    usual = max(float(np.median(notes["duration"])), 1e-3)
    long = LONG_VELOCITY * np.clip(np.log2(np.maximum(notes["duration"], 1e-3) / usual), -1, 2)
    total = high + voice + accent + long + ARCH_VELOCITY * _arch(score, phrases, notes["onset"])
    total[notes["drum"]] = accent[notes["drum"]]
    return np.asarray(total - total.mean())


def tempo_rules(score: Score, phrases: NDArray[np.float64], onsets: NDArray[Any]) -> NDArray[np.float64]:
    """Tempo at points of the piece (quarter notes), as a factor of the written one, shape=(n,)."""
    factor = 1.0 + ARCH_TEMPO * _arch(score, phrases, onsets)
    last = float(score.notes["onset"].max())
    begin = max(last - RITARD_BEATS, 0.0)
    if last > begin:
        x = np.clip((np.asarray(onsets, np.float64) - begin) / (last - begin), 0.0, 1.0)
        factor = factor * (1.0 + (RITARD_END**RITARD_POWER - 1.0) * x) ** (1.0 / RITARD_POWER)
    return np.asarray(factor)


def _tempos(score: Score, phrases: NDArray[np.float64], amount: float) -> list[Tempo]:
    """The written tempos, bent at every beat."""
    beats = np.arange(0.0, max(score.end, 1.0), 1.0)
    points = np.unique(np.concatenate([beats, [max(t.onset, 0.0) for t in score.tempos]]))
    written = np.array([t.qpm for t in score.tempos])[_segment(score.tempos, points)]
    bent = written * tempo_rules(score, phrases, points) ** amount
    return [Tempo(float(onset), float(qpm)) for onset, qpm in zip(points, bent, strict=True)]


def _segment(tempos: Any, onsets: NDArray[Any]) -> NDArray[np.int64]:
    starts = np.array([t.onset for t in tempos])
    return np.clip(np.searchsorted(starts, onsets + 1e-9, side="right") - 1, 0, None)


def _arch(score: Score, phrases: NDArray[np.float64], onsets: NDArray[Any]) -> NDArray[np.float64]:
    """A parabola over each phrase: 0.5 in its middle, -0.5 at its ends."""
    stops = np.append(phrases[1:], max(score.end, float(phrases[-1]) + 1.0))
    which = np.clip(np.searchsorted(phrases, np.asarray(onsets) + 1e-6, side="right") - 1, 0, None)
    x = (onsets - phrases[which]) / (stops[which] - phrases[which])
    return np.asarray(4.0 * x * (1.0 - x) - 0.5)


def _boundary(onsets: NDArray[np.float64], ends: NDArray[np.float64], at: float) -> float:
    """How much wider the step over a bar line is than its neighbours, in the upper voice; a rest counts as the step it makes."""
    i = int(np.searchsorted(onsets, at - 1e-6))
    if not 2 <= i < len(onsets) - 1:
        return 0.0
    steps = np.diff(onsets[i - 2 : i + 2])
    rest = max(float(onsets[i] - ends[i - 1]), 0.0)
    around = float(steps[0] + steps[2])
    return float((steps[1] - 0.5 * around) / max(steps[1] + 0.5 * around, 1e-6) + rest)


def _upper(score: Score) -> NDArray[np.bool_]:
    """The highest pitched note of each onset."""
    notes = score.notes
    upper = np.zeros(len(notes), bool)
    pitched = np.flatnonzero(~notes["drum"])
    order = pitched[np.lexsort((notes["pitch"][pitched], notes["onset"][pitched]))]
    onsets = notes["onset"][order]
    upper[order[np.append(onsets[1:] > onsets[:-1] + 1e-6, True)]] = len(order) > 0
    return upper


def _in_chord(score: Score) -> NDArray[np.float64]:
    """1 for notes that begin with another, 0 for those alone."""
    _, where, count = np.unique(np.round(score.notes["onset"], 4), return_inverse=True, return_counts=True)
    return (count[where] > 1).astype(np.float64)
