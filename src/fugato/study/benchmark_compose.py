"""Systems that compose, side by side on one collection: the same seeds from works that none of them has learnt, and real music beside them.

Every piece is kept under the output folder as it is written, and so is what was measured of it: a benchmark that was stopped goes on
where it was. Nothing in the table is better because it is higher, but for what is said to be: what counts is to lie where real music lies.
"""

from __future__ import annotations

import json
import logging
import math
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fugato import __version__
from fugato.compose import load_generator
from fugato.compose.copies import CopyIndex, line, line_of_rows
from fugato.errors import FugatoError
from fugato.models import Model, load_model
from fugato.score import Score
from fugato.study import compose_cost, compose_figures
from fugato.study import music_metrics as mm
from fugato.study.compose_seeds import BARS, SEED_BARS, Passage, choose
from fugato.study.compose_systems import (
    OURS,
    SYSTEMS,
    Made,
    System,
    Wanted,
    asked_for,
    drawn_with,
    file_name,
    has_learnt,
    made_by,
    models_for,
)
from fugato.study.compose_table import markdown
from fugato.study.copied import longest_shared
from fugato.study.foretell import excerpts, foretold, nats_a_note, parts_a_note
from fugato.study.listening import check_page, listening_page
from fugato.study.read_back import read_back as read_again
from fugato.study.remembered import digest, remembered, remembered_each
from fugato.train import phrases as ph
from fugato.train.compose import PERCENTILE, chosen_pieces, train_compose
from fugato.write.place import make_folder

REAL: Final = "real"
PIECES: Final = 100
FORETOLD: Final = 60  # works whose beginnings are foretold
MEASURES: Final = 1  # version of what is measured

Progress = Callable[[str, int, int], None]
Figure = dict[str, Any]
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Task:
    """What is shared by all systems."""

    phrases: Any
    passages: list[Passage]
    composers: list[str]
    judge: str
    bars: int
    out: Path
    seed: int
    read_back: int | None
    jobs: int
    progress: Progress | None

    @property
    def works(self) -> list[str]:
        return [p.work for p in self.passages]

    def stage(self, what: str) -> Callable[[int, int], None] | None:
        progress = self.progress
        return None if progress is None else lambda done, total: progress(what, done, total)


def benchmark_compose(
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    models: Mapping[str, str | os.PathLike[str]] | None = None,
    systems: Sequence[str] = tuple(SYSTEMS),
    pieces: int = PIECES,
    bars: int = BARS,
    seed_bars: int = SEED_BARS,
    swaps: bool = True,
    judge: str = "composer",
    without: Sequence[str] = (),
    only_open: bool = False,
    budget: str = "small",
    random_seed: int = 0,
    read_back: int | None = None,
    jobs: int = 1,
    listen: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Figure:
    """Let systems go on from seeds of held-out works, and measure what they write.

    Parameters
    ----------
    data : path
        As `fugato.train.compose.train_compose`; the held-out works are those that it leaves out with the same collection, options and
        random seed, so models should have been trained so.
    out : path
        Folder for ``table.json``, ``table.md``, the pieces of each system as MIDI, and what is needed to go on.
    models : mapping of str to path, optional
        Model folders by recipe. Of a recipe without one the shipped model is taken, or one is trained here if that is cheap.
    systems : sequence of str
        Names in `fugato.study.compose_systems.SYSTEMS`; real music always stands beside them.
    pieces : int
        Of each system.
    bars, seed_bars : int
        Written, and gone on from.
    swaps : bool
        Also let ours go on from one seed of each composer in every style.
    judge : str
        The model that names composers: shipped name or folder.
    without, only_open, random_seed
        As `fugato.train.compose.train_compose`.
    budget : "full" or "small"
        Of what is trained here.
    read_back : int, optional
        Pieces of each system at most that are read back from MIDI and MusicXML, which takes a second each; all where left out.
    jobs : int
        Processes.
    listen : path, optional
        An .html page on which ten seeds and what each system made of them can be heard (`fugato.study.listening`).
    progress : callable, optional
        Told (what is being done, steps done, steps in all).

    Returns
    -------
    dict
        What ``table.json`` holds.

    Raises
    ------
    FugatoError
        ``bad-option``, ``bad-data``, ``bad-output``.
    """
    columns = asked_for(systems)
    for name, number, least in (
        ("pieces", pieces, 2),
        ("bars", bars, 2),
        ("seed_bars", seed_bars, 1),
        ("jobs", jobs, 1),
    ):
        if number < least:
            raise FugatoError("bad-option", f"{name} is {number}; it must be at least {least}.")
    if listen is not None:
        check_page(listen)
    known = load_model(judge)
    if known.card.task != "composer":
        raise FugatoError(
            "bad-option", f"The judge must be a model that names composers; its task is {known.card.task}.", judge
        )
    target = make_folder(out)
    phrases = _phrases(data, target, without, only_open, random_seed, jobs, progress)

    def train(recipe: str, folder: Path) -> Path:
        packed = data if _packed(data) else target / "phrases"
        folder.parent.mkdir(parents=True, exist_ok=True)
        return train_compose(
            packed,
            recipe=recipe,
            out=folder,
            name=recipe,
            budget=budget,
            random_seed=random_seed,
            jobs=jobs,
            resume=folder.with_name(f"{recipe}.training").is_dir(),
            progress=progress,
        )

    found, left_out = models_for(columns, models or {}, train, target / "models")
    columns = [c for c in columns if c.recipe in found]
    styles = found[OURS].json("vocabulary")["styles"] if OURS in found else phrases.styles
    labels = set(known.labels) & set(styles)
    passages, composers = choose(phrases, pieces, labels=labels, bars=bars, seed_bars=seed_bars, seed=random_seed)
    task = _Task(phrases, passages, composers, judge, bars, target, random_seed, read_back, jobs, progress)
    table: Figure = {
        "fugato": __version__,
        "machine": {"python": platform.python_version(), "cores": os.cpu_count(), "processor": platform.machine()},
        "collection": Path(data).name,
        "pieces": pieces,
        "works": len(set(task.works)),
        "passages": len({p.name for p in passages}),
        "bars": bars,
        "seed bars": seed_bars,
        "composers": composers,
        "judge": {"name": known.card.name, "version": known.card.version, "labels": len(known.labels)},
        "random seed": random_seed,
        "learnt pieces": len(phrases.of("train")),
        "left out": left_out,
        "models": {recipe: _about(model, phrases) for recipe, model in found.items()},
        "systems": {},
    }
    real = _row_of_real(task)
    limit = float(np.percentile(real.copied, PERCENTILE))
    table["copy limit"] = {"notes": limit, "percentile": PERCENTILE}
    guard = _guard(found.get(OURS))
    table["systems"][REAL] = {"title": "real music", **_figures(real, real, task, limit, guard)}
    heard: dict[str, list[Score]] = {}
    for column in columns:
        row = _row_of(column, found[column.recipe], task)
        figures = {"title": column.title, "drawn with": drawn_with(column), **_figures(row, real, task, limit, guard)}
        figures |= _foretold(column, found[column.recipe], task)
        figures |= compose_cost.cost(found[column.recipe], target / "measured", bars)
        if swaps and column.name == "ours" and composers:
            figures["swap"] = _swapped(column, found[column.recipe], task)
        table["systems"][column.name] = figures
        heard[column.title] = row.scores
        _log.info("%s is measured", column.title)
        _write(target, table)
    if listen is not None:
        listening_page(passages, heard, listen, composers=composers)
    return _write(target, table)


def _packed(data: str | os.PathLike[str]) -> bool:
    return (Path(data) / "phrases.json").is_file()


def _phrases(
    data: str | os.PathLike[str],
    out: Path,
    without: Sequence[str],
    only_open: bool,
    seed: int,
    jobs: int,
    progress: Progress | None,
) -> Any:
    if _packed(data):
        if without or only_open:
            raise FugatoError("bad-option", "A packed collection was chosen from when it was packed.", str(data))
        return ph.load(data, seed=seed)
    corpus = chosen_pieces(data, None, without, only_open, jobs, progress)
    tell = None if progress is None else (lambda done, total: progress("reading", done, total))
    return ph.prepare(corpus, out / "phrases", seed=seed, jobs=jobs, progress=tell)


def _about(model: Model, phrases: Any) -> Figure:
    """What a model is, and whether it has learnt the pieces that this table takes for learnt."""
    card = model.card
    same = has_learnt(card, phrases)
    if not same:
        _log.warning(
            "%s has not learnt the learnt part of this collection; held-out works may be known to it", card.name
        )
    kept = ("parameters", "epochs", "steps", "seconds", "settings", "notes")
    return {
        "name": card.name,
        "version": card.version,
        "recipe": card.recipe,
        "made": {key: card.made[key] for key in kept if key in card.made},
        "bytes": sum(file.bytes for file in card.files.values()),
        "learnt this collection": same,
    }


# -- a column ------------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Row:
    """The pieces of a system and what was measured of each."""

    scores: list[Score]
    found: list[Figure]
    copied: list[int]
    made: list[Made]


def _row_of_real(task: _Task) -> _Row:
    scores = [p.real for p in task.passages]
    return _Row(scores, _measured(REAL, scores, task), _copied(REAL, scores, task), [])


def _row_of(column: System, model: Model, task: _Task) -> _Row:
    wanted = [
        Wanted(f"{i:03}-{file_name(p.name)}", p.seed, p.composer if column.styled else None, task.bars, task.seed + i)
        for i, p in enumerate(task.passages)
    ]
    made = made_by(column, model, wanted, task.out / "pieces" / column.name, jobs=task.jobs, progress=task.progress)
    scores = [m.score for m in made]
    return _Row(scores, _measured(column.name, scores, task), _copied(column.name, scores, task), made)


def _measured(
    name: str, scores: Sequence[Score], task: _Task, passages: Sequence[Passage] | None = None
) -> list[Figure]:
    """Figures of each piece; which readers read it back, for as many as are read back."""
    passages = task.passages if passages is None else passages
    names = [f"{p.name} {digest(s.to_bytes())}" for p, s in zip(passages, scores, strict=True)]
    place = {name: i for i, name in enumerate(names)}

    def figures(some: Sequence[str]) -> list[Figure]:
        return [
            compose_figures.measured(scores[place[n]], passages[place[n]], task.composers, task.judge) for n in some
        ]

    about = {"version": MEASURES, "composers": task.composers, "judge": task.judge}
    folder = task.out / "measured"
    tell = task.stage(f"{name}, measuring")
    found = remembered_each(folder / f"{name}.json", about, names, figures, tell)
    checked = names[: task.read_back]
    again = remembered_each(
        folder / f"{name}-read-back.json",
        {"version": MEASURES},
        checked,
        lambda some: read_again([scores[place[n]] for n in some]),
        task.stage(f"{name}, reading back"),
    )
    return [{**row, "valid": valid} for row, valid in zip(found, [*again, *[None] * len(found)], strict=False)]


def _copied(name: str, scores: Sequence[Score], task: _Task) -> list[int]:
    """The longest run of each piece that a piece of the learnt part has too, in notes."""

    def compare() -> list[int]:
        learnt = [line_of_rows(task.phrases.tokens(int(i))) for i in task.phrases.of("train")]
        return longest_shared([line(score) for score in scores], learnt)

    key = [digest(b"".join(score.to_bytes() for score in scores)), len(task.phrases.of("train"))]
    found: list[int] = remembered(task.out / "measured" / f"{name}-copied.json", key, compare)
    return found


def _guard(model: Model | None) -> tuple[CopyIndex, int] | None:
    """What our own guard measures copies by, and its limit."""
    if model is None or not model.has("copies"):
        return None
    limit = model.json("vocabulary").get("copy_limit")
    return None if not limit else (CopyIndex.from_arrays(model.arrays("copies")), int(limit))


def _figures(row: _Row, real: _Row, task: _Task, limit: float, guard: tuple[CopyIndex, int] | None) -> Figure:
    """All figures of a column but those of its model."""
    works, found = task.works, row.found
    is_real = row is real

    def share(name: str, which: Sequence[int] | None = None) -> Figure | None:
        rows = range(len(found)) if which is None else which
        return compose_figures.mean([float(found[i][name]) for i in rows], [works[i] for i in rows])

    asked = [i for i, p in enumerate(task.passages) if p.composer in task.composers]
    figures: Figure = {
        "pieces": len(found),
        "without notes": sum(not f["notes"] for f in found),
        "loops": share("loops"),
        "bar run": share("bar run"),
        "sound run": share("sound run"),
        "distinct": share("distinct"),
        "values": {name: _value(name, found, works) for name in mm.FEATURES if name != "inter-onset intervals"},
        "overlap": None if is_real else compose_figures.overlap(real.found, found, works),
        "self-similarity": {
            str(lag): compose_figures.mean([f["self-similarity"][k] for f in found], works)
            for k, lag in enumerate(mm.LAGS)
        },
        "frechet": compose_figures.frechet_to_real(real.found, found, works),
        "copied": compose_figures.mean(row.copied, works),
        "copied most": max(row.copied, default=0),
        "copied too much": sum(n > limit for n in row.copied),
        # A passage from the middle of a piece need not end.
        "ends": share("ends", [i for i, p in enumerate(task.passages) if p.ends] if is_real else None),
        "valid": {
            reader: compose_figures.mean(
                [float(f["valid"][reader]) for f in found if f["valid"]], works[: task.read_back]
            )
            for reader in found[0]["valid"] or ()
        },
    }
    if guard is not None:
        runs = [guard[0].longest(*line(score)).notes for score in row.scores]
        figures["guarded copies"] = {"limit": guard[1], "most": max(runs), "above": sum(n > guard[1] for n in runs)}
    if asked:
        who = [task.passages[i].composer for i in asked]
        for key in ("named", "named of all"):
            right = [found[i][key] == name for i, name in zip(asked, who, strict=True)]
            figures[key] = compose_figures.by_composer(right, who, [works[i] for i in asked])
    if row.made:
        cpu, seconds = sum(m.cpu_seconds for m in row.made), sum(m.seconds for m in row.made)
        figures["speed"] = {
            "notes a second": round(sum(len(m.score) for m in row.made) / max(cpu, 1e-9), 1),
            "seconds a piece": round(cpu / len(row.made), 2),
            "times faster than it plays": round(sum(m.score.seconds for m in row.made) / max(cpu, 1e-9), 1),
            "clock over processor": round(seconds / max(cpu, 1e-9), 2),
        }
    return figures


def _value(name: str, found: Sequence[Figure], works: Sequence[str]) -> Figure | None:
    return compose_figures.mean([f["features"][name][0] for f in found], works)


def _foretold(column: System, model: Model, task: _Task) -> Figure:
    """Nats a note of held-out works; kept by model and by whether it was told the composer."""
    styled = column.styled and column.recipe == OURS
    path = (
        task.out
        / "measured"
        / f"foretold-{column.recipe}{'' if styled or column.recipe != OURS else '-unconditioned'}.json"
    )
    held = excerpts(task.phrases, FORETOLD)
    if not held:
        return {"nll": None}

    def say() -> Figure:
        said = foretold(load_generator(model), held, styled=styled, progress=task.stage(f"{column.title}, foretelling"))
        value = nats_a_note(said, [h.work for h in held])
        return {
            "value": round(value.value, 4),
            "interval": [round(value.low, 4), round(value.high, 4)],
            "by": {name: round(part, 4) for name, part in parts_a_note(said).items()},
            "n": len(held),
            "notes": sum(s.notes for s in said),
        }

    key = {
        "weights": {name: file.sha256 for name, file in model.card.files.items()},
        "works": [h.work for h in held],
        "plan": False,
    }
    return {"nll": remembered(path, key, say)}


def _swapped(column: System, model: Model, task: _Task) -> Figure:
    """One seed of each composer, gone on from in every style: is the style named, or who wrote the seed?"""
    seeds = [next(p for p in task.passages if p.composer == name) for name in task.composers]
    pairs = [(seed, style) for seed in seeds for style in task.composers]
    wanted = [
        Wanted(f"{seed.composer}-as-{style}".replace(" ", "-"), seed.seed, style, task.bars, task.seed + 1000 + i)
        for i, (seed, style) in enumerate(pairs)
    ]
    made = made_by(
        column, model, wanted, task.out / "pieces" / f"{column.name}-swapped", jobs=task.jobs, progress=task.progress
    )
    passages = [seed for seed, _ in pairs]
    found = _measured(f"{column.name}-swapped", [m.score for m in made], task, passages)
    works = [seed.work for seed in passages]
    named = [f["named"] for f in found]
    other = [i for i, (seed, style) in enumerate(pairs) if seed.composer != style]
    styles = [style for _, style in pairs]
    return {
        "pieces": len(pairs),
        "style": compose_figures.by_composer(
            [named[i] == styles[i] for i in other], [styles[i] for i in other], [works[i] for i in other]
        ),
        "seed": compose_figures.by_composer(
            [named[i] == passages[i].composer for i in other],
            [passages[i].composer for i in other],
            [works[i] for i in other],
        ),
        "chance": round(1 / len(task.composers), 4),
        "named": [[seed.composer, style, name] for (seed, style), name in zip(pairs, named, strict=True)],
    }


def _write(out: Path, table: Figure) -> Figure:
    table = _finite(table)
    (out / "table.json").write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "table.md").write_text(markdown(table), encoding="utf-8")
    return table


def _finite(value: Any) -> Any:
    """NaN has no place in JSON."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
