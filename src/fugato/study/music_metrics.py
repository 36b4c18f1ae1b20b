"""What can be measured of a piece of music without hearing it, and how far a set of pieces lies from another.

Pitch-class entropy, scale consistency, groove consistency and polyphony are computed as MusPy defines them (Dong et al., "MusPy: A
Toolkit for Symbolic Music Generation", ISMIR 2020; after Wu & Yang, ISMIR 2020, and Mogren, 2016), on `RESOLUTION` steps per quarter
note; drums count for the groove alone. Overlap area and Kullback-Leibler distance of two sets are those of mgeval (Yang & Lerch, "On the
evaluation of generative models in music", Neural Computing and Applications 32, 2020): of the distances within the real set, and
between it and the other. None of them is better when higher: what counts is to lie where real music lies.

Conventions: times in quarter notes; a figure that a piece does not have (no notes, one bar) is NaN.

Metrics: pitch_class_entropy, scale_consistency, groove_consistency, polyphony, note_density, inter_onset_histogram, self_similarity,
longest_bar_run, longest_sound_run, loops, distinct_ngrams, longest_common_run, ending, overlap_area, kl_distance; `features` and
`compare` take them together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..score import Meter, Score
from ..write.spelling import estimate_key

RESOLUTION: Final = 24  # time steps per quarter note: halves to thirty-seconds, and triplets of them
BAR_LOOP: Final = 8  # equal bars in a row; more is a loop
SOUND_LOOP: Final = 16  # times that one note or chord is struck in a row; more is a loop
LAGS: Final = (4, 8, 16)  # bars, of self-similarity
POINTS: Final = 1000  # at which densities are compared, as in mgeval
INTER_ONSETS: Final = np.array(
    [1 / 12, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 3 / 2, 2, 3, 4]
)  # quarter notes
_MAJOR: Final = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], bool)
_MINOR: Final = np.array([1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0], bool)  # natural
_TRIADS: Final = {"major": {0, 4, 7}, "minor": {0, 3, 7}}
_AUTHENTIC: Final = {7, 11, 2}  # of the bass before the last, above the tonic: dominant, leading note, supertonic
_PLAGAL: Final = 5
_CLOSE: Final = 1e-3

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


# -- as MusPy has them -------------------------------------------------------------------------------------------------


def pitch_class_entropy(score: Score) -> float:
    """Shannon entropy of the pitch classes of all notes, in bits: 0 to 3.585."""
    counts = np.bincount(score.pitched["pitch"] % 12, minlength=12)
    if not counts.sum():
        return math.nan
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def scale_consistency(score: Score) -> float:
    """The largest share of notes that lie in one major or natural minor scale."""
    counts = np.bincount(score.pitched["pitch"] % 12, minlength=12)
    if not counts.sum():
        return math.nan
    best = max(counts[np.roll(scale, root)].sum() for scale in (_MAJOR, _MINOR) for root in range(12))
    return float(best / counts.sum())


def polyphony(score: Score) -> float:
    """Pitches that sound together, on average over the time in which any does."""
    start, end = _steps(score.pitched)
    if not len(start):
        return math.nan
    rolled = np.zeros((128, int(end.max()) + 1), np.int32)
    pitch = score.pitched["pitch"]
    np.add.at(rolled, (pitch, start), 1)
    np.add.at(rolled, (pitch, end), -1)
    sounding = np.cumsum(rolled, axis=1)[:, :-1] > 0
    per_step = sounding.sum(axis=0)
    return float(per_step.sum() / max((per_step > 0).sum(), 1))


def groove_consistency(score: Score, bar_length: float | None = None) -> float:
    """One minus the mean share of time steps in which neighbouring bars differ in having an onset.

    Parameters
    ----------
    score : Score
        Bars are counted from 0 in equal lengths, as MusPy does.
    bar_length : float, optional
        Quarter notes; of the first meter where left out.
    """
    start, end = _steps(score.notes)
    steps = round((bar_length or score.meters[0].bar_length) * RESOLUTION)
    if not len(start) or int(end.max()) // steps < 1:
        return math.nan
    bars = int(end.max()) // steps + 1
    onsets = np.zeros((bars, steps), bool)
    onsets[start // steps, start % steps] = True
    return float(1 - np.count_nonzero(onsets[:-1] != onsets[1:]) / (steps * (bars - 1)))


def _steps(notes: NDArray[Any]) -> tuple[Ints, Ints]:
    """Onsets and ends in time steps; every note has at least one."""
    start = np.rint(notes["onset"] * RESOLUTION).astype(np.int64)
    end = np.rint((notes["onset"] + notes["duration"]) * RESOLUTION).astype(np.int64)
    return start, np.maximum(end, start + 1)


# -- time --------------------------------------------------------------------------------------------------------------


def note_density(score: Score) -> float:
    """Notes a quarter note, from the first onset to the last end."""
    notes = score.pitched
    if not len(notes):
        return math.nan
    return float(len(notes) / max(float((notes["onset"] + notes["duration"]).max() - notes["onset"][0]), _CLOSE))


def inter_onset_histogram(score: Score) -> Floats:
    """Shares of the times between successive different onsets, each counted at the nearest of `INTER_ONSETS`, shape=(13,)."""
    onsets = np.unique(np.rint(score.pitched["onset"] * RESOLUTION)) / RESOLUTION
    gaps = np.diff(onsets)
    if not len(gaps):
        return np.full(len(INTER_ONSETS), math.nan)
    nearest = np.abs(np.log2(gaps[:, None] / INTER_ONSETS)).argmin(axis=1)
    return np.bincount(nearest, minlength=len(INTER_ONSETS)) / len(gaps)


# -- form --------------------------------------------------------------------------------------------------------------


def bar_contents(score: Score) -> list[frozenset[tuple[int, int, int]]]:
    """For each bar what begins in it: (step in the bar, pitch, steps of duration), without parts and loudness."""
    start, end = _steps(score.pitched)
    bars = [set[tuple[int, int, int]]() for _ in score.bars]
    at = score.bar_of(score.pitched["onset"])
    first = np.rint(score.bars * RESOLUTION).astype(np.int64)
    columns = (at, start - first[at], score.pitched["pitch"], end - start)
    for bar, step, pitch, length in zip(*(c.tolist() for c in columns), strict=True):
        bars[bar].add((step, pitch, length))
    return [frozenset(b) for b in bars]


def self_similarity(score: Score, lag: int) -> float:
    """How alike a bar and the one `lag` bars later are: shared (step, pitch) pairs over all of both, mean over bars with notes."""
    bars = [frozenset((step, pitch) for step, pitch, _ in bar) for bar in bar_contents(score)]
    pairs = [(a, b) for a, b in zip(bars, bars[lag:], strict=False) if a or b]
    return float(np.mean([len(a & b) / len(a | b) for a, b in pairs])) if pairs else math.nan


def longest_bar_run(score: Score) -> int:
    """How often one bar with notes stands in a row, at most."""
    return max((sum(1 for _ in run) for bar, run in groupby(bar_contents(score)) if bar), default=0)


def longest_sound_run(score: Score) -> int:
    """How often one note or chord is struck in a row with nothing else between, at most."""
    start, _ = _steps(score.pitched)
    sounds: dict[int, set[int]] = {}
    for step, pitch in zip(start.tolist(), score.pitched["pitch"].tolist(), strict=True):
        sounds.setdefault(step, set()).add(pitch)
    return max((sum(1 for _ in run) for _, run in groupby(sounds[s] for s in sorted(sounds))), default=0)


def loops(score: Score) -> bool:
    """Whether a bar stands more than `BAR_LOOP` times in a row, or a note or chord more than `SOUND_LOOP` times."""
    return longest_bar_run(score) > BAR_LOOP or longest_sound_run(score) > SOUND_LOOP


def distinct_ngrams(score: Score, n: int = 4) -> float:
    """Share of different ones among the runs of `n` notes (steps between onsets, and pitches; in order of onset, then pitch)."""
    step, pitch = _line(score)
    runs = [(*step[i : i + n - 1], *pitch[i : i + n]) for i in range(len(pitch) - n + 1)]
    return len(set(runs)) / len(runs) if runs else math.nan


def _line(score: Score) -> tuple[list[int], list[int]]:
    """Steps between successive notes, and their pitches, in order of onset, then pitch; a unison counts once."""
    start, _ = _steps(score.pitched)
    events = np.unique(start * 128 + score.pitched["pitch"])
    return np.diff(events // 128).tolist(), (events % 128).tolist()


# -- copies ------------------------------------------------------------------------------------------------------------


def longest_common_run(score: Score, others: Sequence[Score]) -> tuple[int, int]:
    """The longest run of successive notes that stands, in any key, in another piece too.

    Parameters
    ----------
    score : Score
    others : sequence of Score

    Returns
    -------
    notes : int
        0 where not even two notes with their distance in time and pitch are shared.
    which : int
        Index of the first other piece that has such a run; -1 where there is none.
    """
    mine = _moves(score)
    theirs = [_moves(other) for other in others]
    shortest, longest = 0, len(mine)
    while shortest < longest:  # a run of n moves that is shared has shared runs of every fewer
        n = (shortest + longest + 1) // 2
        if _first_shared(mine, theirs, n) >= 0:
            shortest = n
        else:
            longest = n - 1
    return (shortest + 1, _first_shared(mine, theirs, shortest)) if shortest else (0, -1)


def _moves(score: Score) -> NDArray[np.uint64]:
    """The step in time and the interval from each note to the next, as one number."""
    step, pitch = _line(score)
    return (np.array(step, np.int64) * 256 + np.diff(np.array(pitch, np.int64)) + 128).astype(np.uint64)


def _first_shared(mine: NDArray[np.uint64], theirs: Sequence[NDArray[np.uint64]], n: int) -> int:
    """The first of the others that shares a run of `n` moves; hashes are checked by comparing the moves."""
    own: dict[int, list[int]] = {}
    for i, value in enumerate(_hashes(mine, n).tolist()):
        own.setdefault(value, []).append(i)
    for which, other in enumerate(theirs):
        found = _hashes(other, n)
        for j in np.flatnonzero(np.isin(found, np.fromiter(own, np.uint64, len(own)))).tolist():
            if any(np.array_equal(mine[i : i + n], other[j : j + n]) for i in own[int(found[j])]):
                return which
    return -1


def _hashes(moves: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """A number for every run of `n` moves; equal runs have equal numbers."""
    count = len(moves) - n + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    value = np.zeros(count, np.uint64)
    with np.errstate(over="ignore"):
        for k in range(n):
            value = value * np.uint64(0x100000001B3) + moves[k : k + count]
    return value


# -- the end -----------------------------------------------------------------------------------------------------------


class Ending(NamedTuple):
    """How a piece ends.

    Attributes
    ----------
    complete : bool
        The last notes last to the end of a bar; a pickup may be taken off the last one.
    cadence : str
        "authentic" (the bass comes from the dominant, the leading note or the supertonic), "plagal" (from the subdominant), "tonic" (the
        last harmony is the tonic, however it was reached) or "" (it is not).
    """

    complete: bool
    cadence: str

    @property
    def is_cadence(self) -> bool:
        """Ends on an authentic or plagal cadence with the last bar complete."""
        return self.complete and self.cadence in ("authentic", "plagal")


def ending(score: Score) -> Ending:
    """How a piece ends, in the key of its last signature, or the best fitting one where it has none.

    The last harmony is what sounds at its last onset; it is the tonic if its bass is, and all of it is in the tonic triad.
    """
    notes = score.pitched
    if not len(notes):
        return Ending(False, "")
    start, end = _steps(notes)
    complete = _fills_its_bar(score, float(end.max()) / RESOLUTION)
    onsets = np.unique(start)
    bass, sounds = [], []
    for at in onsets[::-1][:32].tolist():
        pitches = notes["pitch"][(start <= at) & (end > at)]
        bass.append(int(pitches.min()) % 12)
        sounds.append({int(p) % 12 for p in pitches})
    for tonic, mode in _tonics(score):
        if bass[0] == tonic and {(p - tonic) % 12 for p in sounds[0]} <= _TRIADS[mode] | (
            {4} if mode == "minor" else set()
        ):
            before = next(((b - tonic) % 12 for b in bass[1:] if b != tonic), None)
            if before in _AUTHENTIC:
                return Ending(complete, "authentic")
            return Ending(complete, "plagal" if before == _PLAGAL else "tonic")
    return Ending(complete, "")


def _tonics(score: Score) -> list[tuple[int, str]]:
    """The tonic and mode of the last key signature; both of the relative keys where the mode is not said."""
    key = score.keys[-1] if score.keys else estimate_key(score)
    major = (7 * key.sharps) % 12
    both = [(major, "major"), ((major + 9) % 12, "minor")]
    return [k for k in both if not key.mode or k[1] == key.mode]


def _fills_its_bar(score: Score, end: float) -> bool:
    bar = int(score.bar_of(end - 2 * _CLOSE))
    start = float(score.bars[bar])
    meter: Meter = next((m for m in reversed(score.meters) if m.onset <= start + _CLOSE), score.meters[0])
    left = meter.bar_length - (end - start)
    first = float(score.bars[1]) if len(score.bars) > 1 else math.inf
    pickup = first if first < score.meters[0].bar_length - _CLOSE else 0.0
    return abs(left) < 2 / RESOLUTION or (pickup > 0 and abs(left - pickup) < 2 / RESOLUTION)


# -- sets of pieces ----------------------------------------------------------------------------------------------------


FEATURES: Final[dict[str, Callable[[Score], float | Floats]]] = {
    "pitch-class entropy": pitch_class_entropy,
    "scale consistency": scale_consistency,
    "groove consistency": groove_consistency,
    "polyphony": polyphony,
    "note density": note_density,
    "inter-onset intervals": inter_onset_histogram,
}


def features(score: Score) -> dict[str, Floats]:
    """All of `FEATURES` of a piece, each as an array, shape=(1,) or (13,)."""
    return {name: np.atleast_1d(np.asarray(feature(score), np.float64)) for name, feature in FEATURES.items()}


class Distance(NamedTuple):
    """How far a set lies from the real one: the area that both densities share (1: alike), and mgeval's Kullback-Leibler distance."""

    overlap: float
    kl: float


def compare(real: Sequence[Mapping[str, Floats]], other: Sequence[Mapping[str, Floats]]) -> dict[str, Distance]:
    """Each feature of a set of pieces against that of real ones, as mgeval does.

    Parameters
    ----------
    real, other : sequence of what `features` gives
        At least three and two pieces that have the feature; else the distances are NaN.

    Returns
    -------
    dict of str to Distance
        For each feature, between the distances within the real set and those from each real piece to each other one.
    """
    found = {}
    for name in FEATURES:
        a = np.array([r[name] for r in real if np.isfinite(r[name]).all()])
        b = np.array([r[name] for r in other if np.isfinite(r[name]).all()])
        if len(a) < 3 or len(b) < 2:
            found[name] = Distance(math.nan, math.nan)
            continue
        within = np.linalg.norm(a[:, None] - a[None], axis=-1)[~np.eye(len(a), dtype=bool)]
        between = np.linalg.norm(a[:, None] - b[None], axis=-1).reshape(-1)
        found[name] = Distance(overlap_area(within, between), kl_distance(within, between))
    return found


def overlap_area(a: Floats, b: Floats) -> float:
    """The area under the lower of two densities, estimated with Gaussian kernels of Scott's width; 0 to 1."""
    low, high = float(min(a.min(), b.min())), float(max(a.max(), b.max()))
    if low == high:
        return 1.0
    x = np.linspace(low, high, POINTS)
    return float(np.trapezoid(np.minimum(density(a, x), density(b, x)), x))


def kl_distance(a: Floats, b: Floats) -> float:
    """mgeval's Kullback-Leibler distance: each density at `POINTS` places over its own range, scaled to add up to 1."""
    p = density(a, np.linspace(a.min(), a.max(), POINTS))
    q = density(b, np.linspace(b.min(), b.max(), POINTS))
    p, q = p / p.sum(), q / q.sum()
    used = p > 0
    with np.errstate(divide="ignore"):
        return float((p[used] * np.log(p[used] / q[used])).sum())


def density(values: Floats, at: Floats) -> Floats:
    """Gaussian kernel density of some values at some places; values that are all equal get a narrow one."""
    return kernels(values, at, kernel_width(values, at))


def kernel_width(values: Floats, at: Floats) -> float:
    """Scott's width for some values, not far below the step between the places at which the density is wanted."""
    width = float(values.std(ddof=1)) * len(values) ** -0.2 if len(values) > 1 else 0.0
    return max(width, 1e-3 * max(float(np.ptp(at)), 1e-9))


def kernels(values: Floats, at: Floats, width: float) -> Floats:
    """The mean of Gaussian kernels of a width around some values."""
    total = np.zeros(len(at))
    for block in np.array_split(values, max(len(values) // 2000, 1)):
        total += np.exp(-0.5 * ((at[:, None] - block) / width) ** 2).sum(axis=1)
    mean: Floats = total / (len(values) * width * math.sqrt(2 * math.pi))
    return mean
