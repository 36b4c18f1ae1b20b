"""What there is to ask with: models and their cards, composers and styles, pieces that come along."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from starlette.exceptions import HTTPException

from fugato.corpus import all_composers
from fugato.corpus.examples import LICENCE, Example, examples
from fugato.errors import FugatoError
from fugato.models import list_models, load_model
from fugato.models.card import TASKS, read_card
from fugato.models.names import find_model

RECORDED: Final = "-played"  # ends the name of an example that is a recording
PLAYED: Final = ("bach-bwv66-6", "joplin-maple-leaf-rag")  # examples that are there as recordings too


def check_model(name: str) -> None:
    """Refuse what is no model's name: a request may not name a folder.

    Raises
    ------
    FugatoError
        ``no-model``.
    """
    if name not in TASKS and all(entry.name != name for entry in list_models()):
        raise FugatoError("no-model", f"There is no model {name!r}; GET /api/models lists them.")


def check_composes(model: str) -> None:
    """Refuse a model that cannot compose, or that is not there, before a job waits for it.

    Raises
    ------
    FugatoError
        ``no-model``, ``bad-model``.
    """
    try:
        task = read_card(find_model(model)).task
    except FugatoError as error:
        if error.kind != "no-model":
            raise
        raise FugatoError(
            "no-model", "This server has no such model that composes; fugato serve --model names one."
        ) from None
    if task != "compose":
        raise FugatoError("bad-model", f"It is a model for the task {task!r}, and cannot compose.", model)


def cards() -> list[dict[str, Any]]:
    """The cards of all models, each with whether it came with the package."""
    found = []
    for entry in list_models():
        about: dict[str, Any] = {"name": entry.name, "shipped": entry.shipped}
        if entry.card is not None:
            about = {**entry.card.to_dict(), "card_name": entry.card.name, **about}
        else:
            about["error"] = {"kind": "bad-model", "message": entry.problem}
        found.append(about)
    return found


def card(name: str) -> dict[str, Any]:
    """The card of one model.

    Raises
    ------
    FugatoError
        ``no-model``, ``bad-model``.
    """
    check_model(name)
    return load_model(name).card.to_dict()


def figures(name: str) -> dict[str, Any]:
    """What was measured of a model on pieces it had not seen: classes, intervals, and who was taken for whom (rows are the true names).

    Raises
    ------
    FugatoError
        ``no-model``, ``bad-model``.
    HTTPException
        404 for a model without such figures.
    """
    check_model(name)
    model = load_model(name)
    if "figures" not in model.card.files:
        raise HTTPException(404, f"The model {name!r} brings no figures besides those of its card.")
    found: dict[str, Any] = model.json("figures")
    return found


def composers(compose_model: str) -> dict[str, Any]:
    """The table of composers, and the styles of the composing model; none where there is no such model."""
    styles, periods = _styles(compose_model)
    seeds = _seeds()
    table = [
        {
            "name": c.name,
            "full": c.full,
            "birth": c.birth,
            "death": c.death,
            "years": c.years,
            "period": c.period,
            "repertoire": c.repertoire,
            "known": c.shipped,
            "style": c.name in styles,
            "seeds": seeds.get(c.name, 0),
        }
        for c in all_composers()
    ]
    return {"composers": table, "styles": list(styles), "periods": list(periods)}


@lru_cache(maxsize=4)
def _styles(compose_model: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        vocabulary = load_model(compose_model).json("vocabulary")
    except (FugatoError, KeyError):
        return (), ()
    return tuple(vocabulary.get("styles", ())), tuple(vocabulary.get("periods", ()))


@lru_cache(maxsize=1)
def _seeds() -> dict[str, int]:
    """How many pieces to go on from there are by each composer."""
    return dict(Counter(found.composer for found, _ in examples()))


def listed_examples() -> list[dict[str, Any]]:
    """The pieces that come along; some of them also as recordings, played from their notes."""
    out = []
    for found, path in examples():
        about: dict[str, Any] = {"composer": found.composer, "licence": LICENCE}
        score: dict[str, Any] = {"name": found.name, "title": found.title, "kind": "score", "seed": True}
        out.append({**score, **about, "file": found.name + path.suffix, "url": f"/api/examples/{found.name}"})
        if found.name in PLAYED:
            name = found.name + RECORDED
            played: dict[str, Any] = {
                "name": name,
                "title": f"{found.title}, played by the server",
                "kind": "recording",
                "seed": False,
            }
            out.append({**played, **about, "file": f"{name}.wav", "url": f"/api/examples/{name}"})
    return out


def example(name: str) -> tuple[Example, Path]:
    """An example by its name, also by that of its recording, with the file of its notes."""
    plain = name.removesuffix(RECORDED)
    for found, path in examples():
        if found.name == plain and (plain == name or plain in PLAYED):
            return found, path
    raise HTTPException(404, "There is no example of that name; GET /api/examples lists them.")
