"""A model that composes is reported on composer by composer, and its settings are searched on works that it is not judged by."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs the extra train")
pytest.importorskip("optuna", reason="tuning needs the extra train")

from typer.testing import CliRunner

from fugato.cli.app import app
from fugato.errors import FugatoError
from fugato.models import load_model
from fugato.read import read
from fugato.recipes import COMPOSE, recipe
from fugato.study.compose_systems import has_learnt
from fugato.study.report_compose import report_compose
from fugato.train import phrases as ph
from fugato.train.compose import chosen_pieces, train_compose
from fugato.train.tune import space, tune

from .music_styles import write_collection

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def packed(styled_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The steps of the collection."""
    folder = tmp_path_factory.mktemp("packed") / "phrases"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUGATO_HOME", str(folder.parent / "home"))
        ph.prepare(chosen_pieces(styled_folder, jobs=1), folder, jobs=1)
    return folder


@pytest.fixture(scope="module")
def chain(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_compose(packed, recipe="markov", out=tmp_path_factory.mktemp("chain") / "markov", order=2.0)


def test_only_works_left_out_are_judged_where_it_learnt_from_the_collection(
    packed: Path, chain: Path, tmp_path: Path
) -> None:
    phrases = ph.load(packed)
    assert has_learnt(load_model(chain).card, phrases)
    written = report_compose(chain, packed, tmp_path / "report")
    values = json.loads((tmp_path / "report" / "report.json").read_text())
    assert values == json.loads(json.dumps(written.to_dict()))
    assert values["all"]["pieces"] == len(phrases.of("test")) < len(phrases.pieces)
    assert "the works that it was judged by" in values["remarks"][0]
    assert values["all"]["interval"][0] <= values["all"]["nats"] <= values["all"]["interval"][1]
    assert math.isclose(sum(values["all"]["by"].values()), values["all"]["nats"], abs_tol=1e-3)
    assert sum(row["pieces"] for row in values["composers"].values()) == values["all"]["pieces"]
    page = (tmp_path / "report" / "report.md").read_text()
    for example in values["examples"]:
        assert example["midi"] in page and example["picture"] in page
        score = read(tmp_path / "report" / example["midi"])
        assert len(score.bars) > 16, "the seed and sixteen bars"
        assert (tmp_path / "report" / example["picture"]).stat().st_size > 1000


def test_other_music_is_judged_whole_and_a_style_is_told_apart(
    small_composer: Path, tmp_path: Path, fugato_home: Path
) -> None:
    music = write_collection(tmp_path / "other", range(40, 42))
    written = report_compose(small_composer, music, tmp_path / "report", notes=60, jobs=1)
    values = written.values
    assert values["all"]["pieces"] == 6 and "another collection" in values["remarks"][0]
    assert values["all"]["nats_without_style"] > 0 and set(values["composers"]) == {"Bach", "Chopin", "Joplin"}
    assert (tmp_path / "report" / "learning.png").is_file(), "the model has its history"
    assert "| without the style |" in (tmp_path / "report" / "report.md").read_text()
    assert [e["style"] for e in values["examples"]] == ["Bach", "Chopin", "Joplin"]
    with pytest.raises(FugatoError) as caught:
        report_compose(small_composer, music, small_composer / "report")
    assert caught.value.kind == "bad-output"


def test_the_command_writes_the_report(packed: Path, chain: Path, tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["report", str(chain), str(packed), "--out", str(tmp_path / "report"), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["all"]["nats"] > 0 and told["folder"] == str(tmp_path / "report")


def test_settings_of_a_recipe_that_composes_are_searched(packed: Path, tmp_path: Path) -> None:
    found = tune("compose", packed, recipe="markov", out=tmp_path / "tuned", sampler="grid", trials=2)
    assert len(found.ranked) == 2 and found.value == found.ranked[0]["value"] < 0
    assert found.command.startswith("fugato train compose") and "--set order=" in found.command
    again = tune("compose", packed, recipe="markov", out=tmp_path / "tuned", sampler="grid", trials=3)
    assert [t["value"] for t in again.trials[:2]] == [t["value"] for t in found.trials], "it goes on"
    assert not list((tmp_path / "tuned").glob("*training*"))
    with pytest.raises(FugatoError) as caught:
        tune("compose", packed, recipe="markov", out=tmp_path / "tuned", epochs=3)
    assert caught.value.kind == "bad-option" and "no epochs" in caught.value.message
    with pytest.raises(FugatoError) as caught:
        tune("genre", packed, recipe="markov", out=tmp_path / "tuned")
    assert caught.value.kind == "bad-option"


def test_a_network_that_composes_is_tuned_and_its_widths_fit_its_heads(packed: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "layers": 1,
        "units": 64,
        "head_units": 32,
        "batch_size": 2,
        "min_works": 3,
        "dropout": 0.0,
    }
    options: dict[str, Any] = {"budget": "small", "epochs": 1, "trials": 1, **settings}
    found = tune("compose", packed, recipe="remi-transformer", out=tmp_path / "tuned", **options)
    assert set(found.best) == {"learning_rate"} and -30 < (found.value or 0) < 0
    for name in COMPOSE:
        how = recipe("compose", name)
        for setting, searched in space(how).items():
            assert searched.low < searched.high and setting in how.DEFAULTS
            how.check({setting: searched.steps()[1]})
    assert all(step % 64 == 0 for step in space(recipe("compose", "remi-transformer"))["units"].steps())


def test_the_command_tunes(packed: Path, tmp_path: Path) -> None:
    arguments = [
        "tune",
        "compose",
        str(packed),
        "--recipe",
        "markov",
        "--trials",
        "2",
        "--out",
        str(tmp_path / "tuned"),
        "--json",
    ]
    done = RUNNER.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["recipe"] == "markov" and (tmp_path / "tuned" / "tuning.md").is_file()
