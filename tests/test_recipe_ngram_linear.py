"""The recipe solves the ridge regression it says it solves, and what it exports answers as it did."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy", reason="training needs the extra train")

from fugato.composer.ngram_linear import NgramLinear
from fugato.corpus import Corpus, load_corpus
from fugato.errors import FugatoError
from fugato.models import Card, load_model, save_model
from fugato.read import read
from fugato.recipes import ngram_linear as how
from fugato.recipes import recipe
from fugato.represent import ngrams, stream
from fugato.score import Score

from .music_files import midi_of
from .music_styles import performed


@pytest.fixture(scope="session")
def collection(styled_folder: Path) -> Corpus:
    corpus = load_corpus(styled_folder)
    return corpus.with_groups(corpus.ids)


@pytest.fixture(scope="session")
def prepared(collection: Corpus) -> how.Prepared:
    return how.prepare(collection, jobs=1)


@pytest.fixture(scope="session")
def labels(prepared: how.Prepared) -> Any:
    return np.array([piece.composer for piece in prepared.pieces])


def known(prepared: how.Prepared) -> Any:
    """All vectors; NaN for the metre of what has no beats."""
    dense = prepared.vectors.toarray().astype(np.float64)
    metrical = ngrams.metrical()
    dense[np.ix_(~dense[:, metrical].any(axis=1), metrical)] = np.nan
    return dense


def whole_ones(prepared: how.Prepared) -> Any:
    """Vectors of the pieces and of their copies as if played."""
    return known(prepared)[: len(prepared.pieces) + int((~prepared.cut).sum())]


def seen_from_the_mean(prepared: how.Prepared) -> Any:
    """All vectors less the mean of those that are whole, each of length 1; what is not known is the mean."""
    dense = np.nan_to_num(known(prepared) - np.nanmean(whole_ones(prepared), axis=0))
    return dense / np.linalg.norm(dense, axis=1, keepdims=True)


@pytest.mark.parametrize("settings", [{}, {"penalty": 0.3, "work_power": 1.0, "class_power": 0.0}])
def test_the_dual_solution_is_weighted_ridge_regression_with_an_intercept(
    prepared: how.Prepared, labels: Any, settings: dict[str, float]
) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    rows = np.arange(0, len(labels), 2)[3:]  # composers of unequal numbers
    groups = np.array([f"work {row // 4}" for row in rows])
    fitted = how.fit(prepared, rows, labels[rows], groups, **settings)
    chosen = {**how.DEFAULTS, **settings}
    weight = how.piece_weights(labels[rows], groups, chosen["work_power"], chosen["class_power"])
    learnt, piece, cut = prepared.with_copies(rows)
    of_copies = piece[len(rows) :]
    assert (~cut).sum() == len(rows), "in this collection every file is notated and a work by itself"
    assert 0 < cut.sum() < len(rows), "and some are too short for the excerpt that was drawn"
    whole = np.array([weight[groups == groups[i]].sum() for i in of_copies])
    weight = np.concatenate([weight, np.where(cut, chosen["excerpt_weight"], chosen["played_weight"]) * whole])
    dense = seen_from_the_mean(prepared)
    dense = dense[:, dense.any(axis=0)]
    target: Any = (labels[rows, None] == np.array(fitted.labels)).astype(np.float64)
    ridge = linear_model.Ridge(alpha=chosen["penalty"]).fit(dense[learnt], target[piece], sample_weight=weight)
    others = np.arange(len(labels))
    np.testing.assert_allclose(fitted.logits(prepared, others), ridge.predict(dense[others]), atol=2e-4)
    at_zero = ridge.predict(np.zeros((1, dense.shape[1])))[0]
    np.testing.assert_allclose(fitted.bias, at_zero, atol=2e-4, err_msg="the bias is the intercept")


def test_works_and_composers_weigh_as_documented() -> None:
    labels = np.array(["A"] * 6 + ["B"] * 2)
    groups = np.array(["a", "a", "a", "a", "b", "c", "d", "e"])
    plain = how.piece_weights(labels, groups, 0.0, 0.0)
    np.testing.assert_allclose(plain, 1.0)
    by_work = how.piece_weights(labels, groups, 0.5, 0.0)
    assert by_work[0] / by_work[4] == pytest.approx(4**-0.5), "a file of a work with four files counts half"
    whole = how.piece_weights(labels, groups, 1.0, 0.0)
    assert whole[:4].sum() == pytest.approx(whole[4]), "with power 1 every work counts the same"
    fair = how.piece_weights(labels, groups, 0.5, 1.0)
    assert fair[labels == "A"].sum() == pytest.approx(fair[labels == "B"].sum()), "every composer counts the same"
    half = how.piece_weights(labels, groups, 0.0, 0.5)
    assert half[labels == "A"].sum() / half[labels == "B"].sum() == pytest.approx(3**0.5)
    for weight in (plain, by_work, whole, fair, half):
        assert weight.mean() == pytest.approx(1)


def test_works_it_has_not_seen_are_told_apart(prepared: how.Prepared, labels: Any, collection: Corpus) -> None:
    rows = np.arange(len(labels))
    learn, judge = rows[rows % 3 > 0], rows[rows % 3 == 0]
    groups = np.array(collection.ids)
    fitted = how.fit(prepared, learn, labels[learn], groups[learn])
    named = np.array(fitted.labels)[fitted.logits(prepared, judge).argmax(axis=1)]
    assert (named == labels[judge]).mean() >= 0.75, "chance is a third"


def test_int8_weights_answer_as_the_floats_did(
    prepared: how.Prepared, labels: Any, collection: Corpus, tmp_path: Path
) -> None:
    rows = np.arange(len(labels))
    fitted = how.fit(prepared, rows[::2], labels[::2], np.array(collection.ids)[::2])
    parts = how.export(prepared, fitted)
    assert parts["weights"]["weights"].dtype == np.int8
    card = Card("small", "1", "composer", how.NAME, dict.fromkeys(fitted.labels, 1), how.representation())
    save_model(tmp_path / "small", card, parts)
    model = NgramLinear(load_model(tmp_path / "small"))
    exact = fitted.logits(prepared, rows)
    answered = np.array([model.logits(stream(read(piece.path))) for piece in prepared.pieces])
    assert np.abs(answered - exact).max() < 0.02 * (exact.max() - exact.min())
    clear = np.diff(np.sort(exact, axis=1), axis=1).min(axis=1) > 0.03  # ranks nearer than that may change places
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(exact[clear].argsort(axis=1), answered[clear].argsort(axis=1))


def test_blocks_have_the_variance_of_their_weight(prepared: how.Prepared) -> None:
    dense = whole_ones(prepared)
    variance = [np.nanvar(dense[:, p.start : p.stop], axis=0).sum() for p in ngrams.layout()]
    assert sum(variance) == pytest.approx(1, rel=1e-3)
    np.testing.assert_allclose(variance, np.full(len(variance), 1 / len(variance)), rtol=1e-2)


def test_the_inner_products_are_those_of_the_vectors(prepared: how.Prepared) -> None:
    dense = seen_from_the_mean(prepared)
    np.testing.assert_allclose(prepared.gram, dense @ dense.T, atol=1e-4)
    np.testing.assert_allclose(np.diag(prepared.gram), 1, atol=1e-4)


def test_a_file_without_beats_is_told_apart_by_nothing_of_its_metre(
    prepared: how.Prepared, labels: Any, collection: Corpus, tmp_path: Path
) -> None:
    rows = np.arange(len(labels))
    fitted = how.fit(prepared, rows, labels, np.array([piece.id for piece in prepared.pieces]))
    card = Card(
        name="x", version="1.0.0", task="composer", recipe=how.NAME, labels=dict.fromkeys(fitted.labels, 1),
        representation=how.representation(),
    )  # fmt: skip
    save_model(tmp_path / "model", card, how.export(prepared, fitted))
    served = NgramLinear(load_model(tmp_path / "model"))
    unmetred = np.flatnonzero(~prepared.has_metre)
    assert set(unmetred) == set(len(labels) + np.flatnonzero(~prepared.cut)), "the copies as if played"
    for row in (0, 1):
        events = stream(read(collection[row].path))
        bare = replace(events, place=np.zeros(0))
        dense = np.nan_to_num(known(prepared)[row] - np.nanmean(whole_ones(prepared), axis=0))
        dense[ngrams.metrical()] = 0
        learnt = seen_from_the_mean(prepared)[fitted.rows]
        expected = learnt @ (dense / np.linalg.norm(dense)) @ fitted.dual + fitted.bias
        np.testing.assert_allclose(served.logits(bare), expected, atol=3e-3)
        assert np.abs(served.logits(events) - expected).max() > 6e-3, "the metre counts where there is one"


def test_selected_pieces_keep_their_vectors(prepared: how.Prepared) -> None:
    rows = np.array([5, 2, int(prepared.original[prepared.cut][-1])])
    some = prepared.select(rows)
    assert [p.id for p in some.pieces] == [prepared.pieces[r].id for r in rows]
    copies = len(prepared.pieces) + np.flatnonzero(np.isin(prepared.original, rows))
    assert len(copies) > len(rows) and (some.cut == prepared.cut[copies - len(prepared.pieces)]).all()
    assert [rows[i] for i in some.original] == [prepared.original[c - len(prepared.pieces)] for c in copies]
    everything = np.concatenate([rows, copies])
    np.testing.assert_allclose(some.gram, prepared.gram[np.ix_(everything, everything)], atol=1e-4)


def test_one_played_copy_of_every_notated_work_is_learnt_from(styled_folder: Path) -> None:
    corpus = load_corpus(styled_folder)
    works = [f"{piece.composer} {i // 4}" for i, piece in enumerate(corpus)]
    found = how.prepare(corpus.with_groups(works), jobs=1)
    whole, excerpts = found.original[~found.cut], found.original[found.cut]
    assert len(whole) == len({piece.group for piece in found.pieces}) == len(set(works))
    assert len({found.pieces[i].group for i in whole}) == len(whole)
    assert 0 < len(excerpts) < len(whole) and set(excerpts) < set(whole), "some bars of the same files"
    assert found.vectors.shape[0] == len(found.pieces) + len(found.original)
    again = how.prepare(corpus.with_groups(works), jobs=2)
    assert (found.vectors != again.vectors).nnz == 0, "the copies are the same each time"
    rows = np.flatnonzero([piece.group == works[0] for piece in found.pieces])
    learnt, piece, cut = found.with_copies(rows)
    assert len(learnt) == len(rows) + len(cut) and (~cut).sum() == 1 and cut.sum() <= 1
    assert piece[-1] in range(len(rows))


def test_an_excerpt_of_one_performance_of_a_work_is_learnt_from_too(tmp_path: Path) -> None:
    """Three files of one piece: as written, and played twice."""
    rng = np.random.default_rng(5)
    pitch = 60 + np.abs(np.cumsum(rng.integers(-3, 4, 600))) % 24
    score = Score.from_notes(np.arange(600) / 2, np.full(600, 0.5), pitch)  # 75 bars
    (tmp_path / "Bach").mkdir()
    for name, found in (("a score", score), ("b played", performed(score, 1)), ("c played", performed(score, 2))):
        (tmp_path / "Bach" / f"{name}.mid").write_bytes(midi_of(found))
    found = how.prepare(load_corpus(tmp_path).with_groups(["one work"] * 3), jobs=1)
    names = [Path(piece.path).stem for piece in found.pieces]
    assert [names[i] for i in found.original[~found.cut]] == ["a score"], "only what is notated is played once more"
    assert [names[i] for i in found.original[found.cut]] == ["a score", "b played"]
    sizes = found.vectors.getnnz(axis=1)
    assert (sizes[len(names) + 1 :] < sizes[found.original[found.cut]]).all()


def test_an_excerpt_is_of_bars_of_the_piece_and_tells_its_composer_when_it_is_learnt_from(
    prepared: how.Prepared, labels: Any, collection: Corpus
) -> None:
    n = len(labels)
    at = n + np.flatnonzero(prepared.cut)
    of = prepared.original[prepared.cut]
    sizes = prepared.vectors.getnnz(axis=1)
    assert (sizes[at] < sizes[of]).all() and (sizes[at] > sizes[of] / 4).all()
    cells = [set(prepared.vectors[row].indices) for row in range(prepared.vectors.shape[0])]
    within = [len(cells[a] & cells[b]) / len(cells[a]) for a, b in zip(at, of, strict=True)]
    assert min(within) > 0.5 and np.median(within) > 0.8, "but for degrees of a key that is heard anew"
    learn = np.arange(n)[np.arange(n) % 3 > 0]
    groups = np.array(collection.ids)
    asked = np.flatnonzero(~np.isin(of, learn))
    right = {}
    for weight in (0.0, 0.25):
        fitted = how.fit(prepared, learn, labels[learn], groups[learn], excerpt_weight=weight)
        scores = prepared.gram[np.ix_(at[asked], fitted.rows)] @ fitted.dual + fitted.bias
        right[weight] = scores[np.arange(len(asked)), np.searchsorted(fitted.labels, labels[of[asked]])].mean()
    assert right[0.25] > right[0.0]


def test_a_bad_file_or_archive_member_costs_only_itself(styled_folder: Path, tmp_path: Path) -> None:
    files = sorted(styled_folder.rglob("*.mid"))[:5]
    archive = tmp_path / "collection.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in files:
            out.write(file, f"Bach/{file.name}")
        out.writestr("Bach/broken.mid", b"MThd and no more")
    data = bytearray(archive.read_bytes())
    start = data.find(files[3].name.encode()) + len(files[3].name) + 20
    data[start : start + 60] = bytes(60)
    archive.write_bytes(data)
    done: list[int] = []
    found = how.prepare(load_corpus(archive), jobs=2, progress=lambda so_far, total: done.append(so_far))
    assert [Path(p.path).name for p in found.pieces] == sorted(f.name for f in files if f != files[3])
    assert sorted(e.kind for e in found.failed) == ["bad-data", "corrupt"] and done == [1, 2, 3, 4, 5, 6]
    with pytest.raises(FugatoError, match=r"None of its 1 files could be used.*broken"):
        how.prepare(load_corpus(archive).filter(lambda p: "broken" in p.path), jobs=1)


def test_wrong_settings_are_refused_with_those_there_are() -> None:
    for settings, words in (
        ({"penality": 1.0}, "no setting penality; its settings are penalty, work_power, class_power"),
        ({"penalty": 0.0}, "above 0"),
        ({"penalty": float("nan")}, "nan"),
        ({"work_power": -1.0}, "0 or more"),
    ):
        with pytest.raises(FugatoError, match=words) as caught:
            how.check(settings)
        assert caught.value.kind == "bad-option"
    how.check({"penalty": 2.0, "class_power": 0.0})


def test_a_recipe_that_there_is_not_is_refused() -> None:
    assert recipe("composer", "ngram-linear") is how
    for task, name, words in (("composer", "magic", "there are ngram-linear"), ("weather", "x", "choose composer")):
        with pytest.raises(FugatoError, match=words) as caught:
            recipe(task, name)
        assert caught.value.kind == "bad-option"
