"""The training loop: what it learns from, when it stops, and that a kill at any moment changes nothing."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lightning", reason="training needs the extra train")

import torch

from fugato.errors import FugatoError
from fugato.recipes import recipe
from fugato.recipes.network import NetworkRecipe, note_statistics
from fugato.represent.chunks import FEATURES
from fugato.represent.windows import KINDS
from fugato.train import loop
from fugato.train.loop import BEST, DONE, LAST, Examples, Trained, fit, probabilities
from fugato.train.networks import prepare_folder
from fugato.train.store import Windows

TINY: dict[str, float] = {"units": 4, "dropout": 0.3, "learning_rate": 0.02, "batch_size": 8, "augment": 1}
N_LEARNT, N_WATCHED = 48, 24


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """As the processes that are killed have."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def invented(kind: str, n: int, seed: int = 0, n_labels: int = 3) -> tuple[Windows, Any]:
    """Windows at random whose first columns tell the label, more or less."""
    rng = np.random.default_rng(seed)
    about = KINDS[kind]
    label = np.arange(n) % n_labels
    rows = rng.uniform(0, 1, (n, about.size, len(about.columns)))
    if kind == "onsets":
        rows = rng.integers(1, 7, rows.shape) + (label % 2)[:, None, None]
    elif about.dtype == "uint8":
        rows *= 127
        rows[..., :8] += 40 * label[:, None, None]
    elif kind == "note-chunks":
        for column, low, high in (("pitch", 40, 80), ("velocity", 40, 90), ("program", 0, 4), ("tempo", 60, 180)):
            at = FEATURES.index(column)
            rows[..., at] = np.floor(rng.uniform(low, high, rows.shape[:2]))
        rows[..., FEATURES.index("pitch")] += 4 * label[:, None]
        start, duration = FEATURES.index("start"), FEATURES.index("duration")
        rows[..., start] = np.sort(rows[..., start], axis=1) * 60
        rows[..., FEATURES.index("end")] = rows[..., start] + rows[..., duration]
    else:
        rows[..., 0] = rows[..., 0] * 0.5 + 0.1 * label[:, None]
    rows = rows.reshape(-1, len(about.columns)).astype(about.dtype)
    starts = np.arange(n, dtype=np.int64) * about.size
    return Windows(kind, (), (), rows, starts, np.arange(n)), label


def trained(
    folder: Path,
    how: NetworkRecipe | None = None,
    *,
    n: int = N_LEARNT,
    watched: int = N_WATCHED,
    seed: int = 3,
    resume: bool = False,
    watch: Any = None,
    noise: float = 0.0,
    **settings: float,
) -> Trained:
    """A tiny network over invented windows; a share of the labels may be noise."""
    how = how or recipe("composer", "lstm")
    windows, label = invented(how.kind, n + watched)
    if noise:
        rng = np.random.default_rng(1)
        label = np.where(rng.random(len(label)) < noise, rng.integers(3, size=len(label)), label)
    which = np.arange(n + watched)
    some, rest = which[:n], which[n:]
    own = {key: value for key, value in TINY.items() if key in how.settings()}
    return fit(
        how,
        Examples(windows, some, label[some]),
        Examples(windows, rest, label[rest]),
        3,
        how.settings({**own, "epochs": 4, "patience": 0, **settings}),
        folder,
        seed=seed,
        resume=resume,
        devices=1,
        watch=watch,
    )


def same(first: Trained, second: Trained) -> None:
    """The same history, but for the clock, and the same weights."""
    keys = [key for key in first.history[0] if key != "seconds"]
    table = [[[epoch[key] for key in keys] for epoch in t.history] for t in (first, second)]
    assert np.shape(table[0]) == np.shape(table[1])
    np.testing.assert_allclose(*table, atol=1e-6)
    assert first.best_epoch == second.best_epoch
    weights = [t.network.state_dict() for t in (first, second)]
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[0].items():
        np.testing.assert_allclose(weight.numpy(), weights[1][name].numpy(), atol=1e-6, err_msg=name)


# -- killed and resumed ------------------------------------------------------------------------------------------------

# Killed at a step, or in the middle of an act: (what, how often it may happen before), and whether an epoch was finished then.
MOMENTS: dict[str, tuple[str, int]] = {
    "before the first epoch has ended": ("step", 3),
    "within an epoch": ("step", 15),
    "while a checkpoint is written": ("checkpoint", 2),
    "between the best weights and the checkpoint": ("best", 2),
    "between the checkpoint and its history": ("history", 2),
    "after the last epoch, before it is said": ("done", 0),
}


def die_at(what: str, count: int) -> None:
    """Make the training of this process kill it, as if the machine had gone down, at that moment."""
    left = itertools.count(-count)

    def dying(act: Callable[..., Any], *, half: bool = False) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if next(left) < 0:
                return act(*args, **kwargs)
            if half:  # what was to be written is cut short
                act(*args, **kwargs)
                path = Path(args[1])
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            os.kill(os.getpid(), signal.SIGKILL)

        return wrapped

    import lightning

    if what == "step":
        loop.Classifier.training_step = dying(loop.Classifier.training_step)
    elif what == "checkpoint":
        lightning.Trainer.save_checkpoint = dying(lightning.Trainer.save_checkpoint, half=True)
    elif what == "best":
        lightning.Trainer.save_checkpoint = dying(lightning.Trainer.save_checkpoint)
    else:
        name = {"history": "history.json", "done": f"{DONE}.tmp"}[what]
        write = Path.write_text

        def text(path: Path, *args: Any, **kwargs: Any) -> Any:
            if path.name == name and next(left) >= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return write(path, *args, **kwargs)

        Path.write_text = text  # type: ignore[method-assign,assignment]


VICTIMS = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
import torch
torch.set_num_threads(1)
from tests.test_train_loop import die_at, trained
for folder, what, count in {runs!r}:
    child = os.fork()
    if not child:
        if what != "clock":
            die_at(what, int(count))
        trained(Path(folder), **{options!r})
        os._exit(7)
    if what == "clock":
        time.sleep(count)
        os.kill(child, 9)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def kill(runs: list[tuple[str, str, float]], **options: Any) -> list[int]:
    """Trainings in processes of their own, each killed at its moment; their exit statuses."""
    code = VICTIMS.format(root=str(Path(__file__).parents[1]), runs=runs, options=options)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [int(line) for line in done.stdout.split()]


needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL") or not hasattr(os, "fork"), reason="needs POSIX")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of trainings that were killed at every moment of `MOMENTS`."""
    root = tmp_path_factory.mktemp("killed")
    found = kill([(str(root / moment), *MOMENTS[moment]) for moment in MOMENTS])
    assert found == [-signal.SIGKILL] * len(MOMENTS)
    return root


@needs_kill
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_training_that_was_killed_ends_as_if_it_had_not_been(moment: str, killed: Path, tmp_path: Path) -> None:
    assert not (killed / moment / DONE).exists()
    resumed = trained(killed / moment, resume=True)
    same(resumed, trained(tmp_path / "whole"))
    assert not list((killed / moment).glob("*.tmp")) or "written" in moment


@needs_kill
def test_one_that_had_stopped_early_learns_no_more_after_a_kill(tmp_path: Path) -> None:
    options: dict[str, Any] = {"noise": 1.0, "epochs": 30, "patience": 2, "learning_rate": 0.1}
    assert kill([(str(tmp_path / "killed"), "done", 0)], **options) == [-signal.SIGKILL]
    whole = trained(tmp_path / "whole", **options)
    assert len(whole.history) < 30
    same(trained(tmp_path / "killed", resume=True, **options), whole)


@needs_kill
@pytest.mark.slow
def test_killed_by_the_clock_twenty_times(tmp_path: Path) -> None:
    options = {"epochs": 12}
    whole = trained(tmp_path / "whole", **options)  # type: ignore[arg-type]
    rng = np.random.default_rng()
    delays = rng.uniform(0, 1.5 * whole.seconds, 20)
    kill([(str(tmp_path / str(i)), "clock", float(delay)) for i, delay in enumerate(delays)], **options)
    for i in range(len(delays)):
        same(trained(tmp_path / str(i), resume=True, **options), whole)  # type: ignore[arg-type]


@pytest.mark.parametrize("lost", [(LAST, b""), (LAST, b"half"), (BEST, b""), (BEST, None)])
def test_a_checkpoint_that_cannot_be_read_starts_the_training_anew(
    lost: tuple[str, bytes | None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Stopped(Exception):
        pass

    def watch(epoch: int, figures: Mapping[str, float]) -> bool:
        if epoch == 2:
            raise Stopped
        return False

    with pytest.raises(Stopped):
        trained(tmp_path / "stopped", watch=watch)
    name, content = lost
    path = tmp_path / "stopped" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content else b"")
    with caplog.at_level(logging.WARNING, "fugato.train"):
        resumed = trained(tmp_path / "stopped", resume=True)
    assert "cannot be read; the training starts anew" in caplog.text
    same(resumed, trained(tmp_path / "whole"))


def test_a_finished_training_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained(tmp_path)
    monkeypatch.setattr(loop, "_run", None)
    same(trained(tmp_path, resume=True), first)


def test_only_the_same_training_is_resumed(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a", {"seed": 1}, resume=False)
    prepare_folder(tmp_path / "a", {"seed": 1}, resume=True)
    with pytest.raises(FugatoError, match="other data or settings") as caught:
        prepare_folder(tmp_path / "a", {"seed": 2}, resume=True)
    assert caught.value.kind == "bad-option"
    (tmp_path / "a" / "final").mkdir()
    prepare_folder(tmp_path / "a", {"seed": 2}, resume=False)
    assert not (tmp_path / "a" / "final").exists()


# -- stopping ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_accuracy", [0, 1])
def test_training_stops_after_the_patience_and_gives_its_best_epoch_back(by_accuracy: int, tmp_path: Path) -> None:
    made = trained(
        tmp_path, noise=1.0, epochs=40, patience=3, learning_rate=0.05, monitor_accuracy=by_accuracy, augment=0
    )
    loss = [epoch["valid_loss"] for epoch in made.history]
    accuracy = [epoch["valid_accuracy"] for epoch in made.history]
    best = int(np.argmax(accuracy)) if by_accuracy else int(np.argmin(loss))
    assert made.best_epoch == best + 1 and len(made.history) == best + 4 < 40
    windows, label = invented("note-chunks", N_LEARNT + N_WATCHED)
    rng = np.random.default_rng(1)
    label = np.where(rng.random(len(label)) < 1, rng.integers(3, size=len(label)), label)
    rest = np.arange(N_LEARNT, N_LEARNT + N_WATCHED)
    given = probabilities(made.network, windows, rest)
    assert (given.argmax(axis=1) == label[rest]).mean() == pytest.approx(accuracy[best])
    assert -np.log(given[np.arange(len(rest)), label[rest]]).mean() == pytest.approx(loss[best], abs=1e-5)


def test_who_watches_may_stop_it(tmp_path: Path) -> None:
    seen: list[int] = []

    def watch(epoch: int, figures: Mapping[str, float]) -> bool:
        seen.append(epoch)
        assert {"valid_loss", "valid_accuracy"} <= figures.keys()
        return epoch == 2

    assert len(trained(tmp_path, watch=watch).history) == 2 and seen == [1, 2]


def test_a_loss_that_is_no_number_is_said(tmp_path: Path) -> None:
    with pytest.raises(FugatoError, match=r"broke down in epoch \d.*Lower learning_rate") as caught:
        trained(tmp_path, learning_rate=1e30, epochs=5)
    assert caught.value.kind == "bad-option"


def test_the_same_seed_makes_the_same_network_and_another_another(tmp_path: Path) -> None:
    first, again, other = (trained(tmp_path / str(i), seed=seed, epochs=1) for i, seed in enumerate((1, 1, 2)))
    same(first, again)
    assert first.history[0]["train_loss"] != other.history[0]["train_loss"]


# -- losses --------------------------------------------------------------------------------------------------------------


def focal(scores: Any, label: Any, weight: Any, gamma: float) -> float:
    """Lin et al., 2017, equation 5, averaged with the weights."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    own = p[np.arange(len(label)), label]
    w = weight[label]
    return float((-w * (1 - own) ** gamma * np.log(own)).sum() / w.sum())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_are_those_of_a_plain_reference(gamma: float, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    scores, label = rng.normal(0, 2, (30, 4)), rng.integers(4, size=30)
    weight = rng.uniform(0.2, 3, 4) if weighted else np.ones(4)
    given = loop._Loss(torch.tensor(weight) if weighted else None, gamma)(torch.tensor(scores), torch.tensor(label))
    assert float(given) == pytest.approx(focal(scores, label, weight, gamma), rel=1e-9)


def test_class_weights_make_composers_count_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(loop, "_run", lambda module, *_: seen.append(module.loss.weight))
    windows, _ = invented("note-chunks", 20)
    label = np.array([0] * 12 + [1] * 6 + [2] * 2)
    examples = Examples(windows, np.arange(20), label)
    how = recipe("composer", "lstm")
    for on in (1, 0):
        with pytest.raises(FugatoError, match="nothing to learn"):
            fit(how, examples, examples, 3, how.settings({**TINY, "class_weight": on}), tmp_path)
    total = seen[0].numpy() * np.bincount(label)
    assert total == pytest.approx([20 / 3] * 3) and seen[1] is None


def test_penalties_fall_on_the_parameters_that_the_recipe_names() -> None:
    how = recipe("composer", "lstm")
    windows, _ = invented("note-chunks", 4)
    known = how.statistics(windows.rows)
    module = loop.Classifier(how, how.build(3, known, how.settings()), how.settings(), None, 0)
    names = {id(p): name for name, p in module.network.named_parameters()}
    assert {names[id(p)] for _, p in module.punished} == {
        "recurrent.lstm.weight_ih_l0",
        "recurrent.lstm.weight_hh_l0",
        "output.weight",
    }
    assert {factor for factor, _ in module.punished} == {0.01}


# -- what goes in --------------------------------------------------------------------------------------------------------


def test_scaling_is_learnt_from_training_windows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_run", lambda module, *_: seen.append(module.network.standardise))
    seen: list[Any] = []
    windows, label = invented("note-chunks", 20)
    rows = windows.rows.copy()
    rows[10 * 200 :] *= 7  # what must not be looked at
    changed = Windows(windows.kind, (), (), rows, windows.starts, windows.piece)
    how = recipe("composer", "lstm")
    some, rest = np.arange(10), np.arange(10, 20)
    for found in (windows, changed):
        with pytest.raises(FugatoError):
            learn, stop = Examples(found, some, label[some]), Examples(found, rest, label[rest])
            fit(how, learn, stop, 3, how.settings(TINY), tmp_path)
    for name in ("mean", "scale", "program", "columns"):
        assert torch.equal(getattr(seen[0], name), getattr(seen[1], name))
    read = windows.take(some).reshape(-1, 16)
    pitch = FEATURES.index("pitch")
    assert float(seen[0].mean[0]) == pytest.approx(read[:, pitch].mean(), rel=1e-5)


def test_columns_that_follow_an_earlier_one_are_dropped_and_programs_become_shares() -> None:
    windows, _ = invented("note-chunks", 12)
    rows = windows.rows.copy()
    names = list(FEATURES)
    rows[:, names.index("velocity")] = 2 * rows[:, names.index("pitch")] + 1
    rows[:, names.index("interval")] = -rows[:, names.index("duration")]  # as close, the other way round
    known = note_statistics(rows)
    kept = [names[i] for i in known.columns]
    assert {"velocity", "interval", "start", "end"}.isdisjoint(kept) and {"pitch", "duration", "program"} <= set(kept)
    assert known.program.sum() == pytest.approx(1) and known.program[:4] == pytest.approx(0.25, abs=0.05)
    at = kept.index("program")
    shares = known.program[rows[:, names.index("program")].astype(int)]
    assert known.mean[at] == pytest.approx(shares.mean(), rel=1e-3)
    flat = rows.copy()
    flat[:, names.index("tempo")] = 120
    assert np.isfinite(note_statistics(flat).scale).all() and (note_statistics(flat).scale > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_augmentation_is_for_training_windows_and_the_same_for_the_same_seed(kind: str) -> None:
    windows, label = invented(kind, 6)
    examples = Examples(windows, np.arange(6), label)
    untouched = windows.take(np.arange(6))

    def epoch(number: int, seed: int = 1, augment: bool = True) -> Any:
        data = loop._Windows(examples, kind, augment, seed)
        data.epoch = number
        rows, given = data.__getitems__(list(range(6)))
        assert given.tolist() == label.tolist() and rows.shape == untouched.shape
        return rows.numpy()

    assert (epoch(0, augment=False) == untouched).all()
    assert (epoch(0) == epoch(0)).all() and (epoch(0) != untouched).any()
    assert (epoch(0) != epoch(1)).any() and (epoch(0) != epoch(0, seed=2)).any()
    assert epoch(0).dtype == untouched.dtype and (windows.take(np.arange(6)) == untouched).all()


def test_training_windows_of_events_begin_anywhere_within_their_piece() -> None:
    size = KINDS["onsets"].size
    rows = (
        np.repeat(np.arange(1200) // 8, 40).reshape(1200, 40).astype(np.uint8)
    )  # eight alike, so that a byte tells a row
    starts, piece = np.array([0, 128, 256, 512, 768, 900]), np.array([0, 0, 0, 0, 1, 1])
    copied = np.array(
        [False, False, False, True, False, False]
    )  # of the copy there is one window, which stays where it is
    windows = Windows("onsets", (), (), rows, starts, piece, copied)
    found = windows.near(np.tile(np.arange(6), 1000), 64, np.random.default_rng(0))
    assert found.shape == (6000, size, 40)
    first = found[:, 0, 0].reshape(1000, 6).astype(int)  # in eights of rows
    assert first.min(axis=0).tolist() == [0, 8, 24, 64, 96, 104], "no earlier than the piece's first window"
    assert first.max(axis=0).tolist() == [8, 24, 32, 64, 104, 112], "no later than its last"


def test_what_is_stopped_by_is_never_augmented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    made = loop._Windows.__init__

    def watched(self: Any, examples: Examples, kind: str, augmented: bool, seed: int) -> None:
        asked.append((len(examples), augmented))  # type: ignore[arg-type]
        made(self, examples, kind, augmented, seed)

    monkeypatch.setattr(loop._Windows, "__init__", watched)
    trained(tmp_path, epochs=1)
    assert asked == [(N_LEARNT, True), (N_WATCHED, False)]


def test_a_recurrent_network_trains_with_one_thread_and_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    import torch

    seen = []

    def watch(epoch: int, figures: dict[str, float]) -> bool:
        seen.append(torch.get_num_threads())
        return True

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        trained(tmp_path / "lstm", n=16, watched=8, watch=watch)
        trained(tmp_path / "transformer", recipe("composer", "note-transformer"), n=16, watched=8, watch=watch)
        assert seen == [1, 2] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("able", [False, True])
def test_a_network_that_gains_by_it_learns_in_bfloat16_where_there_are_instructions_for_it(
    able: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fugato.train import precision

    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: able)
    seen: list[torch.dtype] = []
    how = recipe("composer", "onset-cnn")

    def build(*args: Any) -> torch.nn.Module:
        network = how.build(*args)
        network.output.register_forward_hook(lambda *given: seen.append(given[-1].dtype))
        return network

    found = trained(tmp_path, replace(how, build=build), n=24, watched=8, width=8)
    assert set(seen) == {torch.bfloat16 if able else torch.float32}
    assert {p.dtype for p in found.network.parameters()} == {torch.float32}, "weights are always in single precision"
    assert found.history[-1]["train_loss"] < found.history[0]["train_loss"]


def test_a_precision_that_is_asked_for_is_taken_and_bfloat16_is_not_imitated(monkeypatch: pytest.MonkeyPatch) -> None:
    from fugato.train import precision

    for able in (False, True):
        monkeypatch.setattr(precision, "multiplies_bfloat16", lambda able=able: able)
        assert precision.precision_for(True, "16-mixed") == "16-mixed"
        assert precision.precision_for(False) == "32-true"
    with pytest.raises(FugatoError, match="no precision 'nonsense'"):
        precision.precision_for(True, "nonsense")
    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for has, expected in (({"avx512_bf16": True}, True), ({"avx512_bf16": False, "avx2": True}, False), ({}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: has, raising=False)
        assert precision.multiplies_bfloat16() is expected
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for capability in ((7, 5), (8, 0), (9, 0)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda capability=capability: capability)
        assert precision.multiplies_bfloat16() is (capability >= (8, 0))


def test_windows_drawn_anew_give_composers_and_their_pieces_the_same_chance() -> None:
    from fugato.train.loop import _Order, _Windows, chances

    piece = np.repeat([0, 1, 2], [1, 4, 20])
    windows = Windows("onsets", (), (), np.zeros((300, 40), np.uint8), np.arange(25), piece)
    label = np.where(piece < 2, 0, 1)
    examples = Examples(windows, np.arange(25), label)
    chance = chances(examples)
    assert chance.sum() == pytest.approx(1)
    assert chance[label == 0].sum() == pytest.approx(0.5), "composers alike"
    assert chance[piece == 1].sum() / chance[piece == 0].sum() == pytest.approx(2), (
        "pieces by the root of their windows"
    )
    order = _Order(_Windows(examples, "onsets", False, 1), 1000)
    first = list(order)
    assert len(order) == len(first) == 1000 and first == list(order)
    order.set_epoch(1)
    assert list(order) != first
    assert 0.4 < np.mean(label[first] == 0) < 0.6


def test_a_recipe_that_draws_windows_learns_and_resumes_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    how = recipe("composer", "onset-cnn")
    options: Any = {"n": 40, "watched": 12, "epoch_windows": 64, "width": 8, "batch_size": 16, "learning_rate": 5e-3}
    whole = trained(tmp_path / "whole", how, **options)
    assert whole.history[-1]["train_loss"] < whole.history[0]["train_loss"]
    trained(tmp_path / "stopped", how, watch=lambda epoch, _: epoch == 2, **options)
    (tmp_path / "stopped" / "done.json").unlink()
    same(whole, trained(tmp_path / "stopped", how, resume=True, **options))


# -- memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "most"), [("note-rows", loop.EVALUATED), ("spectrogram", 32)])
def test_windows_are_judged_in_their_order_and_pictures_a_few_at_a_time(kind: str, most: int) -> None:
    windows, label = invented(kind, 70)
    sizes = []

    def network(rows: torch.Tensor) -> torch.Tensor:
        sizes.append(len(rows))
        return torch.nn.functional.one_hot(torch.from_numpy(label)[sum(sizes[:-1]) :][: len(rows)], 3).float() * 50

    assert (probabilities(network, windows, np.arange(70)).argmax(axis=1) == label).all()
    assert max(sizes) == min(most, 70) and sum(sizes) == 70
