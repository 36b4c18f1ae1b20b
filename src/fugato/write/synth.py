"""The synthesiser that comes with the package: a Score as samples, in NumPy alone, that sounds like a plain piano.

Every note is a tone of its family (see `tones`), cut to its length, faded out as a damper would and added where it starts. Tones
are made once for each pitch, shade and length class, so that an hour of piano music takes seconds. Time in the sound is time in the
Score, leading rests included.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import FugatoError
from ..score import Score
from .tones import FAMILIES, LAYERS, Family, drum, family_of, release_of, tone

RATE: Final = 22_050  # samples a second
PEAK: Final = 0.95  # of the loudest sample when normalised
LEVEL: Final = 0.2  # of a tone at full velocity when not
DYNAMICS: Final = 1.7  # loudness is velocity to this power: 40 dB from velocity 8 to 127
DRUM_LEVEL: Final = 0.8
SHORTEST: Final = 0.04  # seconds: what is written shorter still sounds so long
LONGEST: Final = 16.0  # seconds after which a struck or plucked tone is let go
LONGEST_HELD: Final = 64.0  # and a bowed or blown one
MAX_SECONDS: Final = 2 * 3600  # 635 MB of samples
_CLASSES: Final = 0.25 * 2.0 ** np.arange(9)  # seconds of the tones that are made
_FAMILY_OF: Final = np.array([FAMILIES.index(family_of(program)) for program in range(128)])
_PERCUSSION: Final = -1  # in place of an index of FAMILIES


def synthesise(score: Score, rate: int = RATE, *, normalise: bool = True) -> NDArray[np.float32]:
    """Play a Score.

    Parameters
    ----------
    score : Score
        Its velocities and programs are heard; programs are played by one of five families: piano, plucked, organ, strings
        and winds. Notes too high for the rate are silent.
    rate : int
        Samples a second, 4,000 to 192,000.
    normalise : bool
        True scales the loudest sample to 0.95. False keeps the same level for the same note in every piece (a single note
        stays under half of full scale), and scales down only what would go over 0.95.

    Returns
    -------
    ndarray of float32, shape=(n_samples,)
        One channel within -0.95 to 0.95, from the start of the piece to the end of the last note's ring. The same Score gives
        the same samples.

    Raises
    ------
    FugatoError
        ``empty`` for a Score without notes, ``too-large`` for one of more than two hours, ``bad-option`` for a rate out of
        range.

    Examples
    --------
    >>> from fugato.score import Score
    >>> from fugato.write.synth import synthesise
    >>> samples = synthesise(Score.from_notes([0, 1], [1, 1], [60, 67]))
    >>> samples.dtype, round(len(samples) / 22050, 2), round(float(abs(samples).max()), 2)
    (dtype('float32'), 1.12, 0.95)
    """
    if not 4_000 <= rate <= 192_000:
        raise FugatoError("bad-option", f"{rate} samples a second; sound is made with 4,000 to 192,000.")
    notes = score.notes
    if not len(notes):
        raise FugatoError("empty", "There are no notes in it to play.")
    if score.seconds > MAX_SECONDS:
        raise FugatoError(
            "too-large",
            f"It lasts {score.seconds / 3600:.1f} hours; up to {MAX_SECONDS // 3600} are played. Cut it in parts.",
        )
    start = np.maximum(np.rint(notes["onset_seconds"] * rate).astype(np.int64), 0)
    length = np.maximum(notes["duration_seconds"], SHORTEST)
    gain = (LEVEL * (notes["velocity"] / 127.0) ** DYNAMICS).astype(np.float32)
    layer = np.minimum(notes["velocity"].astype(np.int64) * LAYERS // 128, LAYERS - 1)
    programs = np.array([part.program for part in score.parts] or [0])
    program = programs[np.minimum(notes["part"], len(programs) - 1)]
    family = np.where(notes["drum"], _PERCUSSION, _FAMILY_OF[np.clip(program, 0, 127)])
    pitch = notes["pitch"].astype(np.int64)

    out = np.zeros(round((score.seconds + 4.0) * rate) + 1, np.float32)
    end = 0
    for (number, key), chosen in _groups(family, pitch):
        if number == _PERCUSSION:
            sound = drum(key, rate)
            for at, loud in zip(start[chosen].tolist(), gain[chosen], strict=True):
                out[at : at + len(sound)] += (DRUM_LEVEL * loud) * sound
                end = max(end, at + len(sound))
        else:
            voice = FAMILIES[number]
            end = max(end, _play(out, voice, key, start[chosen], length[chosen], gain[chosen], layer[chosen], rate))
    return _levelled(out[:end], normalise)


def _groups(*columns: NDArray[Any]) -> list[tuple[tuple[int, ...], NDArray[np.int64]]]:
    """Rows that are alike in all columns: what they have in common, and their indices in ascending order."""
    order = np.lexsort(columns[::-1])
    table = np.stack([c[order] for c in columns])
    edges = np.flatnonzero((np.diff(table, axis=1) != 0).any(axis=0)) + 1
    first = np.concatenate(([0], edges))
    return [(tuple(row), rows) for row, rows in zip(table[:, first].T.tolist(), np.split(order, edges), strict=True)]


def _play(
    out: NDArray[np.float32],
    voice: Family,
    pitch: int,
    start: NDArray[np.int64],
    length: NDArray[np.float64],
    gain: NDArray[np.float32],
    layer: NDArray[np.int64],
    rate: int,
) -> int:
    """Add all notes of one family and pitch to `out`; returns where the last of them ends."""
    release = release_of(voice, pitch)
    fading = math.ceil(release * rate)
    fade = ((0.5 + 0.5 * np.cos(np.pi * np.arange(1, fading + 1) / fading)) ** 2).astype(np.float32)
    longest = math.floor((LONGEST_HELD if voice.sustained else LONGEST) * rate) - fading
    held = np.minimum(np.rint(length * rate).astype(np.int64), longest)
    size = np.searchsorted(_CLASSES * rate, held + fading)
    end = 0
    for (shade, kind), rows in _groups(layer, size):
        sound = tone(voice, pitch, shade, float(_CLASSES[kind]), rate)
        for at, last, loud in zip(start[rows].tolist(), held[rows].tolist(), gain[rows], strict=True):
            out[at : at + last] += loud * sound[:last]
            out[at + last : at + last + fading] += loud * fade * sound[last : last + fading]
            end = max(end, at + last + fading)
    return end


def _levelled(samples: NDArray[np.float32], normalise: bool) -> NDArray[np.float32]:
    """Scaled so that the peak is `PEAK`, or only where it would be higher."""
    peak = max(float(samples.max()), -float(samples.min()))
    if peak > PEAK or (normalise and peak > 0):
        samples *= np.float32(PEAK / peak)
        np.clip(samples, -PEAK, PEAK, out=samples)
    return samples
