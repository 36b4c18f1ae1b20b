"""The report: figures that are right, pictures of any number of names, and sentences that agree with them."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("sklearn", reason="a report needs the extra train")

import sklearn.metrics

from fugato import metrics
from fugato.cli.app import app
from fugato.corpus import load_corpus
from fugato.errors import FugatoError
from fugato.models import load_model, save_model
from fugato.study import figures
from fugato.study.measure import measure
from fugato.study.predict import answer_all, report_model
from fugato.study.report import Predictions, report

from .music_files import midi_of
from .music_styles import styled

RUNNER = CliRunner()
LEVEL = {"confusion-counts", "confusion-rates", "roc", "precision-recall", "calibration", "confidence"}


def made(n_labels: int, n: int = 60, *, seed: int = 0, windows: bool = False, skill: float = 1.5) -> Predictions:
    """Invented answers, right more often than not, two pieces a work."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(n_labels), rng.integers(0, n_labels, max(n - n_labels, 0))])
    owner = np.repeat(np.arange(len(truth)), rng.integers(1, 6, len(truth)) if windows else 1)
    scores = rng.normal(0, 1, (len(owner), n_labels))
    scores[np.arange(len(owner)), truth[owner]] += skill
    table = np.exp(scores)
    table /= table.sum(axis=1, keepdims=True)
    names = [f"Name {i}" for i in range(n_labels)]
    groups = [f"work {i // 2}" for i in range(len(truth))]
    return Predictions(
        names, truth, table, groups, owner if windows else None, pieces=[f"{i}.mid" for i in range(len(truth))]
    )


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def page(folder: Path) -> str:
    return (folder / "report.md").read_text(encoding="utf-8")


def linked(text: str) -> set[str]:
    return {part.split(")")[0] for part in text.split("](")[1:]}


# -- figures ---------------------------------------------------------------------------------------------------------------


def test_figures_are_those_of_scikit_learn() -> None:
    given = made(5, 200)
    truth, table = given.piece_truth, given.piece_probabilities
    level = measure(given.labels, truth, table, given.piece_groups, resamples=20)
    answer = table.argmax(axis=1)
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(truth, answer),
        "macro_f1": sklearn.metrics.f1_score(truth, answer, average="macro"),
        "log_loss": sklearn.metrics.log_loss(truth, table),
        "top_2_accuracy": sklearn.metrics.top_k_accuracy_score(truth, table, k=2),
        "macro_roc_auc": sklearn.metrics.roc_auc_score(truth, table, multi_class="ovr"),
        "micro_average_precision": sklearn.metrics.average_precision_score(np.eye(5)[truth], table, average="micro"),
        "macro_average_precision": sklearn.metrics.average_precision_score(np.eye(5)[truth], table, average="macro"),
    }
    for name, value in expected.items():
        assert level.figures[name] == pytest.approx(value, abs=1e-4), name
    assert level.confusion.tolist() == sklearn.metrics.confusion_matrix(truth, answer).tolist()
    ours = metrics.evaluate(truth, table, given.labels)
    assert level.figures["ece"] == pytest.approx(ours["ece"], abs=1e-4)
    for name in given.labels:
        for figure in ("precision", "recall", "f1", "roc_auc", "average_precision"):
            assert level.per_class[name][figure] == pytest.approx(ours["per_class"][name][figure], abs=1e-4)


def test_intervals_are_those_of_a_bootstrap_over_works() -> None:
    given = made(4, 80, windows=True)
    truth, table = given.window_truth, given.probabilities
    groups = given.piece_groups[given.owner]
    level = measure(given.labels, truth, table, groups, resamples=200, random_seed=3)
    ours = metrics.evaluate(truth, table, given.labels, groups=groups, n=200, seed=3)
    assert set(level.intervals) == {"accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece"}
    for name, interval in level.intervals.items():
        assert interval == pytest.approx(ours["intervals"][name], abs=1e-4), name
    first = measure(given.labels, truth, table, groups, resamples=200, random_seed=4).intervals
    assert first == measure(given.labels, truth, table, groups, resamples=200, random_seed=4).intervals
    assert first != level.intervals


def test_a_piece_is_judged_by_the_mean_of_its_windows() -> None:
    table = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    given = Predictions(["A", "B"], [0, 1], table, ["x", "y"], [0, 0, 1, 0])
    assert given.piece_probabilities == pytest.approx(np.array([[0.5, 0.5], [0.3, 0.7]]))
    assert given.window_truth.tolist() == [0, 0, 1, 0]


def test_curves_are_thinned_without_losing_their_shape() -> None:
    given = made(2, 6000, skill=1.0)
    level = measure(given.labels, given.piece_truth, given.piece_probabilities, given.piece_groups, resamples=2)
    for curve in (*level.roc, level.macro_roc):
        assert curve is not None and len(curve.x) < 900 and (curve.x[-1], curve.y[-1]) == (1, 1)
        assert sklearn.metrics.auc(curve.x, curve.y) == pytest.approx(curve.value, abs=2e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": ["A"]}, "at least two"),
        ({"labels": ["A", "A"]}, "at least two"),
        ({"groups": ["x"]}, "groups has 1 entries for 2 pieces"),
        ({"pieces": ["x"]}, "pieces has 1 entries"),
        ({"piece_of_window": [0, 0]}, "piece 1 has no window"),
        ({"piece_of_window": [0, 5]}, "holds 0..5 for 2 pieces"),
        ({"piece_of_window": [0]}, "for 2 windows"),
        ({"truth": [0, 2]}, "expected 0..1"),
        ({"truth": []}, "no labels"),
        ({"probabilities": np.array([[2.0, -1.0], [0.5, 0.5]])}, "below 0"),
        ({"probabilities": np.array([[0.9, 0.9], [0.5, 0.5]])}, "sums to 1.8"),
    ],
)
def test_what_does_not_fit_together_is_refused(change: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {
        "labels": ["A", "B"],
        "truth": [0, 1],
        "probabilities": np.array([[0.6, 0.4], [0.5, 0.5]]),
    }
    with pytest.raises(FugatoError, match=words) as caught:
        Predictions(**{**given, **change})
    assert caught.value.kind == "bad-data"


# -- the folder --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_labels", [2, 3, 18, 76])
def test_any_number_of_names_has_its_pictures(n_labels: int, tmp_path: Path) -> None:
    out = tmp_path / "report"
    written = report(made(n_labels, 100), out, title="Trial", resamples=20)
    assert files(out) == {"report.md", "report.json", *(f"piece-{name}.png" for name in LEVEL)}
    text = page(out)
    assert linked(text) == {f"piece-{name}.png" for name in LEVEL}
    assert f"{written.levels[0].figures['accuracy']:.3f}" in text and "nan" not in text.lower()
    values = json.loads((out / "report.json").read_text())
    assert values == written.to_dict() and len(values["levels"]["piece"]["per_class"]) == n_labels


def test_windows_have_a_section_of_their_own(tmp_path: Path) -> None:
    written = report(made(3, windows=True), tmp_path / "r", resamples=20)
    assert [level.name for level in written.levels] == ["piece", "window"]
    assert linked(page(tmp_path / "r")) == {f"{level}-{name}.png" for level in ("piece", "window") for name in LEVEL}
    assert "## By piece, the mean of its windows" in page(tmp_path / "r")
    assert written.levels[1].n > written.levels[0].n and written.levels[0].works == written.levels[1].works


def test_a_name_that_does_not_occur_is_named_and_measured_where_it_was_answered(tmp_path: Path) -> None:
    table = np.array([[0.8, 0.1, 0.1, 0.0], [0.1, 0.8, 0.1, 0.0], [0.1, 0.1, 0.8, 0.0], [0.2, 0.7, 0.1, 0.0]])
    written = report(Predictions(["A", "B", "C", "D"], [0, 1, 0, 1], table), tmp_path / "r", resamples=20)
    level = written.levels[0]
    assert level.per_class["C"]["answered"] == 1 and level.per_class["C"]["recall"] is None
    assert level.per_class["D"]["roc_auc"] is None and level.present == [0, 1] and level.seen == [0, 1, 2]
    assert "Neither in the data nor answered: D." in page(tmp_path / "r")
    assert "2 of the model's 4 names" in page(tmp_path / "r")
    assert level.figures["macro_f1_occurring"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-4)
    assert level.confusions() == [("A", "C", 1, 2)]


def test_where_one_name_only_occurs_curves_are_not_defined_and_the_page_says_so(tmp_path: Path) -> None:
    table = np.array([[0.8, 0.2], [0.4, 0.6], [0.9, 0.1]])
    written = report(Predictions(["A", "B"], [0, 0, 0], table), tmp_path / "r", resamples=20)
    assert written.levels[0].figures["macro_roc_auc"] is None
    assert "piece-roc.png" not in files(tmp_path / "r") and "piece-confusion-counts.png" in files(tmp_path / "r")
    assert page(tmp_path / "r").count("Not defined") == 2


def test_one_piece_and_one_work_have_no_interval(tmp_path: Path) -> None:
    written = report(Predictions(["A", "B"], [1], np.array([[0.5, 0.5]])), tmp_path / "r")
    assert written.levels[0].intervals == {} and "There are no intervals here" in page(tmp_path / "r")
    assert "Of 1 piece from 1 work" in page(tmp_path / "r")


def test_without_a_fault_there_is_no_confusion(tmp_path: Path) -> None:
    report(Predictions(["A", "B"], [0, 1, 1], np.eye(2)[[0, 1, 1]]), tmp_path / "r", resamples=20)
    text = page(tmp_path / "r")
    assert "Every piece is answered right." in text and "Surest of the wrong" not in text


def test_training_and_tuning_are_drawn_and_read(tmp_path: Path) -> None:
    history = [
        {"epoch": i, "train_loss": 1 / i, "valid_loss": abs(i - 4) / 10 + 0.5, "train_accuracy": None}
        for i in range(1, 9)
    ]
    trials: list[dict[str, Any]] = [
        {"number": i, "value": 0.5 + 0.01 * i, "params": {"rate": 10.0**-i, "loss": "ab"[i % 2]}, "state": "COMPLETE"}
        for i in range(8)
    ]
    trials.append({"number": 8, "value": None, "params": {}, "state": "PRUNED"})
    report(made(3), tmp_path / "r", history=history, trials=trials, resamples=20)
    assert {"learning.png", "tuning.png"} <= files(tmp_path / "r")
    text = page(tmp_path / "r")
    assert "Of 8 epochs the held-out loss is lowest at epoch 4 (0.500) and 0.400 higher at the end" in text
    assert "The best of 8 trials is number 7 with 0.5700" in text and "1 more were stopped early" in text
    assert text.index("| 7 | 0.5700 | 1e-07 | b |") < text.index("| 6 | 0.5600 |")


def test_a_history_of_nothing_is_no_history(tmp_path: Path) -> None:
    report(made(2), tmp_path / "r", history=[{"epoch": 1}], trials=[{"state": "FAIL"}], resamples=20)
    assert not {"learning.png", "tuning.png"} & files(tmp_path / "r")
    assert figures.epochs([]) == {} and figures.finished([{"value": float("nan")}]) == []


def test_a_new_report_leaves_no_pictures_of_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "r"
    report(made(3, windows=True), out, resamples=20)
    (out / "mine.png").write_bytes(b"x")
    report(made(3), out, resamples=20)
    assert not any(name.startswith("window") for name in files(out)) and "mine.png" in files(out)


def test_a_model_folder_or_a_file_is_no_place_for_a_report(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card.json").write_text("{}")
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "model", tmp_path / "model" / "report", tmp_path / "file", tmp_path / "file" / "report"):
        with pytest.raises(FugatoError) as caught:
            report(made(2), out)
        assert caught.value.kind == "bad-output"
    assert files(tmp_path / "model") == {"card.json"}


def test_odd_names_do_not_break_the_page(tmp_path: Path) -> None:
    names = ["A|B", "two\nlines", "Ünïcode ☺ with a very long name, Jr., and more", "$x^2$"]
    given = made(4)
    odd = Predictions(names, given.truth, given.probabilities, given.groups)
    report(odd, tmp_path / "r", title="of | pipes\n# and heads", remarks=["one\ntwo"], resamples=20)
    text = page(tmp_path / "r")
    assert "| A\\|B |" in text and "| two lines |" in text and text.startswith("# of | pipes # and heads\n")


def test_pictures_change_no_settings(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    report(made(3), tmp_path / "r", resamples=2)
    assert dict(matplotlib.rcParams) == before


# -- models and collections ----------------------------------------------------------------------------------------------------


@pytest.fixture
def collection(tmp_path: Path, fugato_home: Path) -> Path:
    """Four new pieces of each of the composers that the small model knows, two by another, and a file that is broken."""
    root = tmp_path / "music"
    for composer in ("Bach", "Chopin", "Joplin"):
        (root / composer).mkdir(parents=True)
        for seed in range(20, 24):
            (root / composer / f"piece {seed}.mid").write_bytes(midi_of(styled(composer, seed)))
    (root / "Field").mkdir()
    for seed in range(2):
        (root / "Field" / f"{seed}.mid").write_bytes(midi_of(styled("Chopin", 90 + seed)))
    (root / "Bach" / "broken.mid").write_bytes(b"MThd and no more")
    (root / "Bach" / "notes.txt").write_text("hello")
    return root


def test_a_model_is_judged_on_a_folder_and_what_is_left_out_is_named(
    collection: Path, small_model: Path, tmp_path: Path
) -> None:
    told: list[tuple[str, int, int]] = []
    written = report_model(
        small_model, collection, tmp_path / "r", jobs=1, resamples=50, progress=lambda *a: told.append(a)
    )
    level = written.levels[0]
    assert level.n == 12 and level.labels == ("Bach", "Chopin", "Joplin") and (level.figures["accuracy"] or 0) > 0.6
    left = written.values["left_out"]
    assert left["Composers that the model does not know, with 2 pieces"] == ["Field (2)"]
    assert left["Files that could not be judged, corrupt"][0].startswith("Bach/broken.mid: ")
    assert left["Passed over in the collection"] == ["notes.txt (not music: .txt)"]
    assert written.values["about"]["unreadable"] == 1 and ("asking the model", 15, 15) in told
    remarks = " ".join(written.values["remarks"])
    assert "does not tell whether it learnt" in remarks and "judged on works held out" in remarks
    assert "Asked about 2 pieces by composers that it does not know" in remarks
    text = page(tmp_path / "r")
    assert "Field (2)" in text and "Bach/broken.mid" in text and str(tmp_path) not in text
    for wrong in written.values["wrong"]:
        assert (collection / wrong["piece"]).is_file()


def test_probabilities_are_those_of_identify(collection: Path, small_model: Path) -> None:
    import fugato

    model, corpus = load_model(small_model), load_corpus(collection)
    few = corpus.filter(lambda piece: piece.path.endswith(("20.mid", "broken.mid")))
    answers = answer_all(model, few, jobs=1)
    assert answers.rows == [1, 2, 3] and answers.failed[0].kind == "corrupt"
    for row, table, piece in zip(answers.rows, answers.windows, answers.pieces, strict=True):
        answer = fugato.identify(few[row].path, model=small_model)
        given = [next(g.probability for g in answer.ranking if g.name == label) for label in model.labels]
        assert table.shape == (1, 3) and piece == pytest.approx(given, abs=1e-6) and (table[0] == piece).all()


def test_a_model_of_a_recipe_that_cannot_be_asked_is_refused_before_reading(
    collection: Path, small_model: Path, tmp_path: Path
) -> None:
    from fugato.models import Card

    model = load_model(small_model)
    parts = {part: model.path(part) for part in model.card.files}
    for change, kind, words in (
        ({"recipe": "magic"}, "bad-model", "recipe 'magic'"),
        ({"task": "genre"}, "bad-option", "task is genre"),
    ):
        save_model(tmp_path / "m", Card.from_dict(model.card.to_dict() | change), parts)
        with pytest.raises(FugatoError, match=words) as caught:
            report_model(tmp_path / "m", collection, tmp_path / "r", jobs=1)
        assert caught.value.kind == kind and not (tmp_path / "r").exists()


def test_a_model_may_answer_for_a_piece_otherwise_than_by_the_mean_of_its_windows(tmp_path: Path) -> None:
    given = made(3, windows=True)
    sharper = given.piece_probabilities**3
    sharper /= sharper.sum(axis=1, keepdims=True)
    own = Predictions(given.labels, given.truth, given.probabilities, given.groups, given.owner, answers=sharper)
    first = report(given, tmp_path / "a", resamples=20).levels
    second = report(own, tmp_path / "b", resamples=20).levels
    assert first[0].figures["accuracy"] == second[0].figures["accuracy"]
    assert first[0].figures["ece"] != second[0].figures["ece"] and first[1].figures == second[1].figures
    assert "calibrated as the model does it" in page(tmp_path / "b")
    with pytest.raises(FugatoError, match="sums to"):
        Predictions(given.labels, given.truth, given.probabilities, given.groups, given.owner, answers=sharper * 2)


def test_a_network_is_judged_window_by_window_and_by_the_piece_as_it_is_served(
    collection: Path, small_model: Path, tmp_path: Path
) -> None:
    """A network of one matrix over the mean pitch, velocity and duration of a hundred notes."""
    onnx = pytest.importorskip("onnx", reason="a network is made by hand here")
    import fugato
    from fugato.models import Card

    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    weights = np.array([[9, -4, 2], [0, 1, 0], [-3, 5, 8]], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["rows"], ["mean"], axes=[1], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["scores"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("rows", floats, ["n", 100, 3])],
        [helper.make_tensor_value_info("scores", floats, ["n", 3])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    card = load_model(small_model).card.to_dict() | {
        "recipe": "note-lstm",
        "representation": {"name": "windows", "settings": {"kind": "note-rows", "size": 100, "columns": 3, "hop": 40}},
        "calibration": {"temperature": 0.5, "known_threshold": 0.4},
    }
    save_model(tmp_path / "net", Card.from_dict(card), {"network": network.SerializeToString()})
    written = report_model(tmp_path / "net", collection, tmp_path / "r", jobs=1, resamples=20)
    pieces, windows = written.levels
    assert pieces.n == 12 and windows.n > 24 and pieces.works == windows.works == 12
    assert "window-roc.png" in files(tmp_path / "r")
    served = fugato.identify(collection / "Bach" / "piece 20.mid", model=tmp_path / "net")
    model = load_model(tmp_path / "net")
    (given,) = answer_all(model, load_corpus(collection).filter(lambda p: p.path.endswith("Bach/piece 20.mid"))).pieces
    assert given.max() == pytest.approx(served.probability, abs=1e-6)
    assert model.labels[int(given.argmax())] == served.name


def test_pieces_the_model_learnt_from_are_said_to_flatter(
    styled_folder: Path, small_model: Path, collection: Path, tmp_path: Path
) -> None:
    """A card that names its collections is believed, part by part."""
    model = load_model(small_model)
    card = model.card.to_dict() | {"corpora": [{"name": "asap", "licence": "CC0"}]}
    card["made"] = {**card["made"], "without": ["asap:performance"]}
    from fugato.models import Card

    parts = {part: model.path(part) for part in model.card.files}
    history = [{"epoch": 1, "train_loss": 1.0, "valid_loss": 1.0}]
    save_model(tmp_path / "m", Card.from_dict(card), {**parts, "history": history})
    index = collection / "index.csv"
    lines = ["path,composer,corpus,domain"]
    for composer in ("Bach", "Chopin"):
        lines += [
            f"{composer}/piece {seed}.mid,{composer},asap,{'performance' if seed % 2 else 'score'}" for seed in (20, 21)
        ]
    index.write_text("\n".join(lines))
    written = report_model(tmp_path / "m", index, tmp_path / "r", jobs=1, resamples=20)
    assert "collections that 2 of these 4 pieces come from (asap)" in written.values["remarks"][0]
    assert "Of the 2 pieces whose works are not among those" in written.values["remarks"][0]
    assert "learning.png" in files(tmp_path / "r")
    index.write_text("\n".join(lines).replace("score", "performance"))
    written = report_model(tmp_path / "m", index, tmp_path / "r", jobs=1, resamples=20)
    assert "other collections" in written.values["remarks"][0]


def test_an_archive_is_read_without_unpacking(collection: Path, small_model: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "music.zip", "w") as archive:
        for path in sorted(collection.rglob("*.mid")):
            archive.write(path, path.relative_to(collection).as_posix())
    folder = report_model(small_model, collection, tmp_path / "a", jobs=1, resamples=20)
    zipped = report_model(small_model, tmp_path / "music.zip", tmp_path / "b", jobs=1, resamples=20)
    assert zipped.values["levels"] == folder.values["levels"]


def test_what_cannot_be_judged_at_all_is_one_sentence(collection: Path, small_model: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    strange = tmp_path / "strange"
    shutil.copytree(collection / "Field", strange / "Field")
    broken = tmp_path / "broken"
    (broken / "Bach").mkdir(parents=True)
    (broken / "Bach" / "a.mid").write_bytes(b"MThd")
    for data, words in ((empty, "empty"), (strange, "None of its 2 pieces is by a composer"), (broken, r"1 corrupt")):
        with pytest.raises(FugatoError, match=words) as caught:
            report_model(small_model, data, tmp_path / "r", jobs=1)
        assert caught.value.kind == "bad-data" and not (tmp_path / "r").exists()


def test_a_shell_gets_the_figures_and_status_1_for_the_broken_file(
    collection: Path, small_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r"
    arguments = ["report", str(small_model), str(collection), "--out", str(out), "--jobs", "1"]
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 1, result.stderr
    answer = json.loads(result.stdout)
    assert answer["levels"]["piece"]["n"] == 12 and answer["folder"] == str(out)
    assert "1 file could not be judged" in result.stderr and "report.md" in result.stderr
    (collection / "Bach" / "broken.mid").unlink()
    assert RUNNER.invoke(app, arguments).exit_code == 0
    for wrong in (["report", "nobody", str(collection)], ["report", str(small_model), str(tmp_path / "nothing")]):
        result = RUNNER.invoke(app, [*wrong, "--out", str(out)])
        assert result.exit_code == 2 and result.stdout == ""


def test_a_terminal_gets_a_table(
    collection: Path, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fugato.cli.report.is_table", lambda as_json: not as_json)
    result = RUNNER.invoke(app, ["report", str(small_model), str(collection), "--out", str(tmp_path / "r")])
    assert "balanced_accuracy" in result.stdout and "pieces" in result.stdout and "[" in result.stdout
