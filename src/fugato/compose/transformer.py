"""The remi-transformer as a system that composes: plans of bars, seeds, gaps, and what is reported of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.compose.copies import CopyIndex
from fugato.compose.defaults import GUIDANCE, TEMPERATURE, TOP_P
from fugato.compose.generator import NoteLikelihood
from fugato.compose.grammar import Plan
from fugato.compose.guards import CopyGuard
from fugato.compose.keys import signature_of
from fugato.compose.network import Decoder
from fugato.compose.sampler import CONTEXT, Likelihood, Sampler, Stepper, Written, sounding_after
from fugato.corpus.names import composer_info
from fugato.errors import FugatoError
from fugato.models import Model
from fugato.represent import tokens as t
from fugato.score import Key, Score

HEARD: Final = 8  # bars whose density goes on
AROUND: Final = 120  # steps of context on either side of a gap
USUAL_METER: Final = (4, 4)
USUAL_QPM: Final = 100.0
NO_LIMIT: Final = 1 << 30

Ints = NDArray[np.int64]
Rows = NDArray[np.uint8]


@dataclass
class Job:
    """Music that is being written: iterate over `bars`, then ask for `rows`.

    Attributes
    ----------
    bars : iterator of Written
    before, after : ndarray of uint8, shape=(n, 10)
        Steps that stand around the new bars.
    programs : tuple of int
    key : int
        Of the new bars, a value of its column.
    likelihood : Likelihood
        Of the new notes; grows as they are drawn.
    written : list of Written
        The bars so far.
    """

    bars: Iterator[Written]
    before: Rows
    after: Rows
    programs: tuple[int, ...]
    key: int
    likelihood: Likelihood
    written: list[Written] = field(default_factory=list)

    def __iter__(self) -> Iterator[Written]:
        for bar in self.bars:  # written in the home key
            shift = bar.plan.shift
            there = replace(bar.plan, key=self.key, shift=0)
            self.written.append(replace(bar, rows=t.transposed(bar.rows, -shift), plan=there))
            yield self.written[-1]

    def finished(self) -> Job:
        """This job, with all its bars written."""
        for _ in self:
            pass
        return self

    def new(self) -> Rows:
        """The steps of the new bars."""
        empty = np.zeros((0, len(t.COLUMNS)), np.uint8)
        return np.concatenate([empty, *(part for bar in self.written for part in (bar.plan.row()[None], bar.rows))])

    def rows(self) -> Rows:
        """The steps of the whole piece so far."""
        return np.concatenate([self.before, self.new(), self.after])


class Transformer:
    """A model of the recipe remi-transformer.

    Parameters
    ----------
    model : Model
        Parts ``network``, ``heads``, ``vocabulary``; ``copies`` and ``works`` where it guards against copying.
    threads : int
    """

    def __init__(self, model: Model, *, threads: int = 1) -> None:
        self.model = model
        self.vocabulary: dict[str, Any] = model.json("vocabulary")
        if self.vocabulary.get("version") != t.VERSION or list(self.vocabulary.get("sizes", ())) != list(t.VOCABULARY):
            raise FugatoError(
                "bad-model",
                "It speaks another vocabulary than this version of Fugato; train it again, or install the version it was made with.",
                str(model.folder),
            )
        self.decoder = Decoder(model, threads=threads)
        self.styles = tuple(self.vocabulary["styles"])
        self.periods = tuple(self.vocabulary["periods"])
        self.limit = int(self.vocabulary.get("copy_limit") or NO_LIMIT)
        self.typical = float(self.vocabulary.get("typical_nll") or 0.0)  # nats a note of real music

    @cached_property
    def copies(self) -> CopyIndex | None:
        """What the training pieces hold, or None."""
        return CopyIndex.from_arrays(self.model.arrays("copies")) if self.model.has("copies") else None

    @cached_property
    def works(self) -> list[list[str]]:
        """Title and composer of each training piece."""
        works: list[list[str]] = self.model.json("works") if self.model.has("works") else []
        return works

    # -- what is known of a piece ------------------------------------------------------------------------------------

    def style_of(self, name: str | None) -> tuple[int, int]:
        """Style and period of a composer or a period's name, 0 where unknown.

        Raises
        ------
        FugatoError
            ``bad-option`` for somebody of whom neither is known.
        """
        if name is None:
            return 0, 0
        if name in self.periods:
            return 0, self.periods.index(name) + 1
        info = composer_info(name)
        spelt = info.name if info is not None else name
        period = self.periods.index(info.period) + 1 if info is not None and info.period in self.periods else 0
        if spelt in self.styles:
            return self.styles.index(spelt) + 1, period
        if period:
            return 0, period
        raise FugatoError(
            "bad-option",
            f"There is no style {name!r}; there are {', '.join(self.styles)} and the periods {', '.join(self.periods)}. "
            "Another composer in the table stands for the period.",
        )

    def usual(self, style: str | None) -> dict[str, Any]:
        """Meter, tempo and instruments that a style mostly has: ``meters``, ``ensembles`` (with their counts), ``qpm``, ``density``."""
        usual = self.vocabulary.get("usual", {})
        info = composer_info(style) if style else None
        found: dict[str, Any] = usual.get(info.name if info is not None else style or "", usual.get("", {}))
        return found

    # -- composing ---------------------------------------------------------------------------------------------------

    def job(
        self,
        seed: t.Tokens | None,
        *,
        bars: int,
        random_seed: int,
        style: str | None = None,
        key: int = 0,
        programs: Sequence[int] | None = None,
        gap: tuple[int, int] | None = None,
        temperature: float = TEMPERATURE,
        top_p: float = TOP_P,
        guidance: float = GUIDANCE,
        guarded: bool = True,
    ) -> Job:
        """Prepare the writing of new bars after a seed, from nothing, or in a gap of the seed.

        Parameters
        ----------
        seed : Tokens or None
        bars : int
            How many; of a gap as many as it has.
        random_seed : int
        style : str, optional
            A composer or a period; unknown where left out.
        key : int
            1 + tonic for major, 13 + tonic for minor; 0 is the seed's, or drawn.
        programs : sequence of int, optional
            General MIDI programs of the parts; the seed's, or what the style mostly has.
        gap : (int, int), optional
            First and last bar of the seed, from 0, that are written anew.
        temperature, top_p, guidance : float
        guarded : bool
            Against loops and copies.
        """
        rng = np.random.default_rng(random_seed)
        usual = self.usual(style)
        if programs is None:
            programs = seed.programs if seed is not None else _drawn(usual.get("ensembles"), rng, [0, 0])
        programs = tuple(int(p) for p in programs)[: t.N_PARTS]
        known = t.controls(*self.style_of(style), programs)
        unknown = known.copy()
        unknown[[t.STYLE, t.PERIOD]] = 0
        guard = CopyGuard(self.copies if guarded else None, self.limit)
        stepper = Stepper(self.decoder, known, unknown, guidance)
        sampler = Sampler(
            stepper, rng, temperature=temperature, top_p=top_p, n_parts=len(programs), guard=guard, guarded=guarded
        )
        empty = np.zeros((0, len(t.COLUMNS)), np.uint8)
        start = _marker(t.START)
        if seed is not None and gap is not None:
            before, _, after = _around(seed.rows, *gap)
            key = int(seed.rows[0, t.KEY])
            shift = t.shift_home(key)
            here, old, there = _around(t.transposed(seed.rows, shift), *gap)
            plans = _gap_plans(here, old, shift, _density(np.concatenate([here, there])))
            head = np.concatenate(
                [_tail(np.concatenate([start, here])), _marker(t.SUFFIX), _top(there), _marker(t.MIDDLE)]
            )
            sounding = sounding_after(here, plans[0].start)
            written = sampler.bars(empty, plans, head=head, sounding=sounding)
            return Job(written, before, after, programs, key, sampler.likelihood)
        if seed is not None:
            rows = seed.rows[
                : int(np.flatnonzero(seed.rows[:, t.EVENT] < t.BAR)[-1]) + 1
            ].copy()  # without empty bars at its end
            is_bar = rows[:, t.EVENT] == t.BAR
            rows[is_bar, t.LEFT] = t.left_index(np.arange(is_bar.sum(), 0, -1) + bars)
            final = rows[is_bar][-1]
            meter = t.meter_of(int(final[t.METER]), int(final[t.LENGTH]))
            density = _density(rows)
            key = key or int(final[t.KEY])
            begin = int(rows[is_bar, t.LENGTH].astype(np.int64).sum())
        else:
            rows, begin, density = empty, 0, int(usual.get("density") or 0)
            drawn = _drawn(usual.get("meters"), rng, list(USUAL_METER))
            meter = drawn[0], drawn[1]
            key = key or int(rng.integers(1, 25))
        shift = t.shift_home(key)
        plans = _plans(bars, meter, t.home_key(key), begin, shift, density)
        opening = np.concatenate([start, t.transposed(rows, shift)])
        return Job(sampler.bars(opening, plans), rows, empty, programs, key, sampler.likelihood)

    # -- the protocol of all systems ---------------------------------------------------------------------------------

    def generate(
        self,
        seed: Score | None,
        *,
        bars: int,
        random_seed: int,
        style: str | None = None,
        draws: int = 1,
        **options: Any,
    ) -> Score:
        """New music after a seed, without it; see `fugato.compose.Generator`. Of several `draws` the one that the critic likes best."""
        tokens = t.encode(seed) if seed is not None else None
        jobs = [
            self.job(tokens, bars=bars, random_seed=random_seed + i, style=style, **options).finished()
            for i in range(draws)
        ]
        job = max(jobs, key=self.liking)
        tempos = (
            [c._replace(onset=0.0) for c in seed.tempos if c.onset < max(seed.end, 1e-6)][-1:]
            if seed is not None
            else []
        )
        keys = [Key(0.0, *signature_of(job.key))] if job.key else []
        return t.decode(t.Tokens(job.new(), job.programs), tempos=tempos, keys=keys)

    def liking(self, job: Job) -> float:
        """The critic's word on new music, nats a note: how much likelier the style makes it, less how unusual its likelihood is."""
        heard, notes = job.likelihood, max(job.likelihood.notes, 1)
        return (heard.known - heard.unknown) / notes - abs(-heard.known / notes - self.typical)

    def nll(self, score: Score, *, style: str | None = None, plan: bool = True) -> NoteLikelihood:
        """How well a piece is foretold; every step but the first from those before it in its row of 512.

        Without the `plan` it is not told how dense each bar is and how many are left: what nobody knows who only hears what came before.
        """
        tokens = t.encode(score)
        known = t.controls(*self.style_of(style), tokens.programs)
        home = t.transposed(tokens.rows, t.shift_home(int(tokens.rows[0, t.KEY])))
        if not plan:
            home[:, [t.DENSITY, t.LEFT]] = 0
        rows = np.concatenate([_marker(t.START), home, _marker(t.END)]).astype(np.int64)
        steps = np.concatenate([rows, np.repeat(known[None], len(rows), axis=0)], axis=1)
        sums = np.zeros(t.N_ATTRIBUTES)
        for i in range(0, len(steps) - 1, CONTEXT):
            row = steps[i : i + CONTEXT + 1]
            state = self.decoder.feed(row[None, :-1], self.decoder.empty(1))
            target = row[1:, : t.N_ATTRIBUTES]
            logs = self.decoder.heads.log_likelihood(state[0], target)
            logs[target[:, t.EVENT] >= t.BAR, 1:] = 0
            sums -= logs.sum(axis=0)
        by = {
            "onset": float(sums[t.EVENT]),
            "pitch": float(sums[t.PITCH]),
            "duration": float(sums[t.DURATION]),
            "other": float(sums[t.PART] + sums[t.VELOCITY]),
        }
        return NoteLikelihood(float(sums.sum()), tokens.n_notes, by)


def _drawn(counted: Sequence[Sequence[Any]] | None, rng: np.random.Generator, otherwise: list[int]) -> list[int]:
    """One of the [value, count] pairs, as often as it is counted; never asks the generator where there is no choice."""
    if not counted:
        return otherwise
    counts = np.array([count for _, count in counted], float)
    return [int(x) for x in counted[int(rng.choice(len(counts), p=counts / counts.sum()))][0]]


def _plans(bars: int, meter: Sequence[int], key: int, begin: int, shift: int, density: int) -> list[Plan]:
    """Bars to the end of a piece; what is held ends before the last one, and that at its bar line."""
    numerator, denominator = meter
    length = min(round(t.TICKS * 4 * numerator / denominator), t.LONGEST_BAR)
    index = t.meter_index(numerator, denominator)
    left = t.left_index(np.arange(bars, 0, -1))
    end = begin + bars * length
    plans = []
    for i in range(bars):
        last = i == bars - 1
        plans.append(
            Plan(
                meter=index,
                length=length,
                key=key,
                density=0 if last else density,
                left=int(left[i]),
                start=begin + i * length,
                limit=end if last else end - length,
                last=last,
                prepares=i == bars - 2,
                closes=last,
                shift=shift,
            )
        )
    return plans


def _gap_plans(before: Rows, old: Rows, shift: int, density: int) -> list[Plan]:
    """The bars of a gap as they were, without their notes."""
    begin = int(before[before[:, t.EVENT] == t.BAR, t.LENGTH].astype(np.int64).sum())
    bars = old[old[:, t.EVENT] == t.BAR].astype(np.int64)
    starts = begin + np.cumsum(bars[:, t.LENGTH]) - bars[:, t.LENGTH]
    end = int(begin + bars[:, t.LENGTH].sum())
    left = t.left_index(np.arange(len(bars), 0, -1))
    return [
        Plan(
            meter=int(bar[t.METER]),
            length=int(bar[t.LENGTH]),
            key=int(bar[t.KEY]),
            density=density,
            left=int(left[i]),
            start=int(starts[i]),
            limit=end,
            closes=i == len(bars) - 1,
            shift=shift,
        )
        for i, bar in enumerate(bars)
    ]


def _density(rows: Rows) -> int:
    """The middle density of the last bars that have notes, a value of its column; 0 where there are none."""
    bars = rows[rows[:, t.EVENT] == t.BAR, t.DENSITY][-HEARD:]
    return int(np.median(bars[bars > 1])) if (bars > 1).any() else 0


def _around(rows: Rows, first: int, last: int) -> tuple[Rows, Rows, Rows]:
    """Steps before bar `first`, of bars `first` to `last`, and after."""
    bars = np.append(np.flatnonzero(rows[:, t.EVENT] == t.BAR), len(rows))
    return rows[: bars[first]], rows[bars[first] : bars[last + 1]], rows[bars[last + 1] :]


def _tail(rows: Rows) -> Rows:
    """The last whole bars within `AROUND` steps."""
    at = np.flatnonzero(rows[:, t.EVENT] >= t.BAR)
    at = at[at >= len(rows) - AROUND]
    return rows[at[0] :] if len(at) else rows[len(rows) :]


def _top(rows: Rows) -> Rows:
    """The first whole bars within `AROUND` steps, at least one."""
    bars = np.append(np.flatnonzero(rows[:, t.EVENT] == t.BAR), len(rows))
    if len(bars) < 2:
        return rows
    fit = bars[(bars > 0) & (bars <= AROUND)]
    return rows[: fit[-1] if len(fit) else min(int(bars[1]), CONTEXT // 3)]


def _marker(event: int) -> Rows:
    row = np.zeros((1, len(t.COLUMNS)), np.uint8)
    row[0, t.EVENT] = event
    return row


def bars_in(seconds: float, qpm: float, meter: Sequence[int]) -> int:
    """Bars of a meter that last about so long, at least two."""
    return max(math.floor(seconds * qpm / 60 / (4 * meter[0] / meter[1]) + 0.5), 2)
