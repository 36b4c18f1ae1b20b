"""What n-grams and network are worth together, and either alone, on works that neither has seen.

    python benchmarks/panel.py FOLDER --index INDEX.csv

FOLDER is the panel that `python tools/train_composer.py INDEX.csv --held-out FOLDER` keeps. It is asked about

- the scores held out, whole and in excerpts of 8, 16 and 32 bars; the weights of the pool come from the other half of the works;
- performances: MAESTRO's of composers that it knows, joint works out, whose work is in none of its training files; excerpts of 16, 32
  and 64 seconds;
- pairs: scores and performances of ASAP of such works: is the answer the same?
- composers that it does not know (the collection `unseen`): how well the highest probability tells them from the pieces held out.

Intervals are bootstrapped over works. Writes benchmarks/results/panel.json; --out names another file, for a panel that has learnt from
scores alone (`--scores-only` of the tool). With --beside OTHER it is only compared to another panel, on what neither has learnt from, and
the comparison is added to the results that are there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from held_out import HERE, as_typed, audited, corpora, is_played, kept_with, performances_of

from fugato import metrics
from fugato.composer.pooled import Pool, pooled
from fugato.corpus import Corpus, Piece
from fugato.models import Model, load_model, softmax
from fugato.train.judge import ACCEPTED
from fugato.train.panel import EXCERPT_BARS, Heard, judge, listen, sure_of

RESULT = HERE / "results" / "panel.json"
Array = np.ndarray[Any, Any]


def figures(truth: Array, scores: Array, groups: Array) -> dict[str, Any]:
    """Balanced accuracy, accuracy and macro-F1 with intervals over works, and how honest the probabilities are."""
    answer = scores.argmax(axis=1)
    out: dict[str, Any] = {"pieces": len(truth), "works": len(set(groups.tolist()))}
    for name, metric in (
        ("balanced_accuracy", metrics.balanced_accuracy),
        ("accuracy", metrics.accuracy),
        ("macro_f1", metrics.macro_f1),
    ):
        found = metrics.bootstrap_interval(metric, truth, answer, groups=groups)
        out[name] = round(found.value, 4)
        out[f"{name} interval"] = [round(found.low, 4), round(found.high, 4)]
    probabilities = softmax(scores)
    out["ece"] = round(metrics.expected_calibration_error(truth, probabilities), 4)
    out["top_3_accuracy"] = round(metrics.top_k_accuracy(truth, probabilities, 3), 4)
    return out


def systems(heard: Heard, rows: Array, together: Array) -> dict[str, Array]:
    """Scores of either model alone and of both, shape=(n, n_labels) each."""
    return {"ngram-linear": heard.each[rows, 0], "onset-cnn": heard.each[rows, 1], "together": together}


def told(heard: Heard, pieces: list[Piece], labels: tuple[str, ...]) -> tuple[Array, Array]:
    """True names and works of the rows."""
    truth = metrics.encode([p.composer for p in pieces], labels)
    works = np.array([p.group or p.id for p in pieces])
    return truth[heard.piece], works[heard.piece]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--index", type=Path, help="an index.csv; the shared corpora's by default")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--beside", type=Path, help="another panel to compare it to")
    args = parser.parse_args()
    model = load_model(args.folder)
    labels, pool = model.labels, Pool.kept(model.card)
    corpus = audited(args.index or corpora() / "index.csv")
    if args.beside is not None:
        found = json.loads(args.out.read_text(encoding="utf-8"))
        found["beside"] = {
            "command": as_typed(),
            **beside({"it": args.folder, "other": args.beside}, corpus, args.jobs),
        }
        print(json.dumps(found["beside"], indent=1))
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return
    judged, ids = kept_with(args.folder, "judged"), kept_with(args.folder, "learnt")
    held = [p for p in corpus if p.id in judged and not is_played(p)]
    learnt = {p.group for p in corpus if p.id in ids}
    result: dict[str, Any] = {
        "command": as_typed(),
        "composers": len(labels),
        "pool": model.card.calibration["pool"],
    }

    heard = listen(args.folder, Corpus(held, "scores held out"), jobs=args.jobs)
    truth, works = told(heard, held, labels)
    whole = heard.bars == 0
    together = judge(heard, truth, works, model.card.labels)
    probabilities = together.probabilities()
    result["scores"] = {
        name: figures(truth[whole], scores, works[whole])
        for name, scores in systems(heard, whole, np.log(np.maximum(probabilities, 1e-12))).items()
    }
    result["excerpts"] = {
        str(bars): {
            name: figures(truth[cut], scores, works[cut])
            for name, scores in systems(heard, cut, pooled(heard.each[cut], heard.events[cut], pool)).items()
        }
        for bars in EXCERPT_BARS
        if (cut := heard.bars == bars).any()
    }

    played = performances_of(corpus, labels, learnt)
    heard_played = listen(args.folder, Corpus(played, "performances"), jobs=args.jobs)
    truth_played, works_played = told(heard_played, played, labels)
    both = pooled(heard_played.each, heard_played.events, pool)
    by_length = {
        bars: {
            name: figures(truth_played[rows], scores, works_played[rows])
            for name, scores in systems(heard_played, rows, both[rows]).items()
        }
        for bars in (0, *EXCERPT_BARS)
        if (rows := heard_played.bars == bars).any()
    }
    result["performances"] = by_length[0]
    result["excerpts of performances"] = {f"{2 * bars} s": found for bars, found in by_length.items() if bars}

    asap = [p for p in corpus if p.corpus == "asap" and p.group not in learnt and p.composer in labels]
    result["pairs"] = pairs(args.folder, asap, pool, args.jobs)

    strangers = [p for p in corpus if p.corpus == "unseen" and p.composer not in labels and p.group not in learnt]
    foreign = listen(args.folder, Corpus(strangers, "strangers"), jobs=args.jobs)
    result["unknown"] = unknown(model, heard, foreign, np.array([strangers[int(i)].composer for i in foreign.piece]))
    sure = sure_of(heard_played.select(heard_played.bars == 0), pool, model.card.calibration)
    accepted = float((sure >= model.card.calibration["known_threshold"]).mean())
    result["unknown"]["as shipped"]["performances accepted"] = round(accepted, 4)
    for name in ("scores", "performances"):
        for system, found in result[name].items():
            shown = {key: found[key] for key in ("balanced_accuracy", "balanced_accuracy interval", "accuracy")}
            print(f"{name:13} {system:13} {shown}")
    print(result["pairs"], result["unknown"])
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def beside(panels: dict[str, Path], corpus: Corpus, jobs: int) -> dict[str, Any]:
    """What panels make of performances, and of scores that the last was judged on, of works that none of them has learnt from."""
    ids = set().union(*(kept_with(folder, "learnt") for folder in panels.values()))
    learnt = {p.group for p in corpus if p.id in ids}
    last = list(panels.values())[-1]
    judged, labels = kept_with(last, "judged"), load_model(last).labels
    scores = [p for p in corpus if p.id in judged and p.group not in learnt and not is_played(p)]
    out: dict[str, Any] = {}
    for what, pieces in (("scores", scores), ("performances", performances_of(corpus, labels, learnt))):
        out[what] = {}
        for name, folder in panels.items():
            model = load_model(folder)
            pool = Pool.kept(model.card)
            heard = listen(folder, Corpus(pieces, what), jobs=jobs)
            truth, works = told(heard, pieces, model.labels)
            whole = heard.bars == 0
            both = pooled(heard.each[whole], heard.events[whole], pool)
            out[what][name] = {
                system: figures(truth[whole], each, works[whole])
                for system, each in systems(heard, whole, both).items()
            }
    return out


def unknown(model: Model, heard: Heard, strangers: Heard, names: Array) -> dict[str, Any]:
    """How well pieces by composers that the model does not know are told from those held out; `names` of the strangers' rows."""
    calibration, pool = model.card.calibration, Pool.kept(model.card)
    whole, foreign = heard.bars == 0, strangers.bars == 0
    sure = [sure_of(h.select(rows), pool, calibration) for h, rows in ((heard, whole), (strangers, foreign))]
    highest = [
        softmax(pooled(h.each[rows], h.events[rows], pool)).max(axis=1)
        for h, rows in ((heard, whole), (strangers, foreign))
    ]
    out: dict[str, Any] = {"pieces": int(foreign.sum()), "names": len(set(names.tolist()))}
    own = np.arange(whole.sum() + foreign.sum()) < whole.sum()
    for what, pair, threshold in (
        ("highest probability alone", highest, float(np.quantile(highest[0], 1 - ACCEPTED))),
        ("as shipped", sure, float(calibration["known_threshold"])),
    ):
        score = np.concatenate(pair)
        out[what] = {
            "auroc": round(metrics.unknown_auroc(own, score), 4),
            "known accepted where 90 % of the unknown are refused": round(metrics.known_acceptance(own, score), 4),
            "known accepted": round(float((pair[0] >= threshold).mean()), 4),
            "unknown refused": round(float((pair[1] < threshold).mean()), 4),
        }
    return out


def pairs(folder: Path, pieces: list[Piece], pool: Pool, jobs: int) -> dict[str, Any]:
    """Whether a performance gets the answer of its score."""
    heard = listen(folder, Corpus(pieces, "pairs"), jobs=jobs)
    rows = np.flatnonzero(heard.bars == 0)
    scores = {
        "ngram-linear": heard.each[:, 0],
        "onset-cnn": heard.each[:, 1],
        "together": pooled(heard.each, heard.events, pool),
    }
    place = {int(heard.piece[row]): int(row) for row in rows}
    score_of = {p.pair: i for i, p in enumerate(pieces) if p.role == "midi_score" and i in place}
    found = [
        (place[i], place[score_of[p.pair]], p.group or p.id)
        for i, p in enumerate(pieces)
        if p.domain == "performance" and p.pair in score_of and i in place
    ]
    out: dict[str, Any] = {"pairs": len(found)}
    if found:
        performance, score = (np.array([f[k] for f in found]) for k in (0, 1))
        works = np.array([f[2] for f in found])
        for name, each in scores.items():
            same = (each[performance].argmax(axis=1) == each[score].argmax(axis=1)).astype(float)
            value = metrics.bootstrap_interval(lambda s: float(np.mean(s)), same, groups=works)
            out[name] = [round(value.value, 4), round(value.low, 4), round(value.high, 4)]
    return out


if __name__ == "__main__":
    main()
