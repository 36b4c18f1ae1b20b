"""A collection in, a model with honest figures out; what cannot be used is named, and what is asked wrongly refused at once."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("scipy", reason="training needs the extra train")

import fugato
from fugato.cli.app import app
from fugato.corpus import grouped_kfold, load_corpus, work_groups
from fugato.errors import FugatoError
from fugato.models import load_model
from fugato.recipes import ngram_linear
from fugato.train.composer import NOT_FOR_SALE, select, train, usable
from fugato.train.judge import Judged, cross_validate, known_threshold

from .music_files import midi_of
from .music_styles import COMPOSERS, styled, write_collection

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def at_home(fugato_home: Path) -> None:
    """Nothing is kept between the tests."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three composers with five pieces each."""
    return write_collection(tmp_path / "music", range(5))


def checksums(model: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in model.iterdir() if p.name != "card.json"}


def indexed(folder: Path, **columns: Any) -> Path:
    """An index of a folder; a column is a function of composer and number."""
    rows = [",".join(["path", "composer", *columns])]
    for i, path in enumerate(sorted(folder.rglob("*.mid"))):
        more = [column(path.parent.name, i) for column in columns.values()]
        rows.append(",".join([path.relative_to(folder).as_posix(), path.parent.name, *more]))
    (folder / "index.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "index.csv"


# -- the card ----------------------------------------------------------------------------------------------------------


def test_the_card_says_what_the_model_is_worth_and_how_that_was_measured(small_model: Path) -> None:
    card = load_model(small_model).card
    assert card.labels == dict.fromkeys(sorted(COMPOSERS), 12) and card.recipe == "ngram-linear"
    figures = {figure["name"]: figure for figure in card.figures}
    assert {"balanced_accuracy", "accuracy", "macro_f1", "ece", "majority_accuracy"} <= figures.keys()
    for name in ("balanced_accuracy", "accuracy", "macro_f1"):
        low, high = figures[name]["interval"]
        assert 0 <= low <= figures[name]["value"] <= high <= 1
        assert figures[name]["protocol"] == "5-fold over works (no work on two sides), whole pieces"
        assert figures[name]["n"] == 36
    assert figures["balanced_accuracy"]["value"] > 0.6, "chance is a third"
    assert figures["majority_accuracy"]["value"] == pytest.approx(1 / 3, abs=1e-3)
    assert card.calibration["temperature"] > 0 and 0 < card.calibration["known_threshold"] < 1
    assert card.made["random_seed"] == 0 and card.made["unreadable"] == 0 and card.limits
    assert card.corpora == ({"name": "folder", "licence": "unstated", "pieces": 36},)


def test_the_model_folder_holds_every_figure(small_model: Path) -> None:
    figures = load_model(small_model).json("figures")
    assert figures["pieces"] == 36 and figures["groups"] == 36 and figures["bootstrap"]["over"] == "groups"
    assert set(figures["per_class"]) == set(COMPOSERS) and np.sum(figures["confusion"]) == 36


def test_weights_from_music_that_is_not_for_sale_are_not_for_sale(folder: Path, tmp_path: Path) -> None:
    def licence(composer: str, i: int) -> str:
        return "CC BY-NC-SA 4.0" if composer == "Joplin" else "CC0 1.0"

    index = indexed(folder, licence=licence, corpus=lambda composer, i: "maestro" if composer == "Joplin" else "own")
    card = load_model(train("composer", index, out=tmp_path / "model", jobs=1)).card
    assert card.licence == "CC BY-NC-SA 4.0"
    assert {(c["name"], c["licence"], c["pieces"]) for c in card.corpora} == {
        ("maestro", "CC BY-NC-SA 4.0", 5),
        ("own", "CC0 1.0", 10),
    }
    free = train("composer", index, out=tmp_path / "free", jobs=1, without=["maestro"])
    card = load_model(free).card
    assert (
        card.licence == "Apache-2.0" and set(card.labels) == {"Bach", "Chopin"} and card.made["without"] == ["maestro"]
    )


# -- honesty -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("licence", "bars"),
    [
        ("CC BY-NC-SA 4.0", True),
        ("cc-by-nc-4.0", True),
        ("free, some encodings not for commercial use", True),
        ("Non-commercial use only", True),
        ("CC BY-SA 4.0", False),
        ("public domain", False),
        ("unstated", False),
    ],
)
def test_a_licence_that_bars_trade_is_known_by_its_words(licence: str, bars: bool) -> None:
    assert bool(NOT_FOR_SALE.search(licence)) is bars


def test_the_same_seed_makes_the_same_model(folder: Path, tmp_path: Path) -> None:
    first = train("composer", folder, out=tmp_path / "first", jobs=1, random_seed=3)
    again = train("composer", folder, out=tmp_path / "again", jobs=2, random_seed=3, name="first")
    assert checksums(first) == checksums(again)
    cards = [load_model(m).card.to_dict() for m in (first, again)]
    for card in cards:
        card["made"].pop("seconds")
    assert cards[0] == cards[1]


def test_no_work_is_learnt_from_and_judged(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every piece is there a second time, transposed and in another tempo, under a name of its own."""
    for path in sorted(folder.rglob("*.mid")):
        score = fugato.read(path)
        number = re.findall(r"\d+", path.stem)[0]
        path.with_name(f"other name {number}.mid").write_bytes(midi_of(score.transpose(2), ticks=192, qpm=71))
    seen: list[tuple[set[str], set[str]]] = []
    fit = ngram_linear.fit

    def watched(prepared: Any, rows: Any, labels: Any, groups: Any, **settings: float) -> Any:
        music = [p.composer + re.findall(r"\d+", Path(p.path).stem)[0] for p in prepared.pieces]
        seen.append(({music[r] for r in rows}, {music[r] for r in set(range(len(music))) - set(rows.tolist())}))
        return fit(prepared, rows, labels, groups, **settings)

    monkeypatch.setattr(ngram_linear, "fit", watched)
    model = train("composer", folder, out=tmp_path / "model", jobs=1)
    assert load_model(model).json("figures")["groups"] == 15, "thirty files, fifteen works"
    assert len(seen) == 6, "five folds, and everything"
    assert all(not learnt & judged for learnt, judged in seen)
    assert not seen[-1][1] and all(judged for _, judged in seen[:-1])


def test_copies_do_not_flatter_the_figures(tmp_path: Path) -> None:
    """Music without any style, so that only a copy could be recognised: ten works, each in three files."""
    root = tmp_path / "music"
    for i in range(10):
        composer = ("Bach", "Chopin")[i % 2]
        (root / composer).mkdir(parents=True, exist_ok=True)
        score = styled("Joplin", 500 + i)
        for copy in range(3):
            data = midi_of(score.transpose(copy), ticks=96 * (copy + 1), velocities=(30 + copy,))
            (root / composer / f"{'abc'[copy]} {hashlib.md5(bytes([i, copy])).hexdigest()}.mid").write_bytes(data)
    figures = load_model(train("composer", root, out=tmp_path / "model", jobs=1)).json("figures")
    assert figures["groups"] == 10 and figures["accuracy"] < 0.85


def test_a_piece_whose_composer_could_not_be_named_says_nothing_about_the_temperature() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 20)
    logits = rng.normal(0, 1, (40, 2)).astype(np.float32)
    logits[np.arange(40), truth] += 1
    judged = Judged(("A", "B"), truth, np.arange(40), np.arange(40) % 5, logits)
    absent = logits.copy()
    absent[0, 0] = -1e9
    other = Judged(("A", "B"), truth, np.arange(40), np.arange(40) % 5, absent)
    assert other.temperature == pytest.approx(judged.temperature, rel=0.2)
    assert other.probabilities()[0].tolist() == [0, 1]


def test_the_threshold_lets_nine_in_ten_of_the_known_through() -> None:
    table = np.random.default_rng(0).dirichlet([0.3] * 5, 1000)
    assert (table.max(axis=1) >= known_threshold(table)).mean() == pytest.approx(0.9, abs=0.01)


def test_every_piece_is_judged_once_by_a_model_that_did_not_see_it(folder: Path) -> None:
    corpus = load_corpus(folder)
    works = work_groups(corpus, jobs=1)
    prepared = ngram_linear.prepare(corpus.with_groups(works), jobs=1)
    split = grouped_kfold(corpus.labels, works, 3, 0, ids=corpus.ids)
    told: list[tuple[int, int]] = []
    judged = cross_validate(ngram_linear, prepared, corpus.labels, works, split, progress=lambda *a: told.append(a))
    assert told == [(1, 3), (2, 3), (3, 3)]
    rows = np.arange(len(corpus))
    everything = ngram_linear.fit(prepared, rows, np.array(corpus.labels), np.array(works)).logits(prepared, rows)
    assert np.isfinite(judged.logits).all()
    own = judged.logits[rows, judged.truth]
    assert (own < everything[rows, judged.truth]).mean() > 0.9, "a piece seldom fits as well as when it is learnt"
    assert (everything.argmax(axis=1) == judged.truth).all()


# -- what is left out ----------------------------------------------------------------------------------------------------


def test_what_cannot_be_used_is_named_and_the_rest_is_trained_on(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "Bach" / "broken.mid").write_bytes(b"MThd and no more")
    (folder / "Bach" / "letter.mid").write_bytes(b"Dear Sir")
    (folder / "Field").mkdir()
    shutil.copy(folder / "Bach" / "piece 0.mid", folder / "Field" / "nocturne.mid")
    (folder / "Satie").mkdir()
    for i in range(4):
        (folder / "Satie" / f"{i}.mid").write_bytes(b"MThd")
    (folder / "Sor").mkdir()
    for i in range(3):
        (folder / "Sor" / f"copy {i}.mid").write_bytes(midi_of(styled("Bach", 77), ticks=96 * (i + 1)))
    (folder / "Weber").mkdir()
    (folder / "readme.txt").write_text("hello")
    with caplog.at_level(logging.WARNING, "fugato.train"):
        card = load_model(train("composer", folder, out=tmp_path / "model", jobs=1)).card
    assert card.labels == {"Bach": 5, "Chopin": 5, "Joplin": 5} and card.made["unreadable"] == 6
    said = "\n".join(record.getMessage() for record in caplog.records)
    for words in (
        "passed over (2): readme.txt (not music: .txt), Weber (an empty folder)",
        "with fewer than 3 files: Field (1)",
        "(5 corrupt, 1 not-music)",
        "broken.mid",
        "and 1 more",
        "fewer than 3 files that can be read: Satie (0)",
        "one work only, so that none could be held out: Sor (3 files)",
    ):
        assert words in said, said


def test_composers_and_corpora_are_chosen(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    index = indexed(folder, corpus=lambda c, i: "asap", domain=lambda c, i: "performance" if i % 5 == 4 else "score")
    corpus = load_corpus(index)
    assert set(select(corpus, composers=["Joplin", "J. S. Bach"]).composers()) == {"Joplin", "Bach"}
    assert len(select(corpus, composers=["shipped"])) == 15
    assert len(select(corpus, without=["asap:performance"])) == 12
    with caplog.at_level(logging.WARNING, "fugato.train"):
        select(corpus, without=["maestro"])
    assert "nothing of 'maestro' to leave out" in caplog.text
    with pytest.raises(FugatoError, match="There is nothing by Mozart in it; it has Bach, Chopin, Joplin") as caught:
        select(corpus, composers=["Bach", "Mozart"])
    assert caught.value.kind == "bad-option"
    for options in ({"composers": ["Bach"]}, {"without": ["asap"]}):
        with pytest.raises(FugatoError, match="two are needed to tell them apart") as caught:
            select(corpus, **options)  # type: ignore[arg-type]
        assert caught.value.kind == "bad-data"


def test_works_kept_for_showing_are_not_learnt_in_any_edition(folder: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown.mid"
    shown.write_bytes(midi_of(styled("Chopin", 2).transpose(3), ticks=96, qpm=50))
    card = load_model(train("composer", folder, out=tmp_path / "model", jobs=1, apart_from=[shown])).card
    assert card.labels == {"Bach": 5, "Chopin": 4, "Joplin": 5} and card.made["apart_from"] == ["shown.mid"]


def test_one_work_a_composer_is_not_enough(folder: Path) -> None:
    corpus = load_corpus(folder)
    one = corpus.with_groups([p.composer for p in corpus])
    with pytest.raises(FugatoError, match="3 files of 2 works") as caught:
        usable(one.pieces, one)
    assert caught.value.kind == "bad-data"


# -- wrong use, in Python and in a shell -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"recipe": "magic"}, "bad-option", "no recipe 'magic'"),
        ({"penality": 1.0}, "bad-option", "no setting penality"),
        ({"folds": 1}, "bad-option", "folds is 1"),
        ({"jobs": 0}, "bad-option", "jobs is 0"),
        ({"random_seed": -1}, "bad-option", "random_seed is -1"),
        ({"composers": ["Nobody"]}, "bad-option", "nothing by Nobody"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], kind: str, words: str
) -> None:
    monkeypatch.setattr(sys.modules["fugato.train.composer"], "work_groups", None)
    with pytest.raises(FugatoError, match=words) as caught:
        train("composer", folder, out=tmp_path / "model", **options)
    assert caught.value.kind == kind and not (tmp_path / "model").exists()


def test_a_folder_that_holds_something_else_is_left_alone_and_refused_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["fugato.train.composer"], "load_corpus", None)
    for out in (folder, folder / "Bach" / "piece 0.mid", folder / "Bach" / "piece 0.mid" / "model"):
        with pytest.raises(FugatoError) as caught:
            train("composer", folder, out=out)
        assert caught.value.kind == "bad-output"
    assert len(list(folder.rglob("*.mid"))) == 15


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--folds", "1"], "at least 2"),
        (["--jobs", "0"], "--jobs"),
        (["--recipe", "magic"], "no recipe 'magic'"),
        (["--set", "penality=1"], "no setting penality"),
        (["--set", "jobs=3"], "no setting jobs"),
        (["--set", "penalty"], "KEY=VALUE"),
        (["--set", "penalty=much"], "must be a number, not 'much'"),
        (["--set", "penalty=1", "--set", "penalty=2"], "penalty twice"),
        (["--set", "penalty=-1"], "above 0"),
        (["--composers", "Bach,Nobody"], "nothing by Nobody"),
        (["--composers", "Bach"], "only one composer"),
    ],
)
def test_wrong_use_in_a_shell_is_status_2_and_one_sentence(
    folder: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    result = RUNNER.invoke(app, ["train", "composer", str(folder), "--out", str(tmp_path / "model"), *arguments])
    assert (result.exit_code, words in result.stderr) == (2, True), result.stderr
    assert result.stdout == "" and not (tmp_path / "model").exists()


def test_a_shell_gets_the_card_and_hears_what_was_left_out(folder: Path, tmp_path: Path) -> None:
    (folder / "Bach" / "broken.mid").write_bytes(b"MThd and no more")
    out = tmp_path / "model"
    arguments = ["train", "composer", str(folder), "--out", str(out), "--composers", "Bach,Joplin", "--jobs", "1"]
    arguments += ["--set", "penalty=2", "--folds", "3", "--random-seed", "4"]
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    card = json.loads(result.stdout)
    assert list(card["labels"]) == ["Bach", "Joplin"] and card["folder"] == str(out)
    assert card["made"]["settings"]["penalty"] == 2 and card["made"]["random_seed"] == 4
    assert card["figures"][0]["protocol"].startswith("3-fold over works")
    assert "could not be used (1 corrupt)" in result.stderr and "broken.mid" in result.stderr
    assert f"--model {out}" in result.stderr
    answer = fugato.identify(folder / "Joplin" / "piece 1.mid", model=out)
    assert answer.name == "Joplin" and answer.model.name == "model"


def test_a_terminal_gets_a_table_of_figures_and_a_name_is_found_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fugato.cli.train.is_table", lambda as_json: not as_json)
    result = RUNNER.invoke(
        app, ["train", "composer", str(folder), "--name", "mine", "--jobs", "1"], env={"COLUMNS": "200"}
    )
    assert result.exit_code == 0, result.stderr
    for words in ("balanced_accuracy", "5-fold over works", "[", "15", "majority_accuracy"):
        assert words in result.stdout
    assert "--model mine" in result.stderr
    assert fugato.identify(folder / "Bach" / "piece 1.mid", model="mine").model.name == "mine"


def test_settings_are_chosen_within_what_a_fold_learns_from(
    styled_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = load_corpus(styled_folder)
    works = [piece.id for piece in corpus]
    prepared = ngram_linear.prepare(corpus.with_groups(works), jobs=1)
    split = grouped_kfold(corpus.labels, works, 3, 0, ids=corpus.ids)
    fit, tried = ngram_linear.fit, []

    def watched(prepared: Any, rows: Any, labels: Any, groups: Any, **settings: float) -> Any:
        tried.append((set(rows.tolist()), settings["penalty"]))
        return fit(prepared, rows, labels, groups, **settings)

    monkeypatch.setattr(ngram_linear, "fit", watched)
    grid = {"penalty": (1e6, 0.5)}  # the first only knows which composer has most files
    judged = cross_validate(ngram_linear, prepared, corpus.labels, works, split, grid=grid)
    used = [(learn, judge) for learn, judge in split.sides()]
    for (learn, judge), calls in zip(used, np.array_split(np.arange(len(tried)), 3), strict=True):
        assert len(calls) == 2 * 3 + 1, "three inner folds of each value, then the fold itself"
        assert all(not tried[i][0] & set(judge.tolist()) for i in calls), "the judged pieces are never seen"
        assert tried[calls[-1]] == (set(learn.tolist()), 0.5)
    assert judged.figures()["balanced_accuracy"] > 0.6


def test_a_report_on_the_held_out_pieces_comes_with_the_model(styled_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="reports need the extra train")
    arguments = ["train", "composer", str(styled_folder), "--out", str(tmp_path / "m"), "--report", str(tmp_path / "r")]
    result = RUNNER.invoke(app, [*arguments, "--folds", "3"])
    assert result.exit_code == 0, result.stderr
    written = json.loads((tmp_path / "r" / "report.json").read_text(encoding="utf-8"))
    card = json.loads((tmp_path / "m" / "card.json").read_text(encoding="utf-8"))
    accuracy = next(f["value"] for f in card["figures"] if f["name"] == "accuracy")
    assert f"{accuracy:.4f}"[:5] in json.dumps(written), "the report is on the pieces of the card's figures"
    assert (tmp_path / "r" / "report.md").exists()
    inside = RUNNER.invoke(app, [*arguments[:-1], str(tmp_path / "m" / "r")])
    assert inside.exit_code == 2, "a report would spoil the model folder"
