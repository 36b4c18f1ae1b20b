"""Make the shipped index of works again, in one command (about two minutes where the fingerprints are known already).

    python tools/build_works.py INDEX.csv

INDEX.csv lists the shared corpora, best as `fugato audit` corrects it; without groups it is audited first. The index holds 26 bits of
hashes, titles and composers, and no music (`fugato.corpus.work_index`).
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np

import fugato
from fugato.cli.demo import corpus_files
from fugato.composer.recognise import LEAST_EVIDENCE, RECIPE, matches
from fugato.corpus import Corpus, Piece, audit, load_corpus
from fugato.corpus.editions import Edition, find_editions
from fugato.corpus.facts import Facts, read_facts
from fugato.corpus.titles import work_keys
from fugato.corpus.work_index import BUCKET_BITS, COMMON_WORKS, LEAST_KEPT, REST_BITS, WorkIndex, locate
from fugato.corpus.works import RUN
from fugato.models import Card, save_model
from fugato.read import read
from fugato.represent.stream import stream

ROOT: Final = Path(__file__).resolve().parent.parent
OUT: Final = ROOT / "src" / "fugato" / "models" / "shipped" / "works"
MEASURED: Final = ROOT / "benchmarks" / "results" / "recognise.json"
WITHOUT: Final = ("unseen", "hostile", "gtzan")
ENTRIES: Final = 2_350_000  # of three bytes; with titles the folder stays under 8 MB
LONGEST_TITLE: Final = 90
NAMELESS: Final = ("Anonymous", "Traditional", "Unknown", "")
# How good a collection's titles are: MAESTRO's are full and spelt by one hand, the others' come from file names or folders.
TITLES: Final = {"maestro": 2.0, "mutopia": 1.5, "openscore": 1.5, "asap": 1.0, "nifc": 1.0, "classics": 0.5}


def is_played(piece: Piece) -> bool:
    """Whether the file is a performance by what the collection says of itself, not by a guess from its grid."""
    return piece.corpus == "maestro" or piece.role == "performance"


def source(piece: Piece) -> str:
    """The collection, and the role where its pieces have one: as a model's card writes what it leaves out."""
    return f"{piece.corpus}:performance" if piece.role == "performance" else piece.corpus


def tidy(title: str) -> str:
    """One line without the marks of file names."""
    text = re.sub(r"[_\s]+", " ", re.sub(r"\.(mid|midi|krn|xml|mxl|musicxml)\b", "", title)).strip(" -/|.,")
    text = re.sub(r"^Nueva carpeta / ", "", text)
    return text if len(text) <= LONGEST_TITLE else text[: LONGEST_TITLE - 1].rstrip() + "…"


def best_title(pieces: list[Piece]) -> str:
    """The title that says most: words rather than a file's name, and a catalogue number."""

    def worth(piece: Piece) -> float:
        title = tidy(piece.title)
        words = len(re.findall(r"[^\W\d_]{3,}", title))
        return (
            TITLES.get(piece.corpus, 0.0)
            + 2.0 * bool(work_keys(piece.composer, title))
            + min(words, 3)
            - 3.0 * bool(re.fullmatch(r"[\w.-]*\d[\w.-]*", title))
            - 1.0 * bool(re.search(r"complete|selections|excerpt", title, re.IGNORECASE))
            - 1.0 * (len(title) > 70)
        )

    found = max(pieces, key=lambda p: (worth(p), p.id))
    return tidy(found.title) or found.id


def best_composer(pieces: list[Piece]) -> str:
    """The composer whom most files name; a name before none."""
    names = Counter(p.composer for p in pieces if p.composer not in NAMELESS) or Counter(p.composer for p in pieces)
    return max(sorted(names), key=lambda name: names[name])


def build(corpus: Corpus, *, jobs: int, entries: int = ENTRIES) -> tuple[WorkIndex, list[Edition], dict[int, int]]:
    """The index over a corpus with groups, its editions, and the files of whole works."""
    known = read_facts(corpus, jobs=jobs)
    prints, seen = [], set()
    for k in known:
        new = isinstance(k.facts, Facts) and k.sha256 not in seen
        prints.append(k.facts.grams if new else np.zeros(0, np.uint32))  # type: ignore[union-attr]
        seen.add(k.sha256)
    _, works = np.unique([p.group or p.id for p in corpus], return_inverse=True)
    editions, wholes = find_editions(prints, works.tolist(), [is_played(p) for p in corpus])
    return WorkIndex.build([e.grams for e in editions], [e.work for e in editions], entries=entries), editions, wholes


def describe(corpus: Corpus, editions: list[Edition], wholes: dict[int, int]) -> tuple[list[int], dict[str, Any]]:
    """The work of each edition, numbered from 0, and the part "titles" of the model folder."""
    pieces = list(corpus)
    order = sorted({e.work for e in editions})
    number = {work: i for i, work in enumerate(order)}
    sources = sorted({source(p) for p in pieces})
    have = [{sources.index(source(pieces[i])) for i in (*e.members, *e.also)} for e in editions]
    named = [[pieces[i] for i in e.members] for e in editions]
    composers = sorted({best_composer(n) for n in named})
    return [number[e.work] for e in editions], {
        "titles": [best_title(n) for n in named],
        "composers": composers,
        "composer": [composers.index(best_composer(n)) for n in named],
        "sources": sources,
        "source": [sorted(s) for s in have],
        "wholes": {str(number[w]): best_title([pieces[i]]) for w, i in sorted(wholes.items()) if w in number},
    }


def figures(editions: int, works: int) -> tuple[dict[str, Any], ...]:
    """What the card shows: how much there is, and what benchmarks/recognise.py measured."""
    shown: list[dict[str, Any]] = [
        {"name": "editions", "value": editions, "protocol": f"of {works:,} works"},
    ]
    if MEASURED.is_file():
        measured = json.loads(MEASURED.read_text(encoding="utf-8"))
        shown += [
            {key: row[key] for key in ("name", "value", "interval", "protocol", "n") if key in row}
            for row in measured["figures"]
        ]
    return tuple(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    corpus = load_corpus(args.index)
    if any(p.group is None for p in corpus):
        report = audit(corpus, jobs=args.jobs)
        corpus = Corpus((p for p in report.corrected() if p.id not in report.excluded), corpus.name)
    corpus = corpus.filter(exclude_corpora=WITHOUT)
    index, editions, wholes = build(corpus, jobs=args.jobs)
    works, titles = describe(corpus, editions, wholes)
    apart: dict[str, list[int]] = {}
    for (
        path,
        _,
        _,
    ) in corpus_files():  # a training leaves the works of the demonstration out by the names of their files
        found = matches(index, np.array(works), locate(stream(read(path))))
        same = {m.work for m in found if m.evidence >= LEAST_EVIDENCE}
        apart[path.name] = sorted({*apart.get(path.name, ()), *same})
    titles["apart"] = apart
    composer_of_work = dict(zip(works, (titles["composers"][c] for c in titles["composer"]), strict=True))
    labels = Counter(composer_of_work.values())
    card = save_model(
        args.out,
        Card(
            name="works",
            version=args.version,
            task="composer",
            recipe=RECIPE,
            labels={name: labels[name] for name in sorted(labels)},
            representation={
                "name": "outer-line grams",
                "settings": {
                    "run": RUN,
                    "bits": BUCKET_BITS + REST_BITS,
                    "common_works": COMMON_WORKS,
                    "least_kept": LEAST_KEPT,
                    "entries": len(index.rest),
                },
            },
            corpora=tuple(
                {"name": name, "licence": licence or "unstated", "pieces": n}
                for name, licences in corpus.licences().items()
                for licence, n in licences.items()
            ),
            figures=figures(len(editions), max(works) + 1),
            limits=(
                "It recognises works of its collections only; another work is null, and so is a theme of a few bars.",
                "Titles and composers are those of the collections as audited, right or wrong.",
                "26 bits of hashes in no order, without place or time: no music can be rebuilt from it.",
            ),
            licence="CC0-1.0 (hashes, titles and names: facts, no music)",
            made={
                "fugato": fugato.__version__,
                "without": sorted(WITHOUT),
                "editions": len(editions),
                "works": max(works) + 1,
            },
        ),
        {"index": {**index.arrays(), "work": np.array(works, np.uint16)}, "titles": titles},
    )
    total = sum(f.bytes for f in card.files.values())
    print(
        f"{len(editions):,} editions of {max(works) + 1:,} works, {len(index.rest):,} grams, {total:,} bytes in {args.out}"
    )


if __name__ == "__main__":
    main()
