"""Score -> Standard MIDI File (format 1), so that `fugato.read` gives the same Score back.

After *Standard MIDI Files 1.0* (MIDI Manufacturers Association, 1996). The first track holds the title, the tempos, the time
signatures and the key signatures; each part has a track of its own with its name, program and notes. The resolution is that of the
file the piece was read from, where it holds every time exactly, else the smallest of `RESOLUTIONS` that does.

What MIDI cannot say: bars that break the meter (a pickup, a shortened bar) get a time signature of their own; a key signature
without a mode becomes a major one; two notes of one pitch in one part of which the later ends first exchange their ends; a part
with drums and pitched notes becomes two; a part without notes and the composer's name are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import FugatoError
from ..score import Meter, Part, Score, bars_of_meters

RESOLUTIONS: Final = (
    480,
    960,
    3360,
    5040,
    10080,
    20160,
    30240,
)  # ticks per quarter; all hold halves, thirds and fifths
EXACT: Final = 1e-6  # quarter notes by which a time may miss its tick
DRUM_CHANNEL: Final = 9  # channel 10 of General MIDI
CHANNELS: Final = tuple(c for c in range(16) if c != DRUM_CHANNEL)
SLOWEST: Final = (1 << 24) - 1  # microseconds a quarter note that a tempo event can hold
TITLE, TEMPO, METER, KEY, END = 0x03, 0x51, 0x58, 0x59, 0x2F  # meta events
_NAME: Final = TITLE  # of a track that is not the first

Event = tuple[int, int, bytes]  # tick, rank among events of that tick, what follows the delta time


def midi_bytes(score: Score) -> bytes:
    """A whole Standard MIDI File.

    Parameters
    ----------
    score : Score
        Its velocities, programs, names, tempos, meters and keys are kept.

    Returns
    -------
    bytes
        The same for the same Score.

    Raises
    ------
    FugatoError
        ``empty`` for a Score without notes.
    """
    if not len(score):
        raise FugatoError("empty", "There are no notes in it to write.")
    ticks = resolution(score)
    tracks = [_conductor(score, ticks), *_parts(score, ticks)]
    return struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks), ticks) + b"".join(tracks)


def resolution(score: Score) -> int:
    """Ticks per quarter note that hold every onset and end of the piece exactly, or the finest where none does."""
    times = np.concatenate(
        [
            score.notes["onset"],
            score.notes["onset"] + score.notes["duration"],
            [t.onset for changes in (score.tempos, score.meters, score.keys) for t in changes],
        ]
    )
    own = score.ticks_per_quarter
    choices = [own] if own and 0 < own < 1 << 15 else []
    for ticks in [*choices, *RESOLUTIONS]:
        steps = times * ticks
        if np.abs(steps - np.rint(steps)).max() <= EXACT * ticks:
            return ticks
    return RESOLUTIONS[-1]


def meters_of_bars(score: Score) -> list[Meter]:
    """Time signatures that make the bars of the piece, with one more wherever a bar breaks the meter."""
    meters = list(score.meters)
    implied = bars_of_meters(meters, max(score.end, float(score.bars[-1]) + EXACT))
    if len(implied) == len(score.bars) and np.allclose(implied, score.bars, atol=1e-4):
        return meters
    made: list[Meter] = []
    starts = [*score.bars.tolist(), None]
    for start, stop in pairwise(starts):
        nominal = next((m for m in reversed(meters) if m.onset <= start + 1e-4), meters[0])
        length = nominal.bar_length if stop is None else stop - start
        numerator, denominator = nominal[1:] if abs(length - nominal.bar_length) < 1e-4 else _meter_of(length, nominal)
        if not made or made[-1][1:] != (numerator, denominator):
            made.append(Meter(start if made else 0.0, numerator, denominator))
    return made


def _meter_of(length: float, nominal: Meter) -> tuple[int, int]:
    """A time signature for a bar of so many quarter notes, in the unit of the usual one where that goes."""
    for denominator in (nominal.denominator, 4, 8, 16, 32, 64):
        count = length * denominator / 4
        if abs(count - round(count)) < 1e-4 and 0 < round(count) < 256:
            return round(count), denominator
    return nominal[1:]


def _conductor(score: Score, ticks: int) -> bytes:
    """The first track: title, tempos, time signatures, key signatures."""
    events: list[Event] = []
    if score.title:
        events.append((0, 0, _meta(TITLE, score.title.encode())))
    for tempo in score.tempos:
        micros = min(max(round(60e6 / tempo.qpm), 1), SLOWEST)
        events.append((_tick(tempo.onset, ticks), 3, _meta(TEMPO, micros.to_bytes(3, "big"))))
    for meter in meters_of_bars(score):
        power = max(meter.denominator.bit_length() - 1, 0)  # notation has powers of two only
        clocks = 36 if meter.numerator % 3 == 0 and meter.numerator > 3 and power == 3 else 24  # a click a beat
        facts = bytes([min(meter.numerator, 255), power, clocks, 8])
        events.append((_tick(meter.onset, ticks), 1, _meta(METER, facts)))
    for key in score.keys:
        facts = struct.pack("bB", min(max(key.sharps, -7), 7), key.mode == "minor")
        events.append((_tick(key.onset, ticks), 2, _meta(KEY, facts)))
    return _track(events)


def _parts(score: Score, ticks: int) -> Iterable[bytes]:
    """A track for each part that sounds; of a part with drums and pitched notes, two."""
    given: dict[int, int] = {}  # program: channel; instruments share one when there are more than fifteen
    for number, part in enumerate(score.parts or (Part(),)):
        mine = score.notes[score.notes["part"] == number]
        for drum in (False, True):
            notes = mine[mine["drum"] == drum]
            if not len(notes):
                continue
            if drum:
                channel = DRUM_CHANNEL
            elif len(score.parts) <= len(CHANNELS):
                channel = CHANNELS[number]
            else:
                channel = given.setdefault(part.program, CHANNELS[len(given) % len(CHANNELS)])
            events: list[Event] = [(0, 0, _meta(_NAME, part.name.encode()))] if part.name else []
            events.append((0, 1, bytes([0xC0 | channel, min(max(part.program, 0), 127)])))
            events.extend(_note_events(notes, channel, ticks))
            yield _track(events)


def _note_events(notes: NDArray[Any], channel: int, ticks: int) -> Iterable[Event]:
    """Note-ons and note-offs; at one tick the offs come first, and of two equal keys the one that ends first."""
    on = np.rint(notes["onset"] * ticks).astype(np.int64)
    off = np.maximum(np.rint((notes["onset"] + notes["duration"]) * ticks).astype(np.int64), on + 1)
    order = np.lexsort((off, notes["pitch"], on))
    for start, stop, pitch, velocity in zip(
        on[order].tolist(),
        off[order].tolist(),
        notes["pitch"][order].tolist(),
        notes["velocity"][order].tolist(),
        strict=True,
    ):
        yield start, 3, bytes([0x90 | channel, pitch, max(velocity, 1)])
        yield stop, 2, bytes([0x80 | channel, pitch, 0])


def _track(events: Iterable[Event]) -> bytes:
    """A track chunk: events in order of time, each after the ticks since the one before."""
    body, now = bytearray(), 0
    for tick, _, data in sorted(events, key=lambda e: e[:2]):
        body += _variable(tick - now) + data
        now = tick
    body += b"\x00" + _meta(END, b"")
    return b"MTrk" + struct.pack(">I", len(body)) + bytes(body)


def _tick(onset: float, ticks: int) -> int:
    return max(round(onset * ticks), 0)


def _meta(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + _variable(len(data)) + data


def _variable(value: int) -> bytes:
    """A variable-length quantity: seven bits a byte, the highest bit set on all but the last."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | (value & 0x7F))
    return bytes(reversed(out))
