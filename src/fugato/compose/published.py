"""The two published generators, as their recipes rebuild them: pitch-duration-lstm and chord-lstm.

Both foretell the next symbol from a window and know nothing of time. So that they can be judged on the same note events as systems that
do, what their networks do not say is foretold by its frequency in their training music: when a note starts (both), how long it is and in
which octave a chord's notes lie (chord-lstm). `NoteLikelihood.by` tells the parts apart.

Their vocabulary travels with the model. A symbol of a user's piece that it does not hold stands for the nearest that it does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.compose.generator import NoteLikelihood
from fugato.models import Model, onnx_session
from fugato.represent.note_events import (
    LENGTHS,
    MOST_AT_ONCE,
    NoteEvents,
    note_events,
    pitches_of,
    score_of_events,
    sounds,
    symbol_of,
)
from fugato.represent.tokens import LONG_DURATIONS, TICKS
from fugato.score import Score

CHORD_STEP: Final = TICKS // 2  # ticks from one sound of chord-lstm to the next: half a quarter note
BATCH: Final = 64
SMALLEST: Final = 1e-8  # added to a chance before its logarithm is divided by the temperature

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def frequencies(values: Ints, size: int) -> list[int]:
    """How often each class occurs."""
    counts: list[int] = np.bincount(np.clip(values, 0, size - 1), minlength=size).tolist()
    return counts


def surprise(counts: Sequence[int], values: Ints) -> float:
    """Nats of values by how often they occurred, one added to each count."""
    table = np.asarray(counts, np.float64) + 1
    return float(-np.log(table[np.clip(values, 0, len(table) - 1)] / table.sum()).sum())


def drawn(chance: Floats, temperature: float | None, rng: np.random.Generator) -> int:
    """A class: the likeliest without a temperature, else one drawn from softmax(log(p + 1e-8) / temperature)."""
    if not temperature:
        return int(chance.argmax())
    scaled = np.log(chance + SMALLEST) / temperature
    weight = np.exp(scaled - scaled.max())
    return int(rng.choice(len(chance), p=weight / weight.sum()))


def filled(values: Sequence[int], size: int) -> list[int]:
    """The last `size` values; a shorter row is repeated."""
    row = list(values[-size:])
    return (row * -(-size // len(row)))[-size:]


class Network:
    """A network from windows of symbols to chances of the next."""

    def __init__(self, model: Model, part: str, size: int) -> None:
        self.size = size
        self._session = onnx_session(model.path(part))

    def chances(self, rows: Ints) -> Floats:
        """Of windows, shape=(n, size) -> shape=(n, n_symbols)."""
        made = []
        for start in range(0, len(rows), BATCH):
            scores = self._session.run(None, {"window": np.ascontiguousarray(rows[start : start + BATCH])})[0]
            scores = scores.astype(np.float64)
            weight = np.exp(scores - scores.max(axis=1, keepdims=True))
            made.append(weight / weight.sum(axis=1, keepdims=True))
        return np.concatenate(made)

    def surprise(self, symbols: Ints, counts: Sequence[int], wanted: NDArray[np.bool_]) -> float:
        """Nats of the wanted symbols of a row: by the network after a whole window, by frequency before."""
        first = np.flatnonzero(wanted & (np.arange(len(symbols)) < self.size))
        nats = surprise(counts, symbols[first])
        later = np.flatnonzero(wanted & (np.arange(len(symbols)) >= self.size))
        if len(later):
            rows = np.lib.stride_tricks.sliding_window_view(symbols, self.size)[later - self.size]
            nats -= float(np.log(self.chances(rows)[np.arange(len(later)), symbols[later]] + 1e-12).sum())
        return nats


class PitchDurationLSTM:
    """A model of the recipe pitch-duration-lstm: parts ``pitch``, ``duration``, ``vocabulary``.

    It writes one note after another, each beginning where the one before ends.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.vocabulary: dict[str, Any] = model.json("vocabulary")
        self.lengths = np.array(self.vocabulary["lengths"], np.int64)  # classes that the second network knows
        self.pitch = Network(model, "pitch", int(self.vocabulary["window"]))
        self.length = Network(model, "duration", int(self.vocabulary["window"]))

    def symbols(self, events: NoteEvents) -> Ints:
        """For each note the nearest length that is known, as its index."""
        ticks = LONG_DURATIONS[self.lengths]
        nearest: Ints = np.abs(np.log(LONG_DURATIONS[events.length][:, None] / ticks)).argmin(axis=1)
        return nearest

    def nll(self, score: Score, *, style: str | None = None) -> NoteLikelihood:
        """How well a piece is foretold."""
        events = note_events(score)
        everything = np.ones(len(events.pitch), bool)
        symbols = self.symbols(events)
        known = self.lengths[symbols] == events.length
        escape = 1 / (sum(self.vocabulary["length_counts"]) + 2)  # chance of a length that the training music never had
        duration = self.length.surprise(symbols, self.vocabulary["length_counts"], known) - known.sum() * np.log(
            1 - escape
        )
        duration -= (~known).sum() * np.log(escape / max(LENGTHS - len(self.lengths), 1))
        by = {
            "onset": surprise(self.vocabulary["step_counts"], events.step),
            "pitch": self.pitch.surprise(events.pitch, self.vocabulary["pitch_counts"], everything),
            "duration": float(duration),
        }
        return NoteLikelihood(sum(by.values()), len(events.pitch), by)

    def generate(
        self,
        seed: Score | None,
        *,
        bars: int,
        random_seed: int,
        style: str | None = None,
        temperature: float | None = 1.0,
        program: int = 0,
        **options: Any,
    ) -> Score:
        """New notes after the last 30 of a seed; see `fugato.compose.Generator`.

        Parameters
        ----------
        temperature : float or None
            1 to 5 as published; None takes the likeliest note each time. From nothing, the first 30 notes are drawn by frequency.
        """
        rng = np.random.default_rng(random_seed)
        size = self.pitch.size
        meter, tempo = (4, 4), 120.0
        if seed is not None:
            events = note_events(seed)
            pitch, length = events.pitch.tolist(), self.symbols(events).tolist()
            meter, tempo = seed.meters[-1][1:], seed.tempos[-1].qpm
        else:
            pitch, length = (
                rng.choice(len(counts), size, p=np.array(counts) / sum(counts)).tolist()
                for counts in (self.vocabulary["pitch_counts"], self.vocabulary["length_counts"])
            )
        pitch, length = filled(pitch, size), filled(length, size)
        end = round(bars * 4 * TICKS * meter[0] / meter[1])
        made: list[tuple[int, int]] = []
        now = 0
        while now < end:
            pitch = [*pitch[1:], drawn(self.pitch.chances(np.array([pitch]))[0], temperature, rng)]
            length = [*length[1:], drawn(self.length.chances(np.array([length]))[0], temperature, rng)]
            made.append((pitch[-1], int(self.lengths[length[-1]])))
            now += int(LONG_DURATIONS[made[-1][1]])
        pitches, lengths = (np.array(c, np.int64) for c in zip(*made, strict=True))
        steps = np.concatenate([[0], LONG_DURATIONS[lengths[:-1]]])
        return score_of_events(
            NoteEvents(steps, pitches, lengths), bars=bars, meter=meter, tempo=tempo, program=program
        )


class ChordLSTM:
    """A model of the recipe chord-lstm: parts ``network``, ``vocabulary``.

    It writes a note or a chord every half quarter note, each half a quarter long.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.vocabulary: dict[str, Any] = model.json("vocabulary")
        self.words: list[str] = self.vocabulary["symbols"]
        self.network = Network(model, "network", int(self.vocabulary["window"]))

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Place of each word."""
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def _classes(self) -> list[frozenset[int]]:
        return [frozenset(p % 12 for p in pitches_of(word)) for word in self.words]

    def nearest(self, pitches: Sequence[int]) -> int:
        """The word for a sound, or the nearest one: most pitch classes in common, then the nearest in height, then the most frequent."""
        found = self.index.get(symbol_of(pitches))
        if found is not None:
            return found
        classes, middle = frozenset(p % 12 for p in pitches), sum(pitches) / len(pitches)
        counts = self.vocabulary["symbol_counts"]

        def distance(i: int) -> tuple[float, float, int]:
            own = pitches_of(self.words[i])
            shared = len(classes & self._classes[i]) / len(classes | self._classes[i])
            same_kind = (len(own) > 1) == (len(classes) > 1)
            return (-shared, 0.0 if len(own) > 1 and same_kind else abs(sum(own) / len(own) - middle), -counts[i])

        return min(range(len(self.words)), key=distance)

    def nll(self, score: Score, *, style: str | None = None) -> NoteLikelihood:
        """How well a piece is foretold."""
        events = note_events(score)
        found = sounds(events)
        symbols = np.array([self.nearest(p) for p in found.pitches], np.int64)
        known = np.array([symbol_of(p) in self.index for p in found.pitches])
        counts = self.vocabulary["symbol_counts"]
        escape = (sum(c == 1 for c in counts) + 1) / (
            sum(counts) + 2
        )  # Good & Turing: as many are new as came but once
        pitch = self.network.surprise(symbols, counts, known) - known.sum() * np.log(1 - escape)
        pitch -= (~known).sum() * np.log(escape)
        sizes = np.array([len(p) for p in found.pitches])
        pitch += surprise(self.vocabulary["size_counts"], np.minimum(sizes, MOST_AT_ONCE))
        octave = np.array(self.vocabulary["octave_counts"], np.float64) + 1  # (12, 11)
        octave = -np.log(octave / octave.sum(axis=1, keepdims=True))
        for pitches, is_known in zip(found.pitches, known.tolist(), strict=True):
            if not is_known:
                pitch += surprise(self.vocabulary["pitch_counts"], np.array(pitches))
            elif len(set(pitches)) > 1:  # each note is one of the chord's classes, in some octave
                classes = len({p % 12 for p in pitches})
                pitch += sum(np.log(classes) + octave[p % 12, p // 12] for p in pitches)
        by = {
            "onset": surprise(self.vocabulary["step_counts"], found.step),
            "pitch": float(pitch),
            "duration": surprise(self.vocabulary["length_counts"], events.length),
        }
        return NoteLikelihood(sum(by.values()), len(events.pitch), by)

    def generate(
        self,
        seed: Score | None,
        *,
        bars: int,
        random_seed: int,
        style: str | None = None,
        temperature: float | None = None,
        program: int = 0,
        **options: Any,
    ) -> Score:
        """New sounds after the last 100 of a seed; see `fugato.compose.Generator`.

        Parameters
        ----------
        temperature : float or None
            None takes the likeliest sound each time, as published. From nothing, the first 100 sounds are drawn by frequency.
        """
        rng = np.random.default_rng(random_seed)
        meter, tempo = (4, 4), 120.0
        if seed is not None:
            row = [self.nearest(p) for p in sounds(note_events(seed)).pitches]
            meter, tempo = seed.meters[-1][1:], seed.tempos[-1].qpm
        else:
            counts = np.array(self.vocabulary["symbol_counts"], np.float64)
            row = rng.choice(len(counts), self.network.size, p=counts / counts.sum()).tolist()
        row = filled(row, self.network.size)
        step, pitch = [], []
        said: dict[tuple[int, ...], Floats] = {}  # the likeliest sound soon repeats itself, and so do the windows
        for i in range(-(-round(bars * 4 * TICKS * meter[0] / meter[1]) // CHORD_STEP)):
            window = tuple(row)
            if window not in said:
                said[window] = self.network.chances(np.array([row]))[0]
            row = [*row[1:], drawn(said[window], temperature, rng)]
            for k, p in enumerate(pitches_of(self.words[row[-1]])):
                step.append(CHORD_STEP if k == 0 and i else 0)
                pitch.append(min(p, 127))
        length = np.full(len(pitch), CHORD_STEP - 1)  # class from 0: so many ticks, less one
        events = NoteEvents(np.array(step, np.int64), np.array(pitch, np.int64), length)
        return score_of_events(events, bars=bars, meter=meter, tempo=tempo, program=program)
