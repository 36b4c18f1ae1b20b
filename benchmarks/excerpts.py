"""How much music does it take? Accuracy against the length of the excerpt, on works that the model has not seen.

    python benchmarks/excerpts.py                    a model of other works (trained first, some minutes)
    python benchmarks/excerpts.py --panel FOLDER     the panel that  tools/train_composer.py --held-out FOLDER  has kept
    python benchmarks/excerpts.py --picture          draws the result again

Scores: excerpts of 8, 16, 32 and 64 bars, `DRAWS` of each piece at starts drawn at random, and the whole. Performances: MAESTRO's of
composers that the model knows and of works that are not in its training, at most `PERFORMANCES`; excerpts of 15 to 120 seconds.
"Long pieces" are those of which every length can be cut: the same pieces at every point. An excerpt with too few notes to be judged
counts as wrong. Chance is 1 in the number of composers. Intervals are bootstrapped over works.

The model learns from at most `MOST_WORKS` works a composer (benchmarks/held_out.py): the shipped one knows more. Writes
benchmarks/results/excerpts.json and docs/images/excerpts.png.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from held_out import HERE, MOST_WORKS, as_typed, kept_with, options, performances_of, prepared

from fugato import FugatoError, metrics
from fugato.composer.identify import judgeable
from fugato.composer.panel import Panel, panel
from fugato.corpus import Piece
from fugato.read import read
from fugato.score import Score
from fugato.write.picture import ACCENT, FAINT, INK, MUTED, SECOND

RESULT = HERE / "results" / "excerpts.json"
PICTURE = HERE.parent / "docs" / "images" / "excerpts.png"
BARS = (8, 16, 32, 64)
SECONDS = (15, 30, 60, 120)
DRAWS = 3
PERFORMANCES = 300
PIECES = 450  # scores that a panel is asked about
SEED = 0
Cut = Callable[[Score, int, np.random.Generator], Score | None]


def some_bars(score: Score, length: int, rng: np.random.Generator) -> Score | None:
    """So many bars; None where the piece has fewer."""
    last = int(score.bar_of(score.pitched["onset"].max()))
    if last + 1 < length:
        return None
    first = int(rng.integers(last + 2 - length))
    return score.excerpt(first, first + length - 1)


def some_seconds(score: Score, length: int, rng: np.random.Generator) -> Score | None:
    """So many seconds of a performance; None where it is shorter."""
    notes = score.pitched
    onset = notes["onset_seconds"]
    room = float(onset.max()) - length
    if room < 0:
        return None
    begin = rng.uniform(0, room)
    inside = (onset >= begin) & (onset < begin + length)
    if not inside.any():
        return None
    first = notes["onset"][inside].min()
    return Score.from_notes(
        notes["onset"][inside] - first, notes["duration"][inside], notes["pitch"][inside], beats="default"
    )


def place(model: Panel, score: Score, composer: str) -> tuple[float, float]:
    """Of the true composer in the ranking, from 1, and the first name's probability; infinite and 0 where it cannot be judged."""
    try:
        found, _ = model.answer(score, judgeable(score), None)
    except FugatoError:
        return math.inf, 0.0
    return float(1 + (found > found[model.labels.index(composer)]).sum()), float(found.max())


def judge(
    model: Panel, pieces: list[Piece], cut: Cut, lengths: tuple[int, ...], rng: np.random.Generator
) -> list[dict]:
    """A row a piece: places and probabilities at each length (`DRAWS` of them) and of the whole."""
    rows = []
    for piece in pieces:
        try:
            score = read(piece.path)
            judgeable(score)
        except FugatoError:
            continue
        row: dict[str, Any] = {"composer": piece.composer, "work": piece.group or piece.id}
        for length in lengths:
            cuts = [cut(score, length, rng) for _ in range(DRAWS)]
            row[str(length)] = [place(model, c, piece.composer) for c in cuts if c is not None]
        row["whole"] = [place(model, score, piece.composer)]
        rows.append(row)
    return rows


def curve(rows: list[dict[str, Any]], lengths: tuple[int, ...]) -> dict[str, Any]:
    """Accuracy at each length: all pieces that are long enough, and the long pieces alone."""
    out: dict[str, Any] = {}
    for name, chosen in (("all pieces", rows), ("long pieces", [r for r in rows if r[str(lengths[-1])]])):
        out[name] = {}
        for length in [*map(str, lengths), "whole"]:
            here = [r for r in chosen if r[length]]
            hit = np.array([np.mean([p == 1 for p, _ in r[length]]) for r in here])
            third = np.array([np.mean([p <= 3 for p, _ in r[length]]) for r in here])
            sure = np.array([np.mean([s for _, s in r[length]]) for r in here])
            works, composers = np.array([r["work"] for r in here]), np.array([r["composer"] for r in here])
            found = metrics.bootstrap_interval(lambda h: float(np.mean(h)), hit, groups=works)
            out[name][length] = {
                "pieces": len(here),
                "accuracy": round(found.value, 4),
                "interval": [round(found.low, 4), round(found.high, 4)],
                "balanced_accuracy": round(float(np.mean([hit[composers == c].mean() for c in set(composers)])), 4),
                "among the first three": round(float(third.mean()), 4),
                "mean probability of the first name": round(float(sure.mean()), 4),
            }
            print(f"{name:12} {length:>6}  {out[name][length]}")
    return out


def draw(result: dict[str, Any]) -> None:
    """The same long pieces at every point: the first name, and the first three."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.7), facecolor="white")
    for number, (what, lengths, unit) in enumerate((("scores", BARS, "bars"), ("performances", SECONDS, "seconds"))):
        axes = figure.add_axes((0.07 + 0.49 * number, 0.15, 0.42, 0.71))
        at = np.arange(len(lengths) + 1)
        points = list(result[what]["long pieces"].values())
        low, high = np.array([p["interval"] for p in points]).T
        axes.fill_between(at, low, high, color=ACCENT, alpha=0.15, linewidth=0)
        for key, label, colour in (
            ("among the first three", "among the first three names", SECOND),
            ("accuracy", "the first name", ACCENT),
        ):
            value = [p[key] for p in points]
            axes.plot(at, value, "o-", color=colour, linewidth=1.8, markersize=5, label=label)
        axes.axhline(1 / result["composers"], color=MUTED, linewidth=0.9, linestyle=":", label="chance")
        axes.set_xticks(at, [*map(str, lengths), "whole"])
        axes.set_xlabel(f"{unit} ({points[0]['pieces']} pieces)", color=MUTED)
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"])
        axes.grid(axis="y", color=FAINT)
        axes.tick_params(length=0, labelcolor=MUTED)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)
        axes.legend(frameon=False, fontsize=8, labelcolor=MUTED, loc="upper left")
        axes.set_title(f"Excerpts of {what}: the composer is", loc="left", color=INK, fontsize=11, weight="bold")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=130, metadata={"Software": "Fugato"})


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--picture", action="store_true", help="only draw the result that is there")
    args = parser.parse_args()
    if args.picture:
        draw(json.loads(RESULT.read_text()))
        return
    folder, pieces, corpus = prepared(args)
    model = panel(str(folder))
    if args.panel is not None:
        ids = kept_with(args.panel, "learnt")
        pieces = [pieces[int(i)] for i in np.random.default_rng(SEED).permutation(len(pieces))[:PIECES]]
    else:
        ids = set(json.loads(folder.with_name(folder.name + ".json").read_text())["learnt"])
    rng = np.random.default_rng(SEED)
    played = performances_of(corpus, model.labels, {p.group for p in corpus if p.id in ids})
    played = [played[int(i)] for i in rng.permutation(len(played))[:PERFORMANCES]]
    result = {
        "command": as_typed(),
        "composers": len(model.labels),
        **({} if args.panel is not None else {"most works learnt of a composer": MOST_WORKS}),
        "draws": DRAWS,
        "scores": curve(judge(model, pieces, some_bars, BARS, rng), BARS),
        "performances": curve(judge(model, played, some_seconds, SECONDS, rng), SECONDS),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    draw(result)
    print(f"written to {Path(RESULT).name} and {PICTURE.name}")


if __name__ == "__main__":
    main()
