"""Every recipe of a network: trained on a little music, exported, and asked without torch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("lightning", reason="training needs the extra train")

import torch

import fugato
from fugato.cli.app import app
from fugato.composer.panel import panel
from fugato.composer.window_network import FLOOR
from fugato.corpus import load_corpus
from fugato.errors import FugatoError
from fugato.models import load_model, onnx_session
from fugato.recipes import COMPOSER, recipe
from fugato.recipes.exported import onnx_bytes
from fugato.train import train
from fugato.train.networks import divide, drawn

from .music_styles import COMPOSERS, write_collection
from .test_train_loop import invented

RUNNER = CliRunner()
TINY: dict[str, dict[str, float]] = {  # as small as each can be
    "lstm": {"units": 4},
    "bilstm-attention": {"units": 4},
    "pianoroll-cnn": {"windows_per_composer": 8},
    "spectrogram-cnn": {"width": 1, "windows_per_composer": 4},
    "note-lstm": {"units": 4},
    "note-transformer": {"units": 4},
    "onset-cnn": {"width": 8, "epoch_windows": 32},
}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three composers with six pieces each."""
    return write_collection(tmp_path_factory.mktemp("music"), range(6))


@pytest.fixture(scope="module")
def models(music: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model folder of each recipe, after one epoch."""
    root = tmp_path_factory.mktemp("models")
    return {
        name: train("composer", music, recipe=name, out=root / name, jobs=1, devices=1, epochs=1, **settings)
        for name, settings in TINY.items()
    }


def test_every_network_is_tried_here() -> None:
    assert TINY.keys() == {name for name in COMPOSER if hasattr(recipe("composer", name), "kind")}


@pytest.mark.parametrize("name", TINY)
def test_a_recipe_makes_a_model_with_a_card_that_tells_how(name: str, models: dict[str, Path]) -> None:
    model = load_model(models[name])
    how = recipe("composer", name)
    made = model.card.made
    assert model.card.recipe == name and model.labels == tuple(sorted(COMPOSERS))
    assert model.card.representation["name"] == how.kind and made["epochs"] == made["best_epoch"] == 1
    assert made["settings"] == how.settings({**TINY[name], "epochs": 1}) and made["parameters"] > 10
    assert "one holdout of works" in model.card.figures[0]["protocol"]
    assert {"epoch", "train_loss", "valid_loss", "valid_accuracy", "seconds"} <= model.json("history")[0].keys()
    assert not list(models[name].parent.glob("*.training")), "what was kept for resuming is gone"


def test_models_answer_without_torch(models: dict[str, Path], music: Path) -> None:
    code = f"""
import json, sys
import fugato
found = {{}}
for name, folder in {[(name, str(path)) for name, path in models.items()]!r}:
    answer = fugato.identify({str(music / "Bach" / "piece 1.mid")!r}, model=folder, explain=True)
    found[name] = [answer.name, answer.model.name, sum(g.probability for g in answer.ranking)]
assert not {{"torch", "lightning", "onnx"}} & sys.modules.keys(), "they are for training alone"
print(json.dumps(found))
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name, (composer, called, total) in json.loads(done.stdout).items():
        assert composer in COMPOSERS and called == name and total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_what_is_exported_answers_as_the_network_does(name: str, tmp_path: Path) -> None:
    how = recipe("composer", name)
    windows, _ = invented(how.kind, 9)
    rows = windows.take(np.arange(9))
    torch.manual_seed(1)
    network = how.build(3, how.statistics(windows.rows[: 3 * windows.size]), how.settings(TINY[name]))
    network.eval()
    (tmp_path / "network.onnx").write_bytes(onnx_bytes(network, rows[:2]))
    session = onnx_session(tmp_path / "network.onnx")
    for n in (1, 9):
        with torch.inference_mode():
            expected = network(torch.from_numpy(rows[:n])).numpy()
        given = session.run(None, {"rows": rows[:n]})[0]
        assert given == pytest.approx(expected, abs=1e-3, rel=1e-3) and given.shape == (n, 3)
        assert np.ptp(given) > 0


def test_an_export_that_answers_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = recipe("composer", "lstm")
    windows, _ = invented(how.kind, 2)
    network = how.build(3, how.statistics(windows.rows), how.settings(TINY["lstm"])).eval()
    export = torch.onnx.export

    def wrong(network: Any, *args: Any, **options: Any) -> None:
        network.output.bias.data += 1
        export(network, *args, **options)
        network.output.bias.data -= 1

    monkeypatch.setattr(torch.onnx, "export", wrong)
    with pytest.raises(FugatoError, match="answers otherwise than the trained one, by 1") as caught:
        onnx_bytes(network, windows.take(np.arange(2)))
    assert caught.value.kind == "bad-model"


def test_the_same_seed_makes_the_same_model_also_after_a_stop(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"recipe": "lstm", "jobs": 1, "devices": 1, "random_seed": 5, "epochs": 3, "units": 4}
    whole = train("composer", music, out=tmp_path / "whole", **options)

    def stop(what: str, done: int, total: int) -> None:
        if what == "training" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("composer", music, out=tmp_path / "stopped", progress=stop, **options)
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN, "Ctrl+C is heard again"
    kept = tmp_path / "stopped.training"
    assert (kept / "windows").is_dir() and (kept / "final" / "last.ckpt").is_file()
    with pytest.raises(FugatoError, match="other data or settings"):
        train("composer", music, out=tmp_path / "stopped", resume=True, **{**options, "epochs": 4})
    monkeypatch.setattr(sys.modules["fugato.train.store"], "_fill", None)  # the windows are there
    resumed = train("composer", music, out=tmp_path / "stopped", resume=True, **options)
    histories = [load_model(m).json("history") for m in (whole, resumed)]
    for history in histories:
        for epoch in history:
            epoch.pop("seconds")
    assert histories[0] == histories[1] and len(histories[0]) == 3
    digests = [load_model(m).card.files["network"].sha256 for m in (whole, resumed)]
    assert digests[0] == digests[1] and not kept.exists()


def test_folds_judge_every_piece(music: Path, tmp_path: Path) -> None:
    model = train(
        "composer", music, recipe="note-lstm", out=tmp_path / "m", jobs=1, devices=1, folds=2, epochs=1, units=2
    )
    figures = load_model(model).card.figures
    assert figures[0]["protocol"].startswith("2-fold over works") and figures[0]["n"] == 18


# -- wrong use -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"budget": "tiny"}, "no budget 'tiny'; it has full, small"),
        ({"unit": 3}, "no setting unit"),
        ({"units": 2.5}, "units is 2.5; it must be a whole number from 1"),
        ({"dropout": 1}, "dropout is 1; it must be below 1"),
        ({"learning_rate": 0}, "nothing would be learnt"),
        ({"epochs": 0}, "epochs is 0; it must be a whole number from 1"),
        ({"folds": 0}, "folds is 0"),
    ],
)
def test_wrong_settings_are_refused_at_once(options: dict[str, Any], words: str, music: Path, tmp_path: Path) -> None:
    with pytest.raises(FugatoError, match=words) as caught:
        train("composer", music, recipe="lstm", out=tmp_path / "model", **options)
    assert caught.value.kind == "bad-option" and not list(tmp_path.iterdir())


def test_settings_are_common_then_published_then_of_the_budget_then_chosen() -> None:
    how = recipe("composer", "spectrogram-cnn")
    full, small, mine = how.settings(), how.settings(budget="small"), how.settings({"width": 3}, "small")
    assert (full["width"], full["epochs"], full["batch_size"], full["focal_gamma"]) == (64, 100, 8, 0)
    assert (small["width"], small["epochs"], mine["width"], mine["epochs"]) == (16, 30, 3, 30)


# -- several models together ---------------------------------------------------------------------------------------------


def test_fused_models_answer_with_the_normalised_geometric_mean(models: dict[str, Path], music: Path) -> None:
    path = music / "Joplin" / "piece 2.mid"
    names = ("bilstm-attention", "spectrogram-cnn", "note-transformer")
    single = [{g.name: g.probability for g in fugato.identify(path, model=models[n]).ranking} for n in names]
    product = {c: float(np.prod([max(s[c], FLOOR) for s in single])) ** (1 / 3) for c in COMPOSERS}
    total = sum(product.values())
    fused = fugato.identify(path, model=models[names[0]], fuse=[models[n] for n in names[1:]])
    assert {g.name: g.probability for g in fused.ranking} == pytest.approx(
        {c: p / total for c, p in product.items()}, abs=1e-6
    )
    assert fused.model.name == names[0]
    arguments = ["identify", str(path), "--model", str(models[names[0]]), "--json"]
    for name in names[1:]:
        arguments += ["--fuse", str(models[name])]
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    shown = {g["name"]: g["probability"] for g in json.loads(result.stdout)["ranking"]}
    assert shown == pytest.approx({g.name: g.probability for g in fused.ranking}, abs=1e-3)


@pytest.mark.parametrize("name", TINY)
def test_a_listener_asks_a_network_once_there_is_enough_to_look_at(
    name: str, models: dict[str, Path], music: Path
) -> None:
    """Its session was started before the first note, and the ranking is what `identify` says; with a few notes it is silent."""
    score = fugato.read(music / "Bach" / "piece 1.mid")
    notes = [(int(n["pitch"]), float(n["onset_seconds"]), float(n["duration_seconds"])) for n in score.notes]
    panel.cache_clear()
    listener = fugato.Listener(models[name])
    assert "_session" in vars(listener._asked.classifiers[0])
    for count, note in enumerate(notes, 1):
        listener.note(*note)
        if count < 40:
            assert len(listener.ranking) in (0, len(COMPOSERS))
            assert count > 11 or not listener.ranking
    said = dict(fugato.identify(listener.score, model=models[name]).ranking)
    assert dict(listener.ranking) == pytest.approx(said, abs=1e-6)


def test_models_of_different_composers_do_not_answer_together(
    models: dict[str, Path], music: Path, tmp_path: Path
) -> None:
    other = train("composer", music, recipe="ngram-linear", out=tmp_path / "two", jobs=1, composers=["Bach", "Joplin"])
    with pytest.raises(FugatoError, match="know different composers and cannot answer together") as caught:
        fugato.identify(music / "Bach" / "piece 1.mid", model=models["lstm"], fuse=[other])
    assert caught.value.kind == "bad-option"


# -- who is learnt from --------------------------------------------------------------------------------------------------


def test_no_work_is_learnt_from_and_stopped_by() -> None:
    works = [f"work {i // 3}" for i in range(60)]
    labels = [("Bach", "Chopin")[(i // 3) % 2] for i in range(60)]
    learn, stop = divide(np.arange(60), labels, works, [str(i) for i in range(60)], 0)
    assert len(learn) + len(stop) == 60 and len(stop)
    assert not {works[i] for i in learn} & {works[i] for i in stop}


def test_who_follows_one_cycle_keeps_few_works_to_look_on_and_the_same_to_judge(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The works that are judged are those of every other network; of the rest more are learnt from."""
    from fugato.recipes import onset_cnn
    from fugato.train import networks, store

    windows = store.prepare_for(onset_cnn.RECIPE, load_corpus(music), tmp_path / "windows", jobs=1)
    labels = [piece.composer for piece in windows.pieces]
    works = [f"work {i}" for i in range(len(labels))]
    sides: dict[float, tuple[set[str], set[str]]] = {}

    def run(recipe: Any, windows: Any, label: Any, n: int, learn: Any, stop: Any, *rest: Any) -> Any:
        sides[recipe.watched] = {works[i] for i in learn}, {works[i] for i in stop}
        raise KeyboardInterrupt

    monkeypatch.setattr(networks, "run", run)
    for watched in (1.0, 0.5):
        how = replace(onset_cnn.RECIPE, watched=watched)
        with pytest.raises(KeyboardInterrupt):
            networks.make(how, windows, labels, works, how.settings(), tmp_path / "training")
    (learnt, stopped), (more, fewer) = sides[1.0], sides[0.5]
    assert learnt < more and fewer < stopped and fewer
    assert more | fewer == learnt | stopped and not more & fewer, "what is judged is left alone"


def test_at_most_so_many_windows_of_a_composer_are_drawn_and_the_same_ones_again() -> None:
    which, label = np.arange(100, 200), np.repeat([0, 1, 2], [70, 25, 5])
    some = drawn(which, label, 10, 3)
    assert np.bincount(label[some - 100]).tolist() == [10, 10, 5] and (np.diff(some) > 0).all()
    assert (drawn(which, label, 10, 3) == some).all() and (drawn(which, label, 10, 4) != some).any()
    assert (drawn(which, label, 0, 3) == which).all()
