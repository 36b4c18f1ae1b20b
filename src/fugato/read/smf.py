"""Standard MIDI Files as columns of events, checked byte by byte and mended where a musician would expect it.

After the *Standard MIDI Files 1.0* specification (MIDI Manufacturers Association, RP-001, 1996); the RIFF wrapping of
RP-029 is undone by `fugato.read.sniff`. Onsets are in ticks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from fugato.errors import FugatoError
from fugato.read.limits import DEFAULT_LIMITS, Limits
from fugato.read.walk import DAMAGED_SHARE, META, STATES, SYSEX, Ints, Walk, deltas_at

LEAP: Final = 1_000  # quarter notes between two events that nobody believes in a damaged track
BAD_DATA_SHARE: Final = 0.2  # of the channel events with data bytes over 127
DATA_BYTES: Final = np.repeat((0, 2, 1, 2, 0), (128, 64, 32, 16, 16))  # of the channel events, by status byte
STRAY: Final = np.isin(np.arange(256), [s for s in range(0xF1, META) if s not in SYSEX])  # system messages


@dataclass(frozen=True)
class Events:
    """All events of a file in file order; every column has shape=(n_events,), dtype int64.

    Attributes
    ----------
    track, tick : ndarray
        Index of the track chunk, and ticks from the start of that track.
    status : ndarray
        Status byte with running status written out; 0xFF for meta events.
    first, second : ndarray
        Data bytes of channel events (0 where there is none); `first` is the type of a meta event.
    body, size : ndarray
        Where the text or data of a meta event lies in `data`, and how long it is.
    track_end : ndarray, shape=(n_tracks,)
        Ticks at the last event of each track.
    division : int
        The header's field: ticks per quarter, or negative frames per second and ticks per frame.
    """

    data: bytes
    format: int
    division: int
    track: Ints
    tick: Ints
    status: Ints
    first: Ints
    second: Ints
    body: Ints
    size: Ints
    track_end: Ints
    warnings: tuple[str, ...]

    def meta(self, kind: int) -> Ints:
        """Indices of the meta events of a kind."""
        found: Ints = self._metas[self.first[self._metas] == kind]
        return found

    @cached_property
    def _metas(self) -> Ints:
        return np.flatnonzero(self.status == META)

    def payload(self, index: int) -> bytes:
        """The data of one meta event."""
        start = int(self.body[index])
        return self.data[start : start + int(self.size[index])]


def read_events(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Events:
    """Events of a Standard MIDI File.

    Parameters
    ----------
    data : bytes
        Starts with ``MThd``.

    Raises
    ------
    FugatoError
        ``corrupt`` where the header is unusable or most of the tracks cannot be followed, ``too-large`` over a limit.
    """
    if len(data) > limits.midi_bytes:
        raise FugatoError("too-large", f"{len(data):,} bytes; a MIDI file may have {limits.midi_bytes:,}.")
    if len(data) < 14:
        raise FugatoError("corrupt", f"The MIDI header is cut off after {len(data)} bytes.")
    header_size = int.from_bytes(data[4:8], "big")
    form, declared = int.from_bytes(data[8:10], "big"), int.from_bytes(data[10:12], "big")
    division = int.from_bytes(data[12:14], "big", signed=True)
    if division == 0 or (division < 0 and division & 0xFF == 0):
        raise FugatoError("corrupt", "The header says a quarter note has no ticks, so the rhythm cannot be known.")
    warnings: list[str] = []
    if form > 2:
        warnings.append(f"The header names a format {form} that does not exist; its tracks are read as simultaneous.")
    start = 8 + header_size
    if header_size < 6 or start > len(data):
        warnings.append(f"The header claims a length of {header_size}; read as 6.")
        start = 14
    walk = Walk(data, limits, warnings)
    walk.chunks(start)
    found = len(walk.positions)
    if found == 0 and declared:
        raise FugatoError("corrupt", "There is a MIDI header, but no track after it.")
    if found != declared:
        warnings.append(f"The header announces {declared} tracks, {found} are there.")
    return _decode(walk, form, division)


def _decode(walk: Walk, form: int, division: int) -> Events:
    """Columns from the states that the walk went through."""
    b = walk.bytes
    counts = np.array([len(p) for p in walk.positions], np.int64)
    states = np.concatenate(walk.positions) if len(counts) else np.zeros(0, np.int64)
    track = np.repeat(np.arange(len(counts)), counts)
    pos = states // STATES
    delta, size = deltas_at(b, pos)  # never without end: the walk has seen to it
    at = pos + size
    byte = b[at]
    running = byte < 0x80
    event = np.arange(len(pos))
    if running.any():
        if (running[1:] & (byte[:-1] >= 0xF0)).any():
            walk.warnings.append("Running status goes on after a meta or system event, against the specification.")
        channel = ~running & (byte < 0xF0)
        byte = np.where(running, byte[np.maximum.accumulate(np.where(channel, event, 0))], byte)
    body = at + ~running
    data = b[body]
    voice = byte < 0xF0
    more = np.where(DATA_BYTES[byte] == 2, b[body + 1], 0)
    status, first, second = byte.astype(np.int64), data.astype(np.int64), more.astype(np.int64)
    wrong = voice & ((data | more) > 127)
    if wrong.any():
        if wrong.sum() > BAD_DATA_SHARE * voice.sum():
            raise FugatoError("corrupt", f"{wrong.sum() / voice.sum():.0%} of the MIDI events have values over 127.")
        walk.warnings.append(
            f"{wrong.sum()} events have values over 127; notes of such a pitch were left out, velocities lowered."
        )
        walk.damaged = True
    if STRAY[byte].any():
        walk.warnings.append("System messages that do not belong in a file were ignored.")
        walk.damaged = True
    length = np.zeros(len(pos), np.int64)
    metas = np.flatnonzero(byte == META)
    value, width = deltas_at(b, body[metas] + 1)
    body[metas] += 1 + width
    length[metas] = value
    kept: Any = slice(None)
    if walk.damaged and division > 0:
        kept = np.ones(len(pos), bool)
        leaps = np.flatnonzero(delta > LEAP * division)
        for one in np.unique(track[leaps]):  # what follows a leap in a damaged track is not where it belongs
            kept &= (track != one) | (event < leaps[track[leaps] == one][0])
            walk.warnings.append(
                f"Track {one + 1} leaps over {LEAP:,} quarter notes after the damage; the rest was left out."
            )
        if kept.sum() < DAMAGED_SHARE * len(pos):
            raise FugatoError("corrupt", "Most of it is damaged: the times of its notes make no sense.")
        delta = np.where(kept, delta, 0)
    total = np.cumsum(delta)
    ends = np.cumsum(counts, dtype=np.int64)
    before = np.concatenate(([0], total))[ends - counts]  # ticks of all earlier tracks together
    tick = total - before[track]
    track_end = np.concatenate(([0], total))[ends] - before
    return Events(
        data=walk.data,
        format=form,
        division=division,
        track=track[kept],
        tick=tick[kept],
        status=status[kept],
        first=first[kept],
        second=second[kept],
        body=body[kept],
        size=length[kept],
        track_end=track_end,
        warnings=tuple(walk.warnings),
    )
