"""Are the bars that `--explain` marks the ones that matter? Without them the name must lose more than without as many other bars.

    python benchmarks/explain.py                     a model of other works (trained first, some minutes), `PIECES` pieces
    python benchmarks/explain.py --recipe NAME       of another recipe
    python benchmarks/explain.py --panel FOLDER      the panel that  tools/train_composer.py --held-out FOLDER  has kept

Every piece is of a work that the model has not seen (benchmarks/held_out.py). The `TELLING_BARS` bars named for the first composer, at most
a quarter of the piece's bars, are cut out, the rest is moved together, and the model is asked again; so it is with as many bars drawn at
random among those with notes in them, `DRAWS` times. What is compared is the probability of the first composer; its log-odds as well,
because a probability near 1 hardly moves. The control: the bars with the *least* weight for the name.

Intervals are bootstrapped over works (one piece each). Writes benchmarks/results/explain.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from held_out import as_typed, options, prepared

from fugato import FugatoError, metrics
from fugato.composer.identify import TELLING_BARS, judgeable
from fugato.composer.panel import Panel, panel
from fugato.read import read
from fugato.score import Score

RESULT = Path(__file__).resolve().parent / "results" / "explain.json"
PIECES = 240
LEAST_BARS = 12
DRAWS = 10
SEED = 0


def without(score: Score, bars: np.ndarray[Any, Any]) -> Score:
    """The piece with some of its bars (from 0) cut out and the rest moved together."""
    edges = np.append(score.bars, max(score.end, float(score.bars[-1])))
    length = np.diff(edges)
    gone = np.isin(np.arange(len(score.bars)), bars)
    earlier = np.concatenate([[0.0], np.cumsum(np.where(gone, length, 0.0))])[:-1]
    notes = score.notes
    bar = score.bar_of(notes["onset"])
    kept = ~gone[bar]
    notes, bar = notes[kept], bar[kept]
    return Score.from_notes(
        notes["onset"] - earlier[bar],
        notes["duration"],
        notes["pitch"],
        drum=notes["drum"],
        bars=(score.bars - earlier)[~gone],
        beats=score.beats,
    )


def asked(model: Panel, score: Score, label: int) -> float:
    """Log-odds of a composer."""
    found, _ = model.answer(score, judgeable(score), None)
    p = float(np.clip(found[label], 1e-12, 1 - 1e-12))
    return float(np.log(p / (1 - p)))


def main() -> None:
    args = options(__doc__).parse_args()
    folder, pieces, _ = prepared(args)
    model = panel(str(folder))
    rng = np.random.default_rng(SEED)
    rows: list[dict[str, Any]] = []
    for i in rng.permutation(len(pieces)):
        piece = pieces[int(i)]
        if len(rows) == PIECES:
            break
        try:
            score = read(piece.path)
            events = judgeable(score)
        except FugatoError:
            continue
        sounding = np.unique(events.bar)
        if len(sounding) < LEAST_BARS:
            continue
        found, _ = model.answer(score, events, None)
        label = int(found.argmax())
        weights = model.bar_weights(score, events, model.labels[label])
        n = min(TELLING_BARS, len(sounding) // 4)
        order = sounding[np.argsort(-weights[sounding], kind="stable")]
        try:
            before = asked(model, score, label)
            told = asked(model, without(score, order[:n]), label)
            least = asked(model, without(score, order[-n:]), label)
            drawn = [asked(model, without(score, rng.choice(sounding, n, False)), label) for _ in range(DRAWS)]
        except FugatoError:  # what is left is too short
            continue
        rows.append(
            {"id": piece.id, "right": model.labels[label] == piece.composer, "bars": len(sounding), "cut": n}
            | {"before": before, "telling": told, "least": least, "random": drawn}
        )
    result = {"command": as_typed()} | summary(rows)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    before, told, least = (np.array([row[key] for row in rows]) for key in ("before", "telling", "least"))
    drawn = np.array([row["random"] for row in rows])
    bars, cut = (np.array([row[key] for row in rows], float) for key in ("bars", "cut"))

    def probability(log_odds: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return 1 / (1 + np.exp(-log_odds))

    def mean(values: np.ndarray[Any, Any]) -> list[float]:
        found = metrics.bootstrap_interval(lambda v: float(np.mean(v)), values, groups=np.arange(len(values)))
        return [round(x, 4) for x in (found.value, found.low, found.high)]

    start = probability(before)
    drop, random_drop = start - probability(told), start - probability(drawn).mean(axis=1)
    return {
        "pieces": len(rows),
        "named rightly": round(float(np.mean([row["right"] for row in rows])), 4),
        "share of the bars cut": round(float((cut / bars).mean()), 4),
        "columns": "mean, lower and upper end of the 95 % interval over works",
        "probability before": mean(start),
        "it falls without the telling bars by": mean(drop),
        "it falls without as many random bars by": mean(random_drop),
        "it falls without the bars of least weight by": mean(start - probability(least)),
        "more than without random bars by": mean(drop - random_drop),
        "log-odds fall without the telling bars by": mean(before - told),
        "log-odds fall without random bars by": mean(before - drawn.mean(axis=1)),
        "log-odds fall more by": mean(drawn.mean(axis=1) - told),
        "share of pieces where it falls more than the mean of the draws": mean((drop > random_drop).astype(float)),
        "share of pieces where it falls more than in every draw": mean((told < drawn.min(axis=1)).astype(float)),
    }


if __name__ == "__main__":
    main()
