"""The benchmark judges every recipe on works it has not seen, next to the published way, and goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra train")

from typer.testing import CliRunner

from fugato.cli.app import app
from fugato.corpus import Corpus, Piece, load_corpus
from fugato.errors import FugatoError
from fugato.recipes import recipe
from fugato.represent.chunks import FEATURES
from fugato.study import benchmark as room
from fugato.study.benchmark import benchmark
from fugato.study.benchmark_table import markdown
from fugato.study.protocols import pieces_within, published, quarters
from fugato.train.store import Windows

from .music_styles import write_tunes

RECIPES = ("ngram-linear", "note-lstm")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs are enough to see that everything is where it belongs."""
    how = recipe("composer", "note-lstm")
    monkeypatch.setitem(how.BUDGETS, "small", {"epochs": 2, "units": 8, "learning_rate": 1e-2})
    monkeypatch.setattr(room, "HEAVY", ())


@pytest.fixture
def table(small: None, styled_folder: Path, tmp_path: Path) -> dict[str, Any]:
    return benchmark(
        "composer",
        styled_folder,
        out=tmp_path / "out",
        recipes=RECIPES,
        folds=3,
        fuse=[("ngram-linear", "note-lstm")],
        jobs=1,
    )


def test_every_recipe_has_both_protocols_with_intervals(
    table: dict[str, Any], tmp_path: Path, styled_folder: Path
) -> None:
    n = len(load_corpus(styled_folder))
    assert json.loads((tmp_path / "out" / "table.json").read_text()) == json.loads(json.dumps(table))
    for name in RECIPES:
        row = table["recipes"][name]
        low, high = row["honest"]["intervals"]["balanced_accuracy"]
        assert low <= row["honest"]["piece level"]["balanced_accuracy"] <= high
        assert row["honest"]["pieces"] == row["honest"]["of"] == n, "every piece is judged once"
        assert row["honest"]["parameters"] > 0
        assert row["honest"]["latency ms"] > 0
        assert 0 <= row["published protocol"]["accuracy"] <= 1
    assert table["recipes"]["ngram-linear"]["honest"]["piece level"]["accuracy"] > 0.6, "chance is a third"
    assert table["recipes"]["note-lstm"]["published figure"]["accuracy"] == 0.89
    fused = table["recipes"]["ngram-linear + note-lstm"]["honest"]
    assert fused["pieces"] == n
    assert fused["ngram-linear"]["accuracy"] == pytest.approx(
        table["recipes"]["ngram-linear"]["honest"]["piece level"]["accuracy"]
    )
    assert fused["together"]["accuracy"] > fused["note-lstm"]["accuracy"], "each is as sure as it is right"
    lines = markdown(table).splitlines()
    assert len(lines) == 2 + 3
    assert all(line.count("|") == lines[0].count("|") for line in lines)


def test_a_heavy_network_is_judged_on_the_first_of_the_folds_and_the_table_says_so(
    small: None, styled_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "HEAVY", ("note-lstm",))
    options: dict[str, Any] = {"out": tmp_path / "out", "recipes": RECIPES, "protocols": ("honest",), "jobs": 1}
    table = benchmark("composer", styled_folder, folds=3, fuse=[RECIPES], **options)
    linear, network = (table["recipes"][name]["honest"] for name in RECIPES)
    n = len(load_corpus(styled_folder))
    assert linear["pieces"] == n and network["pieces"] == network["of"] < n / 2
    assert table["recipes"][" + ".join(RECIPES)]["honest"]["pieces"] == network["pieces"], "those that both judged"
    assert [line.count("(one fold)") for line in markdown(table).splitlines()[2:]] == [0, 1, 0]


@pytest.fixture
def tiny_lstm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipe("composer", "lstm").BUDGETS, "small", {"epochs": 1, "units": 4})


def test_few_files_are_drawn_as_often_as_is_asked_and_windows_once(
    small: None, tiny_lstm: None, tmp_path: Path
) -> None:
    music = write_tunes(tmp_path / "music", (850,) * 8)
    names, options = ("lstm", "note-lstm"), {"protocols": ("published",), "fuse": (), "jobs": 1}
    tables = [benchmark("composer", music, out=tmp_path / "out", recipes=names, draws=n, **options) for n in (1, 3)]
    drawn = [[table["recipes"][name]["published protocol"]["accuracies"] for name in names] for table in tables]
    assert [[len(one) for one in both] for both in drawn] == [[1, 1], [3, 1]]
    assert drawn[0][0] == drawn[1][0][:1], "the first draw is the publication's"


def test_a_recipe_that_the_collection_does_not_suffice_for_costs_the_others_nothing(
    tiny_lstm: None, tmp_path: Path
) -> None:
    music = write_tunes(tmp_path / "music", (420, 120, 120, 420, 120, 120))
    options: dict[str, Any] = {"folds": 3, "draws": 2, "jobs": 1}
    table = benchmark("composer", music, out=tmp_path / "out", recipes=("lstm", "ngram-linear"), **options)
    network, linear = (table["recipes"][name] for name in ("lstm", "ngram-linear"))
    assert set(network["not measured"]) == {"published protocol", "honest"}
    assert "too short" in network["not measured"]["honest"] and "honest" not in network
    assert linear["honest"]["pieces"] == 18 and "not measured" not in linear
    assert "lstm, honest, is not measured. Its pieces are too few" in markdown(table)
    with pytest.raises(FugatoError, match="too few, or too short") as caught:
        benchmark("composer", music, out=tmp_path / "alone", recipes=("lstm",), **options)
    assert caught.value.kind == "bad-data"


def test_a_fold_without_a_long_piece_is_passed_over(tiny_lstm: None, tmp_path: Path) -> None:
    music = write_tunes(tmp_path / "music", (420,) * 4 + (120,) * 12)
    table = benchmark(
        "composer", music, out=tmp_path / "out", recipes=("lstm",), protocols=("honest",), folds=16, jobs=1
    )
    honest = table["recipes"]["lstm"]["honest"]
    assert honest["pieces"] == 12 < honest["of"] == 48
    assert len(list((tmp_path / "out" / "lstm" / "honest").glob("*/result.npz"))) <= 12, "of 16 folds"


def test_a_second_run_trains_nothing_again(
    table: dict[str, Any], styled_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was trained already")

    monkeypatch.setattr(room.networks, "run", never)
    monkeypatch.setattr(room, "fit", never)
    again = benchmark(
        "composer",
        styled_folder,
        out=tmp_path / "out",
        recipes=RECIPES,
        folds=3,
        fuse=[("ngram-linear", "note-lstm")],
        jobs=1,
    )
    assert again == table
    with pytest.raises(AssertionError, match="trained already"):  # other folds are other trainings
        benchmark("composer", styled_folder, out=tmp_path / "out", recipes=("note-lstm",), folds=2, jobs=1)


def test_mixed_chunks_hold_notes_of_many_pieces_of_one_composer_and_of_one_side() -> None:
    rng = np.random.default_rng(0)
    n_pieces, size = 40, 200
    rows = np.zeros((n_pieces * 2 * size, len(FEATURES)), np.float32)
    rows[:, FEATURES.index("start")] = np.tile(np.arange(2 * size), n_pieces)
    rows[:, 0] = np.repeat(np.arange(n_pieces), 2 * size)  # the piece, in place of the pitch
    pieces = tuple(Piece(id=f"{i}", path=f"{i}.mid", composer="AB"[i % 2]) for i in range(n_pieces))
    starts = np.arange(n_pieces * 2, dtype=np.int64) * size
    windows = Windows("note-chunks", pieces, (), rows, starts, np.repeat(np.arange(n_pieces), 2))
    sides = published("mixed-chunks", windows, [p.composer for p in pieces], ("A", "B"), seed=int(rng.integers(9)))
    owners = []
    for side in sides:
        taken = side.windows.take(side.which)[..., 0].astype(int)
        for window, name in zip(taken, side.label, strict=True):
            assert {piece % 2 for piece in window} == {name}, "one composer"
            assert len(set(window.tolist())) > 1, "many pieces"
        assert pieces_within(windows, side).tolist() == [len(set(window.tolist())) for window in taken]
        owners.append(set(np.unique(taken).tolist()))
    assert not owners[0] & owners[2], "files were split before"
    assert sum(len(side) for side in sides) == len(starts)


def test_accuracy_is_shown_along_the_windows_of_a_composer() -> None:
    truth = np.repeat([0, 1], 8)
    named = np.where(np.arange(16) % 8 < 6, truth, 1 - truth)  # the last quarter of each is wrong
    draw = {"truth": truth, "named": named, "pieces": np.tile([4, 4, 3, 3, 2, 2, 1, 1], 2)}
    assert quarters([draw]) == {
        "accuracy": [1.0, 1.0, 1.0, 0.0],
        "lowest": [1.0, 1.0, 1.0, 0.0],
        "pieces a window": [4.0, 3.0, 2.0, 1.0],
    }


def test_random_windows_put_a_piece_on_all_sides() -> None:
    pieces = tuple(Piece(id=f"{i}", path=f"{i}.mid", composer="AB"[i % 2]) for i in range(4))
    piece = np.repeat(np.arange(4), 50)
    windows = Windows("pianoroll", pieces, (), np.zeros((700, 128), np.uint8), np.arange(200), piece)
    sides = published("random-windows", windows, [p.composer for p in pieces], ("A", "B"), windows_per_composer=80)
    assert [len(side) for side in sides] == [128, 16, 16]
    assert len(np.unique(np.concatenate([side.which for side in sides]))) == 160, "no window twice"
    assert set(piece[sides.judge.which]) == set(piece[sides.learn.which]) == {0, 1, 2, 3}


def test_a_collections_own_folders_are_judged_apart(small: None, styled_folder: Path, tmp_path: Path) -> None:
    side = ("train", "train", "dev", "test")
    filed = Corpus(
        (replace(piece, split=side[i % 4]) for i, piece in enumerate(load_corpus(styled_folder))),
        "filed",
    )
    table = benchmark("composer", filed, out=tmp_path / "out", recipes=RECIPES, protocols=("filed",), jobs=1)
    for name in RECIPES:
        found = table["recipes"][name]["filed"]
        assert found["pieces"] == sum(i % 4 == 3 for i in range(len(filed))) and 0 <= found["accuracy"] <= 1
    assert table["recipes"]["ngram-linear"]["filed"]["accuracy"] > 0.6, "chance is a third"
    assert "window accuracy" in table["recipes"]["note-lstm"]["filed"]
    with pytest.raises(FugatoError, match="no folders train, dev and test"):
        benchmark("composer", styled_folder, out=tmp_path / "out", recipes=RECIPES, protocols=("filed",), jobs=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"recipes": ("nothing",)}, "no recipe 'nothing'"),
        ({"protocols": ("kind",)}, "no protocol kind"),
        ({"draws": 0}, "draws is 0"),
        ({"folds": 1}, "at least 2"),
        ({"composers": ("Bach",)}, "only one composer"),
    ],
)
def test_wrong_options_are_named(styled_folder: Path, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(FugatoError, match=words):
        benchmark("composer", styled_folder, out=tmp_path / "out", **{"recipes": RECIPES, **options})


def test_in_a_shell(small: None, styled_folder: Path, tmp_path: Path) -> None:
    arguments = ["benchmark", "composer", str(styled_folder), "--out", str(tmp_path / "b"), "--recipes", "ngram-linear"]
    result = CliRunner().invoke(app, [*arguments, "--folds", "2", "--protocols", "honest"])
    assert result.exit_code == 0, result.stderr
    shown = json.loads(result.stdout)
    assert shown["recipes"]["ngram-linear"]["honest"]["protocol"] == "2-fold over works"
    missing = CliRunner().invoke(app, [*arguments, "--only", "nowhere"])
    assert missing.exit_code == 2


def test_a_corpus_in_memory_is_taken_too(small: None, styled_folder: Path, tmp_path: Path) -> None:
    corpus = load_corpus(styled_folder)
    some = Corpus(list(corpus)[::2], "half")
    table = benchmark(
        "composer", some, out=tmp_path / "o", recipes=("ngram-linear",), protocols=("honest",), folds=2, jobs=1
    )
    assert table["pieces"] == len(some)
