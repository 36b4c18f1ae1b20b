"""A Markov chain of note events of order k with backoff: what plain counting can do, as the yardstick of every network.

An event is drawn in three parts: the time since the note before, given the last steps and lengths; the pitch, given the last pitches; the
length, given the last lengths. Orders are mixed from 0 to k by Witten & Bell's estimate ("The zero-frequency problem", IEEE Transactions
on Information Theory 37, 1991): what a context has not been followed by gets as much weight as it has had different followers. Pieces are
counted in C major or A minor. Contexts are kept as hashes: no music can be read from the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.compose.generator import NoteLikelihood
from fugato.models import Model
from fugato.represent.note_events import LENGTHS, STEPS, NoteEvents, note_events, score_of_events
from fugato.represent.tokens import LONG_DURATIONS, TICKS, key_of
from fugato.score import Score

SIZES: Final = (STEPS, 128, LENGTHS)  # classes of each part
PARTS: Final = ("step", "pitch", "length")
LONGEST_GAP: Final = 48  # ticks without a new note, when composing
MOST_AT_ONCE: Final = 8  # notes that start together, when composing
_FACTOR: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def home_shift(events: NoteEvents) -> int:
    """Semitones to C major or A minor, -5 to 6."""
    key = key_of(events.pitch, LONG_DURATIONS[events.length])
    return 0 if not key else ((9 if key > 12 else 0) - (key - 1) + 5) % 12 - 5


def contexts(events: NoteEvents, order: int) -> list[Ints]:
    """For each part what its context of an order is made of, shape=(n, n_values) each; -1 before the beginning."""

    def before(column: Ints, back: int) -> Ints:
        return np.concatenate([np.full(min(back, len(column)), -1), column[: max(len(column) - back, 0)]])

    back = range(1, order + 1)
    together = (events.step > 0).astype(np.int64)
    columns = (
        [c for j in back for c in (before(events.step, j), before(events.length, j))],
        [together, *(before(events.pitch, j) for j in back)] if order else [],
        [together, *(before(events.length, j) for j in back)] if order else [],
    )
    n = len(events.step)
    return [np.stack(c, axis=1) if c else np.zeros((n, 0), np.int64) for c in columns]


def hashed(values: Ints) -> NDArray[np.uint64]:
    """One number a row, shape=(n, n_values) -> shape=(n,)."""
    found = np.full(len(values), len(values[0]) + 1 if len(values) else 1, np.uint64)
    with np.errstate(over="ignore"):
        for column in values.T:
            found = (found ^ (column + 2).astype(np.uint64)) * np.uint64(_FACTOR)
            found ^= found >> np.uint64(29)
    return found


def count(pieces: Sequence[NoteEvents], order: int) -> dict[str, NDArray[Any]]:
    """Tables of a chain: for each part and order its contexts, what followed, and how often, sorted by context."""
    home = [p._replace(pitch=p.pitch + home_shift(p)) for p in pieces]
    tables: dict[str, NDArray[Any]] = {}
    for k in range(order + 1):
        made = [contexts(p, k) for p in home]
        for part, name in enumerate(PARTS):
            context = np.concatenate([hashed(m[part]) for m in made])
            follower = np.concatenate([np.clip(p[part], 0, SIZES[part] - 1) for p in home]).astype(np.uint8)
            by = np.lexsort((follower, context))
            context, follower = context[by], follower[by]
            new = np.ones(len(by), bool)
            new[1:] = (context[1:] != context[:-1]) | (follower[1:] != follower[:-1])
            first = np.flatnonzero(new)
            tables[f"{name}_{k}_context"] = context[first]
            tables[f"{name}_{k}_follower"] = follower[first]
            tables[f"{name}_{k}_count"] = np.diff(np.append(first, len(by))).astype(np.uint32)
    return tables


class Markov:
    """A model of the recipe markov: part ``counts``, and the order in ``vocabulary``."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.order = int(model.json("vocabulary")["order"])
        tables = model.arrays("counts")
        self.tables = [
            [
                tuple(tables[f"{name}_{k}_{what}"] for what in ("context", "follower", "count"))
                for k in range(self.order + 1)
            ]
            for name in PARTS
        ]

    def chances(self, part: int, hashes: Sequence[int]) -> Floats:
        """What follows contexts of order 0 to k, given by their hashes, shape=(n_classes,), sum 1."""
        chance = np.full(SIZES[part], 1 / SIZES[part])
        for (context, follower, counts), value in zip(self.tables[part], hashes, strict=True):
            low, high = np.searchsorted(context, np.uint64(value)), np.searchsorted(context, np.uint64(value), "right")
            if low == high:
                break  # longer contexts were not seen either
            seen = counts[low:high]
            total, kinds = int(seen.sum()), high - low
            chance *= kinds / (total + kinds)
            chance[follower[low:high]] += seen / (total + kinds)
        return chance

    def nll(self, score: Score, *, style: str | None = None) -> NoteLikelihood:
        """How well a piece is foretold, all parts of all its notes."""
        events = note_events(score)
        events = events._replace(pitch=np.clip(events.pitch + home_shift(events), 0, 127))
        by_order = [contexts(events, k) for k in range(self.order + 1)]
        by = dict.fromkeys(("onset", "pitch", "duration"), 0.0)
        for part, name in enumerate(by):
            found = [hashed(by_order[k][part]).tolist() for k in range(self.order + 1)]
            for i, value in enumerate(events[part].tolist()):
                by[name] -= float(np.log(self.chances(part, [h[i] for h in found])[value]))
        return NoteLikelihood(sum(by.values()), len(events.step), by)

    def generate(
        self,
        seed: Score | None,
        *,
        bars: int,
        random_seed: int,
        style: str | None = None,
        temperature: float = 1.0,
        program: int = 0,
        **options: Any,
    ) -> Score:
        """New notes after a seed, or from nothing; see `fugato.compose.Generator`. `style` is the collection's, whatever is asked."""
        rng = np.random.default_rng(random_seed)
        meter, tempo, shift = (4, 4), 120.0, 0
        past: list[list[int]] = [[], [], []]
        if seed is not None:
            events = note_events(seed)
            shift = home_shift(events)
            past = [events.step.tolist(), (events.pitch + shift).tolist(), events.length.tolist()]
            meter, tempo = seed.meters[-1][1:], seed.tempos[-1].qpm
        end = round(bars * 4 * TICKS * meter[0] / meter[1])
        made: list[list[int]] = [[], [], []]
        now, at_once = 0, 0
        while True:
            values = self._draw(rng, past, temperature, first=not made[0], at_once=at_once)
            now += values[0]
            if now >= end:
                break
            at_once = at_once + 1 if values[0] == 0 else 1
            for column, new, value in zip(past, made, values, strict=True):
                column.append(value)
                new.append(value)
                del column[: -2 * self.order - 2]
        step, pitch, length = (np.array(c, np.int64) for c in made)
        home = NoteEvents(step, np.clip(pitch - shift, 0, 127), length)
        return score_of_events(home, bars=bars, meter=meter, tempo=tempo, program=program)

    def _draw(
        self, rng: np.random.Generator, past: Sequence[list[int]], temperature: float, *, first: bool, at_once: int
    ) -> tuple[int, int, int]:
        """The next event. Notes that start together rise, and are not too many."""
        values: list[int] = []
        for part in range(3):
            tail = [np.array([*column[-self.order - 1 :], 0], np.int64) for column in past]
            for column, value in zip(tail, values, strict=False):
                column[-1] = value
            n = min(map(len, tail))
            recent = NoteEvents(*(column[-n:] for column in tail))
            hashes = [int(hashed(contexts(recent, k)[part][-1:])[0]) for k in range(self.order + 1)]
            chance = self.chances(part, hashes) ** (1 / temperature)
            if part == 0:
                chance[LONGEST_GAP + 1 :] = 0
                if first:
                    chance[1:] = 0
                    chance[0] = 1
                elif at_once >= MOST_AT_ONCE or past[1][-1] >= 120:
                    chance[0] = 0
            if part == 1 and values[0] == 0 and not first:
                chance[: past[1][-1] + 1] = 0
            values.append(int(rng.choice(len(chance), p=chance / chance.sum())))
        return values[0], values[1], values[2]
