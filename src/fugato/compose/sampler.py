"""Bars drawn from the network one at a time: masks, guidance, temperature, top-p; a bar that loops or copies is drawn again.

The network's past is kept at every bar line, so drawing a bar again costs that bar alone. A finished bar is never changed, so that it can
be heard while the next is written. Guidance: scores are those without style and period plus `guidance` times what style and period add
(Ho & Salimans, 2021). Top-p: the likeliest values that together have that probability (Holtzman et al., "The curious case of neural text
degeneration", ICLR 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.compose.cadence import VOICINGS, closes, held_to_the_end, is_prepared, written_by_rule
from fugato.compose.copies import NO_RUN, Run
from fugato.compose.grammar import Grammar, Plan
from fugato.compose.guards import CopyGuard, Signature, loops, onsets_of, signature
from fugato.compose.network import Decoder
from fugato.models import log_softmax
from fugato.represent import tokens as t

CONTEXT: Final = 512  # steps that the network was trained on
ROOM: Final = 130  # steps that a bar may need
KEPT: Final = 320  # steps that stay in sight when there is no more room
TRIES: Final = 10  # of a bar
HOTTER: Final = 0.05  # temperature of each further try
FOR_THE_END: Final = (
    6  # tries after which a last bar that makes no cadence is written by rule, and one that prepares none stays
)

Rows = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass
class Written:
    """A bar as it was accepted.

    Attributes
    ----------
    rows : ndarray of uint8, shape=(n, 10)
        Its notes.
    plan : Plan
    tries : int
    looped, copied : int
        Tries that were thrown away for it.
    run : Run
        The longest run of all new notes so far that a training piece has.
    problem : str
        What could not be avoided; mostly empty.
    by_rule : bool
        Whether the closing chord was written by rule.
    """

    rows: Rows
    plan: Plan
    tries: int = 1
    looped: int = 0
    copied: int = 0
    run: Run = NO_RUN
    problem: str = ""
    by_rule: bool = False


@dataclass
class Likelihood:
    """Of the notes that were drawn, natural logarithms summed: with the style and without, before masks and temperature."""

    known: float = 0.0
    unknown: float = 0.0
    notes: int = 0


class Stepper:
    """The network on what was written so far, with and without the style.

    Parameters
    ----------
    decoder : Decoder
    known, unknown : ndarray of int64, shape=(10,)
        `fugato.represent.tokens.CONTROLS` with and without style and period.
    guidance : float
        1 needs no second pass.
    """

    def __init__(self, decoder: Decoder, known: Ints, unknown: Ints, guidance: float) -> None:
        self.decoder, self.guidance = decoder, guidance
        two = guidance != 1 and not np.array_equal(known, unknown)
        self.controls = np.stack([known, unknown]) if two else known[None]
        self.past = decoder.empty(len(self.controls))
        self.state = np.zeros((len(self.controls), 0), np.float32)

    @property
    def length(self) -> int:
        """Steps in sight."""
        return int(self.past.length)

    def feed(self, rows: NDArray[Any]) -> None:
        """Go on with some steps, shape=(n, 10)."""
        n = len(rows)
        steps = np.empty((len(self.controls), n, len(t.COLUMNS) + len(t.CONTROLS)), np.int64)
        steps[:, :, : len(t.COLUMNS)] = rows
        steps[:, :, len(t.COLUMNS) :] = self.controls[:, None]
        self.state = self.decoder.feed(steps, self.past)[:, -1]

    def restart(self, rows: NDArray[Any]) -> None:
        """Forget everything, and go on from these steps."""
        self.past.length = 0
        self.feed(rows)

    def mark(self) -> tuple[Any, int]:
        """Where it stands, to come back to from further on."""
        return self.state, self.length

    def back(self, mark: tuple[Any, int]) -> None:
        self.state, self.past.length = mark


class Sampler:
    """Draws bars.

    Parameters
    ----------
    stepper : Stepper
    rng : Generator
    temperature, top_p : float
    n_parts : int
    guard : CopyGuard
    guarded : bool
        False keeps bars that loop.
    """

    def __init__(
        self,
        stepper: Stepper,
        rng: np.random.Generator,
        *,
        temperature: float,
        top_p: float,
        n_parts: int,
        guard: CopyGuard,
        guarded: bool = True,
    ) -> None:
        self.stepper, self.rng, self.guarded = stepper, rng, guarded
        self.temperature, self.top_p, self.n_parts, self.guard = temperature, top_p, n_parts, guard
        self.likelihood = Likelihood()

    def bars(
        self,
        opening: Rows,
        plans: Sequence[Plan],
        *,
        head: Rows | None = None,
        sounding: dict[tuple[int, int], int] | None = None,
    ) -> Iterator[Written]:
        """Write the bars of a plan.

        Parameters
        ----------
        opening : ndarray, shape=(n, 10)
            Steps that come before.
        plans : sequence of Plan
        head : ndarray, optional
            Steps that always stay in sight, before the opening: what surrounds a gap.
        sounding : dict of (part, pitch) to int, optional
            Notes that still sound when the first bar begins, and the ticks at which they end; else the opening's.
        """
        head = opening[:0] if head is None else head
        written: list[Rows] = [opening]
        seen: list[Signature] = []
        struck: list[frozenset[int]] = []
        sounding = dict(sounding_after(opening, plans[0].start) if sounding is None else sounding)
        self.stepper.restart(np.concatenate([head, fitting(opening, CONTEXT - ROOM - len(head))]))
        empty = True  # the first bar has notes
        for plan in plans:
            if self.stepper.length + ROOM > CONTEXT:
                before = np.concatenate(written)
                self.stepper.restart(np.concatenate([head, fitting(before, max(KEPT - len(head), ROOM))]))
            bar = self._accepted(plan, sounding, seen, struck, np.concatenate(written), not empty)
            empty = not len(bar.rows)
            for row in bar.rows:
                end = plan.start + int(row[t.EVENT]) + int(t.LONG_DURATIONS[int(row[t.DURATION]) - 1])
                sounding[int(row[t.PART]), int(row[t.PITCH])] = end
            seen.append(signature(bar.rows))
            struck += onsets_of(bar.rows)
            self.guard.keep(bar.rows, plan.start)
            written += [plan.row()[None], bar.rows]
            yield bar

    def _accepted(
        self,
        plan: Plan,
        sounding: dict[tuple[int, int], int],
        seen: list[Signature],
        struck: list[frozenset[int]],
        before: Rows,
        may_be_empty: bool,
    ) -> Written:
        """Draw a bar until nothing speaks against it; the last tries are hotter, and note by note kept from copying."""
        mark = self.stepper.mark()
        looped = copied = open_ends = 0
        best: tuple[tuple[bool, bool, bool, int], Rows, Run, Likelihood] | None = None
        for attempt in range(TRIES):
            self.stepper.back(mark)
            grammar = Grammar(plan, self.n_parts, sounding, may_be_empty=may_be_empty and not plan.last)
            strict = attempt >= TRIES - 3
            rows, likelihood = self._draw(grammar, self.temperature * (1 + HOTTER * attempt), strict)
            if plan.last:
                rows = held_to_the_end(rows, plan)
            run = self.guard.run(rows, plan.start, growing=not plan.last)
            is_loop = self.guarded and loops([*seen, signature(rows)], [*struck, *onsets_of(rows)])
            is_copy = run.notes > self.guard.limit
            is_open = self._is_open(before, rows, plan)
            if is_open and open_ends >= FOR_THE_END:
                is_open = False
                if plan.last:
                    break
            looped, copied, open_ends = looped + is_loop, copied + is_copy, open_ends + is_open
            if not (is_loop or is_copy or is_open):
                self._count(likelihood)
                return Written(rows, plan, attempt + 1, looped, copied, run)
            badness = (is_copy, is_open, is_loop, run.notes)
            if best is None or badness < best[0]:
                best = (badness, rows, run, likelihood)
        assert best is not None
        _, rows, run, likelihood = best
        if plan.last and self._is_open(before, rows, plan):
            for voicing in range(VOICINGS):
                rows = written_by_rule(before, plan, self.n_parts, voicing)
                run = self.guard.run(rows, plan.start)
                if run.notes <= self.guard.limit:
                    break
            problem = "copy" if run.notes > self.guard.limit else ""
            return Written(rows, plan, TRIES, looped, copied, run, problem, by_rule=True)
        self._count(likelihood)
        if run.notes > self.guard.limit and not plan.last:
            rows, run = self._cut_short(rows, run, plan, may_be_empty)
        self.stepper.back(mark)
        self.stepper.feed(np.concatenate([plan.row()[None], rows]))
        problem = "copy" if run.notes > self.guard.limit else "loop" if best[0][2] else ""
        return Written(rows, plan, TRIES, looped, copied, run, problem)

    def _cut_short(self, rows: Rows, run: Run, plan: Plan, may_be_empty: bool) -> tuple[Rows, Run]:
        """A bar of which every try copies, without the notes at its end with which the run gets too long: a rest breaks it."""
        while len(rows) > (not may_be_empty) and run.notes > self.guard.limit:
            rows = rows[:-1]
            run = self.guard.run(rows, plan.start, growing=True)
        return rows, run

    def _is_open(self, before: Rows, rows: Rows, plan: Plan) -> bool:
        """Whether a bar at the end of a piece leaves open what it should close or prepare."""
        if not plan.key:
            return False
        if plan.last:
            return not closes(before, rows, plan)
        return plan.prepares and not is_prepared(np.concatenate([before, plan.row()[None], rows]), plan.key)

    def _count(self, own: Likelihood) -> None:
        self.likelihood.known += own.known
        self.likelihood.unknown += own.unknown
        self.likelihood.notes += own.notes

    def _draw(self, grammar: Grammar, temperature: float, strict: bool) -> tuple[Rows, Likelihood]:
        """One bar, shape=(n, 10), as the network has it."""
        plan, stepper, heads = grammar.plan, self.stepper, self.stepper.decoder.heads
        own = Likelihood()
        stepper.feed(plan.row()[None])
        rows: list[NDArray[np.uint8]] = []
        while True:
            hidden = heads.hidden(stepper.state)
            event = self._choose(t.EVENT, hidden, grammar.events(), temperature, own)
            if event >= t.BAR:
                break
            row = np.zeros(len(t.COLUMNS), np.uint8)
            row[t.EVENT] = event
            heads.tell(t.EVENT, np.array(event), hidden)
            part = self._choose(t.PART, hidden, grammar.parts(event), temperature, own)
            row[t.PART] = part
            heads.tell(t.PART, np.array(part), hidden)
            pitches = grammar.pitches(event, part)
            if strict:
                pitches = self._uncopied(pitches, rows, row, plan)
            row[t.PITCH] = pitch = self._choose(t.PITCH, hidden, pitches, temperature, own)
            heads.tell(t.PITCH, np.array(pitch), hidden)
            row[t.DURATION] = duration = self._choose(t.DURATION, hidden, grammar.durations(event), temperature, own)
            heads.tell(t.DURATION, np.array(duration), hidden)
            loud = np.ones(t.VOCABULARY[t.VELOCITY], bool)
            row[t.VELOCITY] = self._choose(t.VELOCITY, hidden, loud, temperature, own)
            own.notes += 1
            rows.append(row)
            grammar.add(row)
            stepper.feed(row[None])
        drawn = np.stack(rows) if rows else np.zeros((0, len(t.COLUMNS)), np.uint8)
        return drawn, own

    def _uncopied(self, mask: NDArray[np.bool_], rows: list[Rows], row: Rows, plan: Plan) -> NDArray[np.bool_]:
        """The pitches with which no run gets too long; all of them where each does."""
        if self.guard.index is None:
            return mask
        allowed = mask.copy()
        for pitch in np.flatnonzero(mask):
            tried = row.copy()
            tried[t.PITCH] = pitch
            run = self.guard.run(np.stack([*rows, tried]), plan.start, growing=not plan.last)
            allowed[pitch] = run.notes <= self.guard.limit
        return allowed if allowed.any() else mask

    def _choose(
        self, i: int, hidden: NDArray[np.float32], mask: NDArray[np.bool_], temperature: float, own: Likelihood
    ) -> int:
        """A legal value of attribute `i`."""
        scores = self.stepper.decoder.heads.attribute(i, hidden).astype(np.float64)  # (1 or 2, vocabulary)
        if len(scores) == 2:
            guided = scores[1] + self.stepper.guidance * (scores[0] - scores[1])
        else:
            guided = scores[0]
        value = draw(guided, mask, temperature, self.top_p, self.rng)
        logs = log_softmax(scores)
        own.known += float(logs[0, value])
        own.unknown += float(logs[-1, value])
        return value


def draw(
    scores: NDArray[np.float64], mask: NDArray[np.bool_], temperature: float, top_p: float, rng: np.random.Generator
) -> int:
    """One of the values that `mask` allows, shape=(n,) all."""
    legal = np.flatnonzero(mask)
    own = scores[legal] / max(temperature, 1e-6)
    chance = np.exp(own - own.max())
    chance /= chance.sum()
    if top_p < 1 and len(legal) > 1:
        order = np.argsort(-chance, kind="stable")
        before = np.cumsum(chance[order]) - chance[order]
        chance[order[before >= top_p]] = 0.0
        chance /= chance.sum()
    at = int(np.searchsorted(np.cumsum(chance), rng.random(), side="right"))
    nonzero = np.flatnonzero(chance)
    return int(legal[min(at, nonzero[-1])])


def fitting(rows: Rows, room: int) -> Rows:
    """The last whole bars of some steps that are at most `room`; of a longer bar its end."""
    if len(rows) <= room:
        return rows
    starts = np.flatnonzero(rows[:, t.EVENT] >= t.BAR)
    starts = starts[starts >= len(rows) - room]
    return rows[starts[0] :] if len(starts) else rows[len(rows) - max(room, 1) :]


def sounding_after(rows: Rows, start: int) -> dict[tuple[int, int], int]:
    """Notes of the bars before that still sound at tick `start`, counted back from there: (part, pitch) and end."""
    bars = rows[:, t.EVENT] == t.BAR
    if not bars.any():
        return {}
    lengths = np.where(bars, rows[:, t.LENGTH].astype(np.int64), 0)
    begin = start - lengths.sum() + np.cumsum(lengths) - lengths
    onset_of_bar = np.maximum.accumulate(np.where(bars, begin, np.iinfo(np.int64).min))
    out = {}
    for row, bar in zip(rows, onset_of_bar, strict=True):
        if row[t.EVENT] < t.BAR:
            end = int(bar) + int(row[t.EVENT]) + int(t.LONG_DURATIONS[int(row[t.DURATION]) - 1])
            if end > start:
                out[int(row[t.PART]), int(row[t.PITCH])] = end
    return out
