"""Write the tables of README.md and WEIGHTS.md from the JSON under benchmarks/results and the cards of the shipped models.

python benchmarks/readme.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fugato.models import list_models

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def load(name: str) -> dict[str, Any]:
    """One result file."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def figure(block: dict[str, Any], key: str = "balanced_accuracy") -> str:
    """``0.912 [0.89, 0.93]``"""
    low, high = block["intervals"][key]
    return f"{block[key]:.3f} [{low:.3f}, {high:.3f}]"


def results() -> str:
    """The table of honest results."""
    classics, shipped, speed = load("composers_classics"), load("composers_shipped"), load("speed")
    rows = []
    for name, what in (("four", "4 composers of one collection, 10-fold"), ("eighteen", "its 18 composers, 5-fold")):
        for labels in ("labels as filed", "labels corrected by the audit"):
            block = classics[name][labels]
            rows.append(
                f"| {what}, {labels} | {block['pieces']:,} / {block['works']:,} | {figure(block['grouped'])} "
                f"| {block['grouped']['macro_f1']:.3f} | {figure(block['random'])} | {block['majority_accuracy']:.3f} |"
            )
    own = shipped["cross-validation"]
    rows.append(
        f"| the shipped model: {len(own['labels'])} composers, all score collections, 5-fold | {own['pieces']:,} / {own['groups']:,} "
        f"| {figure(own)} | {own['macro_f1']:.3f} | | {own['majority_accuracy']:.3f} |"
    )
    played = load("composers_performances")
    rows.append(
        f"| human performances (MAESTRO), by models of scores alone that never saw the work | {played['pieces']:,} / {played['works']:,} "
        f"| {figure(played)} | | | |"
    )
    head = (
        "| what | files / works | balanced accuracy, works kept whole | macro-F1 | files split at random | always the commonest |\n"
        "|---|---|---|---|---|---|\n"
    )
    recall = own["per_class"]
    each = ", ".join(
        f"{name} {int(v['support'])} ({v['recall']:.2f})"
        for name, v in sorted(recall.items(), key=lambda item: -item[1]["support"])
    )
    unknown = shipped["unknown"]
    rate = speed["folder"]["jobs_2"]["pieces_a_second"]
    return (
        head
        + "\n".join(rows)
        + "\n\nIntervals are 95 %, bootstrapped over works. The random column is what is usually published: editions and movements of one "
        + "work on both sides.\n"
        + "Human performances are its weak side: it learnt from scores, and takes the unsteadiness of a performance for Liszt, who is much "
        + "played and little notated in its training.\n"
        + f"The shipped model's accuracy is {own['accuracy']:.3f}, its first three names hold the composer in {own['top_3_accuracy']:.3f} "
        + f"of pieces, and its expected calibration error is {own['ece']:.3f}. Of {unknown['pieces']} pieces by nobody it knows it calls "
        + f"{unknown['called unknown']:.0%} unknown, at a threshold that 90 % of known pieces pass.\n"
        + f"A folder of {speed['folder']['files']:,} files is answered at {rate:.0f} pieces a second on two "
        + f"cores; one MIDI file from a cold start takes {speed['cold']['mid']['median_s']:.2f} s.\n\n"
        + "<details><summary>Files of each composer, and the share named correctly when its work was held out</summary>\n\n"
        + each
        + "\n\n</details>\n\nMade by `python benchmarks/composers.py classics`, `... shipped`, `... performances`, "
        + "`python benchmarks/speed.py` and `python benchmarks/readme.py`.\n"
    )


def weights() -> str:
    """A row a shipped model."""
    lines = [
        "| model | task | version | trained on | licence of the weights | what that allows |",
        "|---|---|---|---|---|---|",
    ]
    for listed in list_models():
        if not listed.shipped or listed.card is None:
            continue
        card = listed.card
        corpora = "; ".join(f"{c['name']} ({c['licence']}, {c['pieces']:,} files)" for c in card.corpora)
        allows = (
            "use, study and sharing with attribution, not for commercial advantage, changes under the same licence"
            if "NC" in card.licence
            else "any use with attribution"
        )
        lines.append(f"| {card.name} | {card.task} | {card.version} | {corpora} | {card.licence} | {allows} |")
    return "\n".join(lines) + "\n"


def replace(path: Path, mark: str, text: str) -> None:
    """Put `text` between the marks of a page."""
    page = path.read_text(encoding="utf-8")
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, rest = page.split(start, 1)
    after = rest.split(end, 1)[1]
    path.write_text(before + start + text + end + after, encoding="utf-8")


def main() -> None:
    replace(ROOT / "README.md", "results", results())
    replace(ROOT / "WEIGHTS.md", "weights", weights())
    print("README.md and WEIGHTS.md are written")


if __name__ == "__main__":
    main()
