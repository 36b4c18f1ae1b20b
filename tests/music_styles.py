"""Invented composers: three manners of writing, mixed in shares that make a style, for the tests of models.

They carry names from the table of composers, so that periods can be asked for; nothing else about them is real. A piece is mostly in its
composer's own manner, with bars in the others', so that no piece is without doubt and some bars tell more than others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fugato.score import Score

from .music_files import midi_of
from .read_files import musicxml

Notes = list[tuple[float, float, int]]  # onset within the bar, duration, pitch
STEPS = ("C", "C", "D", "D", "E", "F", "F", "G", "G", "A", "A", "B")
MAJOR = (0, 2, 4, 5, 7, 9, 11)


def chorale(rng: np.random.Generator) -> Notes:
    """Four chords to the bar, the melody in steps."""
    out: Notes = []
    for beat in range(4):
        root = int(rng.choice([0, 0, 5, 7, 9, 2]))
        third = 4 if root in (0, 5, 7) else 3
        inner = [60 + (root + third) % 12, 60 + (root + 7) % 12]
        top = 72 + int(rng.choice([0, 2, 4, 5, 7]))
        out += [(float(beat), 1.0, p) for p in sorted({36 + root, *inner, top})]
    return out


def running(rng: np.random.Generator) -> Notes:
    """Sixteenths that wander along the scale over a walking bass."""
    degree, out = int(rng.integers(3, 12)), []
    for i in range(16):
        degree = int(np.clip(degree + rng.choice([-2, -1, 1, 2, 3, -3]), 0, 15))
        out.append((i / 4, 0.25, 60 + 12 * (degree // 7) + MAJOR[degree % 7]))
    return out + [(float(b), 1.0, 40 + MAJOR[int(rng.integers(7))]) for b in range(4)]


def ragged(rng: np.random.Generator) -> Notes:
    """A syncopated melody with chromatic leaps over bass and chord in turn."""
    out: Notes = []
    for start, length in ((0.0, 0.25), (0.25, 0.5), (0.75, 0.25), (1.0, 0.75), (1.75, 0.5), (2.25, 0.75), (3.0, 1.0)):
        out.append((start, length, int(rng.integers(68, 86))))
    for beat in range(4):
        low = int(rng.choice([36, 41, 43, 38]))
        out += [(float(beat), 0.5, low), (beat + 0.5, 0.5, low + 16), (beat + 0.5, 0.5, low + 19)]
    return out


MANNERS: tuple[Callable[[np.random.Generator], Notes], ...] = (chorale, running, ragged)
COMPOSERS = {"Bach": (0.6, 0.25, 0.15), "Chopin": (0.15, 0.6, 0.25), "Joplin": (0.25, 0.15, 0.6)}


def manners_of(composer: str, seed: int, bars: int = 16) -> list[int]:
    """Which manner each bar of a piece is in."""
    rng = np.random.default_rng([seed, list(COMPOSERS).index(composer)])
    return rng.choice(len(MANNERS), bars, p=COMPOSERS[composer]).tolist()


def styled(composer: str, seed: int, bars: int = 16) -> Score:
    """A piece; another seed is another work."""
    rng = np.random.default_rng([seed, list(COMPOSERS).index(composer), 1])
    key = int(rng.integers(-5, 6))
    notes = [
        (4.0 * bar + onset, duration, pitch + key)
        for bar, manner in enumerate(manners_of(composer, seed, bars))
        for onset, duration, pitch in MANNERS[manner](rng)
    ]
    onset, duration, pitch = zip(*notes, strict=True)
    return Score.from_notes(onset, duration, pitch, beats="notated")


def write_collection(root: Path, seeds: Sequence[int], composers: Sequence[str] = tuple(COMPOSERS)) -> Path:
    """A folder of MIDI files for each composer, written in as many ways as there are seeds."""
    for composer in composers:
        (root / composer).mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            data = midi_of(styled(composer, seed), ticks=(96, 480, 384)[seed % 3], qpm=80 + 7 * (seed % 9))
            (root / composer / f"piece {seed}.mid").write_bytes(data)
    return root


def write_tunes(root: Path, lengths: Sequence[int]) -> Path:
    """A folder of three composers with a tune of each of these numbers of notes: eighths, all as long, each composer in a scale."""
    rng = np.random.default_rng(0)
    for composer, scale in (("Major", MAJOR), ("Five", (0, 2, 4, 7, 9)), ("Whole", (0, 2, 4, 6, 8, 10))):
        (root / composer).mkdir(parents=True)
        for number, n in enumerate(lengths):
            octave, step = np.divmod(rng.integers(0, 2 * len(scale), n), len(scale))
            tune = Score.from_notes(
                np.arange(n) / 2, np.full(n, 0.5), 60 + 12 * octave + np.array(scale)[step], beats="notated"
            )
            (root / composer / f"{number}.mid").write_bytes(midi_of(tune))
    return root


def musicxml_of(score: Score) -> bytes:
    """A MusicXML document of a Score in 4/4 on a grid of sixteenths."""
    measures = []
    for bar in range(len(score.bars)):
        inside = score.notes[score.bar_of(score.notes["onset"]) == bar]
        text = ""
        for n in inside:
            start, length = round(4 * (float(n["onset"]) - 4 * bar)), round(4 * float(n["duration"]))
            step, octave = STEPS[n["pitch"] % 12], int(n["pitch"]) // 12 - 1
            alter = int(n["pitch"]) % 12 - {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[step]
            text += f"<forward><duration>{start}</duration></forward>" if start else ""
            text += (
                f"<note><pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>"
                f"<duration>{length}</duration></note><backup><duration>{start + length}</duration></backup>"
            )
        measures.append(text + "<forward><duration>16</duration></forward>")
    return musicxml(*measures)


def performed(score: Score, seed: int = 0, spread: float = 0.02) -> Score:
    """The piece as played: every onset late or early by a normal error of `spread` seconds, and only a default tempo."""
    rng = np.random.default_rng(seed)
    notes = score.notes
    onset = np.maximum(notes["onset"] + 2 * rng.normal(0, spread, len(notes)), 0)  # two quarters a second
    return Score.from_notes(onset, notes["duration"], notes["pitch"], beats="default")


def merged(score: Score) -> Score:
    """The same notes as one part, all played alike."""
    notes = score.notes
    return Score.from_notes(notes["onset"], notes["duration"], notes["pitch"], beats=score.beats, meters=score.meters)
