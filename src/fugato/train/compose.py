"""Train a model that composes: pieces with their works, copies dropped, a network or another system fitted, judged on works held out."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np

from fugato import __version__
from fugato.compose.copies import CopyIndex, line_of_rows
from fugato.corpus import Corpus, is_open, load_corpus, work_groups
from fugato.errors import FugatoError
from fugato.models import Card, Model, check_target, load_model, save_model
from fugato.recipes import recipe as find_recipe
from fugato.represent import tokens as t
from fugato.train import phrases as ph
from fugato.train.precision import AUTO
from fugato.train.ranks import is_first, together
from fugato.train.told import Progress, stage

EXCERPT: Final = 300  # notes of a held-out excerpt: some 32 bars
PERCENTILE: Final = 95  # of the longest runs of held-out music in the training music: more is a copy
USUAL: Final = 4  # meters and ensembles that are kept of a style
SOME: Final = 40  # rows on which the cost of rounding the weights is measured
RECIPE: Final = "remi-transformer"

_log = logging.getLogger(__name__)


def train_compose(
    data: str | os.PathLike[str] | Corpus,
    *,
    recipe: str | None = None,
    out: str | os.PathLike[str],
    name: str | None = None,
    version: str = "1.0.0",
    composers: Collection[str] | None = None,
    without: Collection[str] = (),
    only_open: bool = False,
    from_model: str | os.PathLike[str] | Model | None = None,
    minutes: float | None = None,
    random_seed: int = 0,
    jobs: int = 2,
    progress: Progress | None = None,
    budget: str = "full",
    resume: bool = False,
    devices: int | str = "auto",
    nodes: int = 1,
    precision: str = AUTO,
    **settings: float,
) -> Path:
    """Train a model that composes.

    A recipe is a module with ``NAME``, ``DEFAULTS``, ``BUDGETS``, ``check(settings)`` and either ``build(n_styles, n_periods,
    settings)``, a network that `fugato.train.compose_loop` trains, or ``learn(phrases, settings, folder, *, seed, resume, minutes,
    progress)``, which answers with the parts of the model, its representation, its figures and what the card is to say of its making.

    Parameters
    ----------
    data : path or Corpus
        Whatever `fugato.load_corpus` takes, or a folder that `fugato.train.phrases.prepare` made: a collection packed for a machine that
        does not have its files.
    recipe : str, optional
        "remi-transformer" where left out, or that of `from_model`.
    out : path
        The model folder to write.
    name, version : str
        For the card.
    composers : collection of str, optional
        Only these.
    without : collection of str
        Corpora of an index to leave out, or one domain of one ("asap:performance").
    only_open : bool
        Only pieces whose licence lets the model be shared: CC0, public domain, CC BY, CC BY-SA.
    from_model : str, path or Model, optional
        Go on from a trained model: fine-tuning. It keeps its styles.
    minutes : float, optional
        Wall clock for learning.
    random_seed : int
    jobs : int
        Reading processes.
    progress : callable, optional
        Told (what is being done, steps done, steps in all).
    budget : str
        "full", or "small" for a machine without a GPU.
    resume : bool
        Go on with a training that was stopped.
    devices, nodes, precision
        As `lightning.Fabric` takes them.
    settings
        Of the recipe.

    Returns
    -------
    Path
        Of the model folder.

    Raises
    ------
    FugatoError
        ``bad-data``, ``bad-option``, ``bad-output``.
    """
    base = None
    if from_model is not None:
        base = from_model if isinstance(from_model, Model) else load_model(from_model)
        if recipe is not None and base.card.recipe != recipe:
            raise FugatoError(
                "bad-option", f"The model to go on from is of the recipe {base.card.recipe}, not {recipe}."
            )
        recipe = base.card.recipe
    how = find_recipe("compose", recipe or RECIPE)
    if base is not None and not hasattr(how, "build"):
        raise FugatoError("bad-option", f"A model of the recipe {how.NAME} cannot be gone on from; train it anew.")
    if minutes is not None and not minutes > 0:
        raise FugatoError("bad-option", f"minutes is {minutes:g}; it must be above 0.")
    for option, value, least in (("random_seed", random_seed, 0), ("jobs", jobs, 1)):
        if value < least:
            raise FugatoError("bad-option", f"{option} is {value}; it must be at least {least}.")
    if budget not in how.BUDGETS:
        raise FugatoError("bad-option", f"{how.NAME} has no budget {budget!r}; it has {', '.join(how.BUDGETS)}.")
    how.check(settings)
    chosen = {**how.DEFAULTS, **how.BUDGETS[budget]}
    if base is not None:
        chosen.update({**how.FINE_TUNING, **{key: base.card.made["settings"][key] for key in how.SHAPE}})
    chosen.update(settings)
    check_target(out)
    started = time.perf_counter()
    folder = Path(out).absolute().with_name(f"{Path(out).absolute().name}.training")
    key = {"recipe": how.NAME, "settings": chosen, "seed": random_seed}
    split: dict[str, Any] = {
        "min_works": int(chosen.get("min_works", 15)),
        "styles": base.json("vocabulary")["styles"] if base is not None and base.has("vocabulary") else None,
        "seed": random_seed,
    }
    if not isinstance(data, Corpus) and (Path(data) / "phrases.json").is_file():
        if composers is not None or without or only_open:
            raise FugatoError("bad-option", "A packed collection was chosen from when it was packed.", str(data))
        phrases = ph.load(data, **split)
        _prepare_folder(folder, {**key, "ids": [piece["id"] for piece in phrases.pieces]}, resume)
    else:
        corpus = chosen_pieces(data, composers, without, only_open, jobs, progress)
        _prepare_folder(folder, {**key, "ids": corpus.ids}, resume)
        phrases = ph.prepare(corpus, folder / "phrases", jobs=jobs, progress=stage(progress, "reading"), **split)
    for reason, n in phrases.left_out.items():
        if n:
            _log.warning("left out (%s): %d files", reason, n)
    training = {"seed": random_seed, "resume": resume, "minutes": minutes, "progress": stage(progress, "training")}
    if hasattr(how, "build"):
        devised = {"devices": devices, "nodes": nodes, "precision": precision}
        parts, figures, made = _network(how, phrases, chosen, folder, base, {**training, **devised})
        representation = {"name": "tokens", "settings": {"version": t.VERSION, "ticks": t.TICKS}}
    else:
        parts, representation, figures, made = how.learn(phrases, chosen, folder, **training)
    card = _card(name or Path(out).absolute().name, version, how, phrases, representation, figures)
    made = {
        "fugato": __version__,
        "random_seed": random_seed,
        "settings": chosen,
        "without": sorted(without),
        "from": base.card.name if base is not None else None,
        "seconds": round(time.perf_counter() - started),
        **made,
    }
    save_model(out, Card(**{**card, "made": made}), parts)
    shutil.rmtree(folder, ignore_errors=True)
    return Path(out)


def _network(
    how: Any,
    phrases: ph.Phrases,
    settings: dict[str, float],
    folder: Path,
    base: Model | None,
    training: dict[str, Any],
) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Fit a decoder and export it; its figures are those of the exported weights."""
    import torch

    from fugato.recipes.remi_transformer import CONTEXT
    from fugato.train.compose_loop import fit, nll
    from fugato.train.export_decoder import decoder_parts, rounded, weights_of

    torch.manual_seed(training["seed"])
    network = how.build(len(phrases.styles), len(phrases.periods), settings)
    judged = "test" if len(phrases.of("test")) else "valid"
    rows = ph.whole(phrases, phrases.of(judged), CONTEXT)
    before = None
    if base is not None:
        network.load_state_dict(weights_of(base, network))
        before = nll(network, rows)
    trained = fit(network, phrases, settings, folder, **training)
    final = rounded(trained.network)
    after = nll(final, rows)
    n_works = len({phrases.pieces[i]["group"] for i in phrases.of(judged)})
    protocol = f"{judged} part, {n_works} works left out of training, context {CONTEXT} steps"
    figures = [
        {"name": "nll_per_note", "value": round(after["note"], 4), "protocol": protocol, "n": int(after["notes"])}
    ]
    if before is not None:
        figures.append({**figures[0], "name": "nll_per_note_before", "value": round(before["note"], 4)})
    figures += [
        {"name": f"nll_{column}", "value": round(after[column], 4), "protocol": protocol, "n": int(after["notes"])}
        for column in t.COLUMNS[: t.N_ATTRIBUTES]
    ]
    index, works, limit, runs = copy_parts(phrases, base)
    vocabulary = {
        "version": t.VERSION,
        "sizes": list(t.VOCABULARY),
        "columns": list(t.COLUMNS),
        "styles": list(phrases.styles),
        "periods": list(phrases.periods),
        "usual": usual(phrases),
        "copy_limit": limit,
        "typical_nll": round(after["note"], 4),
    }
    if limit is not None:
        figures.append(
            {
                "name": "copy_limit",
                "value": limit,
                "protocol": f"longest run of {EXCERPT} held-out notes, percentile {PERCENTILE}",
                "n": runs,
            }
        )
    parts = {
        **decoder_parts(final),
        "vocabulary": vocabulary,
        "copies": index.to_arrays(),
        "works": works,
        "history": trained.history,
    }
    if not len(index.gram):
        del parts["copies"]  # a collection of a few short pieces
    some = rows[:: max(len(rows) // SOME, 1)]
    made = {
        "float16_costs": round(nll(final, some)["note"] - nll(trained.network, some)["note"], 5),  # nats a note
        "parameters": sum(p.numel() for p in final.parameters()),
        "steps": int(trained.history[-1]["step"]),
        "best_step": trained.best_step,
        "pieces": {part: len(phrases.of(part)) for part in ph.PARTS},
        "note_and_bar_steps": {part: phrases.steps(part) for part in ph.PARTS},
    }
    return parts, figures, made


def copy_parts(phrases: ph.Phrases, base: Model | None = None) -> tuple[CopyIndex, list[list[str]], int | None, int]:
    """The index of training pieces, titles and composers, the limit of a copied run in notes, and how many excerpts gave it."""
    learnt = phrases.of("train")
    index = CopyIndex.build([line_of_rows(phrases.tokens(int(i))) for i in learnt])
    works = [[phrases.pieces[i]["title"], phrases.pieces[i]["composer"]] for i in learnt]
    if base is not None and base.has("copies"):  # what the model to go on from has learnt stays guarded
        known = base.json("works")
        before, stays = CopyIndex.from_arrays(base.arrays("copies")).apart(index, len(known))
        known = [work for work, stayed in zip(known, stays, strict=True) if stayed]
        index, works = before.joined(index, len(known)), [*known, *works]
    rng = np.random.default_rng(0)
    runs = []
    for i in np.concatenate([phrases.of("valid"), phrases.of("test")]):
        onset, pitch = line_of_rows(phrases.tokens(int(i)))
        first = int(rng.integers(0, max(len(onset) - EXCERPT, 0) + 1))
        runs.append(index.longest(onset[first : first + EXCERPT], pitch[first : first + EXCERPT]).notes)
    return index, works, round(float(np.percentile(runs, PERCENTILE))) if runs else None, len(runs)


def usual(phrases: ph.Phrases) -> dict[str, dict[str, Any]]:
    """What a style's pieces mostly have: ``meters`` and ``ensembles`` with their counts, middle tempo and density; "" for all."""
    out: dict[str, dict[str, Any]] = {}
    for name in ("", *phrases.styles):
        style = phrases.styles.index(name) + 1 if name else 0
        own = [i for i in phrases.of("train") if not name or phrases.controls[i, t.STYLE] == style]
        meters: Counter[tuple[int, int]] = Counter()
        ensembles: Counter[tuple[int, ...]] = Counter()
        for i in own:
            rows = phrases.tokens(int(i))
            bars = rows[rows[:, t.EVENT] == t.BAR, t.METER]
            index = int(np.bincount(bars).argmax())
            if index:
                meters[t.METERS[index - 1]] += 1
            ensembles[tuple(phrases.pieces[i]["programs"])] += 1
        densities = [np.median(rows[rows[:, t.EVENT] == t.BAR, t.DENSITY]) for rows in map(phrases.tokens, own)]
        qpm = [phrases.pieces[i]["qpm"] for i in own if phrases.pieces[i]["qpm"]]
        out[name] = {
            "meters": [[list(value), n] for value, n in meters.most_common(USUAL)],
            "ensembles": [[list(value), n] for value, n in ensembles.most_common(USUAL)],
            "qpm": round(float(np.median(qpm)), 1) if qpm else None,
            "density": round(float(np.median(densities))) if densities else None,
        }
    return out


def chosen_pieces(
    data: str | os.PathLike[str] | Corpus,
    composers: Collection[str] | None = None,
    without: Collection[str] = (),
    only_open: bool = False,
    jobs: int = 2,
    progress: Progress | None = None,
) -> Corpus:
    """The pieces of a collection to learn from, with their works; parameters as `train_compose`."""
    corpus = load_corpus(data)
    left_out = [tuple(part.split(":", 1)) if ":" in part else (part, None) for part in without]

    def keep(piece: Any) -> bool:
        return not any(piece.corpus == name and domain in (None, piece.domain) for name, domain in left_out)

    chosen = corpus.filter(keep, composers=composers, licence_open=True if only_open else None)
    if len(chosen) < 2:
        raise FugatoError("bad-data", "Fewer than two pieces are left to learn from.", corpus.name)
    if any(group is None for group in chosen.groups):
        told = stage(progress, "telling works apart")
        chosen = chosen.with_groups(work_groups(chosen, jobs=jobs, progress=told))
    return chosen


def _prepare_folder(folder: Path, key: dict[str, Any], resume: bool) -> None:
    """Empty unless the same training is resumed there; what was read of the same files stays in any case."""
    if is_first():
        _empty(folder, json.dumps(key, sort_keys=True), resume)
    together()


def _empty(folder: Path, text: str, resume: bool) -> None:
    try:
        same = (folder / "training.json").read_text(encoding="utf-8") == text
    except OSError:
        same = False
    if resume and not same and (folder / "training.json").exists():
        raise FugatoError(
            "bad-option",
            "The training that was stopped there had other pieces or settings; leave out --resume.",
            str(folder),
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            for entry in folder.iterdir():
                if entry.name != "phrases":
                    entry.unlink()
        (folder / "training.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise FugatoError("bad-output", f"Cannot keep checkpoints ({error}).", str(folder)) from error


def _card(
    name: str,
    version: str,
    how: Any,
    phrases: ph.Phrases,
    representation: dict[str, Any],
    figures: list[dict[str, Any]],
) -> dict[str, Any]:
    learnt = phrases.of("train")
    by_style = Counter(int(phrases.controls[i, t.STYLE]) for i in learnt)
    corpora = Counter((p["corpus"] or "folder", p["licence"] or "unstated") for p in phrases.pieces)
    licences = {licence for _, licence in corpora}
    shared = all(is_open(licence) for licence in licences)
    share_alike = any("SA" in licence for licence in licences)
    return {
        "name": name,
        "version": version,
        "task": "compose",
        "recipe": how.NAME,
        "labels": {style: by_style[i + 1] for i, style in enumerate(phrases.styles)},
        "representation": representation,
        "corpora": tuple(
            {"name": corpus, "licence": licence, "pieces": n} for (corpus, licence), n in sorted(corpora.items())
        ),
        "figures": tuple(figures),
        "limits": (
            "It writes what its collection makes likely: phrases and cadences, no large form.",
            "Its guard against copying knows its own training pieces and no others."
            if hasattr(how, "build")
            else "Nothing keeps it from copying its training pieces or from going round in circles.",
            "Labels and licences are those of the collections as they stand.",
        ),
        "licence": ("CC BY-SA 4.0" if share_alike else "Apache-2.0")
        if shared
        else "not to be shared: some pieces have no open licence",
        "files": {},
    }
