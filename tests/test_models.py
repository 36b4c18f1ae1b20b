"""A model folder is data: what is written comes back, and anything else in it is refused in plain words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fugato
from fugato.errors import FugatoError
from fugato.models import (
    Card,
    fit_temperature,
    list_models,
    load_model,
    local_folder,
    log_loss,
    onnx_session,
    save_model,
    softmax,
)

CARD = Card(
    name="test",
    version="1.0.0",
    task="composer",
    recipe="ngram-linear",
    labels={"Bach": 12, "Chopin": 7},
    representation={"name": "ngrams", "settings": {"order": 3}},
    corpora=({"name": "own", "licence": "CC0 1.0", "pieces": 19},),
    figures=({"name": "accuracy", "value": 0.8, "interval": [0.6, 0.9], "protocol": "grouped 5-fold"},),
    limits=("Not for recordings.",),
    licence="CC0 1.0",
)
WEIGHTS = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.array([0.5, -0.5], dtype=np.float16)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tmp_path / "model", CARD, {"linear": WEIGHTS, "vocabulary": {"grams": ["C-E-G", "Ä"]}})
    return tmp_path / "model"


def edit_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **changes}))


def refusal(folder: Path) -> FugatoError:
    with pytest.raises(FugatoError) as caught:
        load_model(folder)
    return caught.value


def test_what_is_saved_comes_back(folder: Path) -> None:
    model = load_model(folder)
    assert replace(model.card, files={}) == CARD
    assert model.labels == ("Bach", "Chopin")
    arrays = model.arrays("linear")
    assert arrays["bias"].dtype == np.float16
    np.testing.assert_array_equal(arrays["weights"], WEIGHTS["weights"])
    assert model.json("vocabulary") == {"grams": ["C-E-G", "Ä"]}
    assert model.path("linear").name == "linear.safetensors"
    assert sorted(p.name for p in folder.parent.iterdir()) == ["model"], "nothing half-written is left behind"


def test_fugato_load_model_is_the_same_function() -> None:
    assert fugato.load_model is load_model


def test_a_changed_file_is_refused(folder: Path) -> None:
    path = folder / "linear.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    error = refusal(folder)
    assert error.kind == "bad-model" and "linear.safetensors was changed" in error.message


def test_a_cut_or_missing_file_is_refused(folder: Path) -> None:
    path = folder / "vocabulary.json"
    path.write_bytes(path.read_bytes()[:-2])
    assert "its card says" in refusal(folder).message
    path.unlink()
    assert "vocabulary.json is missing" in refusal(folder).message


@pytest.mark.parametrize("name", ["weights.pkl", "last.ckpt", "model.pt", "code.py", "more.safetensors"])
def test_a_file_that_the_card_does_not_list_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"x")
    error = refusal(folder)
    assert error.kind == "bad-model" and name in error.message


def test_notes_and_hidden_files_are_ignored(folder: Path) -> None:
    (folder / "README.md").write_text("mine")
    (folder / ".DS_Store").write_bytes(b"")
    assert load_model(folder).card.name == "test"


@pytest.mark.parametrize(
    "file", ["../linear.safetensors", "/etc/passwd", "a/b.json", "..", "w.pkl", "card.json", "", 7]
)
def test_a_card_cannot_name_a_file_elsewhere(folder: Path, file: Any) -> None:
    edit_card(folder, files={"linear": {"file": file, "sha256": "0" * 64, "bytes": 1}})
    assert refusal(folder).kind == "bad-model"


def test_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    path = folder / "linear.safetensors"
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")
    assert "is a link" in refusal(folder).message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"task": "weather"}, "'weather'"),
        ({"labels": ["Bach"]}, "'labels'"),
        ({"labels": {"Bach": -1}}, "'Bach'"),
        ({"labels": {"Bach": True}}, "'Bach'"),
        ({"representation": {}}, "representation"),
        ({"figures": [1]}, "'figures'"),
        ({"limits": "none"}, "'limits'"),
        ({"name": None}, "'name'"),
        ({"surprise": 1}, "surprise"),
        ({"files": {"a": {"file": "a.json"}}}, "part 'a'"),
        ({"files": {p: {"file": "a.json", "sha256": "0" * 64, "bytes": 1} for p in "ab"}}, "twice"),
    ],
)
def test_a_wrong_card_is_refused_with_the_field(folder: Path, changes: dict[str, Any], words: str) -> None:
    edit_card(folder, **changes)
    error = refusal(folder)
    assert error.kind == "bad-model" and words in error.message and error.input == str(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", "[" * 100_000])
def test_a_damaged_card_is_refused(folder: Path, text: str) -> None:
    (folder / "card.json").write_text(text)
    assert refusal(folder).kind == "bad-model"


def test_a_card_that_lacks_a_field_is_refused(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    del card["labels"]
    (folder / "card.json").write_text(json.dumps(card))
    assert "lacks labels" in refusal(folder).message


def test_a_folder_without_a_card_is_no_model(tmp_path: Path, fugato_home: Path) -> None:
    for missing in (tmp_path, tmp_path / "nowhere", "no-such-name", "../x"):
        with pytest.raises(FugatoError) as caught:
            load_model(missing)
        assert caught.value.kind == "no-model"


def test_saving_replaces_a_model_and_keeps_notes(folder: Path) -> None:
    (folder / "NOTES.md").write_text("mine")
    save_model(folder, replace(CARD, version="2.0.0"), {"linear": WEIGHTS})
    model = load_model(folder)
    assert model.card.version == "2.0.0" and not model.has("vocabulary")
    assert (folder / "NOTES.md").read_text() == "mine"


def test_saving_leaves_other_peoples_folders_alone(tmp_path: Path, folder: Path) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("precious")
    (folder / "chapter.txt").write_text("precious")
    (tmp_path / "file").write_text("")
    for target in (thesis, folder, tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FugatoError) as caught:
            save_model(target, CARD, {"linear": WEIGHTS})
        assert caught.value.kind == "bad-output"
    assert (thesis / "chapter.txt").exists() and (folder / "chapter.txt").exists()


def test_a_part_with_a_wrong_name_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(FugatoError):
        save_model(tmp_path / "new", CARD, {"../linear": WEIGHTS})
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(FugatoError, match="no part 'network', only linear, vocabulary"):
        load_model(folder).path("network")


def test_a_damaged_part_is_refused_even_with_a_right_checksum(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not arrays")
    save_model(tmp_path / "m", CARD, {"linear": broken, "network": b"not a network"})
    model = load_model(tmp_path / "m")
    with pytest.raises(FugatoError, match="safetensors"):
        model.arrays("linear")
    with pytest.raises(FugatoError, match="ONNX"):
        onnx_session(model.path("network"))


def test_a_local_model_is_found_by_name(fugato_home: Path) -> None:
    save_model(local_folder("mine"), CARD, {"linear": WEIGHTS})
    assert load_model("mine").card == load_model(fugato_home / "models" / "mine").card
    (listed,) = [m for m in list_models() if not m.shipped]
    assert listed.name == "mine" and listed.card is not None and listed.card.recipe == "ngram-linear"
    (fugato_home / "models" / "mine" / "card.json").write_text("{")
    (listed,) = [m for m in list_models() if not m.shipped]
    assert listed.card is None and listed.problem


@pytest.mark.parametrize("name", ["", "../x", "a/b", "composer", "genre", ".hidden", "x" * 100])
def test_a_local_model_needs_a_plain_name_of_its_own(name: str, fugato_home: Path) -> None:
    with pytest.raises(FugatoError) as caught:
        local_folder(name)
    assert caught.value.kind == "bad-option"


def test_every_shipped_model_agrees_with_its_card() -> None:
    for listed in list_models():
        if listed.shipped:
            assert listed.problem is None
            card = load_model(listed.folder).card
            assert card.licence and card.corpora and card.figures and card.limits
            assert load_model(card.task).card.task == card.task


def test_a_temperature_is_found_again() -> None:
    rng = np.random.default_rng(7)
    true_logits = rng.normal(size=(20_000, 5)) * 2
    labels = np.array([rng.choice(5, p=p) for p in softmax(true_logits)])
    assert fit_temperature(true_logits * 3, labels) == pytest.approx(3.0, rel=0.05)
    assert fit_temperature(true_logits / 2, labels) == pytest.approx(0.5, rel=0.05)


def test_a_temperature_never_makes_the_loss_worse() -> None:
    rng = np.random.default_rng(8)
    logits, labels = rng.normal(size=(50, 4)) * 9, rng.integers(0, 4, 50)
    temperature = fit_temperature(logits, labels)
    assert log_loss(logits, labels, temperature) <= log_loss(logits, labels) + 1e-9
    assert log_loss(logits, labels, temperature) == pytest.approx(
        min(log_loss(logits, labels, t) for t in np.geomspace(1e-2, 1e3, 4000)), abs=1e-4
    )


def test_weights_count_rows() -> None:
    logits = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
    labels = [0, 0, 1]
    assert log_loss(logits, labels, weights=[1, 1, 0]) == pytest.approx(log_loss(logits[:2], labels[:2]))
    twice = fit_temperature(np.repeat(logits, [1, 1, 2], axis=0), [0, 0, 1, 1])
    assert fit_temperature(logits, labels, weights=[1, 1, 2]) == pytest.approx(twice, rel=1e-4)


def test_softmax_stays_finite() -> None:
    np.testing.assert_allclose(softmax([[1000.0, 0.0]]), [[1.0, 0.0]])
    np.testing.assert_allclose(softmax([[1.0, 2.0]], temperature=1e9), [[0.5, 0.5]])


@pytest.mark.parametrize(("logits", "labels"), [([], []), ([[1.0, 2.0]], [0, 1]), ([[np.nan, 1.0]], [0]), ([1.0], [0])])
def test_calibration_refuses_what_it_cannot_fit(logits: Any, labels: Any) -> None:
    with pytest.raises(FugatoError) as caught:
        fit_temperature(logits, labels)
    assert caught.value.kind == "bad-data"


def test_onnx_runtime_keeps_no_record_of_its_use(tmp_path: Path) -> None:
    code = "from fugato.models import load_model, onnx_session; onnx_session(load_model('compose').path('network'))"
    environment = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=120)
    assert not list(tmp_path.rglob("*"))
