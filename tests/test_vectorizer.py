"""The transformers in scikit-learn's own hands, and what they give against the n-grams counted one by one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fugato
from fugato.errors import FugatoError
from fugato.represent import NgramVectorizer, StyleEmbedder, ngrams, stream
from fugato.score import Score

from .music_files import midi_of
from .music_styles import COMPOSERS, styled

PIECES = [styled(composer, seed) for composer in COMPOSERS for seed in range(200, 206)]
NAMES = [composer for composer in COMPOSERS for _ in range(6)]


def test_vectors_are_the_n_grams_weighed() -> None:
    vectorizer = NgramVectorizer(dense=True)
    table = vectorizer.fit_transform(PIECES)
    assert table.shape == (18, ngrams.width()) and table.dtype == np.float32
    cell, times = ngrams.count(stream(PIECES[3]))
    expected = np.zeros(ngrams.width(), np.float32)
    expected[cell] = ngrams.weigh(cell, times, vectorizer.rarity_, ngrams.layout())
    assert np.allclose(table[3], expected)


def test_sparse_and_dense_say_the_same() -> None:
    pytest.importorskip("scipy")
    sparse = NgramVectorizer().fit(PIECES).transform(PIECES[:4])
    dense = NgramVectorizer(dense=True).fit(PIECES).transform(PIECES[:4])
    assert sparse.shape == dense.shape and sparse.nnz < 0.1 * dense.size
    assert np.array_equal(sparse.toarray(), dense)


def test_a_gram_in_fewer_pieces_than_asked_for_is_left_out() -> None:
    often = NgramVectorizer(dense=True, min_pieces=6).fit(PIECES)
    ever = NgramVectorizer(dense=True, min_pieces=1).fit(PIECES)
    held_by = (ever.transform(PIECES) > 0).sum(axis=0)
    assert ((often.rarity_ > 0) == (held_by >= 6)).all()
    plain = NgramVectorizer(idf=False, min_pieces=1).fit(PIECES)
    assert set(np.unique(plain.rarity_)) <= {0.0, 1.0}


def test_features_have_names_that_say_what_was_counted() -> None:
    two_up = ngrams.Block("melody/2", (("melody", 2),))
    vectorizer = NgramVectorizer(blocks=(two_up, ngrams.Block("turns", (("melody", 4),), 6)), dense=True, min_pieces=1)
    tune = Score.from_notes([0, 1, 2], [1] * 3, [60, 64, 62])
    table = vectorizer.fit_transform([tune])
    names = vectorizer.get_feature_names_out()
    assert len(names) == table.shape[1] == 33 * 33 + 64
    assert names[table[0] > 0].tolist() == ["melody/2[4,-2]"], "up a major third, then down a tone"
    assert names[-1] == "turns#63"


def test_files_bytes_scores_and_streams_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "piece.mid"
    path.write_bytes(midi_of(PIECES[0]))
    read = fugato.read(path)
    table = NgramVectorizer(dense=True, min_pieces=1).fit_transform([path, path.read_bytes(), read, stream(read)])
    assert table[0].any() and (table == table[0]).all()


def test_processes_change_nothing(tmp_path: Path) -> None:
    paths = []
    for number, score in enumerate(PIECES[:5]):
        paths.append(tmp_path / f"{number}.mid")
        paths[-1].write_bytes(midi_of(score))
    one, two = (NgramVectorizer(dense=True, n_jobs=jobs).fit_transform(paths) for jobs in (1, 2))
    assert np.array_equal(one, two)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.mid"
    path.write_text("Dear Sir")
    with pytest.raises(FugatoError, match=r"letter\.mid"):
        NgramVectorizer().fit([PIECES[0], path])
    with pytest.raises(FugatoError, match="piece 1"):
        StyleEmbedder().transform([PIECES[0], Score.from_notes([], [], [])])


def test_wrong_use_is_said_in_a_sentence() -> None:
    with pytest.raises(FugatoError, match="call fit first"):
        NgramVectorizer().transform(PIECES)
    with pytest.raises(FugatoError, match="a list"):
        NgramVectorizer().fit(PIECES[0])  # type: ignore[arg-type]
    with pytest.raises(FugatoError, match="no piece"):
        NgramVectorizer().fit([])
    with pytest.raises(ValueError, match="no option 'penalty'"):
        NgramVectorizer().set_params(penalty=1)
    with pytest.raises(FugatoError, match="no style space"):
        StyleEmbedder(space="nowhere.safetensors").fit(PIECES)


def test_options_come_back_as_they_went_in() -> None:
    vectorizer = NgramVectorizer(min_pieces=2, dense=True)
    assert vectorizer.get_params() == {"blocks": None, "idf": True, "min_pieces": 2, "dense": True, "n_jobs": None}
    assert vectorizer.set_params(min_pieces=5) is vectorizer and vectorizer.min_pieces == 5
    assert repr(vectorizer) == "NgramVectorizer(min_pieces=5, dense=True)"


def test_style_vectors_are_those_of_embed() -> None:
    table = StyleEmbedder().fit(PIECES).transform(PIECES[:3])
    assert np.array_equal(table, np.stack([fugato.embed(piece) for piece in PIECES[:3]]))
    assert len(StyleEmbedder().get_feature_names_out()) == table.shape[1]
    assert StyleEmbedder().transform([]).shape == (0, table.shape[1])


@pytest.mark.parametrize(
    "first", [NgramVectorizer(min_pieces=2), NgramVectorizer(dense=True), StyleEmbedder()], ids=repr
)
def test_they_stand_in_a_pipeline_and_are_cross_validated(first: NgramVectorizer | StyleEmbedder) -> None:
    pytest.importorskip("sklearn", reason="pipelines need scikit-learn")
    from sklearn.base import clone
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(first, RidgeClassifier())
    copy = clone(pipeline)
    assert copy.steps[0][1] is not first and copy.steps[0][1].get_params() == first.get_params()
    scores = cross_val_score(pipeline, PIECES, NAMES, cv=3)
    assert scores.mean() >= 0.7, "three manners of writing are told apart; a third would be chance"
    fitted = pipeline.fit(PIECES, NAMES)
    assert len(fitted[:-1].get_feature_names_out()) == fitted[-1].n_features_in_


def test_a_search_reaches_into_the_transformer() -> None:
    pytest.importorskip("sklearn", reason="pipelines need scikit-learn")
    from sklearn.model_selection import GridSearchCV
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import Pipeline

    pipeline = Pipeline([("grams", NgramVectorizer()), ("names", MultinomialNB())])
    search = GridSearchCV(pipeline, {"grams__min_pieces": [1, 3]}, cv=2).fit(PIECES, NAMES)
    assert search.best_params_["grams__min_pieces"] in (1, 3)


def test_scikit_learn_is_not_loaded() -> None:
    code = (
        "import sys; from fugato.represent import NgramVectorizer; import fugato.score as s;"
        "p = s.Score.from_notes([0, 1, 2], [1] * 3, [60, 64, 62]);"
        "NgramVectorizer(dense=True).fit_transform([p]);"
        "sys.exit(any(m in sys.modules for m in ('sklearn', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
