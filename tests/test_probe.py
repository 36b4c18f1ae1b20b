"""The artefact probe finds the maker of a file where there is one to find, and nothing where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fugato.corpus import audit
from fugato.corpus.facts import Artefacts
from fugato.errors import FugatoError
from fugato.study.probe import probe, probe_labels

from .music_files import midi_of, piece

LABELS = ["Bach"] * 60 + ["Satie"] * 40


def artefacts(ticks: float, rng: np.random.Generator) -> Artefacts:
    numbers = rng.random(9).tolist()
    return Artefacts(ticks, *numbers)


def test_a_composer_with_a_sequencer_of_his_own_is_named_by_it() -> None:
    rng = np.random.default_rng(0)
    files = [artefacts(480 if label == "Bach" else 96, rng) for label in LABELS]
    found = probe_labels(files, LABELS, range(100))
    assert found.balanced_accuracy > 0.95
    assert next(iter(found.importance)) == "ticks_per_quarter"
    assert found.majority_accuracy == 0.6 and found.chance_balanced_accuracy == 0.5


def test_files_of_one_maker_give_nothing_away() -> None:
    rng = np.random.default_rng(0)
    found = probe_labels([artefacts(480, rng) for _ in LABELS], LABELS, range(100))
    low, high = found.balanced_accuracy_interval
    assert low < 0.5 < high


def test_copies_of_a_work_do_not_help() -> None:
    rng = np.random.default_rng(0)
    works = [artefacts(480, rng) for _ in range(50)]
    labels = ["Bach" if i % 2 else "Satie" for i in range(50)]
    copied = probe_labels(works * 2, labels * 2, [*range(50)] * 2)
    blind = probe_labels(works * 2, labels * 2, range(100))
    assert blind.accuracy > 0.8 and copied.accuracy < 0.7


def test_the_same_seed_gives_the_same_figures() -> None:
    rng = np.random.default_rng(0)
    files = [artefacts(float(rng.integers(4)), rng) for _ in LABELS]
    assert probe_labels(files, LABELS, range(100)) == probe_labels(files, LABELS, range(100))


def test_labels_with_few_works_are_left_out() -> None:
    rng = np.random.default_rng(0)
    labels = [*LABELS, *["Field"] * 9]
    found = probe_labels([artefacts(480, rng) for _ in labels], labels, range(109))
    assert (found.classes, found.pieces) == (2, 100)
    with pytest.raises(FugatoError, match="needs two"):
        probe_labels([artefacts(480, rng)] * 20, ["Bach"] * 20, range(20))


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(FugatoError, match=r"fugato\[train\]") as caught:
        probe_labels([], [], [])
    assert caught.value.kind == "bad-option"


def test_an_audited_collection_is_probed_for_composers_and_sources(tmp_path: Path, fugato_home: Path) -> None:
    rows = ["id,path,composer,corpus"]
    for i in range(40):
        bach, old = i % 2 == 0, i < 20
        data = midi_of(piece(i, 40), ticks=480 if bach else 96, velocities=(64,) if old else (30, 60, 90))
        (tmp_path / f"{i}.mid").write_bytes(data)
        rows.append(f"{i},{i}.mid,{'Bach' if bach else 'Satie'},{'old' if old else 'new'}")
    (tmp_path / "index.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = probe(audit(tmp_path, jobs=1))
    assert found["composer"]["accuracy"] > 0.95 and found["source"]["accuracy"] > 0.95
    assert found["composer"]["works"] == 40
