"""Score: one table of notes with beat and time maps, the only symbolic type in the house.

Score time is in quarter notes from the start of the piece; performance time is in seconds. Every note carries both, so a
feature can be taken from either. Pitches are MIDI note numbers (60 = middle C). Bars are listed by their first beat, so that a
pickup, a change of meter or an irregular bar of a printed score is kept as it stands.

The flat, structured note array follows the idea of partitura's note arrays (Cancino-Chacón et al., "Partitura: A Python
Package for Symbolic Music Processing", MEC 2022).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

NOTE_DTYPE: Final = np.dtype(
    [
        ("onset", "<f8"),  # quarter notes from the start of the piece
        ("duration", "<f8"),  # quarter notes, ties joined
        ("onset_seconds", "<f8"),
        ("duration_seconds", "<f8"),
        ("pitch", "u1"),  # MIDI note number, 0..127; the key of the drum map where `drum` is set
        ("velocity", "u1"),  # 1..127; DEFAULT_VELOCITY where the format says nothing
        ("part", "<u2"),  # index into Score.parts
        ("drum", "?"),  # unpitched percussion
    ]
)
DEFAULT_VELOCITY: Final = 80
DEFAULT_QPM: Final = 120.0  # Standard MIDI Files 1.0: 120 quarter notes per minute where no tempo is given
GRID: Final = (12, 8)  # subdivisions of a quarter note that notation uses: triplet sixteenths, thirty-seconds

Beats = Literal["notated", "default"]


class Part(NamedTuple):
    """One instrument or voice: its name as the file says, General MIDI program 0..127, and whether it is percussion."""

    name: str = ""
    program: int = 0
    drum: bool = False


class Tempo(NamedTuple):
    """Quarter notes per minute from `onset` (quarter notes) on."""

    onset: float
    qpm: float


class Meter(NamedTuple):
    """A time signature from `onset` (quarter notes) on."""

    onset: float
    numerator: int
    denominator: int

    @property
    def bar_length(self) -> float:
        """Quarter notes in a full bar."""
        return 4.0 * self.numerator / self.denominator


COMMON_TIME: Final = Meter(0.0, 4, 4)  # of a file without a time signature


class Key(NamedTuple):
    """A key signature from `onset` on: sharps -7..7 (flats negative), mode "major", "minor" or "" where it is not said."""

    onset: float
    sharps: int
    mode: str = ""


@dataclass(frozen=True, eq=False)
class Score:
    """A piece of music as notes.

    Attributes
    ----------
    notes : ndarray of NOTE_DTYPE, shape=(n,)
        Sorted by onset, then pitch. Read-only.
    parts, tempos, meters, keys : tuples
        In order of onset; there is always at least one tempo and one meter.
    bars : ndarray of float64, shape=(n_bars,)
        Onset of every bar in quarter notes, ascending; the first may be before a pickup is complete.
    beats : "notated" or "default"
        Whether quarter notes mean beats, or the file only has a default tempo under a free performance.
    format : str
        "midi", "musicxml", "kern", "abc", or "" for a Score made by code.
    ticks_per_quarter : int or None
        Resolution of the MIDI file; a fact about the file, never a feature of the music.
    warnings : tuple of str
        What was mended or left out while reading.
    """

    notes: NDArray[Any]
    parts: tuple[Part, ...] = (Part(),)
    tempos: tuple[Tempo, ...] = (Tempo(0.0, DEFAULT_QPM),)
    meters: tuple[Meter, ...] = (COMMON_TIME,)
    keys: tuple[Key, ...] = ()
    bars: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    beats: Beats = "notated"
    title: str = ""
    composer: str = ""
    format: str = ""
    ticks_per_quarter: int | None = None
    warnings: tuple[str, ...] = ()

    # -- making one ------------------------------------------------------------------------------------------------

    @classmethod
    def from_notes(
        cls,
        onset: Sequence[float] | NDArray[Any],
        duration: Sequence[float] | NDArray[Any],
        pitch: Sequence[int] | NDArray[Any],
        *,
        velocity: Sequence[int] | NDArray[Any] | int = DEFAULT_VELOCITY,
        part: Sequence[int] | NDArray[Any] | int = 0,
        drum: Sequence[bool] | NDArray[Any] | bool = False,
        parts: Iterable[Part] = (Part(),),
        tempos: Iterable[Tempo] = (),
        meters: Iterable[Meter] = (),
        keys: Iterable[Key] = (),
        bars: NDArray[np.float64] | None = None,
        beats: Beats | None = None,
        **facts: Any,
    ) -> Score:
        """Build a Score from columns in quarter notes; seconds follow from the tempos, bars from the meters.

        `beats` is judged from the share of onsets on a notated grid where it is not given. `facts` are the remaining
        attributes (title, composer, format, ticks_per_quarter, warnings).
        """
        notes = np.zeros(len(onset), NOTE_DTYPE)
        notes["onset"], notes["duration"], notes["pitch"] = onset, duration, pitch
        notes["velocity"], notes["part"], notes["drum"] = velocity, part, drum
        if not _in_order(notes):
            notes = notes[np.lexsort((notes["pitch"], notes["onset"]))]
        begins = notes["onset"].copy()  # columns of their own are faster to read
        ends = begins + notes["duration"]
        tempo_map = _tidy_tempos(tempos)
        starts = seconds_at(tempo_map, begins)
        notes["onset_seconds"] = starts
        notes["duration_seconds"] = seconds_at(tempo_map, ends) - starts
        meter_map = _tidy_meters(meters)
        end = float(ends.max()) if len(notes) else 0.0
        if bars is None:
            bars = bars_of_meters(meter_map, end)
        if beats is None:
            beats = "notated" if on_grid_share(begins) >= 0.5 else "default"
        notes.flags.writeable = False
        return cls(
            notes=notes,
            parts=tuple(parts),
            tempos=tempo_map,
            meters=meter_map,
            keys=tuple(sorted(keys)),
            bars=np.asarray(bars, dtype=np.float64),
            beats=beats,
            **facts,
        )

    # -- looking at it ---------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.notes)

    def __repr__(self) -> str:
        name = f"{self.title!r}, " if self.title else ""
        return f"<Score {name}{len(self)} notes, {len(self.bars)} bars, {self.seconds:.1f} s, {len(self.parts)} parts>"

    def _repr_html_(self) -> str:
        return piano_roll_svg(self)

    @cached_property
    def pitched(self) -> NDArray[Any]:
        """The notes without unpitched percussion, shape=(m,)."""
        drum = self.notes["drum"]
        return self.notes[~drum] if drum.any() else self.notes

    @cached_property
    def end(self) -> float:
        """Quarter notes up to the end of the last note."""
        return float((self.notes["onset"] + self.notes["duration"]).max()) if len(self) else 0.0

    @cached_property
    def seconds(self) -> float:
        """Seconds up to the end of the last note."""
        return float((self.notes["onset_seconds"] + self.notes["duration_seconds"]).max()) if len(self) else 0.0

    def bar_of(self, onset: NDArray[np.float64] | float) -> NDArray[np.int64]:
        """Index of the bar, from 0, in which each onset (quarter notes) lies."""
        bar = np.searchsorted(self.bars, np.asarray(onset) + 1e-6, side="right") - 1
        return np.clip(bar, 0, len(self.bars) - 1)

    # -- changing it (always a new Score) --------------------------------------------------------------------------

    def transpose(self, semitones: int) -> Score:
        """All pitched notes moved by `semitones`; notes that would leave 0..127 are moved back by octaves."""
        notes = self.notes.copy()
        moved = notes["pitch"].astype(np.int64) + np.where(notes["drum"], 0, semitones)
        moved = np.where(moved < 0, moved + 12 * ((11 - moved) // 12), moved)
        moved = np.where(moved > 127, moved - 12 * ((moved - 116) // 12), moved)
        notes["pitch"] = moved
        keys = tuple(Key(k.onset, (k.sharps + 7 * semitones + 5) % 12 - 5, k.mode) for k in self.keys)
        return self._with_notes(notes, keys=keys)

    def change_tempo(self, factor: float) -> Score:
        """The same notes played `factor` times as fast."""
        notes = self.notes.copy()
        notes["onset_seconds"] /= factor
        notes["duration_seconds"] /= factor
        return self._with_notes(notes, tempos=tuple(Tempo(t.onset, t.qpm * factor) for t in self.tempos))

    def excerpt(self, first: int, last: int) -> Score:
        """Bars `first` to `last`, counted from 0, both included: the notes that start in them, moved to the start."""
        bars = self.bars
        if not 0 <= first <= last < len(bars):
            raise IndexError(f"bars {first} to {last} are not within 0 to {len(bars) - 1}")
        start = bars[first]
        stop = bars[last + 1] if last + 1 < len(bars) else math.inf
        inside = (self.notes["onset"] >= start - 1e-6) & (self.notes["onset"] < stop - 1e-6)
        notes = self.notes[inside].copy()
        notes["onset"] -= start
        notes["onset_seconds"] -= float(seconds_at(self.tempos, np.array([start]))[0])
        return self._with_notes(
            notes,
            bars=bars[first : last + 1] - start,
            tempos=_shift(self.tempos, start, stop),
            meters=_shift(self.meters, start, stop),
            keys=_shift(self.keys, start, stop),
        )

    def _with_notes(self, notes: NDArray[Any], **changes: Any) -> Score:
        notes = notes[np.lexsort((notes["pitch"], notes["onset"]))]
        notes.flags.writeable = False
        return replace(self, notes=notes, **changes)

    # -- sending it to another process -----------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """A header in JSON and two raw arrays; needs no pickle to read."""
        header = {
            "parts": self.parts,
            "tempos": self.tempos,
            "meters": self.meters,
            "keys": self.keys,
            "beats": self.beats,
            "title": self.title,
            "composer": self.composer,
            "format": self.format,
            "ticks_per_quarter": self.ticks_per_quarter,
            "warnings": self.warnings,
            "n_notes": len(self.notes),
            "n_bars": len(self.bars),
        }
        text = json.dumps(header).encode()
        return struct.pack("<I", len(text)) + text + self.notes.tobytes() + self.bars.astype("<f8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Score:
        """The inverse of `to_bytes`."""
        (size,) = struct.unpack_from("<I", data)
        header = json.loads(data[4 : 4 + size])
        n_notes, n_bars = header.pop("n_notes"), header.pop("n_bars")
        notes = np.frombuffer(data, NOTE_DTYPE, n_notes, 4 + size)
        bars = np.frombuffer(data, "<f8", n_bars, 4 + size + n_notes * NOTE_DTYPE.itemsize)
        header["parts"] = tuple(Part(*p) for p in header["parts"])
        header["tempos"] = tuple(Tempo(*t) for t in header["tempos"])
        header["meters"] = tuple(Meter(*m) for m in header["meters"])
        header["keys"] = tuple(Key(*k) for k in header["keys"])
        header["warnings"] = tuple(header["warnings"])
        return cls(notes=notes, bars=bars, **header)


def seconds_at(tempos: Sequence[Tempo], quarters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds at which points of score time are reached.

    Parameters
    ----------
    tempos : sequence of Tempo
        In order of onset, the first at or before 0.
    quarters : ndarray, shape=(n,)
        Quarter notes from the start.

    Returns
    -------
    ndarray, shape=(n,)
    """
    onsets = np.array([t.onset for t in tempos])
    rates = np.array([60.0 / t.qpm for t in tempos])  # seconds per quarter note
    at_change = np.concatenate(([0.0], np.cumsum(np.diff(onsets) * rates[:-1])))
    segment = np.clip(np.searchsorted(onsets, quarters, side="right") - 1, 0, None)
    seconds: NDArray[np.float64] = at_change[segment] + (quarters - onsets[segment]) * rates[segment]
    return seconds


def bars_of_meters(meters: Sequence[Meter], end: float) -> NDArray[np.float64]:
    """Onsets of the bars that the meters imply up to `end` (quarter notes), shape=(n_bars,), n_bars at least 1."""
    pieces = []
    for i, meter in enumerate(meters):
        stop = meters[i + 1].onset if i + 1 < len(meters) else max(end, meter.onset + 1e-6)
        count = max(math.ceil((stop - meter.onset) / meter.bar_length - 1e-6), 0)
        pieces.append(meter.onset + meter.bar_length * np.arange(count))
    bars = np.concatenate(pieces)
    return bars if len(bars) else np.zeros(1)


def on_grid_share(onsets: NDArray[np.float64]) -> float:
    """Share of onsets (quarter notes) that lie within 0.01 quarter of a subdivision in `GRID`; 1.0 for no notes."""
    if not len(onsets):
        return 1.0
    near = np.zeros(len(onsets), bool)
    for g in GRID:
        steps = onsets * g
        near |= np.abs(steps - np.rint(steps)) / g < 0.01
    return float(np.count_nonzero(near) / len(near))


def _in_order(notes: NDArray[Any]) -> bool:
    """Whether notes are sorted by onset, then pitch, so that nothing needs to be moved."""
    onset, pitch = notes["onset"].copy(), notes["pitch"].copy()
    same = onset[1:] == onset[:-1]
    return bool(((onset[1:] > onset[:-1]) | (same & (pitch[1:] >= pitch[:-1]))).all())


def _tidy_tempos(tempos: Iterable[Tempo]) -> tuple[Tempo, ...]:
    kept = {t.onset: t for t in sorted(tempos, key=lambda t: t.onset) if t.qpm > 0 and math.isfinite(t.qpm)}
    if not any(onset <= 0 for onset in kept):
        kept = {0.0: Tempo(0.0, DEFAULT_QPM), **kept}
    return tuple(kept.values())


def _tidy_meters(meters: Iterable[Meter]) -> tuple[Meter, ...]:
    kept: dict[float, Meter] = {}
    for m in sorted(meters, key=lambda m: m.onset):
        if m.numerator > 0 and m.denominator > 0:
            kept[m.onset] = m
    if not any(onset <= 0 for onset in kept):
        kept = {0.0: COMMON_TIME, **kept}
    return tuple(kept.values())


def _shift(changes: tuple[Any, ...], start: float, stop: float) -> tuple[Any, ...]:
    """Tempos, meters or keys as they stand from `start` to before `stop`, moved to 0."""
    before = [c for c in changes if c.onset <= start]
    after = [c._replace(onset=c.onset - start) for c in changes if start < c.onset < stop - 1e-6]
    return (*([before[-1]._replace(onset=0.0)] if before else []), *after)


def piano_roll_svg(
    score: Score, width: int = 720, height: int = 160, max_notes: int = 5000, new: NDArray[np.bool_] | None = None
) -> str:
    """A small piano roll as SVG for notebooks; long pieces show their first `max_notes` notes.

    `new`, shape=(m,) like ``score.pitched``, says which notes were written after the others; those are of the class "new", the others grey.
    """
    notes = score.pitched[:max_notes]
    if not len(notes):
        return "<svg/>"
    low, high = int(notes["pitch"].min()) - 1, int(notes["pitch"].max()) + 2
    span = max(float((notes["onset"] + notes["duration"]).max()), 1e-6)
    row = height / (high - low)
    boxes = [
        f'<rect x="{n["onset"] / span * width:.1f}" y="{(high - 1 - n["pitch"]) * row:.1f}" '
        f'width="{max(n["duration"] / span * width, 0.8):.1f}" height="{max(row * 0.9, 0.8):.1f}"/>'
        for n in notes
    ]
    if new is None:
        drawn = f'<g fill="#2f5d8a">{"".join(boxes)}</g>'
    else:
        old = "".join(box for box, is_new in zip(boxes, new, strict=False) if not is_new)
        drawn = f'<g fill="#aab2bd">{old}</g>'
        drawn += f'<g class="new" fill="#2f5d8a">{"".join(box for box, is_new in zip(boxes, new, strict=False) if is_new)}</g>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="piano roll">{drawn}</svg>'
    )
