"""What networks look through: a piece as one table of rows, and the windows of equal length cut from it.

Every kind of window is here under a name, so that a network is served with the input that it was trained on. A table is kept once and
windows are places in it: windows that overlap by 95 % then cost no memory, on disk or off it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.represent import chunks as note_chunks
from fugato.represent.logmel import N_MELS
from fugato.represent.onsets import COLUMNS as ONSET_COLUMNS
from fugato.represent.onsets import onsets as onset_rows
from fugato.represent.pianoroll import HOP, PITCHES, RATE, SIZE, pianoroll
from fugato.represent.played import QUARTERS_A_SECOND, played
from fugato.represent.stream import Stream, stream
from fugato.score import Score, seconds_at

LEAST_ROWS: Final = 20  # notes from which a piece shorter than a window is still looked at, padded
LONGEST_NOTE: Final = 4.0  # seconds that scale to 1


@dataclass(frozen=True, eq=False)
class Table:
    """The windows of one piece.

    Attributes
    ----------
    rows : ndarray, shape=(n_rows, n_columns)
    starts : ndarray of int64, shape=(n_windows,)
        Row at which each window begins; all have the same length.
    begin, end : ndarrays of float64, shape=(n_windows,), seconds
        The music that a window covers.
    copied : int
        So many windows, the last ones, are of a copy as if played.
    """

    rows: NDArray[Any]
    starts: NDArray[np.int64]
    begin: NDArray[np.float64]
    end: NDArray[np.float64]
    copied: int = 0

    def to_bytes(self) -> bytes:
        """Arrays in NumPy's format, for another process."""
        out = io.BytesIO()
        for array in (self.rows, self.starts, self.begin, self.end, np.array(self.copied)):
            np.save(out, array, allow_pickle=False)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Table:
        """The inverse of `to_bytes`."""
        file = io.BytesIO(data)
        arrays = [np.load(file, allow_pickle=False) for _ in range(5)]
        rows, starts, begin, end, copied = arrays
        return cls(rows, starts, begin, end, int(copied))

    def with_copy(self, other: Table) -> Table:
        """These windows, and after them those of a copy."""
        return Table(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.starts, other.starts + len(self.rows)]),
            np.concatenate([self.begin, other.begin]),
            np.concatenate([self.end, other.end]),
            len(other.starts),
        )


@dataclass(frozen=True)
class Kind:
    """A named way to cut a piece.

    Attributes
    ----------
    name : str
    size : int
        Rows of a window.
    columns : tuple of str
        What each column of a row is.
    dtype : "float32" or "uint8"
    cut : callable
        (score, hop, limit, fill) -> Table, with the parameters of `table`.
    hop : int
        The published distance between windows.
    seconds : bool
        Whether a row is a stretch of time; else it is a note.
    """

    name: str
    size: int
    columns: tuple[str, ...]
    dtype: str
    cut: Callable[[Score, int, int, bool], Table]
    hop: int
    seconds: bool


def _note_chunks(score: Score, hop: int, limit: int, fill: bool) -> Table:
    """Runs of 200 notes of an instrument that do not overlap; a piece without one gives its longest part, repeated to fill."""
    size = note_chunks.SIZE
    made = note_chunks.chunks(score, size)
    if not len(made):
        if not fill:
            longest = int(np.bincount(score.pitched["part"]).max())
            raise FugatoError("too-short", f"Its longest part has {longest} notes; a chunk has {size}.")
        made = note_chunks.chunks(_filled(score, size), size)
    made_rows = made.rows()
    start = made.notes[:, 0, note_chunks.NOTE_FEATURES.index("start")].astype(np.float64)
    end = made.notes[:, :, note_chunks.NOTE_FEATURES.index("end")].max(axis=1).astype(np.float64)
    return _limited(Table(made_rows, np.arange(len(made), dtype=np.int64) * size, start, end), limit)


def _filled(score: Score, size: int) -> Score:
    """The longest part played over and over until it has `size` notes: excerpts are answered too, if less surely."""
    notes = score.pitched
    if len(notes) < LEAST_ROWS:
        raise FugatoError("too-short", f"It has only {len(notes)} of the {LEAST_ROWS} notes that are needed.")
    count = np.bincount(notes["part"])
    one = notes[notes["part"] == count.argmax()] if count.max() >= LEAST_ROWS else notes
    times = -(-size // len(one))
    again = np.concatenate([one] * times)
    seconds = float((one["onset_seconds"] + one["duration_seconds"]).max())
    lap = np.repeat(np.arange(times), len(one)) * seconds
    return Score.from_notes(
        (again["onset_seconds"] + lap) * 2,  # at 120 quarters a minute
        again["duration_seconds"] * 2,
        again["pitch"],
        velocity=again["velocity"],
        parts=(score.parts[int(one["part"][0])],) if len(score.parts) > int(one["part"][0]) else score.parts[:1],
    )


def _note_rows(score: Score, hop: int, limit: int, fill: bool) -> Table:
    """Pitch, velocity and duration in 0..1, note after note of all pitched parts together."""
    size = 100
    notes = score.pitched
    notes = notes[np.lexsort((notes["pitch"], notes["onset_seconds"]))]
    if len(notes) < LEAST_ROWS:
        raise FugatoError("too-short", f"It has only {len(notes)} of the {LEAST_ROWS} notes that are needed.")
    rows = np.stack(
        (
            notes["pitch"] / 127.0,
            notes["velocity"] / 127.0,
            np.minimum(notes["duration_seconds"], LONGEST_NOTE) / LONGEST_NOTE,
        ),
        axis=1,
    ).astype(np.float32)
    n = len(rows)
    starts = np.arange(0, max(n - size, 0) + 1, hop, dtype=np.int64)
    rows = np.concatenate([rows, np.zeros((max(size - n, 0), 3), np.float32)])
    begin = notes["onset_seconds"][starts]
    end = notes["onset_seconds"][np.minimum(starts + size, n) - 1]
    return _limited(Table(rows, starts, begin.astype(np.float64), end.astype(np.float64)), limit, first=True)


def _pianoroll(score: Score, hop: int, limit: int, fill: bool) -> Table:
    roll = pianoroll(score)
    if not len(roll):
        raise FugatoError("empty", "It has no pitched note that lasts long enough to be drawn.")
    count = -(-len(roll) // hop)
    padded = np.zeros(((count - 1) * hop + SIZE, PITCHES), np.uint8)
    padded[: len(roll)] = roll
    starts = np.arange(count, dtype=np.int64) * hop
    return _limited(Table(padded, starts, starts / RATE, (starts + SIZE) / RATE), limit)


def _spectrogram(score: Score, hop: int, limit: int, fill: bool) -> Table:
    from fugato.represent.spectrogram import SECONDS, of_score
    from fugato.represent.spectrogram import SIZE as BINS

    pictures = of_score(score, limit)
    starts = np.arange(len(pictures.images), dtype=np.int64) * BINS
    rows = pictures.images.transpose(0, 2, 1).reshape(-1, BINS)  # time runs down the rows
    return Table(np.ascontiguousarray(rows), starts, pictures.begin, pictures.begin + SECONDS)


def _onsets(score: Score, hop: int, limit: int, fill: bool) -> Table:
    """Runs of 256 events that overlap by half; the last ends with the piece, and a shorter piece is padded."""
    return _event_runs(score, stream(score), hop, limit)


def _event_runs(score: Score, events: Stream, hop: int, limit: int) -> Table:
    if len(events) < LEAST_ROWS:
        raise FugatoError(
            "too-short", f"It has only {len(events)} of the {LEAST_ROWS} notes or chords that are needed."
        )
    found = onset_rows(events)
    n, size = len(found), ONSETS
    starts = np.arange(0, max(n - size, 0) + hop, hop, dtype=np.int64)
    starts = np.unique(np.minimum(starts, max(n - size, 0)))
    found = np.concatenate([found, np.zeros((max(size - n, 0), found.shape[1]), np.uint8)])
    seconds = seconds_at(score.tempos, events.onset) if score.beats == "notated" else events.onset / QUARTERS_A_SECOND
    end = np.append(seconds, seconds[-1] + 0.5)[np.minimum(starts + size, n)]
    return _limited(Table(found, starts, seconds[starts], end), limit)


def _limited(table: Table, limit: int, *, first: bool = False) -> Table:
    """At most `limit` windows, the first ones or evenly spread; the rows stay."""
    n = len(table.starts)
    if not 0 < limit < n:
        return table
    kept = np.arange(limit) if first else np.linspace(0, n - 1, limit).round().astype(np.int64)
    return Table(table.rows, table.starts[kept], table.begin[kept], table.end[kept])


ONSETS: Final = 256  # events of a window
_PITCHES: Final = tuple(f"pitch {p}" for p in range(128))
_BINS: Final = tuple(f"bin {k}" for k in range(256))
KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("note-chunks", note_chunks.SIZE, note_chunks.FEATURES, "float32", _note_chunks, note_chunks.SIZE, False),
        Kind("note-rows", 100, ("pitch", "velocity", "duration"), "float32", _note_rows, 100, False),
        Kind("pianoroll", SIZE, _PITCHES, "uint8", _pianoroll, HOP, True),
        Kind("onsets", ONSETS, ONSET_COLUMNS, "uint8", _onsets, ONSETS // 2, False),
        Kind("spectrogram", 256, _BINS, "uint8", _spectrogram, 256, True),
    )
}


def _of_sound(score: Score, hop: int, limit: int, fill: bool) -> Table:
    raise FugatoError("bad-option", "Windows of sound are cut from recordings, not from notes.")


_MEL_BANDS: Final = tuple(f"band {k}" for k in range(N_MELS))
_COEFFICIENTS: Final = tuple(f"coefficient {k}" for k in range(16))

# Windows of recordings (`fugato.recipes.passages`): 5 s of sampled mel bands as levels; 3 s of cepstra, every frame.
SOUND_KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("mel", 64, _MEL_BANDS, "uint8", _of_sound, 32, True),
        Kind("mfcc", 130, _COEFFICIENTS, "float32", _of_sound, 129, True),
    )
}


def kind_of(name: str) -> Kind:
    """A kind of window, of scores or of sound, by its name."""
    return KINDS[name] if name in KINDS else SOUND_KINDS[name]


def table(
    score: Score, kind: str, *, hop: int = 0, limit: int = 0, fill: bool = False, events: Stream | None = None
) -> Table:
    """The windows of a piece.

    Parameters
    ----------
    score : Score
    kind : str
        A name in `KINDS`.
    hop : int
        Rows from one window to the next; 0 for the published distance.
    limit : int
        Windows at most; 0 for all.
    fill : bool
        Repeat a piece that is shorter than a chunk until it fills one, instead of refusing it.
    events : Stream, optional
        Of the score, where it is at hand: windows of events are cut from it.

    Raises
    ------
    FugatoError
        ``empty``, ``drums-only`` or ``too-short`` where there is no window; ``bad-option`` for an unknown kind.
    """
    if kind not in KINDS:
        raise FugatoError("bad-option", f"There is no kind of window {kind!r}; there are {', '.join(KINDS)}.")
    if not len(score):
        raise FugatoError("empty", "There are no notes in it.")
    if not len(score.pitched):
        raise FugatoError("drums-only", "It has only percussion; a composer is named by melody and harmony.")
    chosen = KINDS[kind]
    if events is not None and chosen.cut is _onsets:
        return _event_runs(score, events, hop or chosen.hop, limit)
    return chosen.cut(score, hop or chosen.hop, limit, fill)


def table_bytes(
    score: Score, *, name: str, sha256: str, kind: str, hop: int = 0, limit: int = 0, copies: bool = False
) -> bytes:
    """`table` as bytes, for `fugato.read.read_many` to call in a worker; with a copy as if played where beats are notated."""
    try:
        found = table(score, kind, hop=hop, limit=limit)
        if copies and score.beats == "notated":
            copy = played(score, np.random.default_rng(int(sha256[:16] or "0", 16)))
            found = found.with_copy(table(copy, kind, hop=hop, limit=limit))
        return found.to_bytes()
    except FugatoError as error:
        raise FugatoError(error.kind, error.message, name) from error


def gather(
    rows: NDArray[Any], starts: NDArray[np.int64], size: int, order: NDArray[np.int64] | None = None
) -> NDArray[Any]:
    """Windows by the rows they begin at, shape=(n_windows, size, n_columns).

    Parameters
    ----------
    rows : ndarray, shape=(n_rows, n_columns)
    starts : ndarray of int64, shape=(n_windows,)
    size : int
    order : ndarray of int64, shape=(n_rows,), optional
        Rows are taken in this order instead of their own.
    """
    at = starts[:, None] + np.arange(size)
    found: NDArray[Any] = rows[at if order is None else order[at]]
    return found


def settings(kind: str, **chosen: Any) -> Mapping[str, Any]:
    """What a card says of the input."""
    return {"kind": kind, "size": kind_of(kind).size, "columns": len(kind_of(kind).columns), **chosen}
