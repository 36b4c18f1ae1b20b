"""New music from a seed, in a gap of it, or from nothing: what users call."""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from fugato.compose.generator import Generator, load_generator
from fugato.compose.sampler import Written
from fugato.compose.transformer import NO_LIMIT, USUAL_METER, USUAL_QPM, Job, Transformer, bars_in
from fugato.errors import FugatoError
from fugato.models import Model
from fugato.read import read
from fugato.read.files import Source
from fugato.represent import tokens as t
from fugato.score import Key, Score, Tempo

BARS: Final = 32  # where nobody says how many
MOST_BARS: Final = 512
SEED_BARS: Final = 8  # of a piece that is chosen for a composer's name
CRITIC: Final = "typical-style"
NAMES: Final = ("C", "C#", "D", "E-", "E", "F", "F#", "G", "A-", "A", "B-", "B")
_STEPS: Final = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


@dataclass(frozen=True, eq=False)
class Composition:
    """A piece and how it came about.

    Attributes
    ----------
    score : Score
        With its seed, if it had one.
    report : dict
        ``bars`` and ``notes`` that are new; ``new_bars``, first and last of them from 1; ``loops_avoided`` and ``copies_avoided``, bars
        that were thrown away; ``copy``: the longest run of notes that a training piece has too (``notes``, ``limit``, ``work``,
        ``composer``); ``ending``: "drawn", "by rule" or null; ``problems`` that stayed; ``critic`` and ``critic_score``; ``seconds`` and
        ``notes_per_second``.
    options : dict
        Everything that made it: ``style``, ``seed``, ``bars``, ``key``, ``programs``, ``tempo``, ``temperature``, ``top_p``, ``guidance``,
        ``random_seed``, ``infill``, ``model``.
    """

    score: Score
    report: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def new(self) -> Any:
        """Which notes of `score` are new, ndarray of bool, shape=(n_notes,)."""
        first, last = self.report["new_bars"]
        bar = self.score.bar_of(self.score.notes["onset"]) + 1
        return (bar >= first) & (bar <= last)

    @property
    def continuation(self) -> Score:
        """The new bars alone."""
        first, last = self.report["new_bars"]
        return self.score.excerpt(first - 1, min(last, len(self.score.bars)) - 1)

    @property
    def name(self) -> str:
        """For files: the style and the random seed."""
        style = str(self.options.get("style") or "piece").replace(" ", "-").replace("/", "-").replace(".", "")
        return f"{style.lower()}-{self.options['random_seed']}"

    def to_dict(self) -> dict[str, Any]:
        """The report and the options as plain JSON values."""
        return {"task": "compose", **self.report, "options": self.options}

    def _repr_html_(self) -> str:
        from html import escape

        run = self.report.get("copy") or {}
        said = f"{self.report['bars']} new bars, random seed {self.options['random_seed']}"
        if run.get("work"):
            said += f"; nearest training piece: {run['notes']} notes of {run['work']}"
        return f"<div>{self.score._repr_html_()}<p>{escape(said)}</p></div>"


@dataclass(frozen=True, eq=False)
class NewBar:
    """A bar as it is finished, for listening while the rest is written.

    Attributes
    ----------
    bar : int
        From 1, in the whole piece.
    score : Score
        Its notes, from 0; a note may be longer than the bar.
    start : float
        Quarter notes from the beginning of the piece.
    """

    bar: int
    score: Score
    start: float


def compose(
    style: str | None = None,
    seed: Source | Score | None = None,
    *,
    seed_composer: str | None = None,
    bars: int | None = None,
    seconds: float | None = None,
    infill: tuple[int, int] | None = None,
    temperature: float = 1.0,
    top_p: float = 0.95,
    guidance: float = 1.5,
    random_seed: int | None = None,
    tempo: float | None = None,
    key: str | None = None,
    program: int | None = None,
    model: str | os.PathLike[str] | Model | Generator = "compose",
) -> Composition:
    """Write new music.

    Parameters
    ----------
    style : str, optional
        A composer or a period that the model knows; a composer it does not know stands for the period.
    seed : path, bytes, file object or Score, optional
        Music to go on from; without it the piece begins from nothing.
    seed_composer : str, optional
        In place of `seed`: the first bars of a piece by that composer, from those that come with music21.
    bars : int, optional
        New bars, 32 where neither this nor `seconds` is given.
    seconds : float, optional
        Length of the new music, to the nearest bar.
    infill : (int, int), optional
        First and last bar of the seed, from 1, that are written anew; all else stays.
    temperature : float
        Below 1 plainer, above 1 wilder.
    top_p : float
        Share of probability that is drawn from; 1 is all.
    guidance : float
        How strongly the style pulls: 1 as learnt, more exaggerates, 0 ignores it.
    random_seed : int, optional
        Same seed, same piece; drawn, and told in the result, where left out.
    tempo : float, optional
        Quarter notes a minute; the seed's, or the usual one of the style.
    key : str, optional
        "C" or "F# major", "a minor", "B-"; the seed's, or drawn.
    program : int, optional
        General MIDI program, 0 to 127, of all parts.
    model : str, path, Model or Generator

    Returns
    -------
    Composition

    Raises
    ------
    FugatoError
        ``no-model``; ``bad-option``; what `fugato.read` refuses; ``unsupported`` for a seed without a beat.

    Examples
    --------
    >>> import fugato
    >>> piece = fugato.compose(style="Chopin", seed="my.mid", bars=32, random_seed=7)  # doctest: +SKIP
    >>> fugato.write(piece.score, "out.mid")  # doctest: +SKIP
    """
    if random_seed is None:
        random_seed = secrets.randbelow(2**31)
    request = _Request(
        style,
        seed,
        seed_composer,
        bars,
        seconds,
        infill,
        temperature,
        top_p,
        guidance,
        random_seed,
        tempo,
        key,
        program,
        model,
    )
    return request.finish(request.start())


def stream(
    style: str | None = None, seed: Source | Score | None = None, **options: Any
) -> Iterator[NewBar | Composition]:
    """The same bar by bar: a `NewBar` as soon as it is finished, and the `Composition` at the end.

    Parameters as `compose`. Only models of the recipe remi-transformer write bar by bar.
    """
    given: dict[str, Any] = {"random_seed": secrets.randbelow(2**31), "model": "compose"}
    given.update({name: value for name, value in options.items() if value is not None})
    request = _Request(style, seed, **given)
    job = request.start()
    for bar in job:
        yield request.new_bar(job, bar)
    yield request.finish(job)


def variations(number: int, keep: int = 1, *, random_seed: int | None = None, **options: Any) -> list[Composition]:
    """Several pieces with seeds of their own, the best ones of them by the critic, best first.

    The critic hears what the network says of its own notes: how much likelier the style makes them, less how far their likelihood lies
    from that of real music; what is far too likely is dull, what is far too unlikely is chaos.

    Parameters
    ----------
    number, keep : int
        How many are written, and how many come back.
    random_seed : int, optional
        Of the first; the others count on from it.
    options
        As `compose`.
    """
    if not 1 <= keep <= number:
        raise FugatoError("bad-option", f"Of {number} variations {keep} cannot be kept.")
    first = secrets.randbelow(2**31) if random_seed is None else random_seed
    if not isinstance(options.get("model", "compose"), Transformer):
        options["model"] = load_generator(options.get("model", "compose"))
    pieces = [compose(random_seed=first + i, **options) for i in range(number)]
    return sorted(pieces, key=lambda piece: -float(piece.report.get("critic_score") or 0.0))[:keep]


class _Request:
    """The options of one call, checked, and what is made of them."""

    def __init__(
        self,
        style: str | None = None,
        seed: Source | Score | None = None,
        seed_composer: str | None = None,
        bars: int | None = None,
        seconds: float | None = None,
        infill: tuple[int, int] | None = None,
        temperature: float = 1.0,
        top_p: float = 0.95,
        guidance: float = 1.5,
        random_seed: int = 0,
        tempo: float | None = None,
        key: str | None = None,
        program: int | None = None,
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
        if not isinstance(loaded, Transformer):
            raise FugatoError(
                "bad-model",
                "Only models of the recipe remi-transformer write whole pieces; load_generator(model).generate(…) asks the others.",
                str(loaded.model.folder),
            )
        self.system = loaded
        self.system.style_of(style)  # refuses an unknown name before anything is read
        self.seed_name = (
            "" if seed is None else "score" if isinstance(seed, Score) else str(getattr(seed, "name", "") or "")
        )
        if isinstance(seed, str | os.PathLike):
            self.seed_name = os.fspath(seed)
        if seed_composer is not None:
            seed, self.seed_name = seed_by(seed_composer, random_seed, whole=infill is not None)
        self.seed = None if seed is None else seed if isinstance(seed, Score) else read(seed)
        try:
            self.tokens = None if self.seed is None else t.encode(self.seed)
        except FugatoError as error:
            raise FugatoError(error.kind, error.message, self.seed_name or None) from error
        self.usual = self.system.usual(style)
        own = self.seed.tempos[-1].qpm if self.seed is not None else float(self.usual.get("qpm") or USUAL_QPM)
        self.qpm = float(tempo) if tempo is not None else own
        self.tempo_given = tempo is not None
        self.program = program
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

    def start(self) -> Job:
        """Begin to write."""
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
        for _ in job:
            pass
        elapsed = time.perf_counter() - self.began
        bars, notes = job.written, sum(len(bar.rows) for bar in job.written)
        before = int(np.count_nonzero(job.before[:, t.EVENT] == t.BAR))
        tempos = self.seed.tempos if self.seed is not None and not self.tempo_given else (Tempo(0.0, self.qpm),)
        keyed = bars[-1].plan.key
        keys = [*(self.seed.keys if self.seed is not None else ())]
        if self.infill is None and keyed:
            keys.append(Key(bars[0].plan.start / t.TICKS, *signature_of(keyed)))
        title = f"In the style of {self.style}" if self.style else "New music"
        score = t.decode(t.Tokens(job.rows(), job.programs), tempos=tempos, keys=_settled(keys), title=title)
        run = bars[-1].run
        limit = self.system.limit if self.system.limit < NO_LIMIT else None
        work = self.system.works[run.piece] if 0 <= run.piece < len(self.system.works) else ["", ""]
        likelihood = job.likelihood
        nll = -likelihood.known / max(likelihood.notes, 1)
        margin = (likelihood.known - likelihood.unknown) / max(likelihood.notes, 1)
        last = bars[-1]
        report = {
            "bars": len(bars),
            "notes": notes,
            "new_bars": [before + 1, before + len(bars)],
            "loops_avoided": sum(bar.looped for bar in bars),
            "copies_avoided": sum(bar.copied for bar in bars),
            "copy": {"notes": run.notes, "limit": limit, "work": work[0], "composer": work[1]},
            "ending": None if not last.plan.last else "by rule" if last.by_rule else "drawn",
            "problems": [f"bar {before + i + 1}: {bar.problem}" for i, bar in enumerate(bars) if bar.problem],
            "nll_per_note": round(nll, 4),
            "critic": CRITIC,
            "critic_score": round(margin - abs(nll - self.system.typical), 4),
            "seconds": round(elapsed, 3),
            "notes_per_second": round(notes / max(elapsed, 1e-9), 1),
        }
        card = self.system.model.card
        options = {
            "style": self.style,
            "seed": self.seed_name or None,
            "bars": self.bars,
            "infill": list(self.infill) if self.infill is not None else None,
            "key": key_name(keyed),
            "programs": list(job.programs),
            "tempo": round(self.qpm, 2),
            **self.sampling,
            "random_seed": self.random_seed,
            "model": {"name": card.name, "version": card.version},
        }
        return Composition(score, report, options)


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


def parse_key(text: str) -> int:
    """1 + tonic for major, 13 + tonic for minor, of "C", "f#", "B- major", "E flat minor"; a small letter alone is minor.

    Raises
    ------
    FugatoError
        ``bad-option``.
    """
    words = text.strip().replace("♯", "#").replace("♭", "-").replace(" flat", "-").replace(" sharp", "#").split()
    if words:
        name, mode = words[0], words[1].lower() if len(words) > 1 else "minor" if words[0][0].islower() else "major"
        step, sign = name[0].lower(), name[1:].replace("b", "-")
        if step in _STEPS and mode in {"major", "minor"} and sign in {"", "#", "-"} and len(words) <= 2:
            return 1 + (_STEPS[step] + {"": 0, "#": 1, "-": -1}[sign]) % 12 + 12 * (mode == "minor")
    raise FugatoError("bad-option", f"{text!r} is no key; write it as C, F# major, B- or a minor.")


def key_name(key: int) -> str | None:
    """ "G major"; None for an unknown one."""
    return f"{NAMES[(key - 1) % 12]} {'minor' if key > 12 else 'major'}" if key else None


def signature_of(key: int) -> tuple[int, str]:
    """Sharps of a key's signature, flats negative, and its mode."""
    tonic, minor = (key - 1) % 12, key > 12
    sharps = 7 * (tonic + (3 if minor else 0)) % 12
    return sharps - 12 if sharps > 6 else sharps, "minor" if minor else "major"


def _settled(keys: Sequence[Key]) -> list[Key]:
    """Key signatures in order, the last of those at one place."""
    return list({k.onset: k for k in keys}.values())
