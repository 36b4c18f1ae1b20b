"""Events of a Standard MIDI File -> Score.

Onsets and durations are in quarter notes. A part is one channel of one track. What a performance adds (pedal,
controllers, pitch bend) is left out. Notes are paired in the order in which they start: the first note-off of a key
ends its first open note; where note-offs are missing, a key that is struck again ends there. Notes without length get
`SHORTEST`, as grace notes do.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.read.limits import DEFAULT_LIMITS, Limits
from fugato.read.meters import tidy_meters
from fugato.read.smf import Events, read_events
from fugato.read.walk import Ints
from fugato.score import DEFAULT_QPM, Key, Meter, Part, Score, Tempo

SHORTEST: Final = 0.125  # quarter notes given to a note that has no length: a thirty-second
HANGING: Final = 4.0  # quarter notes at most for a note that never ends
DRUM_CHANNEL: Final = 9  # channel 10 of General MIDI
FRAMES: Final = {24: 24.0, 25: 25.0, 29: 30_000 / 1001, 30: 30.0}  # SMPTE frames per second
TEXT, NAME, INSTRUMENT, TEMPO, METER, KEY = 0x01, 0x03, 0x04, 0x51, 0x58, 0x59  # meta events


def read_midi(data: bytes, limits: Limits = DEFAULT_LIMITS, warnings: tuple[str, ...] = ()) -> Score:
    """Score of a Standard MIDI File that starts with ``MThd``.

    Raises
    ------
    FugatoError
        ``empty``, ``corrupt``, ``unsupported`` or ``too-large``.
    """
    events = read_events(data, limits)
    notes = list(warnings) + list(events.warnings)
    per_quarter = _ticks_per_quarter(events, notes)
    tick = _score_ticks(events, notes)
    onset, end, index = _pair_notes(events, tick, per_quarter, notes)
    if not len(onset):
        raise FugatoError("empty", "It is a MIDI file without a note in it.")
    if len(onset) > limits.notes:
        raise FugatoError("too-large", f"{len(onset):,} notes; a piece may have {limits.notes:,}.")
    order = np.argsort(onset * 128 + events.first[index], kind="stable")
    onset, end, index = onset[order], end[order], index[order]
    last = float(end.max()) / per_quarter
    if last > limits.quarters:
        raise FugatoError("too-large", f"{last:,.0f} quarter notes long; a piece may have {limits.quarters:,.0f}.")
    duration = (end - onset) / per_quarter
    duration[duration <= 0] = SHORTEST
    parts, part = _parts(events, tick, index)
    drum = np.array([p.drum for p in parts])[part]
    seconds_only = events.division < 0
    meters = _meters(events, tick / per_quarter, last, notes)
    return Score.from_notes(
        onset / per_quarter,
        duration,
        events.first[index],
        velocity=np.minimum(events.second[index], 127),
        part=part,
        drum=drum,
        parts=parts,
        tempos=() if seconds_only else _tempos(events, tick / per_quarter, last, notes),
        meters=meters,
        keys=_keys(events, tick / per_quarter, last, notes),
        beats="default" if seconds_only else None,
        title=_title(events, index),
        format="midi",
        ticks_per_quarter=None if seconds_only else events.division,
        warnings=tuple(dict.fromkeys(notes)),
    )


def _ticks_per_quarter(events: Events, notes: list[str]) -> float:
    """Ticks per quarter note; SMPTE time is taken as quarters at `DEFAULT_QPM`."""
    if events.division > 0:
        return float(events.division)
    frames = -(events.division >> 8)
    if frames not in FRAMES:
        raise FugatoError("corrupt", f"The header counts {frames} frames per second; only 24, 25, 29 and 30 exist.")
    notes.append("Timed in film frames, not beats: read as quarter notes at 120 to the minute.")
    return FRAMES[frames] * (events.division & 0xFF) * 60.0 / DEFAULT_QPM


def _score_ticks(events: Events, notes: list[str]) -> Ints:
    """Ticks from the start of the piece; the tracks of format 2 follow one another."""
    if events.format != 2 or len(events.track_end) < 2:
        return events.tick
    notes.append("Format 2 holds separate sequences; they are read one after the other.")
    starts = np.concatenate(([0], np.cumsum(events.track_end)[:-1]))
    ticks: Ints = events.tick + starts[events.track]
    return ticks


def _pair_notes(events: Events, tick: Ints, per_quarter: float, notes: list[str]) -> tuple[Ints, Ints, Ints]:
    """Onset and end in ticks and the index of the note-on event of every note, shape=(n_notes,) each."""
    kind = events.status >> 4
    sounding = (kind == 0x9) & (events.second > 0)
    which = np.flatnonzero(((kind == 0x9) | (kind == 0x8)) & (events.first < 128))
    key = (events.track[which] * 16 + (events.status[which] & 15)) * 128 + events.first[which]
    # NumPy sorts 16 bits by radix, ten times as fast
    order = np.argsort(key.astype(np.uint16) if len(key) and key.max() < 1 << 16 else key, kind="stable")
    which, key = which[order], key[order]
    step = np.where(sounding[which], 1, -1)

    # Note-offs with nothing to end: where the number of open notes falls to a new low below zero.
    group = np.cumsum(np.concatenate(([0], key[1:] != key[:-1]))) if len(key) else key
    size = np.bincount(group, minlength=1)
    first = np.concatenate(([0], np.cumsum(size)[:-1]))
    running = np.cumsum(step)
    opened = running - np.concatenate(([0], running))[first][group]
    depth = np.minimum(opened, 0) - group * (len(key) + 1)
    lowest = np.minimum.accumulate(depth) if len(depth) else depth
    before = np.concatenate(([0], lowest[:-1]))
    before[first[: len(size)] if len(key) else []] = -np.arange(len(size) if len(key) else 0) * (len(key) + 1)
    stray = (step < 0) & (lowest < before)
    if stray.any():
        which, key, step, group = which[~stray], key[~stray], step[~stray], group[~stray]

    on = step > 0
    surplus = np.bincount(group, weights=step, minlength=len(size)) > 0
    hanging = surplus[group]
    starts, ends = which[on & ~hanging], which[~on & ~hanging]  # the k-th note-on of a key meets its k-th note-off
    onset, end, index = tick[starts], tick[ends], starts

    if hanging.any():
        following = np.concatenate((np.where(key[1:] == key[:-1], which[1:], -1), [-1]))
        loose = np.flatnonzero(on & hanging)
        begin, after = tick[which[loose]], following[loose]
        offset = tick - events.tick  # of format 2
        track_end = events.track_end[events.track[which[loose]]] + offset[which[loose]]
        never = np.minimum(track_end, begin + int(HANGING * per_quarter))
        onset = np.concatenate((onset, begin))
        end = np.concatenate((end, np.where(after >= 0, tick[after], never)))
        index = np.concatenate((index, which[loose]))
        if (after < 0).any():
            notes.append(f"{int((after < 0).sum())} notes never end; they were given a whole note at most.")
    return onset, end, index


def _parts(events: Events, tick: Ints, index: Ints) -> tuple[list[Part], Ints]:
    """The parts, and for every note the index of its own."""
    channel = events.status & 15
    voice = events.track * 16 + channel
    present = np.bincount(voice[index]) > 0
    owners, part = np.flatnonzero(present), (np.cumsum(present) - 1)[voice[index]]
    programs = np.flatnonzero(events.status >> 4 == 0xC)
    program_voice, program_tick = voice[programs], tick[programs]
    names: dict[int, str] = {}
    for kind in (INSTRUMENT, NAME):  # the name, where there is one, replaces the instrument
        for i in events.meta(kind)[::-1]:
            names[int(events.track[i])] = text_of(events.payload(int(i))) or names.get(int(events.track[i]), "")
    first = np.full(len(owners), np.iinfo(np.int64).max)
    np.minimum.at(first, part, tick[index])
    parts = []
    for owner, start in zip(owners.tolist(), first.tolist(), strict=True):
        chosen = 0
        for same in (program_voice == owner, channel[programs] == owner % 16):
            if same.any():
                early = programs[same & (program_tick <= start)]
                chosen = int(events.first[early[-1] if len(early) else programs[same][0]])
                break
        parts.append(Part(names.get(owner // 16, ""), min(chosen, 127), owner % 16 == DRUM_CHANNEL))
    return parts, part.astype(np.int64)


def _title(events: Events, index: Ints) -> str:
    """Name of the sequence: that of the first track, where it is the only one or holds no notes."""
    named = [i for i in events.meta(NAME) if events.track[i] == 0]
    if not named or (len(events.track_end) > 1 and (events.track[index] == 0).any()):
        return ""
    return text_of(events.payload(int(named[0])))


def _tempos(events: Events, onset: NDArray[Any], last: float, notes: list[str]) -> list[Tempo]:
    tempos = []
    changes = events.meta(TEMPO)
    for start, body, size in zip(
        *(column[changes].tolist() for column in (onset, events.body, events.size)), strict=True
    ):
        micros = int.from_bytes(events.data[body : body + size], "big")
        if size != 3 or micros == 0:
            notes.append("A tempo of zero or without a value was ignored.")
        elif start <= last:
            tempos.append(Tempo(start, 60e6 / micros))
    return tempos


def _meters(events: Events, onset: NDArray[Any], last: float, notes: list[str]) -> list[Meter]:
    """Time signatures; one that repeats the last is dropped, one that narrowly misses a bar line is moved onto it."""
    found = []
    for i in events.meta(METER):
        payload = events.payload(i)
        if len(payload) < 2 or payload[0] == 0 or payload[1] > 7:
            notes.append("A time signature that does not exist was ignored.")
        elif onset[i] <= last:
            found.append(Meter(float(onset[i]), payload[0], 2 ** payload[1]))
    return tidy_meters(found)


def _keys(events: Events, onset: NDArray[Any], last: float, notes: list[str]) -> list[Key]:
    keys: list[Key] = []
    for i in sorted(events.meta(KEY).tolist(), key=lambda i: float(onset[i])):
        payload = events.payload(i)
        sharps = int.from_bytes(payload[:1], "big", signed=True)
        if len(payload) < 2 or abs(sharps) > 7 or payload[1] > 1:
            notes.append("A key signature that does not exist was ignored.")
            continue
        key = Key(float(onset[i]), sharps, ("major", "minor")[payload[1]])
        if onset[i] <= last and (not keys or keys[-1][1:] != key[1:]):
            keys.append(key)
    return keys


def text_of(data: bytes) -> str:
    """Text of a file of unknown encoding: UTF-8 where it is that, else Windows Latin; without control characters."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    return "".join(c if c.isprintable() else " " for c in text).strip()
