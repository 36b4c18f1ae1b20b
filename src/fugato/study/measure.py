"""The figures of a report: scikit-learn's metrics over one level (pieces or windows), with intervals over works.

Everything a picture or a sentence of the report says is in a `Level`; nothing is measured anywhere else.

References
----------
Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006; Guo, Pleiss, Sun and Weinberger, "On Calibration
of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato import metrics
from fugato.errors import FugatoError

BINS: Final = metrics.CALIBRATION_BINS
POINTS: Final = 400  # of a curve that is kept and drawn
TOP: Final = (2, 3, 5)  # k of the top-k accuracies

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Curve(NamedTuple):
    """A curve of one class, or of all: its points, both shape=(n_points,), and the area or mean precision in one number."""

    label: str
    x: Floats
    y: Floats
    value: float


class Bins(NamedTuple):
    """Answers by their probability, over `BINS` bins of equal width; empty bins hold NaN."""

    confidence: Floats
    right: Floats
    times: Ints


@dataclass(frozen=True, eq=False)
class Level:
    """All figures of the pieces, or of the windows.

    Attributes
    ----------
    name : "piece" or "window"
    unit : str
        What one is called.
    labels : tuple of str
    n, works : int
    truth, answer : ndarray of int64, shape=(n,)
    confidence : ndarray, shape=(n,)
        Of the answer, 0..1.
    figures : dict
        accuracy, balanced_accuracy, macro_f1, …; None where one is not defined.
    intervals : dict
        95 % [low, high] by name; empty where there is one work only.
    per_class : dict
        By label: precision, recall, f1, support, answered, roc_auc, average_precision, recall_interval.
    confusion : ndarray of int64, shape=(n_labels, n_labels)
        Rows true.
    roc, precision_recall : tuple of Curve
        Of the classes that occur, in the order of the labels; empty where nothing can be told apart.
    macro_roc, micro_precision_recall : Curve or None
    bins : Bins
    """

    name: str
    unit: str
    labels: tuple[str, ...]
    n: int
    works: int
    truth: Ints
    answer: Ints
    confidence: Floats
    figures: dict[str, float | None]
    intervals: dict[str, tuple[float, float]]
    per_class: dict[str, dict[str, Any]]
    confusion: Ints
    roc: tuple[Curve, ...]
    precision_recall: tuple[Curve, ...]
    macro_roc: Curve | None
    micro_precision_recall: Curve | None
    bins: Bins

    @property
    def present(self) -> list[int]:
        """Labels that occur in the truth."""
        return np.flatnonzero(self.confusion.sum(axis=1)).tolist()

    @property
    def seen(self) -> list[int]:
        """Labels that occur in the truth or in the answers."""
        return np.flatnonzero(self.confusion.sum(axis=0) + self.confusion.sum(axis=1)).tolist()

    def confusions(self) -> list[tuple[str, str, int, int]]:
        """(true name, answered name, how often, of how many), the commonest first, right answers left out."""
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        total = self.confusion.sum(axis=1)
        order = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [(self.labels[a], self.labels[b], int(wrong[a, b]), int(total[a])) for a, b in pairs]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, curves and all."""
        return {
            "unit": self.unit,
            "n": self.n,
            "works": self.works,
            "figures": self.figures,
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "per_class": self.per_class,
            "confusion": self.confusion.tolist(),
            "calibration": [
                {"confidence": _rounded(c), "right": _rounded(r), "count": int(n)}
                for c, r, n in zip(self.bins.confidence, self.bins.right, self.bins.times, strict=True)
            ],
            "curves": {
                "roc": [_curve(c) for c in (*self.roc, *filter(None, [self.macro_roc]))],
                "precision_recall": [
                    _curve(c) for c in (*self.precision_recall, *filter(None, [self.micro_precision_recall]))
                ],
            },
        }


def measure(
    labels: Sequence[str],
    truth: Ints,
    probabilities: NDArray[Any],
    groups: Ints,
    *,
    name: str = "piece",
    unit: str = "piece",
    resamples: int = 1000,
    random_seed: int = 0,
) -> Level:
    """Measure one level.

    Parameters
    ----------
    labels : sequence of str
    truth : ndarray of int64, shape=(n,)
    probabilities : ndarray, shape=(n, n_labels)
    groups : ndarray of int64, shape=(n,)
        Works.
    name, unit : str
    resamples, random_seed : int
        Of the bootstrap.

    Raises
    ------
    FugatoError
        ``bad-option`` without scikit-learn.
    """
    skm = sklearn_metrics()
    n_labels = len(labels)
    answer = probabilities.argmax(axis=1).astype(np.int64)
    confidence = probabilities.max(axis=1).astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that do not occur; they are told apart below
        precision, recall, f1, support = skm.precision_recall_fscore_support(
            truth, answer, labels=range(n_labels), zero_division=0
        )
        values: dict[str, float] = {
            "accuracy": skm.accuracy_score(truth, answer),
            "balanced_accuracy": skm.balanced_accuracy_score(truth, answer),
            "macro_f1": skm.f1_score(truth, answer, average="macro", zero_division=0),
            "weighted_f1": skm.f1_score(truth, answer, average="weighted", zero_division=0),
            "matthews": skm.matthews_corrcoef(truth, answer),
        }
    table = np.asarray(skm.confusion_matrix(truth, answer, labels=range(n_labels)), np.int64)
    if (table.any(axis=0) & (support == 0)).any():  # names that do not occur count in macro F1 where they were answered
        values["macro_f1_occurring"] = float(np.mean(f1[support > 0]))
    values["log_loss"] = metrics.log_loss(truth, probabilities)
    values["brier"] = metrics.brier(truth, probabilities)
    values["ece"] = metrics.expected_calibration_error(truth, probabilities)
    for k in TOP:
        if k < n_labels:
            values[f"top_{k}_accuracy"] = metrics.top_k_accuracy(truth, probabilities, k)
    values["majority_accuracy"] = float(support.max() / support.sum())
    roc, pr = _curves(skm, labels, truth, probabilities)
    macro, micro = _macro(roc), _micro(skm, truth, probabilities)
    values["macro_roc_auc"] = macro.value if macro else float("nan")
    values["macro_average_precision"] = float(np.mean([c.value for c in pr])) if pr else float("nan")
    values["micro_average_precision"] = micro.value if micro else float("nan")
    areas, precisions = {c.label: c.value for c in roc}, {c.label: c.value for c in pr}
    works = len(np.unique(groups))
    intervals = (
        _intervals(truth, answer, confidence, probabilities, groups, resamples, random_seed) if works > 1 else {}
    )
    per_class = {
        label: {
            "precision": _rounded(precision[c]) if table[:, c].any() else None,
            "recall": _rounded(recall[c]) if support[c] else None,
            "recall_interval": _recall_interval(truth == c, answer == c, groups, resamples, random_seed),
            "f1": _rounded(f1[c]) if support[c] or table[:, c].any() else None,
            "support": int(support[c]),
            "answered": int(table[:, c].sum()),
            "roc_auc": _rounded(areas.get(label)),
            "average_precision": _rounded(precisions.get(label)),
        }
        for c, label in enumerate(labels)
    }
    return Level(
        name=name,
        unit=unit,
        labels=tuple(labels),
        n=len(truth),
        works=works,
        truth=truth,
        answer=answer,
        confidence=confidence,
        figures={key: _rounded(value) for key, value in values.items()},
        intervals=intervals,
        per_class=per_class,
        confusion=table,
        roc=roc,
        precision_recall=pr,
        macro_roc=macro,
        micro_precision_recall=micro,
        bins=_bins(confidence, answer == truth),
    )


def sklearn_metrics() -> ModuleType:
    """scikit-learn's metrics, loaded when they are asked for; ``bad-option`` where it is not installed."""
    try:
        import sklearn.metrics
    except ImportError:
        raise FugatoError(
            "bad-option", 'A report needs scikit-learn; install it with: pip install "fugato[train]".'
        ) from None
    found: ModuleType = sklearn.metrics
    return found


# -- curves ------------------------------------------------------------------------------------------------------------


def _curves(
    skm: Any, labels: Sequence[str], truth: Ints, probabilities: NDArray[Any]
) -> tuple[tuple[Curve, ...], tuple[Curve, ...]]:
    """ROC and precision-recall of each class that occurs; the first is defined only where something else occurs as well."""
    roc, pr = [], []
    for c in np.unique(truth).tolist():
        positive, score = truth == c, probabilities[:, c]
        if positive.all():
            continue
        fpr, tpr, _ = skm.roc_curve(positive, score)
        roc.append(Curve(labels[c], *_thin(fpr, tpr), float(skm.auc(fpr, tpr))))
        precision, recall, _ = skm.precision_recall_curve(positive, score)
        value = float(skm.average_precision_score(positive, score))
        pr.append(Curve(labels[c], *_thin(recall[::-1], precision[::-1]), value))
    return tuple(roc), tuple(pr)


def _macro(roc: Sequence[Curve]) -> Curve | None:
    """The mean true positive rate of the classes at each false positive rate, and the mean area."""
    if not roc:
        return None
    x = np.linspace(0, 1, POINTS + 1)
    y = np.mean([np.interp(x, c.x, c.y) for c in roc], axis=0)
    return Curve("macro average", np.append(0.0, x), np.append(0.0, y), float(np.mean([c.value for c in roc])))


def _micro(skm: Any, truth: Ints, probabilities: NDArray[Any]) -> Curve | None:
    """All probabilities together, each a claim that is true or not; none where only one class occurs."""
    if len(np.unique(truth)) < 2:
        return None
    claims = np.zeros(probabilities.shape, bool)
    claims[np.arange(len(truth)), truth] = True
    flat = np.asarray(probabilities, np.float32).ravel()
    precision, recall, _ = skm.precision_recall_curve(claims.ravel(), flat)
    value = float(-np.sum(np.diff(recall) * precision[:-1]))  # average precision, without sorting once more
    return Curve("micro average", *_thin(recall[::-1], precision[::-1]), value)


def _thin(x: Any, y: Any) -> tuple[Floats, Floats]:
    """At most some `POINTS` of a curve, evenly along its length, both ends kept."""
    if len(x) <= POINTS:
        return np.asarray(x, np.float64), np.asarray(y, np.float64)
    length = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
    rows = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)).clip(0, len(x) - 1))
    rows = np.unique(np.concatenate(([0], rows, [len(x) - 1])))
    return np.asarray(x[rows], np.float64), np.asarray(y[rows], np.float64)


def _bins(confidence: Floats, right: NDArray[np.bool_]) -> Bins:
    which = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)  # as in fugato.metrics
    count = np.bincount(which, minlength=BINS)
    with np.errstate(invalid="ignore"):
        return Bins(
            np.bincount(which, confidence, BINS) / count, np.bincount(which, right.astype(float), BINS) / count, count
        )


# -- intervals ---------------------------------------------------------------------------------------------------------


def _intervals(
    truth: Ints,
    answer: Ints,
    confidence: Floats,
    probabilities: NDArray[Any],
    groups: Ints,
    resamples: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """95 % intervals of the main figures. Rows of a work that count alike are added up first: a million windows cost no more
    than their works."""
    _, group = np.unique(groups, return_inverse=True)
    size = int(max(truth.max(), answer.max())) + 1
    alike, times = np.unique((group * size + truth) * size + answer, return_counts=True)
    rest, a = np.divmod(alike, size)
    g, t = np.divmod(rest, size)
    count = times.astype(np.float64)
    out = {}

    def add(name: str, metric: Callable[..., float], arrays: Sequence[NDArray[Any]], work: Ints) -> None:
        found = metrics.bootstrap_interval(metric, *arrays, groups=work, n=resamples, seed=seed)
        out[name] = (round(found.low, 4), round(found.high, 4))

    for name, metric in (
        ("accuracy", metrics.accuracy),
        ("balanced_accuracy", metrics.balanced_accuracy),
        ("macro_f1", metrics.macro_f1),
    ):
        add(name, _counted(metric), (t, a, count), g)
    n_groups = int(group.max()) + 1
    surprise = -np.log(np.clip(probabilities[np.arange(len(truth)), truth].astype(np.float64), metrics.CLIP, 1.0))
    pieces = np.bincount(group, minlength=n_groups).astype(np.float64)
    add("log_loss", _ratio, (np.bincount(group, surprise, n_groups), pieces), np.arange(n_groups))
    which = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    cells, place = np.unique(group * BINS + which, return_inverse=True)
    gap = np.bincount(place, (answer == truth) - confidence)
    add("ece", _gap, (gap, np.bincount(place).astype(np.float64), cells % BINS), cells // BINS)
    return out


def _counted(metric: Callable[..., float]) -> Callable[..., float]:
    """A weighted metric over rows that stand for several."""

    def value(truth: Ints, answer: Ints, count: Floats, weights: Floats | None = None) -> float:
        return metric(truth, answer, count if weights is None else count * weights)

    return value


def _ratio(part: Floats, whole: Floats, weights: Floats | None = None) -> float:
    w = np.ones(len(part)) if weights is None else weights
    return float((w * part).sum() / (w * whole).sum())


def _gap(gap: Floats, count: Floats, which: Ints, weights: Floats | None = None) -> float:
    w = np.ones(len(gap)) if weights is None else weights
    return float(np.abs(np.bincount(which, w * gap)).sum() / (w * count).sum())


def _recall_interval(
    own: NDArray[np.bool_], answered: NDArray[np.bool_], groups: Ints, resamples: int, seed: int
) -> list[float] | None:
    """95 % interval of the recall over the works of one class; None where it has fewer than two."""
    works, group = np.unique(groups[own], return_inverse=True)
    if len(works) < 2:
        return None
    right = np.bincount(group, answered[own].astype(np.float64))
    arrays = (right, np.bincount(group).astype(np.float64))
    found = metrics.bootstrap_interval(_ratio, *arrays, groups=np.arange(len(works)), n=resamples, seed=seed)
    return [round(found.low, 4), round(found.high, 4)]


def _rounded(value: Any) -> float | None:
    """Six decimals; None for what is not defined."""
    return round(float(value), 6) if value is not None and np.isfinite(value) else None


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "label": curve.label,
        "value": _rounded(curve.value),
        "x": np.round(curve.x, 4).tolist(),
        "y": np.round(curve.y, 4).tolist(),
    }
