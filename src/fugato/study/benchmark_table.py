"""The table of a benchmark of recipes that name composers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def markdown(table: dict[str, Any]) -> str:
    """The table for people: one row a recipe, the two protocols never in one column."""
    lines = [
        "| recipe | published figure | published protocol: windows | own folders: windows / pieces | honest: windows, balanced "
        "| honest: pieces, balanced | macro-F1 | pieces | training s | parameters | ms a piece |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in table["recipes"].items():
        figure = row.get("published figure", {}).get("accuracy")
        as_published = row.get("published protocol", {}).get("accuracy")
        honest = row.get("honest", {})
        pieces = honest.get("together") or honest.get("piece level") or {}
        low, high = (honest.get("together") or honest).get("intervals", {}).get("balanced_accuracy", (None, None))
        window = honest.get("window level", {}).get("balanced_accuracy")
        held = " (one fold)" if "first fold" in honest.get("protocol", "") else ""
        cells = [
            name,
            _number(figure),
            _number(as_published) + _range(row.get("published protocol", {}).get("accuracies", [])),
            _filed_cell(row.get("filed")),
            _number(window),
            f"{_number(pieces.get('balanced_accuracy'))} [{_number(low)}, {_number(high)}]{held}" if pieces else "",
            _number(pieces.get("macro_f1")),
            str(honest.get("pieces", "")),
            str(honest.get("training seconds", "")),
            f"{honest['parameters']:,}" if "parameters" in honest else "",
            str(honest.get("latency ms", "")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    for name, row in table["recipes"].items():
        lines += [
            f"\n{name}, {cell}, is not measured. {reason}" for cell, reason in row.get("not measured", {}).items()
        ]
    return "\n".join(lines) + "\n"


def _filed_cell(filed: dict[str, Any] | None) -> str:
    return "" if filed is None else f"{_number(filed.get('window accuracy')) or '–'} / {_number(filed['accuracy'])}"


def _range(values: Sequence[float]) -> str:
    return f" ({min(values):.3f} to {max(values):.3f} in {len(values)} draws)" if len(values) > 1 else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
