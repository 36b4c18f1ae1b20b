"""How good the style space is: retrieval of scores by performances, composers by their neighbours, the same work, the artefact probe.

    python benchmarks/style.py retrieval     all ASAP pairs, by the shipped space, which has seen no work of ASAP
    python benchmarks/style.py music21       the same question for the first 300 notes of 60 pairs, beside music21's features
    python benchmarks/style.py composers     nearest neighbours over works left out, by a space learnt from the others
    python benchmarks/style.py same-work     whether `compare` says rightly that two files are the same work
    python benchmarks/style.py probe         can the source of a composer's piece be told from the vectors, and from the raw file?

Writes benchmarks/results/style_NAME.json. The corpora are found as the tests find them; an index that `fugato audit --out` wrote is
taken as it stands. Sketches of all pieces are read once (a quarter of an hour) and kept in FUGATO_HOME/benchmark.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from fugato import metrics
from fugato.composer.style import _in_common, _is_one_work
from fugato.corpus import Corpus, Piece, all_composers, grouped_kfold
from fugato.corpus.facts import Facts, read_facts
from fugato.models import home, load_model
from fugato.read import read
from fugato.represent import ngrams, stream
from fugato.represent.style_space import StyleSpace, load_space, sketch, unit
from fugato.score import Score
from fugato.train import style

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]
from build_style import audited, learnt_from  # noqa: E402
from held_out import corpora  # noqa: E402

RESULTS = HERE / "results"
MUSIC21_PAIRS, MUSIC21_NOTES = 60, 300
LEAST, MOST = 20, 100  # files of a source that the probe takes
LEFT_OUT = ("hostile", "gtzan")


def sketches_of(corpus: Corpus) -> style.Sketches:
    """Sketches of all pieces, from the file of an earlier run where there is one."""
    key = hashlib.sha256(json.dumps([ngrams.VERSION, corpus.ids]).encode()).hexdigest()[:12]
    path = home() / "benchmark" / f"style-{key}.npz"
    if not path.is_file():
        found = style.prepare(corpus)
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {p.id for p in found.pieces}
        read_well = np.array([p.id in kept for p in corpus])
        np.savez(path, kept=read_well, original=found.original, vectors=found.vectors, rarity=found.rarity)
    with np.load(path, allow_pickle=False) as arrays:
        pieces = tuple(p for p, kept in zip(corpus, arrays["kept"], strict=True) if kept)
        return style.Sketches(pieces, arrays["original"], arrays["vectors"], arrays["rarity"], ())


def same_name(pair: str) -> str:
    """ASAP lists a piece with and without its repeats as two; they are one piece of music."""
    parts = pair.split("_")
    words = ("repeat", "no", "2", "without", "with", "repeats")
    while len(parts) > 1 and parts[-1] in words:
        parts.pop()
    return "_".join(parts)


def pairs_of(corpus: Corpus) -> tuple[list[str], dict[str, list[Piece]]]:
    """ASAP's pairs, and for each role a file a pair: the first performance, the printed score where there is one, the MIDI score."""
    by_pair: dict[str, dict[str, Piece]] = defaultdict(dict)
    for piece in sorted((p for p in corpus if p.corpus == "asap" and p.pair), key=lambda p: p.path):
        by_pair[piece.pair].setdefault(piece.role, piece)
    names = [name for name, roles in sorted(by_pair.items()) if {"performance", "midi_score"} <= roles.keys()]
    return names, {
        "performance": [by_pair[n]["performance"] for n in names],
        "MusicXML score": [by_pair[n].get("xml_score", by_pair[n]["midi_score"]) for n in names],
        "MIDI score": [by_pair[n]["midi_score"] for n in names],
    }


def recall(asked: Any, found: Any, names: list[str]) -> dict[str, Any]:
    """Share of rows of `asked` whose nearest row of `found` is their own, and where a piece with other repeats counts as well."""
    cosine = unit(asked) @ unit(found).T
    best = cosine.argmax(axis=1)
    exact = best == np.arange(len(names))
    music = np.array(
        [e or same_name(names[i]) == same_name(names[b]) for i, (e, b) in enumerate(zip(exact, best, strict=True))]
    )
    own = cosine[np.arange(len(names)), np.arange(len(names))]
    rank = (cosine > own[:, None]).sum(axis=1)
    draws = np.random.default_rng(0).integers(len(names), size=(1000, len(names)))
    low, high = np.quantile(music[draws].mean(axis=1), [0.025, 0.975])
    return {
        "recall at 1": float(music.mean()),
        "interval": [float(low), float(high)],
        "recall at 1, repeats told apart": float(exact.mean()),
        "recall at 5": float((rank < 5).mean()),
        "missed": sorted(names[i] for i in np.flatnonzero(~music)),
    }


def retrieval(corpus: Corpus) -> dict[str, Any]:
    """Each performance asks for its score among all scores of ASAP."""
    names, files = pairs_of(corpus)
    trained_without = load_model("composer-style").card.made["without"]
    if "every work that asap has" not in trained_without:
        raise AssertionError("the shipped space has learnt from ASAP's works")
    space = load_space()
    vectors: dict[str, dict[str, Any]] = defaultdict(dict)
    for role, pieces in files.items():
        counts = [ngrams.count(stream(read(p.path))) for p in pieces]
        vectors["style embedding"][role] = np.stack([space.embed_counts(*c) for c in counts])
        whole = np.zeros((len(counts), ngrams.width()), np.float32)
        for row, (cell, times) in zip(whole, counts, strict=True):
            row[cell] = ngrams.weigh(cell, times, space.rarity, ngrams.layout())
        vectors["n-grams, tf-idf cosine"][role] = whole
    out: dict[str, Any] = {"pairs": len(names), "dimensions": space.n_dimensions}
    for method, by_role in vectors.items():
        out[method] = {
            role: recall(by_role["performance"], by_role[role], names) for role in ("MusicXML score", "MIDI score")
        }
        print(method, {role: round(r["recall at 1"], 4) for role, r in out[method].items()})
    return out


def music21(corpus: Corpus) -> dict[str, Any]:
    """music21's features beside the embedding, on the beginnings of some pairs: on whole performances they take minutes a file."""
    names, files = pairs_of(corpus)
    chosen = np.random.default_rng(0).permutation(len(names))[:MUSIC21_PAIRS]
    names = [names[i] for i in chosen]
    space = load_space()
    style_vectors, features, seconds = {}, {}, 0.0
    for role in ("performance", "MIDI score"):
        parts = [_beginning(read(files[role][i].path)) for i in chosen]
        style_vectors[role] = np.stack([space.embed(stream(part)) for part in parts])
        began = time.process_time()
        features[role] = np.array([_music21_features(part) for part in parts])
        seconds += time.process_time() - began
    table = np.concatenate(list(features.values()))
    kept = table.std(axis=0) > 1e-9
    table = (table[:, kept] - table[:, kept].mean(axis=0)) / table[:, kept].std(
        axis=0
    )  # z-scores, as is usual for them
    out = {
        "pairs": len(names),
        "notes": MUSIC21_NOTES,
        "music21 features": recall(table[: len(names)], table[len(names) :], names) | {"numbers": int(kept.sum())},
        "style embedding": recall(style_vectors["performance"], style_vectors["MIDI score"], names),
        "CPU seconds a piece, music21 features": seconds / (2 * len(names)),
    }
    print({k: v["recall at 1"] for k, v in out.items() if isinstance(v, dict)})
    return out


def _beginning(score: Score) -> Score:
    notes = score.pitched[:MUSIC21_NOTES]
    return Score.from_notes(
        notes["onset"] - notes["onset"][0],
        notes["duration"],
        notes["pitch"],
        velocity=notes["velocity"],
        beats=score.beats,
    )


def _music21_features(score: Score) -> list[float]:
    """All of music21's extractors but those that ask for a file, lyrics or a reading of its metadata; failing ones give zeros."""
    from music21 import chord, features, note, stream

    part = stream.Part()
    events: dict[float, list[Any]] = defaultdict(list)
    for n in score.notes:
        events[round(float(n["onset"]) * 12) / 12].append(n)
    for onset, together in sorted(events.items()):
        length = max(round(max(float(n["duration"]) for n in together) * 12) / 12, 1 / 12)
        pitches = sorted({int(n["pitch"]) for n in together})
        element = note.Note(pitches[0]) if len(pitches) == 1 else chord.Chord(pitches)
        element.quarterLength = length
        part.insert(onset, element)
    data = features.DataInstance(stream.Score([part]))
    values: list[float] = []
    for extractor in features.extractorsById("all"):
        made = extractor(data)
        size = made.dimensions
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                vector = list(made.extract().vector)
            except Exception:  # noqa: BLE001  an extractor that cannot answer says nothing
                vector = []
        values += (vector + [0.0] * size)[:size]
    return [float(v) if np.isfinite(v) else 0.0 for v in values]


def composers(corpus: Corpus) -> dict[str, Any]:
    """The composers of the nearest works: five folds in turn are left out of learning, and ask among the works of the others."""
    sketches = sketches_of(corpus)
    shipped = {c.name for c in all_composers() if c.shipped}
    allowed = {p.id for p in learnt_from(corpus)} | {p.id for p in corpus if p.corpus == "asap" and p.domain == "score"}
    rows = np.array([i for i, p in enumerate(sketches.pieces) if p.id in allowed and p.composer in shipped])
    names, works = sketches.composers, sketches.works
    first = dict(zip(works[rows][::-1].tolist(), rows[::-1].tolist(), strict=True))
    one = np.array(sorted(first.values()))  # a file a work is asked and answers
    split = grouped_kfold(names[one].tolist(), works[one].tolist(), 5, 0)
    bare = sketches.vectors[: len(sketches.pieces)]
    played = np.array([p.corpus == "maestro" and p.composer in shipped for p in sketches.pieces])
    named: dict[str, list[str]] = defaultdict(list)
    truth: list[str] = []
    performance_truth: list[str] = []
    performance_named: dict[str, list[str]] = defaultdict(list)
    groups: list[str] = []
    performance_groups: list[str] = []
    for number, (learn, judge) in enumerate(split.sides()):
        learnt_works = set(works[one[learn]])
        from_works = rows[np.isin(works[rows], list(learnt_works))]
        space = style.fit(sketches, from_works)
        centred = unit(bare - bare[from_works].mean(axis=0))
        kinds = {"style embedding": style.project(space, sketches), "sketch without learning": centred}
        truth += names[one[judge]].tolist()
        groups += works[one[judge]].tolist()
        # Performances of works that no training file has are asked in the first fold, the others in the fold that lacks their work.
        mine = np.isin(works, works[one[judge]]) | ((number == 0) & ~np.isin(works, works[one]))
        asked = np.flatnonzero(played & mine & ~np.isin(works, list(learnt_works)))
        performance_truth += names[asked].tolist()
        performance_groups += works[asked].tolist()
        for kind, vectors in kinds.items():
            named[kind] += style.nearest_names(vectors[one[judge]], vectors[one[learn]], names[one[learn]])
            performance_named[kind] += style.nearest_names(vectors[asked], vectors[one[learn]], names[one[learn]])
    out: dict[str, Any] = {
        "what": f"{style.NEAR} nearest works vote with their cosines; a file a work; folds of works that the space was not learnt from",
        "works": len(one),
        "composers": len(set(names[one].tolist())),
        "always the commonest": max(Counter(truth).values()) / len(truth),
    }
    for kind in named:
        out[kind] = {
            "scores": _accuracy(truth, named[kind], groups),
            "MAESTRO performances": _accuracy(performance_truth, performance_named[kind], performance_groups),
        }
        print(kind, out[kind])
    return out


def _accuracy(truth: list[str], named: list[str], groups: list[str]) -> dict[str, Any]:
    classes = sorted({*truth, *named})
    a, b = metrics.encode(truth, classes), metrics.encode(named, classes)
    out: dict[str, Any] = {"pieces": len(truth)}
    for name, figure in (("accuracy", metrics.accuracy), ("balanced accuracy", metrics.balanced_accuracy)):
        found = metrics.bootstrap_interval(figure, a, b, groups=np.array(groups))
        out[name] = round(found.value, 4)
        out[f"{name}, interval"] = [round(found.low, 4), round(found.high, 4)]
    return out


def same_work(corpus: Corpus) -> dict[str, Any]:
    """What `compare` says of ASAP's pairs, and of random pairs of files from two works of one composer and of two composers."""
    known = read_facts(corpus, jobs=1)
    grams = {p.id: k.facts.grams for p, k in zip(corpus, known, strict=True) if isinstance(k.facts, Facts)}
    names, files = pairs_of(corpus)
    said = [
        _is_one_work(*_in_common(grams[a.id], grams[b.id]))
        for a, b in zip(files["performance"], files["MIDI score"], strict=True)
    ]
    rng = np.random.default_rng(0)
    pieces = [p for p in corpus if p.id in grams and p.group]
    by_composer = defaultdict(list)
    for p in pieces:
        by_composer[p.composer].append(p)
    several = [c for c, found in by_composer.items() if len({p.group for p in found}) >= 5]
    out: dict[str, Any] = {"ASAP pairs": len(names), "found the same": float(np.mean(said))}
    for what in ("two works of one composer", "works of two composers"):
        wrong, n = 0, 0
        while n < 20_000:
            a, b = rng.choice(several, 2, replace=False)
            one = by_composer[a][rng.integers(len(by_composer[a]))]
            there = by_composer[a if what.startswith("two works") else b]
            other = there[rng.integers(len(there))]
            if one.group != other.group:
                wrong += _is_one_work(*_in_common(grams[one.id], grams[other.id]))
                n += 1
        out[f"falsely the same, {what}"] = {"pairs": n, "share": wrong / n}
    print(out)
    return out


def probe(corpus: Corpus) -> dict[str, Any]:
    """Can the source of a composer's file be told? Works that several sources have, in different bytes, so that repertoire cannot tell."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    sketches = sketches_of(corpus)
    space: StyleSpace = load_space()
    embedded = style.project(space, sketches)
    known = {p.id: k.facts for p, k in zip(corpus, read_facts(corpus, jobs=1), strict=True)}
    out: dict[str, Any] = {"what": probe.__doc__, "composers": {}}
    rows_of = defaultdict(list)
    for i, p in enumerate(sketches.pieces):
        if (
            p.group
            and p.domain != "performance"
            and p.corpus in ("classics", "wide", "mutopia", "nifc", "openscore", "asap")
        ):
            rows_of[p.composer].append(i)
    pooled: dict[str, list[float]] = defaultdict(list)
    for composer, rows in sorted(rows_of.items()):
        sources_of = defaultdict(set)
        for i in rows:
            sources_of[sketches.works[i]].add(sketches.pieces[i].corpus)
        seen, matched = set(), []
        drawn: Counter[str] = Counter()
        for i in np.random.default_rng(0).permutation(rows).tolist():  # a file of a work from a source
            piece = sketches.pieces[i]
            key = (sketches.works[i], piece.corpus)
            if (
                len(sources_of[key[0]]) > 1
                and key not in seen
                and piece.sha256 not in seen
                and drawn[piece.corpus] < MOST
            ):
                seen |= {key, piece.sha256}
                drawn[piece.corpus] += 1
                matched.append(i)
        matched = [i for i in matched if drawn[sketches.pieces[i].corpus] >= LEAST]
        label = np.array([sketches.pieces[i].corpus for i in matched])
        if len(set(label.tolist())) < 2:
            continue
        work = sketches.works[matched]
        artefacts = np.array([known[sketches.pieces[i].id].artefacts for i in matched], float)
        views = {
            "raw file": artefacts,
            "n-grams, sketched": sketches.vectors[matched],
            "n-grams with metre, sketched": _with_metre([sketches.pieces[i] for i in matched]),
            "style embedding": embedded[matched],
        }
        found: dict[str, Any] = {"files": len(matched), "sources": dict(Counter(label.tolist()))}
        found["chance"] = 1 / len(set(label.tolist()))
        for view, table in views.items():
            best = 0.0
            for model in (
                make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=500)),
                RandomForestClassifier(100, min_samples_leaf=2, class_weight="balanced", random_state=0),
            )[: 1 if table.shape[1] > 1000 else 2]:  # a forest of thousands of sums takes minutes and sees less
                answer = np.empty(len(label), label.dtype)
                for learn, judge in grouped_kfold(label.tolist(), work.tolist(), 5, 0).sides():
                    answer[judge] = model.fit(table[learn], label[learn]).predict(table[judge])
                best = max(best, float(np.mean([(answer[label == c] == c).mean() for c in np.unique(label)])))
            found[view] = round(best, 4)
            pooled[view].append((best - found["chance"]) / (1 - found["chance"]))
        out["composers"][composer] = found
        print(composer, found, flush=True)
    out["mean over composers, 0 chance, 1 always right"] = {
        view: round(float(np.mean(v)), 4) for view, v in pooled.items()
    }
    print(out["mean over composers, 0 chance, 1 always right"])
    return out


def _with_metre(pieces: list[Piece]) -> Any:
    """Sketches as the composer model weighs n-grams, places in the bar and note values among them."""
    rarity = load_model("composer").arrays("weights")["rarity"].astype(np.float32)
    return np.stack([sketch(*ngrams.count(stream(read(piece.path))), rarity) for piece in pieces])


PARTS = {"retrieval": retrieval, "music21": music21, "composers": composers, "same-work": same_work, "probe": probe}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=PARTS)
    parser.add_argument("--index", type=Path, help="an index.csv; the shared corpora's by default")
    args = parser.parse_args()
    corpus = audited(args.index or corpora() / "index.csv").filter(exclude_corpora=LEFT_OUT)
    result = {"fugato": load_model("composer-style").card.version} | PARTS[args.what](corpus)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"style_{args.what.replace('-', '_')}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written to {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
