"""Names for pitches: whether a key of the piano is a G sharp or an A flat, and which key signature fits a piece that has none.

The letter of each note is found by ps13s1, the first stage of Meredith's ps13 ("The ps13 Pitch Spelling Algorithm", Journal of New
Music Research 35(2), 2006): for each of the twelve tonics, the letter that the note has in that tonic's chromatic harmonic scale; the
tonics vote with the number of their notes among the ten before and the 42 from the note on. This settles the names up to a shift by a
diminished second (C sharp major or D flat major), which the key signature decides: the notes of each signature are shifted together
along the line of fifths to lie as near to it as they can.

A name is a place on the line of fifths: ... -1 = F, 0 = C, 1 = G, 2 = D ..., flats to the left, sharps to the right.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..score import Key, Score

BEFORE: Final = 10  # notes of context; the values for which Meredith measured 99.4 %
AFTER: Final = 42
PRIOR: Final = 2.0  # notes that each note of the key signature counts for beside those around
LETTERS: Final = "CDEFGAB"
SEMITONES: Final = (0, 2, 4, 5, 7, 9, 11)  # of the letters, above C
FURTHEST: Final = 2  # sharps or flats before one note
CENTRE: Final = (
    2  # fifths from the tonic of a major key to the middle of its twelve usual notes (E flat to G sharp in C)
)
_FIRST: Final = np.array([0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6])  # letter steps of 0..11 semitones above a tonic
_START: Final = np.array([0, 0, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6])  # letter of the first note: C C# D Eb E F F# G G# A Bb B
_FIFTH_OF_LETTER: Final = np.array([0, 2, 4, -1, 1, 3, 5])  # of C D E F G A B
# Krumhansl & Kessler's key profiles (Psychological Review 89, 1982), from the tonic up.
_MAJOR: Final = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR: Final = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
_SHARPS: Final = np.array([0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5])  # of the major keys on C, D flat, D, ...


class Name(NamedTuple):
    """A written pitch: its letter, sharps (flats negative), and octave (middle C is the first of octave 4)."""

    letter: str
    alter: int
    octave: int

    @property
    def pitch(self) -> int:
        """MIDI note number."""
        return 12 * (self.octave + 1) + SEMITONES[LETTERS.index(self.letter)] + self.alter


def spell(score: Score) -> list[Name]:
    """The name of each note of a Score, in the order of its notes; percussion gets some name too.

    Parameters
    ----------
    score : Score
        Its key signatures are followed; without any, `estimate_key` gives one.

    Returns
    -------
    list of Name
        At most two sharps or flats; ``name.pitch`` is the note's pitch.
    """
    pitch = score.notes["pitch"].astype(np.int64)
    if not len(pitch):
        return []
    keys = list(score.keys) or [estimate_key(score)]
    at = np.searchsorted([k.onset - 1e-6 for k in keys[1:]], score.notes["onset"], side="right")
    scales = np.array([_scale(k) for k in keys])  # (n_keys, 12)
    fifths = line_of_fifths(pitch, PRIOR * scales[at])
    starts = [-np.inf, *(k.onset - 1e-6 for k in keys[1:]), np.inf]
    for key, (start, stop) in zip(keys, pairwise(starts), strict=True):
        inside = (score.notes["onset"] >= start) & (score.notes["onset"] < stop) & ~score.notes["drum"]
        if inside.any():
            away = float(fifths[inside].mean()) - (key.sharps + CENTRE)
            fifths[inside] -= 12 * round(away / 12)
    return [name_of(p, f) for p, f in zip(pitch.tolist(), fifths.tolist(), strict=True)]


def line_of_fifths(pitch: NDArray[np.int64], more: NDArray[np.float64] | float = 0.0) -> NDArray[np.int64]:
    """Places on the line of fifths of notes in the order of a piece, by ps13s1; right up to a common shift by twelve.

    Parameters
    ----------
    pitch : ndarray of int, shape=(n,)
        MIDI note numbers, in order of onset, then pitch.
    more : ndarray, shape=(n, 12), optional
        Votes of tonics beside those of the notes around.

    Returns
    -------
    ndarray of int, shape=(n,)
    """
    chroma = pitch % 12
    n = len(chroma)
    counts = np.zeros((n + 1, 12), np.int64)
    np.cumsum(np.eye(12, dtype=np.int64)[chroma], axis=0, out=counts[1:])
    index = np.arange(n)
    context = counts[np.minimum(index + AFTER, n)] - counts[np.maximum(index - BEFORE, 0)]  # (n, 12 tonics)
    weight = context + np.broadcast_to(more, context.shape)
    tonics = np.arange(12)
    tonic_letter = (_START[chroma[0]] - _FIRST[(chroma[0] - tonics) % 12]) % 7
    letters = (_FIRST[(chroma[:, None] - tonics) % 12] + tonic_letter) % 7  # (n, 12): for each tonic
    votes = np.zeros((n, 7))
    for tonic in range(12):
        np.add.at(votes, (index, letters[:, tonic]), weight[:, tonic])
    letter = votes.argmax(axis=1)
    semitones = np.array(SEMITONES)[letter]
    alter = (chroma - semitones + 6) % 12 - 6
    fifths: NDArray[np.int64] = _FIFTH_OF_LETTER[letter] + 7 * alter
    return fifths


def _scale(key: Key) -> NDArray[np.float64]:
    """One for each note of a key signature, shape=(12,)."""
    scale = np.zeros(12)
    scale[(7 * (np.arange(-1, 6) + key.sharps)) % 12] = 1.0
    return scale


def name_of(pitch: int, fifth: int) -> Name:
    """The name of a MIDI pitch at a place on the line of fifths, moved by twelve fifths where that needs too many signs."""
    while (alter := (fifth + 1) // 7) > FURTHEST:
        fifth -= 12
    while (alter := (fifth + 1) // 7) < -FURTHEST:
        fifth += 12
    letter = "FCGDAEB"[(fifth + 1) % 7]
    octave = (pitch - alter - SEMITONES[LETTERS.index(letter)]) // 12 - 1
    return Name(letter, alter, octave)


def estimate_key(score: Score) -> Key:
    """The key signature that a piece would have: the best of 24 keys by Krumhansl's correlation of durations with key profiles.

    Returns
    -------
    Key
        From onset 0; C major for a piece without pitched notes.
    """
    notes = score.pitched
    if not len(notes):
        return Key(0.0, 0, "major")
    weight = np.bincount(notes["pitch"] % 12, weights=np.minimum(notes["duration"], 4.0), minlength=12)
    best, found = -np.inf, Key(0.0, 0, "major")
    for mode, profile in (("major", _MAJOR), ("minor", _MINOR)):
        for tonic in range(12):
            fit = _correlation(weight.astype(np.float64), np.roll(profile, tonic))
            if fit > best:
                sharps = int(_SHARPS[tonic if mode == "major" else (tonic + 3) % 12])
                best, found = fit, Key(0.0, sharps, mode)
    return found


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def altered_letters(sharps: int) -> dict[str, int]:
    """Sharps (flats negative) of each letter under a key signature."""
    order = "FCGDAEB" if sharps > 0 else "BEADGCF"
    return dict.fromkeys(order[: abs(sharps)], 1 if sharps > 0 else -1)


def accidental_of(alter: int) -> str:
    """MusicXML's word for the sign of -2..2."""
    return _SIGNS[alter]


_SIGNS: Final[dict[int, str]] = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
