"""A work never stands on two sides, labels are spread evenly, and random protocols say that they are not independent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fugato.corpus.splits import (
    Split,
    grouped_holdout,
    grouped_kfold,
    leave_one_source_out,
    random_holdout_files,
    random_kfold_files,
)
from fugato.errors import FugatoError

pieces = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 30), st.sampled_from(["x", "y", "z"])),
    min_size=12,
    max_size=120,
)


def large() -> tuple[Any, Any]:
    """20,000 pieces of 76 composers in some 10,000 works, sizes as uneven as in real collections."""
    rng = np.random.default_rng(0)
    composer_of_work = rng.choice(76, 10_000, p=(w := 1 / np.arange(1, 77)) / w.sum())
    work = rng.integers(0, 10_000, 20_000)
    return composer_of_work[work], work


@settings(max_examples=60, deadline=None)
@given(pieces=pieces, k=st.integers(2, 5), seed=st.integers(0, 3))
def test_no_work_stands_on_two_sides(pieces: list[tuple[str, int, str]], k: int, seed: int) -> None:
    labels, groups, sources = zip(*pieces, strict=True)
    if len(set(groups)) >= k:
        split = grouped_kfold(labels, groups, k, seed)
        split.check(groups)
        for learn, judge in split.sides():
            assert not {groups[i] for i in learn} & {groups[i] for i in judge}
            assert len(learn) + len(judge) == len(labels)
            assert len(judge), "no fold is empty"
    grouped_holdout(labels, groups, {"train": 0.6, "valid": 0.2, "test": 0.2}, seed).check(groups)
    if len(set(sources)) > 1:
        out = leave_one_source_out(sources, groups)
        out.check(groups)
        for source, (learn, judge) in zip(out.parts, out.sides(), strict=True):
            assert {sources[i] for i in judge} == {source}
            assert source not in {sources[i] for i in learn}


@settings(max_examples=60, deadline=None)
@given(
    works=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 6)), min_size=10, max_size=60), k=st.integers(2, 5)
)
def test_a_composer_with_enough_works_is_in_every_fold(works: list[tuple[str, int]], k: int) -> None:
    labels = [composer for composer, size in works for _ in range(size)]
    groups = [w for w, (_, size) in enumerate(works) for _ in range(size)]
    split = grouped_kfold(labels, groups, k)
    for composer in set(labels):
        if sum(c == composer for c, _ in works) >= k:
            assert {f for f, label in zip(split.folds, labels, strict=True) if label == composer} == set(range(k))


def test_a_large_collection_is_split_evenly_and_fast() -> None:
    labels, works = large()
    start = time.perf_counter()
    split = grouped_kfold(labels.tolist(), works.tolist(), 5, seed=1)
    assert time.perf_counter() - start < 15  # under 1 s on a quiet machine
    folds = np.asarray(split.folds)
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() < 0.02 * sizes.mean()
    counts = np.zeros((76, 5))
    np.add.at(counts, (labels, folds), 1)
    share = counts / counts.sum(axis=1, keepdims=True)
    assert np.abs(share - 0.2).max() < 0.1
    assert np.abs(share - 0.2).mean() < 0.01


def test_it_spreads_labels_no_worse_than_scikit_learn() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    rng = np.random.default_rng(2)
    works = rng.integers(0, 300, 900)
    labels = rng.integers(0, 12, 300)[works]

    def unevenness(folds: Any) -> float:
        counts = np.zeros((12, 5))
        np.add.at(counts, (labels, folds), 1)
        return float((counts / counts.sum(axis=1, keepdims=True)).std(axis=1).mean())

    theirs = np.zeros(900, dtype=np.int64)
    for i, (_, judge) in enumerate(
        selection.StratifiedGroupKFold(5, shuffle=True, random_state=0).split(labels, labels, works)
    ):
        theirs[judge] = i
    ours = np.asarray(grouped_kfold(labels.tolist(), works.tolist(), 5).folds)
    assert unevenness(ours) <= unevenness(theirs) * 1.05


def test_the_seed_decides_and_repeats() -> None:
    labels, works = (x[:2000].tolist() for x in large())
    assert grouped_kfold(labels, works, 4, 7) == grouped_kfold(labels, works, 4, 7)
    assert grouped_kfold(labels, works, 4, 7).folds != grouped_kfold(labels, works, 4, 8).folds


def test_a_holdout_has_the_fractions_that_were_asked_for() -> None:
    labels, works = (x.tolist() for x in large())
    split = grouped_holdout(labels, works, {"train": 0.8, "valid": 0.05, "test": 0.15})
    assert [len(split.part(p)) / len(split) for p in split.parts] == pytest.approx([0.8, 0.05, 0.15], abs=0.01)
    ((learn, judge),) = split.sides()
    assert np.array_equal(learn, split.part("train")) and np.array_equal(judge, split.part("test"))


def test_pieces_without_a_group_are_works_of_their_own() -> None:
    split = grouped_kfold(["a"] * 10, [None] * 10, 5)
    assert np.bincount(split.folds).tolist() == [2] * 5


def test_the_left_out_source_takes_its_works_out_of_training() -> None:
    split = leave_one_source_out(["one", "one", "two", "two"], ["w1", "w2", "w2", "w3"], ids=["p", "q", "r", "s"])
    sides = {
        part: (learn.tolist(), judge.tolist()) for part, (learn, judge) in zip(split.parts, split.sides(), strict=True)
    }
    assert sides == {"one": ([3], [0, 1]), "two": ([0], [2, 3])}


def test_random_protocols_are_flagged_and_do_split_works() -> None:
    labels, works = (x[:3000].tolist() for x in large())
    for split in (random_kfold_files(labels, 10), random_holdout_files(labels, {"train": 0.75, "test": 0.25})):
        assert not split.independent and split.protocol.startswith("random-")
        with pytest.raises(FugatoError, match="works stand on two sides"):
            split.check(works)
    assert grouped_kfold(labels, works, 10).independent
    counts = np.bincount(random_kfold_files([0] * 95 + [1] * 5, 10).folds)
    assert counts.max() - counts.min() <= 1


def test_a_split_is_saved_and_loaded_whole(tmp_path: Path) -> None:
    ids = [f"classics-{i:05d}" for i in range(40)]
    for split in (
        grouped_kfold(["a", "b"] * 20, list(range(40)), 4, 3, ids=ids),
        leave_one_source_out(["x", "y"] * 20, [i // 3 for i in range(40)], ids=ids),
        random_holdout_files(["a"] * 40, {"train": 0.5, "test": 0.5}, ids=ids),
    ):
        path = split.save(tmp_path / "splits" / "s.json")
        assert Split.load(path) == split
        assert path.stat().st_size < 2000
        assert split.fold_of([ids[3], "nobody"]).tolist() == [split.folds[3], -1]


def test_files_that_are_no_split_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    for text in ("not json", "[]", '{"format": "other"}', '{"format": "fugato-split-1"}'):
        path.write_text(text)
        with pytest.raises(FugatoError) as caught:
            Split.load(path)
        assert caught.value.kind == "bad-data"
    with pytest.raises(FugatoError, match="cannot be read"):
        Split.load(tmp_path / "missing.json")


def test_senseless_options_are_refused() -> None:
    with pytest.raises(FugatoError, match="2 works"):
        grouped_kfold(["a"] * 4, [1, 1, 2, 2], 3)
    with pytest.raises(FugatoError, match="one a piece"):
        grouped_kfold(["a"] * 4, [1, 2, 3], 2)
    with pytest.raises(FugatoError, match="sum to 1"):
        grouped_holdout(["a"] * 4, [1, 2, 3, 4], {"train": 0.8, "test": 0.4})
    with pytest.raises(FugatoError, match="two sources"):
        leave_one_source_out(["x", "x"])
    with pytest.raises(FugatoError, match="stands twice"):
        grouped_kfold(["a"] * 4, [1, 2, 3, 4], 2, ids=["p", "p", "q", "r"])
    with pytest.raises(FugatoError, match="no part"):
        grouped_kfold(["a"] * 4, [1, 2, 3, 4], 2).part("test")
