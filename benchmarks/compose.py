"""Systems that compose, side by side on the collections whose licence lets a model be shared: the table of docs/systems-that-compose.md.

    python benchmarks/compose.py INDEX.csv --model chord-lstm=DIR --model pitch-duration-lstm=DIR --model markov=DIR [--listen OUT.html]

INDEX is that of tools/train_compose.py, audited or not, or a folder that it packed; the models must have been trained by it on the same
pieces with its seed, so that the held-out works are the same. Ours is the shipped model. Pieces and what was measured of them are kept
in --out; a run that was stopped goes on there. Writes benchmarks/results/compose.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from fugato.study.benchmark_compose import PIECES, REAL, benchmark_compose
from fugato.study.compose_systems import SYSTEMS
from fugato.study.compose_table import markdown
from fugato.train.compose import chosen_pieces
from fugato.train.phrases import prepare

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from build_style import audited  # noqa: E402
from train_compose import WITHOUT  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "compose.json"


def packed(index: Path, out: Path) -> Path:
    """The steps of the pieces that tools/train_compose.py learns from."""
    if (index / "phrases.json").is_file():
        return index
    if (out / "packed" / "phrases.json").is_file():
        return out / "packed"
    corpus = chosen_pieces(audited(index), without=WITHOUT, only_open=True)
    prepare(corpus, out / "packed")
    return out / "packed"


def with_earlier(table: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    """The table, with the columns and models of an earlier one that it lacks; without them where what they were measured by has changed."""
    same = ("pieces", "works", "bars", "seed bars", "composers", "judge", "random seed", "learnt pieces", "copy limit")
    if any(table[key] != earlier.get(key) for key in same):
        return table
    if table["systems"][REAL] != earlier["systems"][REAL]:
        return table
    columns = {**earlier["systems"], **table["systems"]}
    models = {**earlier["models"], **table["models"]}
    order = [REAL, *SYSTEMS]
    return {
        **table,
        "models": {recipe: models[recipe] for recipe in dict.fromkeys((*earlier["models"], *models))},
        "systems": {name: columns[name] for name in order if name in columns},
        "left out": {recipe: why for recipe, why in table["left out"].items() if recipe not in models},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--out", type=Path, default=Path("compose-benchmark"))
    parser.add_argument("--model", action="append", default=[], metavar="RECIPE=DIR")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--pieces", type=int, default=PIECES)
    parser.add_argument("--read-back", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--listen", type=Path)
    parser.add_argument(
        "--judge", default="composer", help="the model that names composers; an earlier one keeps earlier columns"
    )
    parser.add_argument("--no-swaps", action="store_true")
    asked = parser.parse_args()
    table = benchmark_compose(
        packed(asked.index, asked.out),
        out=asked.out,
        models=dict(model.split("=", 1) for model in asked.model),
        systems=asked.systems.split(","),
        pieces=asked.pieces,
        read_back=asked.read_back,
        jobs=asked.jobs,
        listen=asked.listen,
        judge=asked.judge,
        swaps=not asked.no_swaps,
        progress=lambda what, done, total: print(f"{what}: {done} of {total}", file=sys.stderr, flush=True),
    )
    if RESULT.is_file():
        table = with_earlier(table, json.loads(RESULT.read_text(encoding="utf-8")))
    print(markdown(table))
    RESULT.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
