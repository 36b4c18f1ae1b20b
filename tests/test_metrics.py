"""Figures with known answers, and the same figures from scikit-learn."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np
import pytest

from fugato import metrics
from fugato.errors import FugatoError


@pytest.fixture
def pieces() -> tuple[Any, Any, Any, Any]:
    """400 pieces of 6 composers in 90 works: truth, probabilities, answers, groups; probabilities lean to the truth and tie at times."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 6, 400)
    scores = rng.normal(size=(400, 6)) + 1.5 * (np.arange(6) == truth[:, None])
    table = np.exp(scores)
    table /= table.sum(axis=1, keepdims=True)
    return truth, table, table.argmax(axis=1), rng.integers(0, 90, 400)


# -- known answers -----------------------------------------------------------------------------------------------------


def test_balanced_accuracy_counts_every_composer_alike() -> None:
    truth = np.array([0] * 8 + [1] * 2)
    predicted = np.zeros(10, dtype=np.int64)
    assert metrics.accuracy(truth, predicted) == 0.8
    assert metrics.balanced_accuracy(truth, predicted) == 0.5
    assert metrics.macro_f1(truth, predicted) == pytest.approx((2 * 8 / 18) / 2)


def test_a_perfect_answer_has_perfect_figures() -> None:
    truth = np.array([0, 1, 2, 1])
    table = np.eye(3)[truth]
    answer = table.argmax(axis=1)
    assert (
        metrics.accuracy(truth, answer)
        == metrics.balanced_accuracy(truth, answer)
        == metrics.macro_f1(truth, answer)
        == 1
    )
    assert metrics.log_loss(truth, table) == 0 and metrics.brier(truth, table) == 0
    assert metrics.expected_calibration_error(truth, table) == metrics.adaptive_calibration_error(truth, table) == 0
    assert metrics.roc_auc_one_vs_rest(truth, table).tolist() == [1, 1, 1]


def test_a_surely_wrong_answer_costs_two_in_brier_and_much_in_log_loss() -> None:
    truth, table = np.array([0]), np.array([[0.0, 1.0]])
    assert metrics.brier(truth, table) == 2
    assert metrics.log_loss(truth, table) == pytest.approx(-math.log(metrics.CLIP))


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    truth = np.array([0, 0, 0, 1])  # three of four right at 0.9
    table = np.tile([0.9, 0.1], (4, 1))
    assert metrics.expected_calibration_error(truth, table) == pytest.approx(0.15)
    assert metrics.adaptive_calibration_error(truth, table, bins=1) == pytest.approx(0.15)


def test_top_k_counts_ties_against_the_answer() -> None:
    table = np.array([[0.4, 0.4, 0.2], [0.2, 0.3, 0.5]])
    truth = np.array([0, 1])
    assert metrics.top_k_accuracy(truth, table, 1) == 0
    assert metrics.top_k_accuracy(truth, table, 2) == 1


def test_rejection_of_unknown_music_is_read_at_nine_tenths() -> None:
    known = np.array([True] * 10 + [False] * 10)
    score = np.concatenate([np.arange(5, 15), np.arange(10)]).astype(float)
    assert metrics.known_acceptance(known, score) == pytest.approx(0.6)  # from 9 on, one unknown let in
    assert metrics.unknown_auroc(known, score) == pytest.approx(0.875)  # 85 pairs in order, 5 ties
    assert metrics.known_acceptance(known, known.astype(float)) == 1.0
    assert math.isnan(metrics.known_acceptance(np.ones(3, bool), np.ones(3)))


def test_a_constant_score_is_a_coin() -> None:
    positive = np.array([True, False, True, False])
    assert metrics.roc_auc(positive, np.zeros(4)) == 0.5
    assert metrics.average_precision(positive, np.zeros(4)) == 0.5


# -- against scikit-learn ----------------------------------------------------------------------------------------------


def test_answers_agree_with_scikit_learn(pieces: tuple[Any, Any, Any, Any]) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    truth, table, answer, _ = pieces
    weights = np.random.default_rng(1).integers(0, 4, len(truth)).astype(float)
    for w in (None, weights):
        near = {"rel": 1e-12}
        assert metrics.accuracy(truth, answer, w) == pytest.approx(
            sk.accuracy_score(truth, answer, sample_weight=w), **near
        )
        assert metrics.balanced_accuracy(truth, answer, w) == pytest.approx(
            sk.balanced_accuracy_score(truth, answer, sample_weight=w), **near
        )
        assert metrics.macro_f1(truth, answer, w) == pytest.approx(
            sk.f1_score(truth, answer, average="macro", sample_weight=w), **near
        )
        np.testing.assert_allclose(
            metrics.confusion_matrix(truth, answer, 6, w), sk.confusion_matrix(truth, answer, sample_weight=w)
        )
        expected = sk.precision_recall_fscore_support(truth, answer, sample_weight=w, zero_division=0)
        np.testing.assert_allclose(metrics.precision_recall_f1(truth, answer, 6, w), expected)
        assert metrics.log_loss(truth, table, w) == pytest.approx(sk.log_loss(truth, table, sample_weight=w), **near)
        assert metrics.top_k_accuracy(truth, table, 3, w) == pytest.approx(
            sk.top_k_accuracy_score(truth, table, k=3, sample_weight=w)
        )
    assert metrics.brier(truth, table) == pytest.approx(((table - np.eye(6)[truth]) ** 2).sum(axis=1).mean())


def test_scores_agree_with_scikit_learn(pieces: tuple[Any, Any, Any, Any]) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    truth, table, _, _ = pieces
    for digits in (1, 15):  # rounded to one digit, most scores tie
        for c in range(6):
            score = table[:, c].round(digits)
            assert metrics.roc_auc(truth == c, score) == pytest.approx(sk.roc_auc_score(truth == c, score))
            assert metrics.average_precision(truth == c, score) == pytest.approx(
                sk.average_precision_score(truth == c, score)
            )
            fpr, tpr, _ = sk.roc_curve(truth == c, score, drop_intermediate=False)
            assert metrics.tpr_at_fpr(truth == c, score, 0.1) == pytest.approx(tpr[fpr <= 0.1].max())
    assert metrics.roc_auc_one_vs_rest(truth, table).mean() == pytest.approx(
        sk.roc_auc_score(truth, table, multi_class="ovr")
    )


def test_weights_are_repetitions(pieces: tuple[Any, Any, Any, Any]) -> None:
    truth, table, _, _ = pieces
    times = np.random.default_rng(2).integers(1, 4, len(truth))
    rows = np.repeat(np.arange(len(truth)), times)
    w = times.astype(float)
    for figure in (metrics.brier, metrics.log_loss, metrics.expected_calibration_error):
        assert figure(truth, table, w) == pytest.approx(figure(truth[rows], table[rows]))
    for figure in (metrics.roc_auc, metrics.average_precision):
        assert figure(truth == 1, table[:, 1], w) == pytest.approx(figure((truth == 1)[rows], table[rows, 1]))


# -- intervals ---------------------------------------------------------------------------------------------------------


def test_the_interval_holds_the_figure_and_the_seed_repeats_it(pieces: tuple[Any, Any, Any, Any]) -> None:
    truth, _, answer, groups = pieces
    first = metrics.bootstrap_interval(metrics.balanced_accuracy, truth, answer, groups=groups, n=200, seed=3)
    assert first.low < first.value < first.high
    assert first == metrics.bootstrap_interval(metrics.balanced_accuracy, truth, answer, groups=groups, n=200, seed=3)
    assert first != metrics.bootstrap_interval(metrics.balanced_accuracy, truth, answer, groups=groups, n=200, seed=4)


def test_resampling_by_weights_equals_resampling_by_rows(pieces: tuple[Any, Any, Any, Any]) -> None:
    truth, _, answer, groups = pieces

    def by_rows(t: Any, p: Any) -> float:
        return metrics.macro_f1(t, p)

    fast = metrics.bootstrap_interval(metrics.macro_f1, truth, answer, groups=groups, n=100)
    slow = metrics.bootstrap_interval(by_rows, truth, answer, groups=groups, n=100)
    assert fast == pytest.approx(slow)


def test_pieces_of_one_work_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.integers(0, 2, 40), 25)  # 40 works of 25 pieces, all alike within a work
    truth = np.ones(1000, dtype=np.int64)
    works = np.repeat(np.arange(40), 25)
    wide = metrics.bootstrap_interval(metrics.accuracy, truth, right, groups=works)
    narrow = metrics.bootstrap_interval(metrics.accuracy, truth, right, groups=np.arange(1000))
    assert (wide.high - wide.low) > 3 * (narrow.high - narrow.low)


def test_a_thousand_resamples_of_a_large_collection_take_seconds() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 76, 20_000)
    answer = np.where(rng.random(20_000) < 0.6, truth, rng.integers(0, 76, 20_000))
    start = time.perf_counter()
    metrics.bootstrap_interval(metrics.balanced_accuracy, truth, answer, groups=rng.integers(0, 10_000, 20_000), n=1000)
    assert time.perf_counter() - start < 20  # about 1 s on a quiet machine


# -- the edge ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("truth", "probabilities", "hint"),
    [
        ([0, 1], [[0.5, 0.5]], "a row a piece"),
        ([], np.zeros((0, 2)), "nothing to measure"),
        ([0], [[2.0, 1.0]], "softmax"),
        ([0], [[1.5, -0.5]], "below 0"),
        ([0], [[np.nan, 1.0]], "NaN"),
        ([2], [[0.5, 0.5]], "does not know"),
        ([0.0], [[0.5, 0.5]], "encode"),
        ([[0]], [[0.5, 0.5]], "shape"),
    ],
)
def test_unusable_arrays_are_refused_with_a_likely_cause(truth: Any, probabilities: Any, hint: str) -> None:
    with pytest.raises(FugatoError, match=hint) as caught:
        metrics.validate(truth, probabilities=probabilities)
    assert caught.value.kind == "bad-data"


def test_names_are_encoded_and_a_strange_one_is_named() -> None:
    assert metrics.encode(["Bach", "Chopin", "Bach"], ["Bach", "Chopin"]).tolist() == [0, 1, 0]
    with pytest.raises(FugatoError, match="'Haendel'"):
        metrics.encode(["Haendel"], ["Handel"])


def test_bad_options_of_the_bootstrap_are_refused() -> None:
    one = np.array([1])
    with pytest.raises(FugatoError, match="level"):
        metrics.bootstrap_interval(metrics.accuracy, one, one, groups=one, level=95)
    with pytest.raises(FugatoError, match="same number"):
        metrics.bootstrap_interval(metrics.accuracy, one, one, groups=[1, 2])


def test_evaluate_gives_everything_as_json(pieces: tuple[Any, Any, Any, Any]) -> None:
    truth, table, answer, groups = pieces
    classes = ["Bach", "Brahms", "Byrd", "Chopin", "Haydn", "Sor"]
    known = np.arange(100) < 60
    out = metrics.evaluate(
        truth, table, classes, groups=groups, n=50, known=known, known_score=known + np.linspace(0, 1.5, 100)
    )
    assert json.loads(json.dumps(out)) == out
    assert out["accuracy"] == metrics.accuracy(truth, answer)
    assert out["ece"] == metrics.expected_calibration_error(truth, table)
    assert out["brier"] == pytest.approx(metrics.brier(truth, table))
    for name, (low, high) in out["intervals"].items():
        assert low < high, name
    assert sum(sum(row) for row in out["confusion"]) == out["pieces"] == 400
    assert out["per_class"]["Bach"]["support"] == int((truth == 0).sum())
    assert 0.5 < out["unknown"]["auroc"] <= 1


def test_a_class_without_pieces_has_no_area() -> None:
    out = metrics.evaluate([0, 0], [[0.9, 0.1], [0.8, 0.2]], ["Bach", "Sor"])
    assert out["per_class"]["Sor"]["roc_auc"] is None and out["macro_roc_auc"] is None
    assert out["balanced_accuracy"] == 1
