"""Small pieces of invented music as Scores and as MIDI bytes, for the tests of works, audit and probe."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from fugato.score import Score

from .read_files import END, chunk, meta, vlq


def melody(seed: int, notes: int = 160) -> tuple[list[int], list[float]]:
    """Pitches and quarter lengths of a wandering tune; another seed is another tune."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([-7, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 7], notes)
    pitch, pitches = 67, []
    for step in steps.tolist():
        pitch += step if 55 <= pitch + step <= 84 else -step
        pitches.append(pitch)
    return pitches, rng.choice([0.5, 1.0, 1.5], notes).tolist()


def piece(seed: int, notes: int = 160) -> Score:
    """A tune over a bass that wanders at half its pace."""
    top, lengths = melody(seed, notes)
    low, _ = melody(seed + 10_000, notes // 2)
    onset = np.concatenate(([0.0], np.cumsum(lengths)[:-1]))
    under = onset[::2][: len(low)]
    return Score.from_notes(
        np.concatenate([onset, under]),
        np.concatenate([lengths, np.full(len(under), 1.0)]),
        [*top, *(p - 24 for p in low[: len(under)])],
    )


def scales(repeats: int, octaves: int) -> Score:
    """C major up and down, over and over."""
    up = [12 * octave + step for octave in range(octaves) for step in (0, 2, 4, 5, 7, 9, 11)]
    pitches = [48 + p for _ in range(repeats) for p in [*up, 12 * octaves, *reversed(up)]]
    return Score.from_notes(0.25 * np.arange(len(pitches)), np.full(len(pitches), 0.25), pitches)


def midi_of(
    score: Score,
    *,
    ticks: int = 480,
    qpm: float = 120.0,
    velocities: Sequence[int] = (80,),
    tracks: int = 1,
    name: str = "",
) -> bytes:
    """A Standard MIDI File of a Score, its notes dealt to so many tracks."""
    conductor = meta(0x51, round(60e6 / qpm).to_bytes(3, "big")) + (meta(0x03, name.encode()) if name else b"")
    rows: list[list[tuple[int, int, int, int]]] = [[] for _ in range(tracks)]
    for i, n in enumerate(score.notes):
        velocity = velocities[i % len(velocities)]
        on, off = round(float(n["onset"]) * ticks), round(float(n["onset"] + n["duration"]) * ticks)
        rows[i % tracks] += [(on, 1, int(n["pitch"]), velocity), (off, 0, int(n["pitch"]), 0)]
    body = chunk(conductor + END)
    for row in rows:
        data, now = b"", 0
        for at, on, pitch, velocity in sorted(row):
            data += vlq(at - now) + bytes([0x90 if on else 0x80, pitch, velocity])
            now = at
        body += chunk(data + END)
    return b"MThd" + struct.pack(">IHHh", 6, 1, tracks + 1, ticks) + body
