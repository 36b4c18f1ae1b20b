"""The systems of the benchmark of composing, the models that they need, and their pieces, kept on disk as they are made."""

from __future__ import annotations

import inspect
import json
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from fugato.compose import load_generator
from fugato.compose.transformer import Transformer
from fugato.errors import FugatoError
from fugato.models import Card, Model, load_model
from fugato.recipes import COMPOSE
from fugato.score import Score
from fugato.study.remembered import digest

CHEAP: Final = ("markov", "pitch-duration-lstm")  # trained by the benchmark where no model is given
OURS: Final = "remi-transformer"

Progress = Callable[[str, int, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class System:
    """A column of the table.

    Attributes
    ----------
    name, title : str
    recipe : str
    options : mapping
        Of `fugato.compose.Generator.generate`.
    styled : bool
        Told the seed's composer.
    """

    name: str
    title: str
    recipe: str
    options: Mapping[str, Any]
    styled: bool = True


SYSTEMS: Final[dict[str, System]] = {
    system.name: system
    for system in (
        System("chord-lstm-argmax", "chord-lstm as published", "chord-lstm", {"temperature": None}),
        System("chord-lstm", "chord-lstm sampled", "chord-lstm", {"temperature": 1.0}),
        System("pitch-duration-lstm", "pitch-duration-lstm", "pitch-duration-lstm", {"temperature": 1.0}),
        System("markov", "Markov chain", "markov", {}),
        System("unguarded", "ours without guards", OURS, {"guarded": False}),
        System("unconditioned", "ours without conditioning", OURS, {}, styled=False),
        System("ours", "ours", OURS, {}),
        System("chosen", "ours, the critic's choice of 4", OURS, {"draws": 4}),
    )
}


@dataclass(frozen=True, eq=False)
class Wanted:
    """A piece that is asked for.

    Attributes
    ----------
    name : str
        Of its files.
    seed : Score
    style : str or None
    bars, random_seed : int
    """

    name: str
    seed: Score
    style: str | None
    bars: int
    random_seed: int


@dataclass(frozen=True, eq=False)
class Made:
    """A piece that was written.

    Attributes
    ----------
    score : Score
        The new music alone.
    seconds, cpu_seconds : float
        That it took, by the clock and of one processor.
    digest : str
        Of the piece.
    """

    score: Score
    seconds: float
    cpu_seconds: float
    digest: str


def asked_for(names: Sequence[str]) -> list[System]:
    """Systems by name.

    Raises
    ------
    FugatoError
        ``bad-option``.
    """
    if unknown := [name for name in names if name not in SYSTEMS]:
        raise FugatoError("bad-option", f"There is no system {unknown[0]!r}; there are {', '.join(SYSTEMS)}.")
    return [SYSTEMS[name] for name in SYSTEMS if name in names]


def models_for(
    systems: Sequence[System],
    given: Mapping[str, str | os.PathLike[str]],
    train: Callable[[str, Path], Path],
    folder: Path,
) -> tuple[dict[str, Model], dict[str, str]]:
    """The model of each recipe: the one given, the shipped one, or one trained here.

    Parameters
    ----------
    systems : sequence of System
    given : mapping of str to path
        Model folders by recipe.
    train : callable
        ``train(recipe, out)``.
    folder : Path
        Where trained ones are kept.

    Returns
    -------
    models : dict of str to Model
    left_out : dict of str to str
        Why there is none of a recipe.

    Raises
    ------
    FugatoError
        ``bad-option`` for a model of another recipe; what loading and training raise.
    """
    if unknown := [name for name in given if name not in COMPOSE]:
        raise FugatoError(
            "bad-option", f"There is no recipe {unknown[0]!r} that composes; there are {', '.join(COMPOSE)}."
        )
    models: dict[str, Model] = {}
    left_out: dict[str, str] = {}
    for recipe in dict.fromkeys(system.recipe for system in systems):
        if recipe in given:
            models[recipe] = load_generator(os.fspath(given[recipe])).model
        elif (folder / recipe / "card.json").is_file():
            models[recipe] = load_model(folder / recipe)
        elif recipe == OURS and (shipped := _shipped()) is not None:
            models[recipe] = shipped
        elif recipe in CHEAP:
            models[recipe] = load_model(train(recipe, folder / recipe))
        else:
            left_out[recipe] = f"no model; train one and give it as --model {recipe}=DIR"
            _log.warning("%s is left out: %s", recipe, left_out[recipe])
            continue
        if models[recipe].card.recipe != recipe:
            raise FugatoError(
                "bad-option",
                f"It is a model of the recipe {models[recipe].card.recipe}, not {recipe}.",
                os.fspath(given[recipe]),
            )
    return models, left_out


def has_learnt(card: Card, phrases: Any) -> bool:
    """Whether a model has learnt the learnt part of a collection, as far as its card tells: the same pieces of the same composers."""
    by_style = Counter(phrases.pieces[int(i)]["composer"] for i in phrases.of("train"))
    counted = card.made.get("pieces")
    same = sum(corpus.get("pieces", 0) for corpus in card.corpora) == len(phrases.pieces)
    same &= all(by_style[name] == n for name, n in card.labels.items())
    return same and (not isinstance(counted, dict) or counted.get("train") == len(phrases.of("train")))


def _shipped() -> Model | None:
    try:
        return load_model("compose")
    except FugatoError as error:
        if error.kind != "no-model":
            raise
        return None


def made_by(
    system: System,
    model: Model,
    wanted: Sequence[Wanted],
    folder: Path,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Made]:
    """The pieces of a system, in the order asked for; those that lie in the folder already are not written again.

    Parameters
    ----------
    system : System
    model : Model
    wanted : sequence of Wanted
    folder : Path
        For ``NAME.score`` and ``NAME.json`` of each piece, and ``NAME.mid`` to be played.
    jobs : int
        Processes.
    progress : callable, optional
        Told (what is being done, pieces done, pieces in all).
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: [file.bytes, file.sha256] for name, file in model.card.files.items()}
    missing = []
    for one in wanted:
        key: dict[str, Any] = {
            "options": drawn_with(system),
            "bars": one.bars,
            "random_seed": one.random_seed,
            "style": one.style,
        }
        key |= {"seed": digest(one.seed.to_bytes()), "weights": weights}
        if _kept(folder, one.name, key) is None:
            missing.append((one, key))
    done = len(wanted) - len(missing)
    jobs_of = [
        (str(model.folder), one.seed.to_bytes(), one.style, one.bars, one.random_seed, dict(system.options))
        for one, _ in missing
    ]
    for (one, key), (data, seconds, cpu) in zip(missing, _written(jobs_of, jobs), strict=True):
        _keep(folder, one.name, key, data, seconds, cpu)
        done += 1
        if progress is not None:
            progress(f"{system.title}, writing", done, len(wanted))
    return [_loaded(folder, one.name) for one in wanted]


def drawn_with(system: System) -> dict[str, Any]:
    """How a system draws its notes where nothing is said, with what is said of it."""
    if system.recipe != OURS:
        return dict(system.options)
    usual = inspect.signature(Transformer.job).parameters
    return {**{name: usual[name].default for name in ("temperature", "top_p", "guidance")}, **system.options}


def _written(asked: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[tuple[bytes, float, float]]:
    if jobs <= 1 or len(asked) <= 1:
        for one in asked:
            yield write_piece(*one)
        return
    with ProcessPoolExecutor(min(jobs, len(asked)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(write_piece, *zip(*asked, strict=True))


def write_piece(
    folder: str, seed: bytes, style: str | None, bars: int, random_seed: int, options: dict[str, Any]
) -> tuple[bytes, float, float]:
    """A new piece as bytes, the seconds that it took, and those of the processor; in whatever process it is called."""
    system = _generator(folder)
    style = known_style(system, style)
    began, used = time.perf_counter(), time.process_time()
    score = system.generate(Score.from_bytes(seed), bars=bars, random_seed=random_seed, style=style, **options)
    return score.to_bytes(), time.perf_counter() - began, time.process_time() - used


@lru_cache(maxsize=1)
def _generator(folder: str) -> Any:
    return load_generator(folder)


def known_style(system: Any, style: str | None) -> str | None:
    """The composer, where the system knows him or his period; systems without styles take any."""
    try:
        if isinstance(system, Transformer):
            system.style_of(style)
    except FugatoError:
        return None
    return style


def file_name(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def _kept(folder: Path, name: str, key: dict[str, Any]) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = found.get("key") == json.loads(json.dumps(key)) and (folder / f"{name}.score").is_file()
    return found if whole else None


def _keep(folder: Path, name: str, key: dict[str, Any], data: bytes, seconds: float, cpu: float) -> None:
    from fugato.write import write

    score = Score.from_bytes(data)
    (folder / f"{name}.score").write_bytes(data)
    if len(score):
        write(score, folder / f"{name}.mid")
    about = {"key": key, "seconds": round(seconds, 4), "cpu_seconds": round(cpu, 4), "digest": digest(data)}
    building = folder / f"{name}.tmp"
    building.write_text(json.dumps(about), encoding="utf-8")
    building.replace(folder / f"{name}.json")


def _loaded(folder: Path, name: str) -> Made:
    about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    score = Score.from_bytes((folder / f"{name}.score").read_bytes())
    return Made(score, about["seconds"], about["cpu_seconds"], about["digest"])
