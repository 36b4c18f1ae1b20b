"""How long an epoch takes in Fugato and in Keras 3 (TensorFlow): the same networks, windows, batches and processors.

    python benchmarks/keras_speed.py [RECIPE ...] [--epochs N] [--environment DIR]

Makes an environment with Keras of its own outside the repository (at the first run; from PyPI), trains both sides by turns, each in a
process of its own that waits while the other works, and writes benchmarks/results/keras_speed.json. Only the ratios of neighbouring
epochs say something on a machine that does other work too. The first epoch, in which Keras traces and compiles, is not counted.

Fugato's side is `fugato.train.loop.fit`, whose own history says the seconds; an epoch takes in training and validation on both sides.
"whole" adds what Fugato does after each epoch, the checkpoint and the best weights on disk; Keras was asked for neither. The windows are
random numbers of the right shape and kind: no step of either side depends on what they are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

RESULT: Final = Path(__file__).parent / "results" / "keras_speed.json"
NETWORKS: Final = Path(__file__).parent / "keras_networks.py"
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fugato"
PACKAGES: Final = ("keras", "tensorflow-cpu")
WINDOWS: Final = {"lstm": 2048, "bilstm-attention": 1024, "note-lstm": 1024, "pianoroll-cnn": 1024}
LABELS: Final = 4
SEED: Final = 11


# -- both sides --------------------------------------------------------------------------------------------------------


def random_rows(kind: str, n: int) -> NDArray[Any]:
    """Rows of `n` windows one after another, as the store keeps them."""
    from fugato.represent.chunks import FEATURES
    from fugato.represent.onsets import SETS, SIZES
    from fugato.represent.windows import KINDS

    rng = np.random.default_rng(SEED)
    shape = (n * KINDS[kind].size, len(KINDS[kind].columns))
    if kind == "spectrogram":
        return rng.integers(0, 256, shape, np.uint8)
    if kind == "pianoroll":
        return (rng.integers(1, 128, shape) * (rng.random(shape) < 0.03)).astype(np.uint8)
    if kind == "note-rows":
        return rng.random(shape, dtype=np.float32)
    if kind == "onsets":
        return rng.integers(0, (*SIZES, *(256, 16) * len(SETS)), shape, np.uint8)
    rows = rng.standard_normal(shape).astype(np.float32)
    rows[:, FEATURES.index("program")] = rng.integers(0, 128, len(rows))
    rows[:, FEATURES.index("start")] = np.arange(len(rows)) % 5_000
    rows[:, FEATURES.index("end")] = rows[:, FEATURES.index("start")] + 0.5  # follows start: not read, as published
    return rows


def examples(name: str, folder: Path) -> tuple[Any, Any]:
    """The windows to learn from and those to validate with."""
    from fugato.recipes import recipe as recipe_of
    from fugato.represent.windows import KINDS
    from fugato.train.loop import Examples
    from fugato.train.store import Windows

    kind = recipe_of("composer", name).kind
    rows, label = np.load(folder / "rows.npy", mmap_mode="r"), np.load(folder / "label.npy")
    starts = np.arange(len(label), dtype=np.int64) * KINDS[kind].size
    windows = Windows(kind, (), (), rows, starts, np.zeros(len(label), np.int64))
    learn, valid = np.arange(WINDOWS[name]), np.arange(WINDOWS[name], len(label))
    return Examples(windows, learn, label[learn]), Examples(windows, valid, label[valid])


def write_data(name: str, folder: Path) -> None:
    """Windows and settings, once for both sides."""
    import torch

    from fugato.recipes import recipe as recipe_of
    from fugato.recipes.network import Standardise
    from fugato.train.loop import at_once, training_rows

    recipe = recipe_of("composer", name)
    n = WINDOWS[name] + WINDOWS[name] // 8
    np.save(folder / "rows.npy", random_rows(recipe.kind, n))
    np.save(folder / "label.npy", np.random.default_rng(SEED).integers(0, LABELS, n))
    learn, _ = examples(name, folder)
    windows = np.array(learn.windows.take(np.arange(n)))
    if recipe.kind != "pianoroll":  # scaled once, beforehand; Fugato's network scales every batch
        known = recipe.statistics(training_rows(learn))
        scale = Standardise(known, programs=recipe.kind == "note-chunks")
        windows = scale(torch.from_numpy(windows)).numpy()
    np.save(folder / "keras.npy", windows)
    extra = {"windows": WINDOWS[name], "labels": LABELS, "validation_batch": at_once(learn.windows)}
    (folder / "settings.json").write_text(json.dumps({**recipe.settings(), **extra}), encoding="utf-8")


def fugato_side(name: str, folder: Path, epochs: int) -> None:
    """Train as Fugato trains; an epoch begins when a line comes in."""
    import torch
    from lightning import __version__ as lightning

    from fugato.recipes import recipe as recipe_of
    from fugato.train.loop import fit, n_parameters, training_rows

    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed goes elsewhere
    recipe = recipe_of("composer", name)
    learn, valid = examples(name, folder)
    settings = recipe.settings({"epochs": epochs, "patience": 0})
    network = recipe.build(LABELS, recipe.statistics(training_rows(learn)), settings)
    second = sum(p.numel() for key, p in network.named_parameters() if "lstm.bias_hh" in key)
    about = {
        "parameters": n_parameters(network),
        "of_them_second_biases_of_lstms": second,
        "buffers": sum(b.numel() for b in network.buffers()),
        "threads": torch.get_num_threads(),
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", ""),
        "versions": {"python": sys.version.split()[0], "torch": torch.__version__, "lightning": lightning},
    }
    print(json.dumps(about), file=pipe, flush=True)
    sys.stdin.readline()
    out = folder / "training"

    def watch(epoch: int, figures: dict[str, float]) -> bool:
        seconds = json.loads((out / "history.json").read_text(encoding="utf-8"))[-1]["seconds"]
        print(json.dumps({"seconds": seconds, **figures}), file=pipe, flush=True)
        if epoch < epochs:
            sys.stdin.readline()
        return False

    fit(recipe, learn, valid, LABELS, settings, out, seed=SEED, devices=1, watch=watch)


# -- by turns ----------------------------------------------------------------------------------------------------------


class Side:
    """A process that trains an epoch when told."""

    def __init__(self, command: list[str], errors: Path) -> None:
        self.errors = errors
        with errors.open("w") as stderr:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        self.about = self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args[:3])} ended:\n{self.errors.read_text()[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def epoch(self) -> dict[str, Any]:
        """One more epoch, with the seconds until its answer."""
        assert self.process.stdin is not None
        started = time.perf_counter()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return {**self.answer(), "whole": time.perf_counter() - started}

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def environment(folder: Path) -> Path:
    """The Python of an environment that has Keras, made where there is none."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = python.exists() and not subprocess.run([python, "-c", "import keras"], capture_output=True).returncode
    if not ready:
        print(f"making {folder} with {' and '.join(PACKAGES)} ...", flush=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


@contextlib.contextmanager
def sides(name: str, folder: Path, epochs: int, keras: Path) -> Iterator[tuple[Side, Side]]:
    """Fugato's process and Keras's."""
    started: list[Side] = []
    try:
        given = [name, str(folder), str(epochs)]
        for command in ([sys.executable, __file__, "--fugato", *given], [str(keras), str(NETWORKS), *given]):
            started.append(Side(command, folder / f"errors-{len(started)}.txt"))
        yield started[0], started[1]
    finally:
        for side in started:
            side.close()


def spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    found = {"median": middle, "quartile_1": low, "quartile_3": high, "min": min(values), "max": max(values)}
    return {key: round(value, 4) for key, value in found.items()}


def compare(name: str, epochs: int, keras: Path) -> dict[str, Any]:
    """One recipe."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_data(name, folder)
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        with sides(name, folder, epochs + 1, keras) as (ours, theirs):
            same = ours.about["parameters"] - ours.about["of_them_second_biases_of_lstms"]
            assert same == theirs.about["parameters"], (name, ours.about, theirs.about)
            warm = [side.epoch()["seconds"] for side in (ours, theirs)]
            load_before = os.getloadavg()[0]
            turns = []
            for turn in range(epochs):  # who goes first changes, so that a rising load favours neither
                order = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
                found = {id(side): side.epoch() for side in order}
                turns.append((found[id(ours)], found[id(theirs)]))
    assert all(np.isfinite(epoch["loss" if i else "train_loss"]) for turn in turns for i, epoch in enumerate(turn))
    return {
        "windows": settings["windows"],
        "validation_windows": settings["windows"] // 8,
        "batch_size": settings["batch_size"],
        "parameters": {"fugato": ours.about, "keras": theirs.about},
        "timed_epochs": epochs,
        "first_epoch_seconds": {"fugato": round(warm[0], 3), "keras": round(warm[1], 3)},
        "fugato_seconds": spread([a["seconds"] for a, _ in turns]),
        "keras_seconds": spread([b["seconds"] for _, b in turns]),
        "ratio": spread([a["seconds"] / b["seconds"] for a, b in turns]),
        "ratio_whole": spread([a["whole"] / b["whole"] for a, b in turns]),
        "load_average": {"before": round(load_before, 2), "after": round(os.getloadavg()[0], 2)},
    }


def tidied(found: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A recipe's figures, and what holds for the machine."""
    about = found.pop("parameters")
    ours, theirs = about["fugato"], about["keras"]
    found["parameters"] = {
        "keras": theirs["parameters"],
        "fugato": ours["parameters"],
        "of_them_second_biases_of_lstms": ours["of_them_second_biases_of_lstms"],
        "buffers_that_scale_the_input": ours["buffers"],
    }
    found["keras_jit_compile"] = theirs["jit_compile"]
    machine = {
        "cpus": os.cpu_count(),
        "omp_wait_policy": ours["omp_wait_policy"],
        "threads": {"torch": ours["threads"], "tensorflow": theirs["threads"], "note": "TensorFlow's 0 means all"},
        "versions": {"fugato side": ours["versions"], "keras side": theirs["versions"]},
    }
    return found, machine


def table(result: dict[str, Any]) -> str:
    """Seconds an epoch and their ratio."""
    lines = [
        "| recipe | windows | parameters | Fugato s/epoch | Keras s/epoch | ratio (quartiles) | with checkpoints |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in result["recipes"].items():
        ratio = row["ratio"]
        lines.append(
            f"| `{name}` | {row['windows']:,} | {row['parameters']['keras']:,} | {row['fugato_seconds']['median']:.2f} "
            f"| {row['keras_seconds']['median']:.2f} | {ratio['median']:.2f} ({ratio['quartile_1']:.2f} to {ratio['quartile_3']:.2f}) "
            f"| {row['ratio_whole']['median']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:2] == ["--fugato"]:
        logging.getLogger("lightning").setLevel(logging.ERROR)
        fugato_side(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=[], help=f"{', '.join(WINDOWS)}; all of them by default")
    parser.add_argument("--epochs", type=int, default=8, help="timed on each side, 2 at least; an even number is fair")
    parser.add_argument("--environment", type=Path, default=CACHE / "keras-venv", help="where Keras is, or is to be")
    parser.add_argument("--result", type=Path, default=RESULT)
    args = parser.parse_args()
    if unknown := set(args.recipes) - WINDOWS.keys():
        parser.error(f"no network for {', '.join(sorted(unknown))}; there are {', '.join(WINDOWS)}")
    keras = environment(args.environment.absolute())
    result: dict[str, Any] = {"recipes": {}}
    if args.result.exists():  # recipes of other runs stay
        result = json.loads(args.result.read_text(encoding="utf-8"))
    for name in args.recipes or WINDOWS:
        found, machine = tidied(compare(name, max(args.epochs, 2), keras))
        result["machine"] = machine
        result["recipes"][name] = found
        result["recipes"] = {known: result["recipes"][known] for known in WINDOWS if known in result["recipes"]}
        args.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {found['ratio']['median']:.2f}", flush=True)
    print(table(result))


if __name__ == "__main__":
    main()
