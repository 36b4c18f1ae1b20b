"""Augment: chunks transposed, lengthened and moved a little, and classes filled up with them.

The augmentation of the published four-composer study (2025): transposition by 1 to 3 semitones up or down, durations times 0.9 to
1.1, starts moved by up to 0.1 s. It does not say whether that is drawn for each note or each chunk; here one draw holds for a whole
chunk, so that rhythm and harmony stay what they were. For training data only: a held-out chunk is never changed.

Where notes follow each other without a gap, longer durations make each overlap the next: the chord density of a single line jumps
from 0 towards 1. That is in the published definition, and `chunks.summarise` reports it as it is; ``stretch=(0.9, 1.0)`` avoids it.

All functions are pure: the same input and seed give the same output.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.represent.chunks import CHUNK_FEATURES, NOTE_FEATURES, summarise

SEMITONES: Final = 3  # at most, up or down; never 0
STRETCH: Final = (0.9, 1.1)  # factors of the durations
SHIFT: Final = 0.1  # seconds at most, earlier or later
LOWEST, HIGHEST = 0, 127  # MIDI note numbers that a transposed chunk must stay within

_PITCH, _DURATION, _DELTA, _START, _END = (
    NOTE_FEATURES.index(name) for name in ("pitch", "duration", "delta_time", "start", "end")
)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def augment(
    notes: Floats,
    summary: Floats,
    *,
    random_seed: int = 0,
    semitones: int = SEMITONES,
    stretch: tuple[float, float] = STRETCH,
    shift: float = SHIFT,
    lowest: int = LOWEST,
    highest: int = HIGHEST,
) -> tuple[Floats, Floats]:
    """A changed copy of every chunk.

    Parameters
    ----------
    notes : ndarray of float32, shape=(n_chunks, size, 9)
        `chunks.NOTE_FEATURES`.
    summary : ndarray of float32, shape=(n_chunks, 7)
        `chunks.CHUNK_FEATURES`; all but the tempo are computed anew.
    random_seed : int
    semitones : int
        Each chunk moves by a whole number from 1 to `semitones`, up or down, as far as `lowest` and `highest` (MIDI note
        numbers, both included) allow; where neither way is open it keeps its pitch. 0: no transposition.
    stretch : (least, most)
        Each chunk's durations are multiplied by one factor in between. Starts stay.
    shift : float
        Each chunk's starts move by one value of up to so many seconds; none moves before 0.

    Returns
    -------
    notes, summary : float32, shapes as given
    """
    if semitones < 0 or shift < 0 or not 0 < stretch[0] <= stretch[1]:
        raise FugatoError(
            "bad-option",
            f"Augmentation by {semitones} semitones, durations x {stretch[0]:g} to {stretch[1]:g} and {shift:g} s: "
            "semitones and seconds are 0 or more, and the factors above 0, the smaller one first.",
        )
    rng = np.random.default_rng(random_seed)
    out = notes.astype(np.float32, copy=True)
    n = len(out)
    if not n:
        return out, summary.astype(np.float32, copy=True)
    moved = out[:, :, _PITCH] + _steps(out[:, :, _PITCH], rng, semitones, lowest, highest)[:, None]
    out[:, :, _PITCH] = moved
    out[:, :, _DURATION] *= rng.uniform(*stretch, n).astype(np.float32)[:, None]
    earliest = -out[:, :, _START].min(axis=1)
    out[:, :, _START] += np.maximum(rng.uniform(-shift, shift, n), earliest).astype(np.float32)[:, None]
    out[:, :, _END] = out[:, :, _START] + out[:, :, _DURATION]
    tempo = summary[:, CHUNK_FEATURES.index("tempo")]
    return out, summarise(out[:, :, _PITCH], out[:, :, _DURATION], out[:, :, _DELTA], tempo)


def balance(
    notes: Floats,
    summary: Floats,
    labels: NDArray[Any],
    *,
    random_seed: int = 0,
    at_most: int | None = None,
    **options: Any,
) -> tuple[Floats, Floats, NDArray[Any], Ints]:
    """All chunks, and behind them changed copies of those of the smaller classes, until every class has as many.

    Parameters
    ----------
    notes, summary : ndarrays
        As for `augment`.
    labels : ndarray, shape=(n_chunks,)
    random_seed : int
    at_most : int, optional
        Chunks up to which a class is filled. Default: those of the largest class. Classes with more stay as they are.
    options
        Of `augment`.

    Returns
    -------
    notes, summary, labels : ndarrays, shape=(n_chunks + n_added, ...)
    source : ndarray of int64, shape=(n_chunks + n_added,)
        The chunk that each is, or was made from; the first n_chunks are 0, 1, 2, and so on. Groups follow from it.
    """
    labels = np.asarray(labels)
    rng = np.random.default_rng(random_seed)
    classes, counts = np.unique(labels, return_counts=True)
    goal = int(counts.max()) if at_most is None and len(counts) else (at_most or 0)
    added = [_drawn(np.flatnonzero(labels == c), goal - k, rng) for c, k in zip(classes, counts.tolist(), strict=True)]
    extra = np.concatenate(added) if added else np.zeros(0, np.int64)
    more_notes, more_summary = augment(notes[extra], summary[extra], random_seed=int(rng.integers(2**31)), **options)
    source = np.concatenate((np.arange(len(labels)), extra))
    return np.concatenate((notes, more_notes)), np.concatenate((summary, more_summary)), labels[source], source


def _steps(pitch: Floats, rng: np.random.Generator, semitones: int, lowest: int, highest: int) -> Floats:
    """A transposition for each chunk, shape=(n_chunks,): one of those that keep all its pitches in range."""
    steps = np.array([s for s in range(-semitones, semitones + 1) if s], np.float32)
    if not len(steps):
        return np.zeros(len(pitch), np.float32)
    low, high = pitch.min(axis=1)[:, None], pitch.max(axis=1)[:, None]
    open_ = (low + steps >= lowest) & (high + steps <= highest)
    chance = np.where(open_, rng.random(open_.shape), -1.0)
    chosen = steps[chance.argmax(axis=1)]
    return np.where(open_.any(axis=1), chosen, 0).astype(np.float32)


def _drawn(members: Ints, count: int, rng: np.random.Generator) -> Ints:
    """`count` of the members, each as often as any other or once more."""
    if count <= 0:
        return members[:0]
    whole, rest = divmod(count, len(members))
    return np.concatenate((np.tile(members, whole), rng.permutation(members)[:rest]))
