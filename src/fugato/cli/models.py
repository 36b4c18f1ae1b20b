"""``fugato models``: what models there are, what their cards say, and what they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import show
from .edge import message
from .output import is_table, print_json


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME|DIR]", help="One model, to see its card; with --draw, or a recipe.")
    ] = None,
    draw: Annotated[bool, typer.Option("--draw", help="Its layers as a table and as a picture.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PNG", help="Where to draw it, .png or .svg. Default: NAME.png here."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout, also on a terminal.")] = False,
) -> None:
    """List the shipped and local models, show the card of one, or draw a model or recipe layer by layer."""
    from ..errors import FugatoError
    from ..models import list_models, load_model

    if draw:
        if name is None:
            raise FugatoError("bad-option", "Name the model or recipe to draw: fugato models composer --draw.")
        _draw(name, out, as_json)
        return
    if out is not None:
        raise FugatoError("bad-option", "--out says where to draw; it goes with --draw.")
    if name is not None:
        model = load_model(name)
        if is_table(as_json):
            _card(model.card.to_dict(), str(model.folder))
        else:
            print_json({**model.card.to_dict(), "folder": str(model.folder)})
        return
    found = list_models()
    if not is_table(as_json):
        for entry in found:
            facts = {"name": entry.name, "shipped": entry.shipped, "folder": str(entry.folder)}
            if entry.card is not None:
                facts |= {"version": entry.card.version, "task": entry.card.task, "recipe": entry.card.recipe}
                facts |= {"labels": len(entry.card.labels), "licence": entry.card.licence}
            else:
                facts |= {"error": {"kind": "bad-model", "message": entry.problem}}
            print_json(facts)
        return
    rows = []
    for entry in found:
        where = "shipped" if entry.shipped else "local"
        if entry.card is None:
            rows.append([entry.name, where, "", "", "", "", entry.problem or ""])
        else:
            card = entry.card
            size = sum(f.bytes for f in card.files.values())
            rows.append(
                [entry.name, where, card.task, card.version, card.recipe, str(len(card.labels)), f"{size / 1e6:.1f} MB"]
            )
    show.table(["model", "where", "task", "version", "recipe", "names ", "size "], rows)


def _draw(name: str, out: Path | None, as_json: bool) -> None:
    """Layers as a table, or as JSON, and as a picture."""
    from ..study.network import summary_of
    from ..write.network_picture import draw_network

    summary = summary_of(name)
    path = draw_network(summary, out or Path(f"{Path(name).name or 'model'}.png"))
    if is_table(as_json):
        rows = [
            [layer.kind, layer.name, layer.shape, f"{layer.parameters:,}" if layer.parameters else ""]
            for layer in summary.layers
        ]
        rows.append(["together", "", "", f"{summary.parameters:,}"])
        show.table(["layer", "where", "output ", "parameters "], rows)
    else:
        print_json(summary.to_dict())
    message(f"fugato: {summary.name}, {summary.about}; drawn as {path}")


def _card(card: dict[str, Any], folder: str) -> None:
    """The card in sections, labels and figures as tables."""
    from rich.text import Text

    screen = show.console()
    screen.print(Text(f"{card['name']} {card['version']}", style=show.ACCENT))
    facts = [
        ("task", card["task"]),
        ("recipe", card["recipe"]),
        ("input", f"{card['representation']['name']}  {_settings(card['representation'].get('settings'))}"),
        ("trained on", "; ".join(f"{c.get('name')} ({c.get('licence')})" for c in card["corpora"]) or "not said"),
        ("calibration", _settings(card["calibration"]) or "none"),
        ("licence of the weights", card["licence"] or "not said"),
        ("files", ", ".join(f"{f['file']} ({f['bytes'] / 1e6:.1f} MB)" for f in card["files"].values())),
        ("folder", folder),
    ]
    show.table(["", ""], facts)
    if card["figures"]:
        show.figures(card["figures"])
    show.table(["name", "training pieces "], [[label, f"{n:,}"] for label, n in card["labels"].items()])
    for limit in card["limits"]:
        screen.print(Text(f"limit: {limit}"))


def _settings(settings: dict[str, Any] | None) -> str:
    return ", ".join(f"{key} {value}" for key, value in (settings or {}).items())
