"""Settings are searched on works that no model is judged by, and a search that was stopped goes on where it was."""

from __future__ import annotations

import importlib
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("optuna", reason="tuning needs the extra train")
pytest.importorskip("lightning", reason="tuning needs the extra train")


from fugato.cli.app import app
from fugato.errors import FugatoError
from fugato.models import load_model
from fugato.recipes import COMPOSER, recipe
from fugato.recipes.network import WHOLE
from fugato.study import tuning
from fugato.train import networks, train
from fugato.train.loop import Trained
from fugato.train.tune import grid, space, tune
from fugato.train.tuned import Tuned, read_tuned

from .music_styles import write_collection

RUNNER = CliRunner()
TINY: dict[str, Any] = {"recipe": "lstm", "jobs": 1, "epochs": 3}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three composers with six pieces each."""
    return write_collection(tmp_path_factory.mktemp("music"), range(6))


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """Trainings that take no time: more units and a rate of 0.001 are best. The settings of all of them."""
    seen: list[dict[str, float]] = []

    def run(how: Any, windows: Any, label: Any, n: int, learn: Any, stop: Any, settings: Any, *rest: Any) -> Trained:
        seen.append(dict(settings))
        watch = rest[2]["watch"]
        value = 0.5 + settings["units"] / 1000 - 0.1 * abs(math.log10(settings["learning_rate"]) + 3)
        history = []
        for epoch in range(1, int(settings["epochs"]) + 1):
            history.append({"epoch": epoch, "valid_accuracy": value * epoch / settings["epochs"], "seconds": 0.0})
            if watch(epoch, history[-1]):
                break
        return Trained(None, history, len(history))

    monkeypatch.setattr(networks, "run", run)
    return seen


def plain(tuned: Tuned) -> list[dict[str, Any]]:
    return [{key: value for key, value in trial.items() if key not in {"seconds", "number"}} for trial in tuned.trials]


# -- what is searched ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPOSER)
def test_every_recipe_says_in_what_its_settings_are_searched(name: str) -> None:
    how = recipe("composer", name)
    found = space(how)
    assert found
    for setting, values in found.items():
        assert values.low < values.high
        assert values.whole == (setting in WHOLE | {"units", "width"})
        how.check({setting: values.high})
    rates = [found[setting].log for setting in found if setting in {"learning_rate", "l2", "penalty"}]
    assert rates and all(rates)
    for setting, choices in grid(how).items():
        for value in choices:
            how.check({setting: value})


def test_the_published_grids_are_those_of_the_publications() -> None:
    sizes = {name: math.prod(len(v) for v in grid(recipe("composer", name)).values()) for name in COMPOSER}
    assert (sizes["lstm"], sizes["bilstm-attention"], sizes["note-lstm"]) == (24, 16, 18)
    assert grid(recipe("composer", "lstm"))["learning_rate"] == (1e-3, 5e-4, 1e-5)
    assert grid(recipe("composer", "pianoroll-cnn")) == {
        "dropout": (0.0, 0.3, 0.6),
        "learning_rate": (1e-4, 1e-3, 1e-2),
    }


# -- a search ------------------------------------------------------------------------------------------------------------


def test_a_network_is_tuned_and_trained_with_what_was_found(music: Path, tmp_path: Path) -> None:
    found = tune("composer", music, out=tmp_path / "tuned", trials=2, units=4, **TINY)
    assert [t["state"] for t in found.trials] == ["COMPLETE"] * 2 and found.value is not None
    assert found.best.keys() == {"dropout", "learning_rate", "l2"} and found.fixed == {"units": 4}
    assert 1e-4 <= found.best["learning_rate"] <= 1e-2 and all(t["seconds"] > 0 for t in found.trials)
    assert not (tmp_path / "tuned.training").exists(), "windows and checkpoints are gone"
    trials = json.loads((tmp_path / "tuned" / "trials.json").read_text())
    assert trials == list(found.trials) and read_tuned(tmp_path / "tuned") == found
    model = load_model(
        train("composer", music, out=tmp_path / "m", tuned=tmp_path / "tuned", jobs=1, epochs=1, dropout=0.25)
    )
    settings = model.card.made["settings"]
    assert model.card.recipe == "lstm" and model.json("trials") == trials
    assert settings["learning_rate"] == found.best["learning_rate"] and settings["units"] == 4
    assert settings["dropout"] == 0.25 and settings["epochs"] == 1, "what is said by hand goes before"
    with pytest.raises(FugatoError, match="settings of lstm were tuned there, not those of note-lstm"):
        train("composer", music, recipe="note-lstm", out=tmp_path / "other", tuned=tmp_path / "tuned")


def test_no_trial_sees_the_pieces_that_the_model_is_judged_by(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: list[tuple[set[int], set[int]]] = []
    run = networks.run

    def watched(how: Any, windows: Any, label: Any, n: int, learn: Any, stop: Any, *rest: Any) -> Trained:
        sides.append(({*learn.tolist()}, {*stop.tolist()}))
        return run(how, windows, label, n, learn, stop, *rest)

    monkeypatch.setattr(networks, "run", watched)
    tune("composer", music, out=tmp_path / "tuned", trials=2, units=2, random_seed=3, **{**TINY, "epochs": 1})
    train("composer", music, recipe="lstm", out=tmp_path / "m", jobs=1, epochs=1, units=2, random_seed=3)
    assert len(sides) == 3 and sides[0] == sides[1] == sides[2]
    assert len(sides[0][0] | sides[0][1]) < 18, "some are left to judge by"


def test_windows_are_cut_once_for_all_trials(
    music: Path, tmp_path: Path, made_up: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fugato.train import store

    cut: list[str] = []
    prepare = store.prepare
    monkeypatch.setattr(store, "prepare", lambda *a, **k: cut.append("once") or prepare(*a, **k))
    tune("composer", music, out=tmp_path / "tuned", trials=7, **TINY)
    assert cut == ["once"] and len(made_up) == 7


def test_the_better_half_is_found_and_weak_trials_are_given_up(
    music: Path, tmp_path: Path, made_up: list[dict[str, float]]
) -> None:
    found = tune("composer", music, out=tmp_path / "tuned", trials=30, **{**TINY, "epochs": 9})
    states = Counter(t["state"] for t in found.trials)
    assert states["PRUNED"] >= 3 and states["COMPLETE"] >= 10 and sum(states.values()) == 30
    assert found.value == max(t["value"] for t in found.trials if t["state"] == "COMPLETE")
    assert found.best["units"] > 180 and 3e-4 < found.best["learning_rate"] < 4e-3
    assert all(s["units"] == int(s["units"]) for s in made_up)
    assert max(found.importance, key=lambda name: found.importance[name]) in {"units", "learning_rate"}
    assert sum(found.importance.values()) == pytest.approx(1, abs=0.01)
    plain_search = tune("composer", music, out=tmp_path / "all", trials=12, pruner="none", **TINY)
    assert {t["state"] for t in plain_search.trials} == {"COMPLETE"}
    assert tune("composer", music, out=tmp_path / "h", trials=12, pruner="hyperband", **TINY).ranked


@pytest.mark.parametrize("sampler", ["tpe", "grid"])
def test_a_search_that_was_stopped_ends_as_it_would_have(
    sampler: str, music: Path, tmp_path: Path, made_up: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**TINY, "sampler": sampler, "trials": 14, "pruner": "none"}
    whole = tune("composer", music, out=tmp_path / "whole", **options)
    run, left = networks.run, [5]

    def stops(*args: Any) -> Trained:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return run(*args)

    monkeypatch.setattr(networks, "run", stops)
    with pytest.raises(KeyboardInterrupt):
        tune("composer", music, out=tmp_path / "stopped", **options)
    assert len(json.loads((tmp_path / "stopped" / "trials.json").read_text())) == 5
    monkeypatch.setattr(networks, "run", run)
    resumed = tune("composer", music, out=tmp_path / "stopped", **options)
    assert plain(resumed) == plain(whole) and resumed.best == whole.best


def test_a_trial_that_a_kill_left_running_is_done_again(
    music: Path, tmp_path: Path, made_up: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(*args: Any) -> Trained:
        raise Killed

    run = networks.run
    monkeypatch.setattr(networks, "run", dies)
    options = {**TINY, "sampler": "grid"}
    with pytest.raises(Killed):
        tune("composer", music, out=tmp_path / "tuned", **options)
    monkeypatch.setattr(networks, "run", run)
    found = tune("composer", music, out=tmp_path / "tuned", **options)
    points = [tuple(sorted(t["params"].items())) for t in found.trials]
    assert len(points) == len(set(points)) == 24


def test_no_point_of_a_grid_is_tried_twice_and_more_trials_go_on(
    music: Path, tmp_path: Path, made_up: list[dict[str, float]]
) -> None:
    options = {**TINY, "sampler": "grid", "learning_rate": 1e-3}
    for trials, expected in ((3, 3), (5, 5), (5, 5), (None, 8), (100, 8)):
        found = tune("composer", music, out=tmp_path / "tuned", trials=trials, **options)
        assert len(found.trials) == len(made_up) == expected
    tried = {(s["units"], s["dropout"], s["batch_size"]) for s in made_up}
    assert len(tried) == 8 and {s["learning_rate"] for s in made_up} == {1e-3}


def test_other_data_or_settings_are_another_search_in_the_same_storage(
    music: Path, tmp_path: Path, made_up: list[dict[str, float]]
) -> None:
    kept = f"sqlite:///{tmp_path / 'tuning.db'}"
    for number, options in enumerate(({}, {}, {"dropout": 0.1}, {"random_seed": 1}, {"composers": ["Bach", "Joplin"]})):
        found = tune("composer", music, out=tmp_path / str(number), trials=2, storage=kept, **TINY, **options)  # type: ignore[arg-type]
        assert len(found.trials) == 2 and not (tmp_path / str(number) / "study.journal").exists()
    assert len(made_up) == 8, "the second went on with the first, which was done"


def test_a_trial_whose_loss_is_no_number_does_not_end_the_search(
    music: Path, tmp_path: Path, made_up: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = networks.run

    def breaks(how: Any, windows: Any, label: Any, n: int, learn: Any, stop: Any, settings: Any, *rest: Any) -> Trained:
        if settings["units"] == 64:
            raise FugatoError("bad-option", "The training broke down in epoch 1: its loss is no number.")
        return run(how, windows, label, n, learn, stop, settings, *rest)

    monkeypatch.setattr(networks, "run", breaks)
    found = tune("composer", music, out=tmp_path / "tuned", sampler="grid", **TINY)
    assert Counter(t["state"] for t in found.trials)["FAIL"] == 12 and found.best["units"] == 128


def test_the_linear_model_is_tuned_over_folds_of_works_on_one_gram_matrix(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fugato.recipes import ngram_linear

    made: list[int] = []
    gram = ngram_linear.Prepared.gram
    compute = gram.func
    monkeypatch.setattr(gram, "func", lambda self: made.append(1) or compute(self))
    found = tune("composer", music, out=tmp_path / "tuned", trials=6, jobs=1)
    assert made == [1] and found.measure == "balanced accuracy over pieces, 5-fold over works"
    assert (
        found.best.keys() == {"penalty", "work_power", "class_power", "played_weight", "excerpt_weight"}
        and found.value > 0.4
    )
    model = train("composer", music, out=tmp_path / "m", tuned=tmp_path / "tuned", jobs=1)
    assert load_model(model).card.made["settings"] == found.best


# -- pictures and a shell --------------------------------------------------------------------------------------------------


def test_a_shell_gets_table_pictures_and_the_command_that_goes_on(
    music: Path, tmp_path: Path, made_up: list[dict[str, float]]
) -> None:
    out = tmp_path / "tuned"
    arguments = ["tune", "composer", str(music), "--recipe", "lstm", "--out", str(out), "--trials", "12", "--jobs", "1"]
    result = RUNNER.invoke(app, [*arguments, "--epochs", "6", "--set", "batch_size=32", "--budget", "small"])
    assert result.exit_code == 0, result.stderr
    shown = json.loads(result.stdout)
    assert shown["trials"] == 12 and shown["settings"]["batch_size"] == 32 and "epochs" not in shown["settings"]
    command = read_tuned(out).command
    assert command in result.stderr and "--budget small --set batch_size=32 --set units=" in command
    page = (out / "tuning.md").read_text(encoding="utf-8")
    assert page.count("\n| ") >= 8 and command in page
    names = {"history.png", "importance.png", *(f"slice-{n}.png" for n in ("units", "dropout", "learning_rate", "l2"))}
    assert names <= {p.name for p in out.iterdir()} and all((out / n).stat().st_size > 3000 for n in names)


@pytest.mark.parametrize(
    ("options", "epochs"),
    [(["--epochs", "6"], 6), (["--set", "epochs=5"], 5), (["--epochs", "6", "--set", "epochs=5"], 6)],
)
def test_epochs_may_be_set_in_either_way(
    options: list[str], epochs: int, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def searched(*_: Any, **given: Any) -> Any:
        asked.update(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("fugato.train.tune"), "tune", searched)
    arguments = ["tune", "composer", str(music), "--recipe", "lstm", "--out", str(tmp_path / "tuned"), *options]
    RUNNER.invoke(app, arguments)
    assert asked["epochs"] == epochs


def test_a_terminal_gets_a_table(
    music: Path, tmp_path: Path, made_up: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fugato.cli.tune.is_table", lambda as_json: not as_json)
    monkeypatch.chdir(tmp_path)
    arguments = [
        "tune",
        "composer",
        str(music),
        "--recipe",
        "lstm",
        "--sampler",
        "grid",
        "--trials",
        "4",
        "--jobs",
        "1",
    ]
    result = RUNNER.invoke(app, [*arguments, "--top", "3"], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.stderr
    assert "rank" in result.stdout and "learning_rate" in result.stdout and len(result.stdout.splitlines()) < 10
    assert (tmp_path / "tuned-lstm" / "history.png").is_file()


def test_pictures_of_one_trial_and_of_none_that_ended(tmp_path: Path) -> None:
    one = {"number": 0, "value": 0.5, "params": {"units": 4}, "state": "COMPLETE", "seconds": 1.0}
    lost = {"number": 1, "value": None, "params": {"units": 8}, "state": "FAIL", "seconds": None}
    for trials in ((one,), (lost,), (one, lost)):
        found = Tuned("composer", "lstm", "full", "m", 0, "tpe", "accuracy", {}, {}, {}, None, {}, trials)
        assert tuning.write(found, tmp_path) == ["tuning.md", "history.png"]
    rng = np.random.default_rng(0)
    many = tuple(
        {**one, "number": i, "value": v, "params": {"l2": 10**-v}} for i, v in enumerate(rng.uniform(0, 5, 40))
    )
    found = Tuned("composer", "lstm", "full", "m", 0, "tpe", "accuracy", {}, {}, {}, None, {"l2": 1.0}, many)
    assert tuning.write(found, tmp_path) == ["tuning.md", "history.png", "importance.png", "slice-l2.png"]


# -- wrong use -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"recipe": "magic"}, "no recipe 'magic'"),
        ({"sampler": "luck"}, "no sampler 'luck'; choose tpe or grid"),
        ({"pruner": "axe"}, "no pruner 'axe'"),
        ({"trials": 0}, "trials is 0"),
        ({"epochs": 3}, "ngram-linear has no epochs"),
        ({"recipe": "lstm", "budget": "tiny"}, "no budget 'tiny'"),
        ({"penality": 1.0}, "no setting penality"),
        ({"recipe": "pianoroll-cnn", "dropout": 0.1, "learning_rate": 0.1}, "none is left to search"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(
    options: dict[str, Any], words: str, music: Path, tmp_path: Path
) -> None:
    with pytest.raises(FugatoError, match=words) as caught:
        tune("composer", music, out=tmp_path / "tuned", **options)
    assert caught.value.kind == "bad-option" and not (tmp_path / "tuned").exists()


@pytest.mark.parametrize(
    "storage", ["oracle9i://nobody", "nonsense://x", "sqlite:////nowhere/at/all.db", "/nowhere/at/all"]
)
def test_a_storage_that_cannot_be_opened_is_named(
    storage: str, music: Path, tmp_path: Path, made_up: list[dict[str, float]]
) -> None:
    with pytest.raises(FugatoError, match="trials cannot be kept there") as caught:
        tune("composer", music, out=tmp_path / "tuned", trials=1, storage=storage, **TINY)
    assert caught.value.kind == "bad-option" and caught.value.input == storage


def test_a_folder_that_tune_did_not_make_is_refused(music: Path, tmp_path: Path) -> None:
    for content in (None, "{", "[]", '{"task": 1}'):
        if content is not None:
            (tmp_path / "tuned.json").write_text(content)
            (tmp_path / "trials.json").write_text("[]")
        with pytest.raises(FugatoError, match="no folder that  fugato tune  made") as caught:
            train("composer", music, out=tmp_path / "m", tuned=tmp_path)
        assert caught.value.kind == "bad-data"
    result = RUNNER.invoke(
        app, ["train", "composer", str(music), "--tuned", str(tmp_path), "--out", str(tmp_path / "m")]
    )
    assert result.exit_code == 2 and "fugato tune" in result.stderr


def test_a_database_that_another_process_is_setting_up_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import optuna
    import sqlalchemy

    from fugato.train import tune as module

    asked: list[int] = []
    create = optuna.create_study

    def busy(**options: Any) -> Any:
        asked.append(1)
        if len(asked) < 3:
            raise sqlalchemy.exc.IntegrityError("CREATE TABLE", {}, Exception("it is there"))
        return create(**{**options, "storage": None})

    monkeypatch.setattr(module.optuna, "create_study", busy)
    monkeypatch.setattr(module, "ASKED_AGAIN", 0.0)
    assert module._created("postgresql://", "a", None) is not None and len(asked) == 3
    monkeypatch.setattr(module, "TIMES_ASKED", 2)
    asked.clear()
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        module._created("postgresql://", "b", None)
