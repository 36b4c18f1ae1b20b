"""How well composers are named, under grouped and published protocols, on the shared corpora.

    python benchmarks/composers.py classics          the four and the eighteen composers, cross-validated here (some minutes)
    python benchmarks/composers.py eighteen          the eighteen by n-grams and network together (an hour, most of it five networks)
    python benchmarks/composers.py maestro           MAESTRO's composers of 16 performances or more, in the same way
    python benchmarks/composers.py nine              the nine composers, eight folds
    python benchmarks/composers.py shipped           the shipped model: what its training measured, and composers it does not know
    python benchmarks/composers.py performances      MAESTRO by models of score collections that never saw the work (20 minutes)

Writes benchmarks/results/composers_NAME.json. The corpora are found as the tests find them
(FUGATO_CORPORA, or ../shared/data/unpack.py).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from held_out import HERE, WITHOUT, corpora, performances_of

from fugato import metrics
from fugato.composer import identify_many
from fugato.corpus import Corpus, audit, grouped_kfold, load_corpus
from fugato.corpus.facts import read_facts
from fugato.corpus.groups import links
from fugato.corpus.splits import random_kfold_files
from fugato.corpus.works import join
from fugato.models import load_model, log_softmax, softmax
from fugato.models.names import home
from fugato.recipes import recipe
from fugato.train.composer import select
from fugato.train.judge import cross_validate
from fugato.train.networks import divide, run
from fugato.train.networks import judge as judge_pieces
from fugato.train.panel import Heard
from fugato.train.panel import judge as judge_panel
from fugato.train.store import prepare_for

RESULTS = HERE / "results"
FOUR = ("Bach", "Beethoven", "Chopin", "Mozart")
LEAST_WORKS = 25
GRID = {
    "penalty": (0.1, 0.3, 0.5, 1.0),
    "class_power": (1.1, 1.3, 1.5),
    "excerpt_weight": (0.0, 0.25),
}  # chosen for each fold within what it learns from
NETWORK = {"epochs": 20, "epoch_windows": 10_000}  # with 40 epochs the eighteen are named in 0.708, and not in 0.719
MANY_PERFORMANCES = 16
WATCHED = 0.03  # of the works that a network could learn from
MAIN = ("balanced_accuracy", "accuracy", "macro_f1", "top_3_accuracy", "ece")


def many_works(corpus: Corpus) -> list[str]:
    """Composers with at least `LEAST_WORKS` works, told apart by fingerprint alone."""
    known = read_facts(corpus)
    found = links(known)
    work = join(len(corpus), found.first[found.joined], found.second[found.joined])
    counts = Counter(label for label, _ in set(zip(corpus.labels, work.tolist(), strict=True)))
    return sorted(label for label, n in counts.items() if n >= LEAST_WORKS)


def often_played(corpus: Corpus) -> Corpus:
    """MAESTRO's performances of composers with at least `MANY_PERFORMANCES`."""
    played = Corpus(performances_of(corpus, set(corpus.labels), ()), "performances")
    counts = Counter(played.labels)
    return played.filter(composers={composer for composer, n in counts.items() if n >= MANY_PERFORMANCES})


def judge(corpus: Corpus, k: int, seed: int = 0) -> dict[str, Any]:
    """Grouped and random k-fold figures of ngram-linear on a corpus with groups."""
    how = recipe("composer", "ngram-linear")
    prepared = how.prepare(corpus)
    labels = [p.composer for p in prepared.pieces]
    works = [p.group or p.id for p in prepared.pieces]
    ids = [p.id for p in prepared.pieces]
    out: dict[str, Any] = {
        "pieces": len(ids),
        "works": len(set(works)),
        "composers": dict(Counter(labels).most_common()),
        "unreadable": len(prepared.failed),
        "majority_accuracy": max(Counter(labels).values()) / len(labels),
    }
    splits = {
        "grouped": grouped_kfold(labels, works, k, seed, ids=ids),
        "random": random_kfold_files(labels, k, seed, ids=ids),
    }
    splits["grouped"].check(works)
    for name, split in splits.items():
        figures = cross_validate(how, prepared, labels, works, split, grid=GRID).figures()
        out[name] = {key: figures[key] for key in MAIN} | {
            "protocol": split.protocol,
            "folds": k,
            "chosen within each fold": {name: list(values) for name, values in GRID.items()},
            "intervals": figures["intervals"],
            "recall": {c: round(v["recall"], 4) for c, v in figures["per_class"].items()},
        }
    return out


def classics(index: Path) -> dict[str, Any]:
    """The four and the eighteen composers of `classics`, with labels as filed and as the audit corrects them."""
    report = audit(load_corpus(index))
    filed, corrected = report.corpus.with_groups(list(report.groups)), report.corrected()
    out: dict[str, Any] = {"recipe": "ngram-linear", "corpus": "classics"}
    folder = filed.filter(corpora={"classics"})
    chosen = {"four": (FOUR, 10), "eighteen": (tuple(many_works(folder)), 5)}
    for name, (composers, k) in chosen.items():
        out[name] = {
            "composers": list(composers),
            "labels as filed": judge(filed.filter(corpora={"classics"}, composers=composers), k),
            "labels corrected by the audit": judge(corrected.filter(corpora={"classics"}, composers=composers), k),
        }
        for labels in ("labels as filed", "labels corrected by the audit"):
            _told(f"{name}, {labels}", out[name][labels])
    return out


def together(corpus: Corpus, k: int, out: Path, seed: int = 0) -> dict[str, Any]:
    """Grouped k-fold figures of n-grams and a network over the same folds, by themselves and pooled; the weights of each half are fitted
    on the other half of the works. Networks are kept in `out`, and not trained again."""
    linear, network = recipe("composer", "ngram-linear"), recipe("composer", "onset-cnn")
    prepared = linear.prepare(corpus)
    labels = [p.composer for p in prepared.pieces]
    works = [p.group or p.id for p in prepared.pieces]
    ids = [p.id for p in prepared.pieces]
    split = grouped_kfold(labels, works, k, seed, ids=ids)
    split.check(works)
    judged = cross_validate(linear, prepared, labels, works, split, grid=GRID)
    windows = prepare_for(network, corpus, out / "windows")
    place = {piece.id: i for i, piece in enumerate(windows.pieces)}
    here = np.array([place.get(i, -1) for i in ids])
    logits = np.full((len(windows.pieces), len(judged.labels)), np.nan, np.float32)
    label = metrics.encode([p.composer for p in windows.pieces], judged.labels)
    settings = network.settings(NETWORK)
    how = {"seed": seed, "resume": True}
    for number, sides in enumerate(split.sides()):
        learn, asked = (rows[here[rows] >= 0] for rows in sides)
        some, watched = divide(learn, labels, works, ids, seed, WATCHED)
        made = run(
            network,
            windows,
            label,
            len(judged.labels),
            here[some],
            here[watched],
            settings,
            out / f"fold-{number}",
            None,
            how,
        )
        judge_pieces(made.network, windows, here[asked], logits)
    rows = np.flatnonzero(here >= 0)
    none = np.zeros(len(rows))
    each = np.stack([log_softmax(judged.logits[rows], judged.temperature), log_softmax(logits[here[rows]])], axis=1)
    of_piece = np.bincount(windows.piece[windows.of_pieces(np.arange(len(windows.pieces)))], minlength=len(place))
    events = windows.size // 2 * (of_piece[here[rows]] + 1)  # windows overlap by half
    heard = Heard(rows, none.astype(np.int64), events, each, none, none, np.zeros((len(rows), 0)))
    counts = {name: labels.count(name) for name in judged.labels}
    pooled = judge_panel(heard, judged.truth[rows], judged.groups[rows], counts)
    result: dict[str, Any] = {
        "recipe": "panel",
        "protocol": split.protocol,
        "folds": k,
        "pieces": len(rows),
        "works": len(set(judged.groups[rows].tolist())),
        "composers": counts,
        "chosen within each fold": GRID,
        "of the network": NETWORK,
    }
    scores = {"ngram-linear": each[:, 0], "onset-cnn": each[:, 1], "together": np.log(pooled.probabilities())}
    for name, found in scores.items():
        figures = metrics.evaluate(judged.truth[rows], softmax(found), judged.labels, groups=judged.groups[rows])
        result[name] = {key: figures[key] for key in MAIN} | {"intervals": figures["intervals"]}
        low, high = figures["intervals"]["balanced_accuracy"]
        print(f"{name}: {figures['balanced_accuracy']:.3f} [{low:.3f}, {high:.3f}], macro-F1 {figures['macro_f1']:.3f}")
    return result


def eighteen(index: Path) -> dict[str, Any]:
    """The eighteen composers of `classics`, labels as filed, by both models of the shipped recipe."""
    report = audit(load_corpus(index))
    folder = report.corpus.with_groups(list(report.groups)).filter(corpora={"classics"})
    return together(folder.filter(composers=many_works(folder)), 5, home() / "benchmark" / "eighteen")


def maestro(index: Path) -> dict[str, Any]:
    """The composers of MAESTRO with many performances, by both models of the shipped recipe, which learn from these performances alone."""
    report = audit(load_corpus(index))
    played = often_played(report.corpus.with_groups(list(report.groups)))
    return together(played, 5, home() / "benchmark" / "maestro-together")


def nine(index: Path) -> dict[str, Any]:
    """The nine composers, all their files, labels as filed."""
    report = audit(load_corpus(index))
    corpus = report.corpus.with_groups(list(report.groups)).filter(corpora={"nine"})
    return _told("nine", {"recipe": "ngram-linear", "corpus": "nine", **judge(corpus, 8)})


def _told(name: str, found: dict[str, Any]) -> dict[str, Any]:
    for protocol in ("grouped", "random"):
        f = found[protocol]
        low, high = f["intervals"]["balanced_accuracy"]
        print(f"{name}, {protocol}: {f['balanced_accuracy']:.3f} [{low:.3f}, {high:.3f}], macro-F1 {f['macro_f1']:.3f}")
    return found


def shipped(index: Path) -> dict[str, Any]:
    """The shipped model: what its training measured, then pieces that it never saw."""
    model = load_model("composer")
    report = audit(load_corpus(index))
    corpus = report.corrected()
    trained = {p.group for p in select(corpus, composers={"shipped"}, without=model.card.made["without"])}
    out: dict[str, Any] = {"model": model.card.name, "version": model.card.version}
    own = model.json("figures")
    out["cross-validation"] = {"labels": list(model.labels)} | {
        key: own[key] for key in (*MAIN, "pieces", "groups", "intervals", "per_class", "confusion")
    }
    out["cross-validation"]["majority_accuracy"] = max(model.card.labels.values()) / sum(model.card.labels.values())
    names = set(model.labels)
    strangers = [p for p in corpus if p.corpus == "unseen" and p.composer not in names and p.group not in trained]
    answers = list(identify_many([p.path for p in strangers]))
    known = [a["known"] for a in answers if "error" not in a]
    out["unknown"] = {
        "what": "`unseen`: pieces of composers that the model does not know",
        "pieces": len(known),
        "refused": len(answers) - len(known),
        "called unknown": 1 - sum(known) / max(len(known), 1),
    }
    print(out["unknown"])
    return out


def performances(index: Path) -> dict[str, Any]:
    """All of MAESTRO's performances of the composers, each by a model trained without MAESTRO and without its work.

    The score collections are cut into five folds of works; a performance is judged by the model whose training lacks its fold.
    Works that no score collection has are judged by the first model.
    """
    report = audit(load_corpus(index))
    corpus = report.corrected()
    scores = select(corpus.filter(lambda p: p.id not in report.excluded), composers={"shipped"}, without=WITHOUT)
    played = performances_of(corpus, set(scores.labels), ())
    how = recipe("composer", "ngram-linear")
    prepared = how.prepare(Corpus([*scores, *played], "scores and performances"))
    labels = np.array([p.composer for p in prepared.pieces])
    works = np.array([p.group or p.id for p in prepared.pieces])
    is_played = np.array([p.corpus == "maestro" for p in prepared.pieces])
    learn_rows, judge_rows = np.flatnonzero(~is_played), np.flatnonzero(is_played)
    split = grouped_kfold(labels[learn_rows].tolist(), works[learn_rows].tolist(), 5, 0)
    fold_of = dict(zip(works[learn_rows], split.folds, strict=True))
    fold = np.array([fold_of.get(work, 0) for work in works[judge_rows]])
    names = sorted(set(labels[learn_rows]))
    logits = np.zeros((len(judge_rows), len(names)), np.float32)
    for number, (learn, _) in enumerate(split.sides()):
        rows, here = learn_rows[learn], fold == number
        fitted = how.fit(prepared, rows, labels[rows], works[rows])
        if set(works[rows]) & set(works[judge_rows[here]]):
            raise AssertionError("a work stands on both sides")
        logits[here] = fitted.logits(prepared, judge_rows[here])
    truth = labels[judge_rows].tolist()
    named = [names[i] for i in logits.argmax(axis=1)]
    result = _figures(truth, named, works[judge_rows])
    result["what"] = (
        "MAESTRO by five models trained on score collections, each performance by one that never saw its work"
    )
    result["composers named"] = len(names)
    print({key: result[key] for key in ("pieces", "works", "balanced_accuracy", "accuracy", "intervals")})
    return result


def _figures(composers: list[str], named: list[str], works: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Balanced and plain accuracy over works, recall and the confusion matrix (rows true)."""
    present = sorted(set(composers))
    classes = present + sorted(set(named) - set(present))
    truth, answer = metrics.encode(composers, classes), metrics.encode(named, classes)
    balanced = metrics.bootstrap_interval(metrics.balanced_accuracy, truth, answer, groups=works)
    plain = metrics.bootstrap_interval(metrics.accuracy, truth, answer, groups=works)
    table = metrics.confusion_matrix(truth, answer, len(classes))
    return {
        "pieces": len(truth),
        "works": len(set(works.tolist())),
        "balanced_accuracy": balanced.value,
        "accuracy": plain.value,
        "intervals": {"balanced_accuracy": [balanced.low, balanced.high], "accuracy": [plain.low, plain.high]},
        "recall": {
            c: [int(table[i].sum()), round(float(table[i, i] / table[i].sum()), 4)] for i, c in enumerate(present)
        },
        "classes": classes,
        "confusion": table.astype(int).tolist(),
    }


TABLES = {
    "classics": classics,
    "eighteen": eighteen,
    "maestro": maestro,
    "nine": nine,
    "shipped": shipped,
    "performances": performances,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tuple(TABLES))
    parser.add_argument("--index", type=Path, help="an index.csv; the shared corpora's by default")
    args = parser.parse_args()
    index = args.index or corpora() / "index.csv"
    result = TABLES[args.what](index)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"composers_{args.what}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written to {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
