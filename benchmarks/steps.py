"""Processor time of a training step of the networks, with memory given back to the system, kept, and in bfloat16 beside that.

    python benchmarks/steps.py [RECIPE ...] [--rounds N]

Each measurement is a process of its own with one thread, the ways by turns; the windows are random numbers. Bfloat16 is tried where the
processor has instructions for it. Writes benchmarks/results/steps.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from keras_speed import LABELS, random_rows

from fugato.train.precision import multiplies_bfloat16

RESULT: Final = Path(__file__).parent / "results" / "steps.json"
RECIPES: Final = (
    "lstm",
    "bilstm-attention",
    "note-lstm",
    "note-transformer",
    "pianoroll-cnn",
    "spectrogram-cnn",
    "onset-cnn",
)
GIVEN_BACK, KEPT, HALF = WAYS = ("given back", "kept", "bfloat16")
STEPS: Final = 8
WARM: Final = 3


def measured(name: str, way: str) -> dict[str, float]:
    """Seconds of processor time and page faults of a step."""
    import torch
    import torch.nn.functional as F

    from fugato.recipes import recipe as recipe_of
    from fugato.recipes.allocator import freed_memory_kept
    from fugato.represent.windows import KINDS

    torch.set_num_threads(1)
    recipe = recipe_of("composer", name)
    settings = recipe.settings(budget="small" if "small" in recipe.BUDGETS else "full")
    size, n = KINDS[recipe.kind].size, int(settings["batch_size"])
    rows = random_rows(recipe.kind, n)
    network = recipe.build(LABELS, recipe.statistics(rows), settings).to(memory_format=torch.channels_last)
    network.train()
    batch = torch.from_numpy(rows.reshape(n, size, -1))
    label = torch.from_numpy(np.arange(n) % LABELS)
    optimiser = torch.optim.Adam(network.parameters())
    with contextlib.nullcontext() if way == GIVEN_BACK else freed_memory_kept():
        for step in range(WARM + STEPS):
            if step == WARM:
                began, faults = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            optimiser.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=way == HALF):
                loss = F.cross_entropy(network(batch).float(), label)
            loss.backward()
            optimiser.step()
        took = (time.process_time() - began) / STEPS
        return {"seconds": took, "faults": (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) / STEPS}


def asked(name: str, way: str) -> dict[str, Any]:
    command = [sys.executable, __file__, name, "--once", way]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def _share(rounds: list[dict[str, Any]], way: str, of: str) -> float:
    return round(statistics.median(each[way]["seconds"] / each[of]["seconds"] for each in rounds), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        print(json.dumps(measured(args.recipes[0], args.once)))
        return
    ways = WAYS if multiplies_bfloat16() else WAYS[:2]
    table = {}
    for name in args.recipes:
        rounds = [{way: asked(name, way) for way in ways} for _ in range(args.rounds)]
        row: dict[str, Any] = {
            way: {
                "seconds": round(statistics.median(each[way]["seconds"] for each in rounds), 4),
                "page_faults": round(statistics.median(each[way]["faults"] for each in rounds)),
            }
            for way in ways
        }
        row["share"] = _share(rounds, KEPT, GIVEN_BACK)
        if HALF in ways:
            row["bfloat16_share"] = _share(rounds, HALF, KEPT)
        table[name] = row
        print(name, row, flush=True)
    before = (
        json.loads(RESULT.read_text(encoding="utf-8"))["recipes"] if RESULT.exists() else {}
    )  # rows of other runs stay
    table = {name: {**before, **table}[name] for name in RECIPES if name in {*before, *table}}
    result = {"command": "python benchmarks/steps.py", "cpus": os.cpu_count(), "threads": 1, "recipes": table}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
