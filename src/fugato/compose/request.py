"""One call for new music: its options, checked, the seed as tokens, and what is made and reported of them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from fugato.compose.composition import Composition, NewBar
from fugato.compose.defaults import GUIDANCE, TEMPERATURE, TOP_P
from fugato.compose.generator import Generator, load_generator
from fugato.compose.keys import key_name, parse_key, signature_of
from fugato.compose.sampler import Written
from fugato.compose.transformer import NO_LIMIT, USUAL_METER, USUAL_QPM, Job, Transformer, bars_in
from fugato.errors import FugatoError
from fugato.models import Model
from fugato.read import read
from fugato.read.files import Source
from fugato.represent import tokens as t
from fugato.score import Key, Score, Tempo, seconds_at

BARS: Final = 32  # where nobody says how many
MOST_BARS: Final = 512
SEED_BARS: Final = 8  # of a piece that is chosen for a composer's name
CRITIC: Final = "typical-style"


class Request:
    """The options of one call, checked, and what is made of them."""

    def __init__(
        self,
        style: str | None = None,
        seed: Source | Score | None = None,
        seed_composer: str | None = None,
        bars: int | None = None,
        seconds: float | None = None,
        infill: tuple[int, int] | None = None,
        temperature: float = TEMPERATURE,
        top_p: float = TOP_P,
        guidance: float = GUIDANCE,
        random_seed: int = 0,
        tempo: float | None = None,
        key: str | None = None,
        program: int | None = None,
        humanise: float = 0.0,
        model: str | os.PathLike[str] | Model | Generator = "compose",
    ) -> None:
        for name, value, low, high in (
            ("temperature", temperature, 0.05, 5),
            ("top_p", top_p, 0.01, 1),
            ("guidance", guidance, 0, 10),
            ("bars", bars, 1, MOST_BARS),
            ("seconds", seconds, 1, 3600),
            ("random_seed", random_seed, 0, 2**63),
            ("tempo", tempo, 10, 500),
            ("program", program, 0, 127),
            ("humanise", humanise, 0, 3),
        ):
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise FugatoError("bad-option", f"{name} is {value:g}; it must lie between {low:g} and {high:g}.")
        if bars is not None and seconds is not None:
            raise FugatoError("bad-option", "Give bars or seconds, not both.")
        if seed is not None and seed_composer is not None:
            raise FugatoError("bad-option", "Give a seed or a composer to take one from, not both.")
        if infill is not None and seed is None and seed_composer is None:
            raise FugatoError("bad-option", "Bars can be filled in where there is a piece: give it as the seed.")
        self.key = parse_key(key) if key is not None else 0
        self.style, self.seed_composer, self.infill, self.random_seed = style, seed_composer, infill, random_seed
        self.sampling = {"temperature": temperature, "top_p": top_p, "guidance": guidance}
        loaded = load_generator(model) if isinstance(model, str | os.PathLike | Model) else model
        self.system = loaded
        if isinstance(loaded, Transformer):
            loaded.style_of(style)  # refuses an unknown name before anything is read
        elif infill is not None:
            raise FugatoError("bad-option", f"{loaded.model.card.recipe} cannot fill in bars; remi-transformer can.")
        self.seed_name = (
            "" if seed is None else "score" if isinstance(seed, Score) else str(getattr(seed, "name", "") or "")
        )
        if isinstance(seed, str | os.PathLike):
            self.seed_name = os.fspath(seed)
        if seed_composer is not None:
            seed, self.seed_name = seed_by(seed_composer, random_seed, whole=infill is not None)
        self.seed = None if seed is None else within(seed if isinstance(seed, Score) else read(seed))
        try:
            self.tokens = None if self.seed is None else t.encode(self.seed)
        except FugatoError as error:
            raise FugatoError(error.kind, error.message, self.seed_name or None) from error
        self.usual = loaded.usual(style) if isinstance(loaded, Transformer) else {}
        own = self.seed.tempos[-1].qpm if self.seed is not None else float(self.usual.get("qpm") or USUAL_QPM)
        self.qpm = float(tempo) if tempo is not None else own
        self.tempo_given = tempo is not None
        self.program, self.humanise = program, humanise
        if infill is not None:
            assert self.tokens is not None
            first, last = infill
            if not 1 <= first <= last <= self.tokens.n_bars:
                raise FugatoError(
                    "bad-option", f"Bars {first} to {last} are not within 1 to {self.tokens.n_bars} of the seed."
                )
            if bars is not None or seconds is not None:
                raise FugatoError("bad-option", "A gap has as many bars as it has; leave out bars and seconds.")
            self.bars = last - first + 1
        elif seconds is not None:
            self.bars = min(bars_in(seconds, self.qpm, self._meter()), MOST_BARS)
        else:
            self.bars = bars or BARS
        self.began = time.perf_counter()

    def _meter(self) -> Sequence[int]:
        if self.tokens is not None:
            final = self.tokens.rows[self.tokens.rows[:, t.EVENT] == t.BAR][-1]
            return t.meter_of(int(final[t.METER]), int(final[t.LENGTH]))
        meters = self.usual.get("meters")
        return max(meters, key=lambda m: m[1])[0] if meters else USUAL_METER

    def written(self) -> Composition:
        """All at once, whatever the system."""
        if isinstance(self.system, Transformer):
            return self.finish(self.start())
        given = {"program": self.program} if self.program is not None else {}
        new = self.system.generate(
            self.seed,
            bars=self.bars,
            random_seed=self.random_seed,
            style=self.style,
            temperature=self.sampling["temperature"],
            **given,
        )
        elapsed = time.perf_counter() - self.began
        score = new if self.seed is None else joined(self.seed, new)
        before = len(score.bars) - len(new.bars)
        if self.tempo_given:
            score = score.change_tempo(self.qpm / score.tempos[0].qpm)
        report = {
            "bars": len(new.bars),
            "notes": len(new),
            "new_bars": [before + 1, len(score.bars)],
            "loops_avoided": 0,
            "copies_avoided": 0,
            "copy": {"notes": None, "limit": None, "work": "", "composer": ""},
            "ending": None,
            "warnings": [],
            "problems": [],
            "critic": None,
            "critic_score": None,
            "seconds": round(elapsed, 3),
            "notes_per_second": round(len(new) / max(elapsed, 1e-9), 1),
        }
        return Composition(
            replace(score, title=self._title()), report, self._options(0, [p.program for p in new.parts])
        )

    def _warnings(self) -> list[str]:
        """What was asked and is only nearly done."""
        system = self.system
        if not isinstance(system, Transformer) or self.style is None or self.style in system.periods:
            return []
        style, period = system.style_of(self.style)
        if style:
            return []
        return [f"{self.style} is no style of this model; the period {system.periods[period - 1]} stands in."]

    def _title(self) -> str:
        return f"In the style of {self.style}" if self.style else "New music"

    def _options(self, key: int, programs: Sequence[int]) -> dict[str, Any]:
        """Everything that made the piece."""
        card = self.system.model.card
        return {
            "style": self.style,
            "seed": self.seed_name or None,
            "bars": self.bars,
            "infill": list(self.infill) if self.infill is not None else None,
            "key": key_name(key),
            "programs": list(programs),
            "tempo": round(self.qpm, 2),
            **self.sampling,
            "random_seed": self.random_seed,
            "humanise": self.humanise,
            "model": {"name": card.name, "version": card.version},
        }

    def start(self) -> Job:
        """Begin to write bar by bar."""
        if not isinstance(self.system, Transformer):
            raise FugatoError(
                "bad-option",
                f"{self.system.model.card.recipe} writes a piece at once; remi-transformer goes bar by bar.",
            )
        programs = None
        if self.program is not None:
            programs = (self.program,) * (len(self.tokens.programs) if self.tokens is not None else 2)
        gap = (self.infill[0] - 1, self.infill[1] - 1) if self.infill is not None else None
        return self.system.job(
            self.tokens,
            bars=self.bars,
            random_seed=self.random_seed,
            style=self.style,
            key=self.key,
            programs=programs,
            gap=gap,
            **self.sampling,  # type: ignore[arg-type]
        )

    def new_bar(self, job: Job, bar: Written) -> NewBar:
        rows = np.concatenate([bar.plan.row()[None], bar.rows])
        before = int(np.count_nonzero(job.before[:, t.EVENT] == t.BAR))
        score = t.decode(t.Tokens(rows, job.programs), tempos=(Tempo(0.0, self.qpm),))
        return NewBar(before + len(job.written), score, bar.plan.start / t.TICKS)

    def finish(self, job: Job) -> Composition:
        """Write what is left, and report."""
        system = self.system
        assert isinstance(system, Transformer)  # it has begun
        job.finished()
        elapsed = time.perf_counter() - self.began
        bars, notes = job.written, sum(len(bar.rows) for bar in job.written)
        before = int(np.count_nonzero(job.before[:, t.EVENT] == t.BAR))
        tempos = self.seed.tempos if self.seed is not None and not self.tempo_given else (Tempo(0.0, self.qpm),)
        keyed = bars[-1].plan.key
        keys = [*(self.seed.keys if self.seed is not None else ())]
        if self.infill is None and keyed:
            keys.append(Key(bars[0].plan.start / t.TICKS, *signature_of(keyed)))
        score = t.decode(t.Tokens(job.rows(), job.programs), tempos=tempos, keys=_settled(keys), title=self._title())
        run = bars[-1].run
        limit = system.limit if system.limit < NO_LIMIT else None
        work = system.works[run.piece] if 0 <= run.piece < len(system.works) else ["", ""]
        likelihood = job.likelihood
        last = bars[-1]
        report = {
            "bars": len(bars),
            "notes": notes,
            "new_bars": [before + 1, before + len(bars)],
            "loops_avoided": sum(bar.looped for bar in bars),
            "copies_avoided": sum(bar.copied for bar in bars),
            "copy": {"notes": run.notes, "limit": limit, "work": work[0], "composer": work[1]},
            "ending": None if not last.plan.last else "by rule" if last.by_rule else "drawn",
            "warnings": self._warnings(),
            "problems": [f"bar {before + i + 1}: {bar.problem}" for i, bar in enumerate(bars) if bar.problem],
            "nll_per_note": round(-likelihood.known / max(likelihood.notes, 1), 4),
            "critic": CRITIC,
            "critic_score": round(system.liking(job), 4),
            "seconds": round(elapsed, 3),
            "notes_per_second": round(notes / max(elapsed, 1e-9), 1),
        }
        return Composition(score, report, self._options(keyed, job.programs))


def seed_by(composer: str, random_seed: int, *, whole: bool = False) -> tuple[Score, str]:
    """The first bars of a piece by a composer from music21's corpus, chosen by the random seed, and its name."""
    from fugato.corpus import load_corpus

    corpus = load_corpus("music21")
    own = corpus.filter(composers=[composer])
    if not len(own):
        some = ", ".join(list(corpus.composers())[:12])
        raise FugatoError("bad-option", f"There is no seed by {composer}; there are some by {some}.")
    order = np.random.default_rng(random_seed).permutation(len(own))
    for i in order[:20]:
        try:
            score = read(own.pieces[int(i)].path)
            tokens = t.encode(score)
        except FugatoError:
            continue
        if tokens.n_bars >= 2:
            taken = score if whole else score.excerpt(0, min(SEED_BARS, len(score.bars)) - 1)
            return taken, own.pieces[int(i)].title or own.pieces[int(i)].id
    raise FugatoError("bad-option", f"No piece by {composer} can be used as a seed.")


def within(score: Score) -> Score:
    """The same piece without changes of tempo, meter and key after its last note: they would fall into what is written after it."""
    end = max(score.end, 1e-6)
    return replace(
        score,
        tempos=tuple(c for c in score.tempos if c.onset < end),
        meters=tuple(c for c in score.meters if c.onset < end),
        keys=tuple(c for c in score.keys if c.onset < end),
    )


def joined(first: Score, second: Score) -> Score:
    """One piece after the other, from the bar line after the last bar on; parts by their numbers, tempos of the first."""
    start = float(first.bars[-1]) + first.meters[-1].bar_length
    notes = np.concatenate([first.notes, second.notes])
    notes["onset"][len(first.notes) :] += start
    notes["onset_seconds"] = seconds_at(first.tempos, notes["onset"].copy())
    notes["duration_seconds"] = seconds_at(first.tempos, notes["onset"] + notes["duration"]) - notes["onset_seconds"]
    notes = notes[np.lexsort((notes["pitch"], notes["onset"]))]
    notes.flags.writeable = False
    return replace(
        first,
        notes=notes,
        parts=(*first.parts, *second.parts[len(first.parts) :]),
        meters=(*first.meters, *(m._replace(onset=m.onset + start) for m in second.meters)),
        bars=np.concatenate([first.bars, second.bars + start]),
    )


def _settled(keys: Sequence[Key]) -> list[Key]:
    """Key signatures in order, the last of those at one place."""
    return list({k.onset: k for k in keys}.values())
