"""A model of some works of the shared corpora, and the pieces of the other works: for benchmarks that must not judge what was learnt.

    python benchmarks/held_out.py                    trains it (about ten minutes), unless it lies there already

The audited score collections, the composers of the shipped model, one file of each work and at most `MOST_WORKS` works of a composer; a
fifth of the works is kept out. So it knows less than the shipped model: figures made with it are lower than the shipped model's would be.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np

from fugato.corpus import Corpus, Piece, grouped_kfold
from fugato.recipes import recipe as find_recipe
from fugato.train import train
from fugato.train.composer import select

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))
from build_style import audited  # noqa: E402

WITHOUT = ("maestro", "asap:performance", "nine", "unseen", "hostile", "gtzan")  # scores alone, less the nine composers
MOST_WORKS = 60  # of a composer: the Gram matrix grows with their square
FOLDS = 5  # the first of which is judged
SEED = 0


def corpora() -> Path:
    """The folder of the unpacked corpora."""
    if found := os.environ.get("FUGATO_CORPORA"):
        return Path(found)
    script = HERE.parent.parent / "shared" / "data" / "unpack.py"
    out = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True).stdout
    return Path(out.strip().splitlines()[-1])


def as_typed() -> str:
    """The command, for the results: paths by their names alone, since they are nobody else's."""
    words = [Path(word).name if os.sep in word else word for word in sys.argv[1:]]
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def one_a_work(corpus: Corpus, most: int, seed: int = SEED) -> Corpus:
    """One file of each work, drawn, and at most `most` of a composer."""
    seen: set[str | None] = set()
    taken: Counter[str] = Counter()
    kept: set[str] = set()
    for i in np.random.default_rng(seed).permutation(len(corpus)):
        piece = corpus[int(i)]
        if piece.group not in seen and taken[piece.composer] < most:
            seen.add(piece.group)
            taken[piece.composer] += 1
            kept.add(piece.id)
    return corpus.filter(lambda piece: piece.id in kept)


def held_out(corpus: Corpus, folder: Path, recipe: str = "ngram-linear", seed: int = SEED) -> tuple[Path, list[Piece]]:
    """Train on four fifths of the works, or take what was trained so before.

    Parameters
    ----------
    corpus : Corpus
        As `audited` gives it.
    folder : Path
        Where the model and the list of its pieces are kept, in a folder named after the recipe.
    recipe : str
    seed : int

    Returns
    -------
    model : Path
    judged : list of Piece
        One file of each work that it has not seen.
    """
    scores = one_a_work(select(corpus, composers={"shipped"}, without=WITHOUT), MOST_WORKS, seed)
    labels, works = scores.labels, [p.group or p.id for p in scores]
    split = grouped_kfold(labels, works, FOLDS, seed, ids=scores.ids)
    split.check(works)
    learn, judge = next(split.sides())
    ids = {"learnt": [scores[int(i)].id for i in learn], "judged": [scores[int(i)].id for i in judge]}
    model = _trained(scores, ids, folder, "held-out", recipe)
    return model, [scores[int(i)] for i in judge]


def apart_from(corpus: Corpus, works: Collection[str | None], folder: Path, recipe: str = "ngram-linear") -> Path:
    """A model that has seen none of these works, in any edition; options and result as `held_out`."""
    scores = select(corpus, composers={"shipped"}, without=WITHOUT)
    scores = one_a_work(scores.filter(lambda p: p.group not in works), MOST_WORKS)
    return _trained(scores, {"learnt": scores.ids}, folder, "apart", recipe)


def _trained(scores: Corpus, ids: dict[str, list[str]], folder: Path, name: str, recipe: str) -> Path:
    """The model of the pieces under "learnt", trained unless it is there; the ids lie beside it."""
    model, listed = folder / f"{name}-{recipe}", folder / f"{name}-{recipe}.json"
    code = Path(str(find_recipe("composer", recipe).__file__)).read_bytes()
    ids = {**ids, "recipe": [hashlib.sha256(code).hexdigest()]}  # another recipe of the name is another model
    if not (listed.is_file() and json.loads(listed.read_text()) == ids and (model / "card.json").is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        learnt = set(ids["learnt"])
        train("composer", scores.filter(lambda p: p.id in learnt), recipe=recipe, out=model, folds=2, jobs=1)
        listed.write_text(json.dumps(ids))
    return model


def cache() -> Path:
    """Where the model is kept between benchmarks."""
    return Path(os.environ.get("FUGATO_HOME", Path.home() / ".cache" / "fugato")) / "benchmark"


def options(about: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark of a held-out model takes."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, help="an index.csv; the shared corpora's by default")
    parser.add_argument("--folder", type=Path, default=cache(), help="where the model is kept")
    parser.add_argument("--recipe", default="ngram-linear")
    parser.add_argument(
        "--panel", type=Path, help="a panel that tools/train_composer.py --held-out has kept, and its pieces"
    )
    return parser


def is_played(piece: Piece) -> bool:
    """Whether it is of a collection of performances."""
    return piece.corpus == "maestro" or (piece.corpus == "asap" and piece.domain == "performance")


def kept_with(panel: Path, what: str) -> set[str]:
    """Ids of the pieces that a panel kept by tools/train_composer.py has "learnt", or was "judged" on."""
    return set(json.loads(panel.with_name("judged.json").read_text())[what])


def performances_of(corpus: Corpus, composers: Collection[str], learnt: Collection[str | None]) -> list[Piece]:
    """MAESTRO's performances of these composers, of works that were not learnt; works of two composers (transcriptions) are left out."""
    return [
        p
        for p in corpus
        if p.corpus == "maestro"
        and p.composer in composers
        and p.group not in learnt
        and "/" not in p.extra.get("composers_raw", "")
    ]


def prepared(args: argparse.Namespace) -> tuple[Path, list[Piece], Corpus]:
    """The model, the pieces that it has not seen, and the whole audited corpus, as the options say."""
    corpus = audited(args.index or corpora() / "index.csv")
    if args.panel is not None:
        judged = kept_with(args.panel, "judged")
        scores = corpus.filter(lambda p: p.id in judged and not is_played(p))
        return args.panel, list(one_a_work(scores, len(corpus))), corpus
    return *held_out(corpus, args.folder, args.recipe), corpus


if __name__ == "__main__":
    made, pieces, _ = prepared(options(__doc__).parse_args())
    print(f"{made} has not seen the works of {len(pieces)} pieces")
