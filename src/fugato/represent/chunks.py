"""Chunks: runs of 200 notes of one instrument with statistics of each run, the input of the `lstm` recipes.

After a study of four composers (2025) that used pretty_midi: drums are left out, the notes of an instrument are sorted by start
and cut into runs that do not overlap, the rest of fewer than 200 notes is dropped, and so are instruments with fewer. Times are in
seconds, pitches MIDI note numbers, tempos quarter notes per minute.

Where the study leaves a choice: an instrument is a `Part`, one channel of one track; notes that start together stand from low to
high; delta time and interval are 0 for the first note of a chunk; the average interval is over the 199 steps between its notes.
"""

from __future__ import annotations

import io
import math
from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.score import Score

SIZE: Final = 200  # notes of a chunk
LEAST_SIZE: Final = 2  # a single note has no interval
ACCENT: Final = 80  # velocities above it count as accented
OVERLAP: Final = 1e-4  # seconds by which a note must start before the last one ends; less is rounding
NOTE_FEATURES: Final = (
    "pitch",
    "duration",
    "velocity",
    "delta_time",  # from the start of the note before in the chunk
    "interval",  # semitones from the note before in the chunk
    "program",  # General MIDI, 0..127
    "accented",
    "start",
    "end",
)
CHUNK_FEATURES: Final = (
    "tempo",  # of the whole piece, as pretty_midi estimates it
    "pitch_range",
    "note_density",  # notes a second, from the first start to the end of the last note
    "repetition_rate",  # notes that repeat the pitch before, as a share of all
    "average_interval",  # signed
    "rhythmic_variety",  # standard deviation of the durations
    "chord_density",  # notes that start before the one before has ended, as a share of all
)
FEATURES: Final = NOTE_FEATURES + CHUNK_FEATURES
SKIPPED: Final = {"drums": "unpitched percussion", "too-short": "fewer notes than one chunk has"}

DEFAULT_TEMPO: Final = 120.0  # where there are too few notes to estimate one
_SHORTEST_STEP, _LONGEST_STEP = (
    0.05,
    2.0,
)  # seconds between onsets that tell of the tempo (Handel 1989, after pretty_midi)
_LEAST_BEAT = 0.2  # seconds: 300 beats a minute
_SAME_BEAT = 0.025  # seconds within which steps form a cluster

Floats = NDArray[np.float32]


class Skipped(NamedTuple):
    """A part that gave no chunk: its index in the score, its notes, and a key of `SKIPPED`."""

    part: int
    notes: int
    reason: str


@dataclass(frozen=True, eq=False)
class Chunks:
    """The chunks of a piece, part by part, each part in order of time.

    Attributes
    ----------
    notes : ndarray of float32, shape=(n_chunks, size, 9)
        `NOTE_FEATURES`; times in seconds.
    summary : ndarray of float32, shape=(n_chunks, 7)
        `CHUNK_FEATURES`.
    part : ndarray of int64, shape=(n_chunks,)
        Index of each chunk's part in the score.
    skipped : tuple of Skipped
        Parts without a chunk.
    left_over : int
        Notes at the end of the used parts that did not fill a chunk.
    """

    notes: Floats
    summary: Floats
    part: NDArray[np.int64]
    skipped: tuple[Skipped, ...] = ()
    left_over: int = 0

    def __len__(self) -> int:
        return len(self.notes)

    @property
    def size(self) -> int:
        """Notes of a chunk."""
        return int(self.notes.shape[1])

    @property
    def parts_used(self) -> int:
        """Parts with a chunk at least."""
        return len(np.unique(self.part))

    def rows(self) -> Floats:
        """One row a note with its chunk's statistics repeated, shape=(n_chunks * size, 16), the columns `FEATURES`."""
        return rows(self.notes, self.summary)

    def to_bytes(self) -> bytes:
        """Arrays in NumPy's format, for another process."""
        out = io.BytesIO()
        skipped = [(s.part, s.notes, list(SKIPPED).index(s.reason)) for s in self.skipped]
        for array in (self.notes, self.summary, self.part, np.array(skipped, np.int64).reshape(-1, 3)):
            np.save(out, array, allow_pickle=False)
        np.save(out, np.int64(self.left_over), allow_pickle=False)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Chunks:
        """The inverse of `to_bytes`."""
        file = io.BytesIO(data)
        notes, summary, part, skipped, left_over = (np.load(file, allow_pickle=False) for _ in range(5))
        reasons = tuple(SKIPPED)
        return cls(
            notes, summary, part, tuple(Skipped(p, n, reasons[r]) for p, n, r in skipped.tolist()), int(left_over)
        )


def chunks(score: Score, size: int = SIZE) -> Chunks:
    """Cut the parts of a piece into chunks.

    Parameters
    ----------
    score : Score
    size : int
        Notes of a chunk, at least 2.

    Returns
    -------
    Chunks
        Without chunks where no part is long enough; `Chunks.skipped` says why.
    """
    _check(size)
    notes = score.notes
    drum_parts = np.array([p.drum for p in score.parts], bool)
    skipped = []
    in_part = np.bincount(notes["part"], minlength=len(drum_parts))
    pitched = np.bincount(notes["part"][~notes["drum"]], minlength=len(in_part))
    for part, (count, kept) in enumerate(zip(in_part.tolist(), pitched.tolist(), strict=True)):
        if count and kept < size:
            skipped.append(Skipped(part, count, "too-short" if kept else "drums"))
    programs = np.array([p.program for p in score.parts], np.int64)
    programs = np.append(programs, np.zeros(max(len(in_part) - len(programs), 0), np.int64))
    table = score.pitched
    made, summary, owner, left_over = cut(
        {
            "start": table["onset_seconds"],
            "duration": table["duration_seconds"],
            "pitch": table["pitch"],
            "velocity": table["velocity"],
            "program": programs[table["part"]],
        },
        size=size,
        tempo=estimate_tempo(notes["onset_seconds"]),
        owner=table["part"],
    )
    return Chunks(made, summary, owner, tuple(skipped), left_over)


def cut(
    table: Mapping[str, NDArray[Any]] | NDArray[Any],
    *,
    size: int = SIZE,
    tempo: float | NDArray[Any] = DEFAULT_TEMPO,
    owner: NDArray[Any] | None = None,
) -> tuple[Floats, Floats, NDArray[np.int64], int]:
    """Cut any table of notes into chunks, owner by owner, each sorted by start.

    Parameters
    ----------
    table : structured array or mapping of columns, each of shape=(n,)
        ``start`` and ``duration`` in seconds, ``pitch``, ``velocity`` and ``program``. Notes that start together keep
        their order.
    size : int
        Notes of a chunk, at least 2.
    tempo : float or ndarray, shape=(n,)
        Quarter notes per minute; of a column, that of a chunk's first note counts.
    owner : ndarray of int, shape=(n,), optional
        Instrument, piece or composer of each note: no chunk mixes two. Default: all notes together.

    Returns
    -------
    notes : float32, shape=(n_chunks, size, 9)
    summary : float32, shape=(n_chunks, 7)
    owner : int64, shape=(n_chunks,)
    left_over : int
        Notes of owners with a chunk that did not fill another one.
    """
    _check(size)
    start = np.asarray(table["start"], np.float64)
    whose = np.zeros(len(start), np.int64) if owner is None else np.asarray(owner, np.int64)
    order = np.lexsort((start, whose))
    sorted_owner = whose[order]
    begins = np.flatnonzero(np.diff(sorted_owner, prepend=sorted_owner[:1] - 1)) if len(order) else order
    count = np.diff(np.append(begins, len(order)))
    taken = count // size * size
    kept = order[np.arange(len(order)) - np.repeat(begins, count) < np.repeat(taken, count)]

    def column(name: str) -> NDArray[np.float64]:
        return np.asarray(table[name], np.float64)[kept].reshape(-1, size)

    start, duration, pitch, velocity = column("start"), column("duration"), column("pitch"), column("velocity")
    delta = np.diff(start, axis=1, prepend=start[:, :1])
    columns = (
        pitch,
        duration,
        velocity,
        delta,
        np.diff(pitch, axis=1, prepend=pitch[:, :1]),
        column("program"),
        velocity > ACCENT,
        start,
        start + duration,
    )
    notes = np.stack([np.asarray(c, np.float32) for c in columns], axis=2)
    first = kept[::size]
    rate = np.broadcast_to(np.asarray(tempo, np.float64), whose.shape)[first]
    summary = summarise(pitch, duration, delta, rate)
    return notes, summary, whose[first], int((count - taken)[taken > 0].sum())


def summarise(
    pitch: NDArray[Any], duration: NDArray[Any], delta_time: NDArray[Any], tempo: NDArray[Any] | float
) -> Floats:
    """`CHUNK_FEATURES` of chunks, shape=(n_chunks, 7), from their notes.

    Parameters
    ----------
    pitch, duration, delta_time : ndarrays, shape=(n_chunks, size)
        In order of start; the first delta time of a chunk is not looked at.
    tempo : float or ndarray, shape=(n_chunks,)
    """
    pitch, duration = np.asarray(pitch, np.float64), np.asarray(duration, np.float64)
    delta = np.asarray(delta_time, np.float64)[:, 1:]
    n, size = pitch.shape
    out = np.zeros((n, len(CHUNK_FEATURES)), np.float32)
    if not n:
        return out
    step = np.diff(pitch, axis=1)
    seconds = delta.sum(axis=1) + duration[:, -1]
    out[:, 0] = tempo
    out[:, 1] = pitch.max(axis=1) - pitch.min(axis=1)
    out[:, 2] = np.divide(size, seconds, out=np.zeros(n), where=seconds > 0)
    out[:, 3] = (step == 0).sum(axis=1) / size
    out[:, 4] = step.mean(axis=1)
    out[:, 5] = duration.std(axis=1)
    out[:, 6] = (delta < duration[:, :-1] - OVERLAP).sum(axis=1) / size
    return out


def rows(notes: Floats, summary: Floats) -> Floats:
    """The published table: a row a note, `FEATURES` its columns, shape=(n_chunks * size, 16)."""
    n, size, _ = notes.shape
    repeated = np.broadcast_to(summary[:, None, :], (n, size, summary.shape[1]))
    return np.concatenate((notes, repeated), axis=2).reshape(n * size, -1)


def recut(table: Floats, size: int = SIZE) -> Floats:
    """The published windows: rows of the notes of *all pieces* of a composer, sorted by start and cut anew.

    A window so holds notes of many pieces that start at the same second, and both sides of a split share pieces; kept to
    rebuild the published figures. Delta times, intervals and statistics stay those of the chunks that the notes came from.

    Parameters
    ----------
    table : ndarray of float32, shape=(n, 16)
        As `rows` makes it, the pieces one after another; notes with the same start keep their order.
    size : int

    Returns
    -------
    ndarray of float32, shape=(n // size, size, 16)
    """
    _check(size)
    order = np.argsort(table[:, FEATURES.index("start")], kind="stable")
    return table[order[: len(order) // size * size]].reshape(-1, size, table.shape[1])


def estimate_tempo(onsets: NDArray[Any]) -> float:
    """Quarter notes per minute as ``pretty_midi.PrettyMIDI.estimate_tempo`` guesses them; 120 where it cannot.

    Steps between onsets of all parts are gathered in clusters 25 ms wide, after Dixon ("Automatic extraction of tempo and beat
    from expressive performances", JNMR 30, 2001). As in pretty_midi 0.2, a step that belongs to some cluster is added to the
    one of the *shortest* steps, whichever it belongs to.

    Parameters
    ----------
    onsets : ndarray, shape=(n,)
        Seconds, sorted.
    """
    step = np.diff(onsets)
    step = step[(step > _SHORTEST_STEP) & (step < _LONGEST_STEP)]
    while (short := step < _LEAST_BEAT).any():
        step = np.where(short, step * 2, step)
    if not len(step):
        return DEFAULT_TEMPO
    means: list[float] = []  # of all clusters, in the order in which they were met
    sizes: list[float] = []
    others: list[float] = []  # sorted means of those that no step is added to any more
    least, shortest = -1, math.inf  # place and mean of the one that grows
    for value in step.tolist():
        near = abs(shortest - value) < _SAME_BEAT
        if not near:
            at = bisect_right(others, value)
            near = any(abs(mean - value) < _SAME_BEAT for mean in others[max(at - 1, 0) : at + 1])
        if near:
            shortest = (sizes[least] * shortest + value) / (sizes[least] + 1)
            sizes[least] += 1
            means[least] = shortest
            if others and shortest > others[0]:  # it has grown past another, which is the shortest now
                insort(others, shortest)
                shortest = others.pop(0)
                least = means.index(shortest)
            continue
        means.append(value)
        sizes.append(1.0)
        if value < shortest:
            if least >= 0:
                insort(others, shortest)
            least, shortest = len(means) - 1, value
        else:
            insort(others, value)
    return 60.0 / means[int(np.argsort(sizes)[-1])]


def chunks_bytes(score: Score, *, name: str, sha256: str, size: int = SIZE) -> bytes:
    """`chunks` as bytes, for `fugato.read.read_many` to call in a worker process.

    Raises
    ------
    FugatoError
        ``drums-only`` or ``too-short`` where the piece has no chunk.
    """
    made = chunks(score, size)
    if len(made):
        return made.to_bytes()
    if not len(score.pitched):
        raise FugatoError("drums-only", "It has only unpitched percussion.", name)
    longest = int(np.bincount(score.pitched["part"]).max())
    raise FugatoError("too-short", f"Its longest part has {longest} notes; a chunk has {size}.", name)


def _check(size: int) -> None:
    if size < LEAST_SIZE:
        raise FugatoError("bad-option", f"Chunks of {size} notes; a chunk has at least {LEAST_SIZE}.")
