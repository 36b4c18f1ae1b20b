"""Settings of genre recipes are searched on recordings heard once, on artists that no network is judged by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("optuna", reason="tuning needs the extra train")
pytest.importorskip("lightning", reason="tuning needs the extra train")


from fugato.cli.app import app
from fugato.errors import FugatoError
from fugato.metrics import balanced_accuracy
from fugato.models import load_model
from fugato.recipes import GENRE, mel_covariance, recipe
from fugato.recipes.passages import load_passages
from fugato.train import networks, train
from fugato.train.genre import split_of
from fugato.train.judge import cross_validate
from fugato.train.loop import Trained
from fugato.train.tune import grid, space, tune
from fugato.train.tuned import read_tuned

from .music_styles import write_collection
from .sound_files import write_genres

RUNNER = CliRunner()
WHOLE = {"copies"}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three genres with five recordings each."""
    return write_genres(tmp_path_factory.mktemp("sounds"), each=5, seconds=4.0)


@pytest.mark.parametrize("name", GENRE)
def test_every_recipe_says_in_what_its_settings_are_searched(name: str) -> None:
    how = recipe("genre", name)
    found = space(how)
    assert found
    for setting, values in found.items():
        assert values.low < values.high
        if name != "mel-cnn":  # where width is a number of filters
            assert values.whole == (setting in WHOLE)
        how.check({setting: values.low})
        how.check({setting: values.high})
    logs = [found[s].log for s in found if s in {"learning_rate", "l2", "penalty", "shrinkage", "gamma"}]
    assert logs and all(logs)
    for setting, choices in grid(how).items():
        for value in choices:
            how.check({setting: value})


def test_recordings_are_described_once_and_the_model_takes_what_was_found(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described: list[float] = []
    prepare = mel_covariance.prepare

    def counted(*args: Any, **settings: Any) -> Any:
        described.append(settings.get("copies", -1))
        return prepare(*args, **settings)

    monkeypatch.setattr(mel_covariance, "prepare", counted)
    monkeypatch.setattr(mel_covariance, "SPACE", {"copies": (0, 2), "shrinkage": (0.25, 16.0)})
    found = tune("genre", sounds, out=tmp_path / "tuned", trials=4)
    assert described == [2], "with as many copies as any trial takes"
    assert found.recipe == "mel-covariance" and found.measure == "balanced accuracy, 5-fold over artists or recordings"
    assert found.best.keys() == {"copies", "shrinkage"} and found.value is not None and found.value > 0.6
    assert all(t["params"]["copies"] in (0, 1, 2) for t in found.trials) and len(found.trials) == 4
    assert not (tmp_path / "tuned.training").exists()
    model = load_model(train("genre", sounds, out=tmp_path / "m", tuned=tmp_path / "tuned", copies=0))
    assert model.card.made["settings"] == {**found.best, "copies": 0}, "what is said by hand goes before"
    assert model.json("trials") == list(found.trials)


def test_fewer_copies_are_the_first_of_more(sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value of a trial is the one that it would have had alone, whatever the others are prepared for."""
    monkeypatch.setattr(mel_covariance, "GRID", {"copies": (0, 1, 2)}, raising=False)
    tried = tune("genre", sounds, out=tmp_path / "two", sampler="grid", shrinkage=2.0)
    values = {t["params"]["copies"]: t["value"] for t in tried.trials}
    assert values.keys() == {0, 1, 2}
    passages = load_passages(sounds, tmp_path / "passages")
    labels, groups = list(passages.genres), list(passages.groups)
    alone = mel_covariance.prepare(passages, copies=1)
    judged = cross_validate(mel_covariance, alone, labels, groups, split_of(passages, 5, 0), copies=1, shrinkage=2.0)
    assert balanced_accuracy(judged.truth, judged.logits.argmax(axis=1)) == pytest.approx(values[1])


def test_a_search_goes_on_and_tries_no_point_of_the_grid_twice(sounds: Path, tmp_path: Path) -> None:
    kept = f"sqlite:///{tmp_path / 'tuning.db'}"
    options: dict[str, Any] = {"sampler": "grid", "storage": kept, "copies": 0}
    for trials, expected in ((1, 1), (2, 2), (None, 3)):
        found = tune("genre", sounds, out=tmp_path / str(trials), trials=trials, **options)
        assert len(found.trials) == expected
    assert sorted(t["params"]["shrinkage"] for t in found.trials) == [0.25, 2.0, 16.0]


def test_no_trial_hears_the_recordings_that_the_network_is_judged_by(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: list[tuple[set[int], set[int]]] = []
    run = networks.run

    def watched(how: Any, windows: Any, label: Any, n: int, learn: Any, stop: Any, *rest: Any) -> Trained:
        sides.append(({*learn.tolist()}, {*stop.tolist()}))
        return run(how, windows, label, n, learn, stop, *rest)

    monkeypatch.setattr(networks, "run", watched)
    options: dict[str, Any] = {"recipe": "mel-cnn", "width": 4, "epoch_windows": 32, "random_seed": 3}
    found = tune("genre", sounds, out=tmp_path / "tuned", trials=2, epochs=1, **options)
    assert "artists or recordings to stop by" in found.measure and found.fixed == {"width": 4, "epoch_windows": 32}
    train("genre", sounds, tuned=tmp_path / "tuned", out=tmp_path / "m", epochs=1, random_seed=3)
    assert len(sides) == 3 and sides[0] == sides[1] == sides[2]
    assert len(sides[0][0] | sides[0][1]) < 15, "some are left to judge by"


def test_networks_that_do_not_promise_much_are_given_up(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(how: Any, windows: Any, label: Any, n: int, learn: Any, stop: Any, settings: Any, *rest: Any) -> Trained:
        history = []
        for epoch in range(1, int(settings["epochs"]) + 1):
            history.append({"epoch": epoch, "valid_accuracy": settings["dropout"] * epoch / 10, "seconds": 0.0})
            if rest[2]["watch"](epoch, history[-1]):
                break
        return Trained(None, history, len(history))

    monkeypatch.setattr(networks, "run", run)
    found = tune("genre", sounds, recipe="mfcc-cnn", out=tmp_path / "tuned", trials=16, epochs=6)
    states = [t["state"] for t in found.trials]
    assert states.count("PRUNED") >= 3 and states.count("COMPLETE") >= 5 and found.best["dropout"] > 0.4


def test_the_head_of_an_encoder_is_tuned(sounds: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the recipe needs the extra encoder")
    from .test_pretrained_encoder import save_hubert

    encoder = save_hubert(tmp_path / "hubert")
    found = tune("genre", sounds, recipe="pretrained-encoder", encoder=encoder, out=tmp_path / "tuned", sampler="grid")
    assert len(found.trials) == 3 and found.best.keys() == {"penalty"}
    assert f"--encoder {encoder}" in found.command and read_tuned(tmp_path / "tuned").encoder == str(encoder)
    made = train("genre", sounds, out=tmp_path / "m", tuned=tmp_path / "tuned")
    assert load_model(made).card.made["settings"]["penalty"] == found.best["penalty"]


def test_a_shell_tunes_trains_and_reports(sounds: Path, tmp_path: Path) -> None:
    tuned, model = tmp_path / "tuned", tmp_path / "m"
    arguments = ["tune", "genre", str(sounds), "--set", "copies=0", "--trials", "5", "--out", str(tuned)]
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    shown = json.loads(result.stdout)
    assert shown["trials"] == 5 and shown["best"].keys() == {"shrinkage"}
    assert "fugato train genre" in shown["command"] and shown["command"] in result.stderr
    assert {"tuning.md", "history.png", "slice-shrinkage.png"} <= {p.name for p in tuned.iterdir()}
    held = tmp_path / "held"
    trained = ["train", "genre", str(sounds), "--tuned", str(tuned), "--out", str(model), "--report", str(held)]
    result = RUNNER.invoke(app, trained)
    assert result.exit_code == 0, result.stderr
    result = RUNNER.invoke(app, ["report", str(model), str(sounds), "--out", str(tmp_path / "report")])
    assert result.exit_code == 0, result.stderr
    for folder in (held, tmp_path / "report"):
        assert "The best of 5 trials" in (folder / "report.md").read_text(encoding="utf-8")
        assert (folder / "tuning.png").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"recipe": "lstm"}, "no recipe 'lstm' for genre"),
        ({"recipe": "feature-table"}, "yardstick"),
        ({"recipe": "pretrained-encoder"}, "needs one"),
        ({"encoder": "somewhere"}, "needs one"),
        ({"composers": ["Bach"]}, "not for recordings"),
        ({"epochs": 3}, "mel-covariance has no epochs"),
        ({"copies": 1, "shrinkage": 1.0}, "none is left to search"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_heard(
    options: dict[str, Any], words: str, sounds: Path, tmp_path: Path
) -> None:
    with pytest.raises(FugatoError, match=words) as caught:
        tune("genre", sounds, out=tmp_path / "tuned", **options)
    assert caught.value.kind == "bad-option" and not (tmp_path / "tuned").exists()


def test_what_was_tuned_for_another_task_is_refused(sounds: Path, tmp_path: Path) -> None:
    tune("genre", sounds, out=tmp_path / "tuned", trials=1, copies=0)
    music = write_collection(tmp_path / "music", range(3))
    with pytest.raises(FugatoError, match="for the task genre"):
        train("composer", music, out=tmp_path / "m", tuned=tmp_path / "tuned")
