"""Who wrote this: a file, bytes or a Score in, an Answer out; many files at once in worker processes."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from fugato.answer import Answer, Guess, ModelName
from fugato.composer.panel import Panel, panel
from fugato.composer.patterns import ASPECTS, describe
from fugato.composer.recognise import shipped_works
from fugato.corpus.names import canonical, composer_info
from fugato.errors import FugatoError
from fugato.read import Item, read, read_many
from fugato.read.files import bytes_of, name_of
from fugato.represent.stream import Stream, stream
from fugato.score import Score

THEN: Final = "fugato.composer.identify:answer_bytes"  # what a worker process calls with each Score
LEAST_EVENTS: Final = 12  # events with fewer there is nothing to count
FEW: Final = 4  # files for which starting worker processes would take longer than answering
SHORT_EVENTS: Final = 100  # events under which people are told that the piece is short
TELLING_PATTERNS: Final = 6
REPEATED: Final = 3  # times that a pattern must occur to be named
TELLING_BARS: Final = 8  # bars named as evidence, for the first and for the second composer each

Source = str | os.PathLike[str] | bytes | BinaryIO | Score


def identify(
    source: Source,
    *,
    model: str | os.PathLike[str] = "composer",
    fuse: Sequence[str | os.PathLike[str]] = (),
    candidates: Sequence[str] | None = None,
    explain: bool = False,
    top: int | None = None,
    work: bool = True,
) -> Answer:
    """Name the composer of a piece.

    Parameters
    ----------
    source : path, bytes, binary file object or Score
    model : str or path
        A shipped or local model, or a model folder.
    fuse : sequence of str or path
        Models that answer together with it; they must know the same composers.
    candidates : sequence of str, optional
        Ask only between these composers, in any usual spelling; the probabilities are then among them.
    explain : bool
        Fill `Answer.evidence` with the bars that spoke most for the first and second name.
    top : int, optional
        Keep only so many names of the ranking; all of them otherwise.
    work : bool
        Fill `Answer.work` where the piece itself is recognised; the ranking does not depend on it.

    Returns
    -------
    Answer

    Raises
    ------
    FugatoError
        ``not-music``, ``empty``, ``drums-only``, ``too-short`` and what else `fugato.read` raises; ``no-model``,
        ``bad-model``; ``bad-option`` for a candidate that the model does not know.

    Examples
    --------
    >>> import fugato
    >>> fugato.identify("nocturne.mid").name  # doctest: +SKIP
    'Chopin'
    """
    asked = panel(os.fspath(model), *(os.fspath(other) for other in fuse))
    chosen = _candidates(asked, candidates)
    started = time.perf_counter()
    if isinstance(source, Score):
        return _answer(source, None, None, asked, chosen, explain, top, started, work)
    name = name_of(source)
    data = bytes_of(source, name)
    score = read(data, name=name)
    sha256 = hashlib.sha256(data).hexdigest()
    return _answer(score, name, sha256, asked, chosen, explain, top, started, work)


def identify_many(
    sources: Iterable[str | os.PathLike[str]],
    *,
    model: str | os.PathLike[str] = "composer",
    fuse: Sequence[str | os.PathLike[str]] = (),
    candidates: Sequence[str] | None = None,
    explain: bool = False,
    top: int | None = None,
    jobs: int | None = None,
    work: bool = True,
) -> Iterator[dict[str, Any]]:
    """The contract's JSON object for each file, answers and errors alike, in the order of the input.

    Files are read and judged in `jobs` worker processes (one a core by default) that a bad file can take down without harm to the
    others; memory does not grow with their number. A few files are read as `fugato.read` does, and judged here. A book of tunes
    answers for its first tune, and for all of them in ``parts``.

    Raises
    ------
    FugatoError
        For a wrong model or option, before anything is read.
    """
    asked = panel(os.fspath(model), *(os.fspath(other) for other in fuse))
    chosen = _candidates(asked, candidates)
    if jobs is None:
        jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rest = iter(sources)
    few = list(itertools.islice(rest, FEW + 1))
    if len(few) <= FEW:
        return _answers_here(few, asked, chosen, explain, top, work)
    options = options_of(str(asked.model.folder), fuse=fuse, candidates=candidates, explain=explain, top=top, work=work)
    return _answers(itertools.chain(few, rest), jobs, options)


def options_of(
    model: str | os.PathLike[str],
    *,
    fuse: Sequence[str | os.PathLike[str]] = (),
    candidates: Sequence[str] | None = None,
    explain: bool = False,
    top: int | None = None,
    work: bool = True,
) -> dict[str, Any]:
    """The options of `identify_many` as JSON values, which `answer_bytes` takes in a worker process."""
    return {
        "model": os.fspath(model),
        "fuse": [os.fspath(other) for other in fuse],
        "candidates": list(candidates) if candidates is not None else None,
        "explain": explain,
        "top": top,
        "work": work,
    }


def _answers_here(
    sources: Iterable[str | os.PathLike[str]],
    asked: Panel,
    candidates: list[int] | None,
    explain: bool,
    top: int | None,
    work: bool,
) -> Iterator[dict[str, Any]]:
    """Read as `read` does, small MIDI in this process and everything else in a worker, and judged here."""

    def judge(result: Any, name: str, sha256: str) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            if isinstance(result, FugatoError):
                raise result
            return _answer(result, name, sha256, asked, candidates, explain, top, started, work).to_dict()
        except FugatoError as error:
            return {**error.to_dict(), "input": name}

    for item in read_many(sources):
        name = os.fspath(item.source)  # type: ignore[arg-type]
        shown = judge(item.result, name, item.sha256)
        if item.tunes:
            shown["parts"] = [{**judge(result, name, item.sha256), "input": None} for result in item.tunes]
        yield shown


def _answers(sources: Iterable[str | os.PathLike[str]], jobs: int, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in read_many(sources, jobs=jobs, then=THEN, options=options):
        yield answer_of(item, os.fspath(item.source))  # type: ignore[arg-type]


def answer_of(item: Item, name: str) -> dict[str, Any]:
    """The contract's JSON object of a file that was read and judged (`THEN`) in a worker process."""
    shown = _plain(item.result, name)
    if item.tunes:
        shown["parts"] = [_plain(result, None) for result in item.tunes]
    return shown


def _plain(result: Any, name: str | None) -> dict[str, Any]:
    if isinstance(result, FugatoError):
        return {**result.to_dict(), "input": name}
    out: dict[str, Any] = json.loads(result)
    out["input"] = name
    return out


def answer_bytes(
    score: Score,
    *,
    name: str,
    sha256: str,
    model: str,
    fuse: list[str],
    candidates: list[str] | None,
    explain: bool,
    top: int | None,
    work: bool = True,
) -> bytes:
    """One answer as JSON, for `fugato.read.read_many` to call in a worker process."""
    started = time.perf_counter()
    asked = panel(model, *fuse)
    chosen = _candidates(asked, candidates)
    answer = _answer(score, name, sha256, asked, chosen, explain, top, started, work)
    return json.dumps(answer.to_dict(), ensure_ascii=False).encode()


def _candidates(asked: Panel, names: Sequence[str] | None) -> list[int] | None:
    if names is None:
        return None
    chosen = []
    for name in names:
        known = name if name in asked.labels else canonical(name)
        if known not in asked.labels:
            close = ", ".join(label for label in asked.labels if label[:2].lower() == name[:2].lower()) or "…"
            raise FugatoError(
                "bad-option",
                f"The model does not know {name!r}; it knows {len(asked.labels)} composers ({close}).",
            )
        chosen.append(asked.labels.index(known))
    if len(set(chosen)) < 2:
        raise FugatoError("bad-option", "There must be at least two candidates to choose between.")
    return sorted(set(chosen))


def _answer(
    score: Score,
    name: str | None,
    sha256: str | None,
    asked: Panel,
    candidates: list[int] | None,
    explain: bool,
    top: int | None,
    started: float,
    work: bool = True,
) -> Answer:
    events = judgeable(score, name)
    probabilities, surest = asked.answer(score, events, candidates)
    order = np.argsort(-probabilities, kind="stable")
    if candidates is not None:
        order = order[: len(candidates)]
    ranking = tuple(Guess(asked.labels[i], float(probabilities[i])) for i in order)
    card = asked.model.card
    threshold = float(card.calibration.get("known_threshold", 0.0))
    known = candidates is not None or surest >= threshold
    warnings = list(score.warnings)
    known_works = shipped_works() if work else None
    if len(events) < SHORT_EVENTS:
        warnings.append(f"the piece is short ({len(score.pitched)} notes): the answer is less certain than it looks")
    if surest == 0:
        warnings.append("it is like no music that the model learnt from")
    return Answer(
        input=name,
        sha256=sha256,
        task="composer",
        ranking=ranking[:top] if top else ranking,
        known=known,
        model=ModelName(card.name, card.version),
        music={"notes": len(score.pitched), "bars": len(score.bars), "seconds": round(score.seconds, 1)},
        period=_level_up(ranking, "period"),
        repertoire=_level_up(ranking, "repertoire"),
        work=known_works.recognise(events, card) if known_works else None,
        evidence=_evidence(asked, score, events, ranking) if explain else None,
        warnings=tuple(warnings),
        elapsed=time.perf_counter() - started,
    )


def judgeable(score: Score, name: str | None = None) -> Stream:
    """The stream of a score that has enough notes to be judged.

    Raises
    ------
    FugatoError
        ``empty``, ``drums-only`` or ``too-short``.
    """
    if not len(score):
        raise FugatoError("empty", "There are no notes in it.", name)
    if not len(score.pitched):
        raise FugatoError("drums-only", "It has only percussion; a composer is named by melody and harmony.", name)
    events = stream(score)
    if len(events) < LEAST_EVENTS:
        raise FugatoError(
            "too-short",
            f"It has only {len(events)} of the {LEAST_EVENTS} notes or chords one after another that are needed to say anything.",
            name,
        )
    return events


def _level_up(ranking: tuple[Guess, ...], field: str) -> Guess | None:
    """The likeliest period or repertoire: probabilities of the composers added up."""
    total: dict[str, float] = {}
    for guess in ranking:
        info = composer_info(guess.name)
        if info is None:
            return None
        value = getattr(info, field)
        total[value] = total.get(value, 0.0) + guess.probability
    best = max(total, key=lambda value: total[value])
    return Guess(best, min(total[best], 1.0))


def _evidence(asked: Panel, score: Score, events: Stream, ranking: tuple[Guess, ...]) -> dict[str, Any]:
    """The bars that spoke most for the first and for the second name, counted from 1, and the first's telling patterns."""
    bars: list[dict[str, Any]] = []
    for guess in ranking[:2]:
        weights: NDArray[np.float64] = asked.bar_weights(score, events, guess.name)
        best = np.argsort(-weights, kind="stable")[:TELLING_BARS]
        bars += [
            {"bar": int(b) + 1, "for": guess.name, "weight": round(float(weights[b]), 4)}
            for b in best
            if weights[b] > 0
        ]
    patterns: list[dict[str, Any]] = []
    first = asked.patterns
    if first is None:  # a network names no patterns
        return {"bars": bars, "patterns": patterns}
    said: set[str] = set()
    for block, cell, weight in first.pattern_weights(events, ranking[0].name, REPEATED):
        text, aspect = describe(block, cell), ASPECTS.get(block.partition("/")[0], "")
        if text is None or aspect in said:  # one of melody, one of rhythm, one of harmony …: not six times the same
            continue
        said.add(aspect)
        patterns.append({"text": text, "weight": round(weight, 4)})
        if len(patterns) == TELLING_PATTERNS:
            break
    return {"bars": bars, "patterns": patterns}
