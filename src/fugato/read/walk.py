"""The walk along the events of a Standard MIDI File: where each one starts, and what to do where the bytes are no
events.

A track is a chain of events of unlike length, and where the next one starts depends on the bytes of this one. NumPy
computes, for every byte at once, where the next event would start if one started here; a plain loop then follows the
chain. So every event of every file is looked at, nothing native touches untrusted bytes, and 10,000 bytes take about
a millisecond.
"""

from __future__ import annotations

from array import array
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.read.limits import Limits

META: Final = 0xFF
END_OF_TRACK: Final = 0x2F
BLOCK: Final = 1 << 16  # bytes whose chain table is held at once
STATES: Final = 4  # of an offset: 0, 1 or 2 data bytes of the running status; 3 is never met
AHEAD: Final = 16  # bytes beyond a block that its last event may look at
STOP: Final = 1 << 30  # where the chain ends: the end of the track, or bytes that are no event
DAMAGED_SHARE: Final = 0.5  # of the track bytes; more than that behind bytes that are no event is not worth an answer
RESUMES: Final = 16  # times that a damaged track is taken up again
RESUME_WITHIN: Final = 2_000  # bytes behind the damage
ROW: Final = 8  # well-formed events that show that the chain has been found again
SYSEX: Final = (0xF0, 0xF7)

Ints = NDArray[np.int64]


class Walk:
    """Follows the chain of events through every track chunk."""

    def __init__(self, data: bytes, limits: Limits, warnings: list[str]) -> None:
        self.data = data
        self.limits = limits
        self.warnings = warnings
        self.bytes = np.frombuffer(data + bytes(2 * AHEAD), np.uint8)
        self.positions: list[Ints] = []  # a track: state of every event, STATES * offset + length of running data
        self.damaged = False  # bytes that are no event, or events that cannot be right, were met
        self.events = 0
        self._block = -1
        self._table: array[int] = array("i")

    def chunks(self, pos: int) -> None:
        """All chunks from offset `pos` to the end of the file."""
        data, n = self.data, len(self.data)
        lost = total = strangers = 0
        while pos < n:
            if n - pos < 8:
                if any(data[pos:]):
                    self.warnings.append("Some bytes after the last track were ignored.")
                break
            size = int.from_bytes(data[pos + 4 : pos + 8], "big")
            if data[pos : pos + 4] != b"MTrk":
                following = pos + 8 + size
                strangers += 1
                if strangers > self.limits.tracks:
                    raise FugatoError("corrupt", f"More than {self.limits.tracks} chunks that are no track.")
                if _is_chunk_name(data[pos : pos + 4]) and following <= n:
                    self.warnings.append("A chunk that is no track was ignored.")
                    pos = following
                    continue
                pos = data.find(b"MTrk", pos + 1)
                if any(data[: pos if pos > 0 else n][-4:]):
                    self.warnings.append("Bytes between the tracks were ignored.")
                if pos < 0:
                    break
                continue
            if len(self.positions) >= self.limits.tracks:
                raise FugatoError("too-large", f"More than {self.limits.tracks} tracks.")
            track_start = pos + 8
            pos, unread = self._track(track_start, track_start + size)
            lost += unread
            total += pos - track_start
        if lost > DAMAGED_SHARE * max(total, 1):
            raise FugatoError("corrupt", f"{lost / total:.0%} of the track data is damaged and cannot be followed.")

    def _track(self, start: int, declared: int) -> tuple[int, int]:
        """Follow one track; where the next chunk starts, and how many bytes could not be followed."""
        data, n = self.data, len(self.data)
        number = len(self.positions) + 1
        trusted = declared == n or (
            declared < n and (_is_chunk_name(data[declared : declared + 4]) or n - declared < 8)
        )
        if trusted:
            limit = declared
        else:
            following = data.find(b"MTrk", start)
            limit = following if following >= 0 else n
        states, end, why = self._follow(start, limit)
        lost = 0
        for _ in range(RESUMES):
            if why == "end" and trusted and end < declared and self._is_row(end, declared, long=True):
                self.warnings.append(f"Track {number} has an end mark in its middle; it was read to its end.")
                again = end
            else:
                again = self._resume(end + 1, limit) if why == "bad" else limit
            if again >= limit:
                break
            lost += again - end
            more, end, why = self._follow(again, limit)
            states = np.concatenate([states, more])
        if lost:
            self.damaged = True
            self.warnings.append(f"Track {number}: {lost} bytes that are no MIDI event were left out.")
        self.positions.append(states)
        if why == "end":
            if end == declared:
                return end, lost
            if trusted:
                self.warnings.append(f"Track {number} goes on after its end mark; the rest was ignored.")
                return declared, lost
            self.warnings.append(f"Track {number} has a wrong length; it was read up to its end mark.")
            return end, lost
        if why == "bad":
            self.warnings.append(f"Track {number} has bytes that are no MIDI event; it was read up to there.")
            return limit, lost + limit - end
        if limit == n and (declared > n or why == "cut"):
            self.warnings.append(f"Track {number} is cut off; what is there was read.")
        elif why == "cut":
            self.warnings.append(f"The last event of track {number} is cut off and was left out.")
        else:
            self.warnings.append(f"Track {number} has no end mark.")
            if not trusted:
                self.warnings.append(f"Track {number} has a wrong length; it was read up to the next track.")
        return limit, lost

    def _resume(self, pos: int, limit: int) -> int:
        """The first offset from `pos` on, not far, from which a row of well-formed events starts; `limit` where none
        does."""
        for start in range(pos, min(pos + RESUME_WITHIN, limit)):
            if self._is_row(start, limit):
                return start
        return limit

    def _is_row(self, pos: int, limit: int, *, long: bool = False) -> bool:
        """Whether `ROW` events with a status byte each, or the end of the track, stand here without a fault.

        With `long`, the first event may come after a long time.
        """
        b, data_bytes = self.data, 0
        for i in range(ROW):
            if pos >= limit:
                return i > 1
            if b[pos] >= 0x80 and i == 0 and not long:  # a stray status byte is no time
                return False
            pos += 1 + (b[pos] >= 0x80)
            if pos + 3 > limit:
                return False
            status = b[pos]
            if status == META:
                if b[pos + 1] == END_OF_TRACK:
                    return i > 0 or pos + 3 == limit
                if b[pos + 1] > 0x7F or b[pos + 2] > 0x7F:
                    return False
                pos += 3 + b[pos + 2]
                continue
            if status >= 0xF0 or (status < 0x80 and not data_bytes):
                return False
            if status >= 0x80:
                data_bytes = 1 if 0xC0 <= status < 0xE0 else 2
                pos += 1
            if any(value > 0x7F for value in b[pos : pos + data_bytes]):
                return False
            pos += data_bytes
        return True

    def _follow(self, start: int, limit: int) -> tuple[Ints, int, str]:
        """States of the events from `start` on, the offset behind them, and why the chain ended: end, bad, cut or
        limit."""
        found: list[Ints] = []
        state = STATES * start
        while state < STATES * limit:
            base = state // STATES // BLOCK * BLOCK * STATES
            table = self._table_of(base // STATES)
            here: list[int] = []
            append = here.append
            i, stop = state - base, min(STATES * limit - base, STATES * BLOCK)
            while i < stop:
                append(i)
                i = table[i]
            found.append(np.fromiter(here, np.int64, len(here)) + base)
            state = i + base
            self.events += len(here)
            if self.events > self.limits.events:
                raise FugatoError("too-large", f"More than {self.limits.events:,} MIDI events.")
        states = found[0] if len(found) == 1 else np.concatenate([np.zeros(0, np.int64), *found])
        if state < STOP:
            if state // STATES == limit or not len(states):
                return states, limit, "limit"
            return states[:-1], limit, "cut"
        last = int(states[-1]) // STATES
        _, size = self._delta(last)
        at = last + size
        if size <= 4 and self.bytes[at] == META and self.bytes[at + 1] == END_OF_TRACK:
            length, width = self._delta(at + 2)
            end = at + 2 + width + length
            return (states, end, "end") if end <= limit else (states, limit, "limit")
        return states[:-1], last, "bad"

    def _delta(self, pos: int) -> tuple[int, int]:
        """Value and size of one variable-length quantity, as `deltas_at` has them."""
        value = 0
        for k, byte in enumerate(self.bytes[pos : pos + 4].tolist()):
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value, k + 1
        return value, 5

    def _table_of(self, start: int) -> array[int]:
        """For every offset of the block and every running status: the state of the next event, relative to the
        block."""
        if self._block != start:
            self._table = _chain(self.bytes[start : start + BLOCK + AHEAD])
            self._block = start
        return self._table


def _chain(b: NDArray[np.uint8]) -> array[int]:
    """The next state from every state of a block; state = `STATES` * offset + number of data bytes of the running status.

    A running status of 0 data bytes means that there is none. Meta and system events leave the running status
    standing: the specification cancels it, but files that go on with it can be understood.
    """
    n = len(b) - AHEAD
    reach = n + 5  # offsets at which a status byte, or running data, may be
    # The state behind an event whose status byte is here, shape=(reach, STATES).
    behind = STEP.take(b[:reach], axis=0)
    behind += np.arange(STATES * reach, dtype=np.int32).reshape(reach, STATES)
    variable = np.flatnonzero(VARIABLE[b[:reach]])
    meta = b[variable] == META
    where = variable + 1 + meta
    length, width = deltas_at(b, where)
    place = STATES * np.minimum(where + width + length, STOP // (2 * STATES))
    place[(width > 4) | (meta & (b[variable + 1] == END_OF_TRACK))] = STOP
    behind[variable] = place[:, None] + np.arange(STATES)
    # The time before it takes one byte if that byte is not high; the others are few.
    table = behind[1 : n + 1].copy()
    going = np.flatnonzero(b[:n] >= 0x80)
    row, from_row = (x.view(np.complex128).ravel() for x in (table, behind))  # 16 bytes at once, whatever they mean
    for size in (2, 3, 4):
        row[going] = from_row[going + size]
        going = going[b[going + size - 1] >= 0x80]
    table[going] = STOP
    flat = array("i")
    flat.frombytes(table.data.cast("B"))
    return flat


def _steps() -> NDArray[np.int32]:
    """What a status byte, or running data, adds to the state in which it is met, shape=(256, STATES); from `STOP` on, the
    chain ends."""
    step = np.zeros((256, STATES), np.int32)
    for r in range(STATES):
        step[:0x80, r] = STATES * r + r if r else STOP  # running data
        step[0x80:0xF0, r] = STATES * 3 + 2
        step[0xC0:0xE0, r] = STATES * 2 + 1
        step[0xF0:, r] = r
    # System messages do not belong in files, but the length of most is known.
    step[[0xF1, 0xF3]] += STATES * 2
    step[0xF2] += STATES * 3
    step[[0xF6, *range(0xF8, 0xFF)]] += STATES
    step[[0xF4, 0xF5]] = STOP
    step -= np.arange(STATES, dtype=np.int32)  # the running status so far
    return step


STEP: Final = _steps()
VARIABLE: Final = np.isin(np.arange(256), [0xF0, 0xF7, META])


def deltas_at(b: NDArray[np.uint8], pos: NDArray[Any]) -> tuple[Ints, Ints]:
    """Value and size of the variable-length quantities at the offsets `pos`, shape=(n,) each; size 5 where one has no
    end."""
    byte = b.take(pos, mode="clip")
    value = (byte & 0x7F).astype(np.int64)
    size = np.ones(len(pos), np.int64)
    going = np.flatnonzero(byte >= 0x80)
    for k in range(1, 4):
        byte = b.take(pos[going] + k, mode="clip")
        value[going] = (value[going] << 7) | (byte & 0x7F)
        size[going] = k + 1
        going = going[byte >= 0x80]
    size[going] = 5
    return value, size


def _is_chunk_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= c < 0x7F for c in name)
