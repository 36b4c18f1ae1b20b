"""The shipped models as a page: what each one's card says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from fugato.models import Card, list_models

MOST_FIGURES = 12  # of one model; the rest stands in its card
HEAD = """# Shipped models

Made from the cards of the models when this page is built; `fugato models NAME` shows the same on a terminal. Nothing is downloaded: these
lie in the package. What their licences allow is under [data and licences](data-and-licences.md), how the figures are made under
[how we measure](how-we-measure.md).
"""
PAGES = {  # where a model is explained
    "composer": "[Who wrote it](identify.md)",
    "style": "[How alike in style](style-space.md)",
    "genre": "[Which genre is it](genre.md)",
    "works": "[Which work is it](recognise.md)",
    "compose": "[New music](compose.md)",
}


def models() -> str:
    """The whole page, in Markdown."""
    cards = [entry.card for entry in list_models() if entry.shipped and entry.card is not None]
    lines = [
        HEAD,
        "| model | task | recipe | version | names | size | licence of the weights |",
        "|---|---|---|---|---:|---:|---|",
    ]
    for card in cards:
        names = f"{len(card.labels):,}" if card.labels else ""
        lines.append(
            f"| [{card.name}](#{card.name}) | {card.task} | `{card.recipe}` | {card.version} | {names} | {_size(card)} | {card.licence} |"
        )
    for card in cards:
        lines += list(_card(card))
    return "\n".join(lines) + "\n"


def _card(card: Card) -> Iterator[str]:
    yield from ("", f"## {card.name} {{ #{card.name} }}", "")
    told = f" {PAGES[card.name]} explains it." if card.name in PAGES else ""
    yield f"Recipe `{card.recipe}`, version {card.version}, {_size(card)}, task {card.task}.{told}"
    yield from ("", "**Figures**", "", "| figure | value | interval | n | protocol |", "|---|---:|---|---:|---|")
    for figure in card.figures[:MOST_FIGURES]:
        low_high = figure.get("interval")
        interval = f"{low_high[0]:.3f} to {low_high[1]:.3f}" if low_high else ""
        n = f"{figure['n']:,}" if "n" in figure else ""
        yield f"| {_words(figure['name'])} | {_number(figure['value'])} | {interval} | {n} | {figure.get('protocol', '')} |"
    if len(card.figures) > MOST_FIGURES:
        yield from ("", f"{len(card.figures) - MOST_FIGURES} more stand in the card.")
    if card.calibration:
        facts = [f"{_words(k)} {_number(v)}" for k, v in card.calibration.items() if not isinstance(v, list)]
        yield from ("", f"**Calibration**: {'; '.join(facts)}.")
    yield from ("", "**Limits**", "")
    yield from (f"- {limit}" for limit in card.limits)
    corpora: dict[str, list[str]] = defaultdict(list)
    for corpus in card.corpora:
        corpora[str(corpus["name"])].append(f"{corpus['licence']} ({corpus['pieces']:,})")
    yield from ("", "**Trained on**", "", "| collection | licence (files) |", "|---|---|")
    for name, licences in corpora.items():
        yield f"| {name} | {'; '.join(licences)} |"
    if card.labels:
        yield from ("", f'??? note "Its {len(card.labels):,} names, with the pieces that it learnt each from"', "")
        yield "    " + ", ".join(f"{name} {n:,}" for name, n in card.labels.items())


def _size(card: Card) -> str:
    return f"{sum(f.bytes for f in card.files.values()) / 1e6:.1f} MB"


def _words(name: str) -> str:
    return str(name).replace("_", " ")


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
