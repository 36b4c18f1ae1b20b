"""Figures over labels and probabilities: how often right, how well spread over classes, how honest the probabilities.

Method
------
Every function takes what was true and what was answered for ``n`` pieces and returns a float (or an array over classes). Labels
are integers ``0..n_classes-1``; `encode` turns names into them. Probabilities are rows that sum to 1. All figures are fractions
0..1 except `log_loss` (nats, 0 and up) and `brier` (0..2, summed over classes). The piece is the unit counted; intervals come from
`bootstrap_interval`, which draws whole groups (works) with replacement, because pieces of one work are not independent.

Where a figure is a function of weighted counts alone, it takes ``weights`` (shape=(n,)), and a bootstrap over groups is then one
matrix of weights rather than a thousand copies of the data.

Metrics
-------
* `accuracy`, `balanced_accuracy`, `precision_recall_f1`, `macro_f1`, `confusion_matrix`, `top_k_accuracy`: of the answers.
* `log_loss`, `brier`, `expected_calibration_error`, `adaptive_calibration_error`: of the probabilities [1]_.
* `roc_auc`, `roc_auc_one_vs_rest`, `average_precision`: of a score that should be higher for positives [2]_.
* `unknown_auroc`, `known_acceptance`: of the score by which "none of these" is told from the known.
* `bootstrap_interval`, `evaluate`.

References
----------
.. [1] Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017; the adaptive form: Nixon et al.,
   "Measuring Calibration in Deep Learning", CVPR Workshops 2019.
.. [2] Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import FugatoError

CALIBRATION_BINS: Final = 15  # of Guo et al. 2017
CLIP: Final = 1e-15  # the lowest probability that log_loss believes
ROW_SUM_TOLERANCE: Final = 1e-3  # float16 exports sum to 1 no better than this
REJECTION: Final = 0.9  # share of unknown pieces refused at which `known_acceptance` is read

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Interval(NamedTuple):
    """A figure with its bootstrap interval."""

    value: float
    low: float
    high: float
    level: float


class PerClass(NamedTuple):
    """Precision, recall, F1 and the true count of every class, each shape=(n_classes,)."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Floats


# -- the edge ----------------------------------------------------------------------------------------------------------


def encode(labels: Sequence[Hashable], classes: Sequence[Hashable]) -> Ints:
    """Names to their places in `classes`, shape=(n,); FugatoError("bad-data") names a label that is not among them."""
    place = {name: i for i, name in enumerate(classes)}
    try:
        return np.array([place[name] for name in labels], dtype=np.int64)
    except KeyError as error:
        raise _bad(
            f"the label {error.args[0]!r} is none of the {len(place)} classes (a spelling? see fugato.corpus.names)"
        ) from None


def validate(
    truth: ArrayLike,
    predicted: ArrayLike | None = None,
    probabilities: ArrayLike | None = None,
    n_classes: int | None = None,
) -> None:
    """Check arrays before they are measured; FugatoError("bad-data") says what is wrong and the likely cause.

    Parameters
    ----------
    truth, predicted : int array-like, shape=(n,)
        In ``0..n_classes-1``.
    probabilities : float array-like, shape=(n, n_classes)
        Rows of non-negative numbers that sum to 1.
    n_classes : int, optional
        Taken from `probabilities` where those are given.
    """
    true = np.asarray(truth)
    if true.ndim != 1:
        raise _bad(f"truth has shape {true.shape}, expected one label a piece, shape (n,)")
    if not len(true):
        raise _bad("there is nothing to measure: no labels")
    if probabilities is not None:
        table = np.asarray(probabilities)
        if table.ndim != 2 or len(table) != len(true):
            raise _bad(f"probabilities have shape {table.shape}, expected ({len(true)}, n_classes): a row a piece")
        if n_classes is not None and table.shape[1] != n_classes:
            raise _bad(f"probabilities have {table.shape[1]} columns for {n_classes} classes")
        n_classes = table.shape[1]
        if not np.isfinite(table).all():
            raise _bad(f"{int((~np.isfinite(table)).any(axis=1).sum())} rows of probabilities hold NaN or infinity")
        if table.min() < 0:
            raise _bad(f"a probability is {table.min():.4g}, below 0 (are these scores before the softmax?)")
        off = np.abs(table.sum(axis=1) - 1.0)
        if off.max() > ROW_SUM_TOLERANCE:
            row = int(off.argmax())
            raise _bad(
                f"row {row} of probabilities sums to {table[row].sum():.4g}, not 1 (scores before the softmax, or a cut ranking?)"
            )
    for name, labels in (("truth", true), ("predicted", None if predicted is None else np.asarray(predicted))):
        if labels is None:
            continue
        if labels.shape != true.shape:
            raise _bad(f"{name} has shape {labels.shape}, truth has {true.shape}: one answer a piece is needed")
        if not np.issubdtype(labels.dtype, np.integer):
            raise _bad(f"{name} holds {labels.dtype}, expected integers (turn names into places with metrics.encode)")
        if labels.min() < 0 or (n_classes is not None and labels.max() >= n_classes):
            top = "" if n_classes is None else f"..{n_classes - 1}"
            raise _bad(
                f"{name} holds {labels.min()}..{labels.max()}, expected 0{top} (a class that the model does not know?)"
            )


def _bad(message: str) -> FugatoError:
    return FugatoError("bad-data", message)


def _unit(weights: Floats | None, n: int) -> Floats:
    return np.ones(n) if weights is None else weights


# -- answers -----------------------------------------------------------------------------------------------------------


def accuracy(truth: Ints, predicted: Ints, weights: Floats | None = None) -> float:
    """Share of pieces answered right."""
    w = _unit(weights, len(truth))
    return float((w * (truth == predicted)).sum() / w.sum())


def confusion_matrix(truth: Ints, predicted: Ints, n_classes: int, weights: Floats | None = None) -> Floats:
    """Counts, shape=(n_classes, n_classes): row the true class, column the answered one."""
    flat = np.bincount(truth * n_classes + predicted, weights=weights, minlength=n_classes**2)
    return flat.astype(np.float64).reshape(n_classes, n_classes)


def balanced_accuracy(truth: Ints, predicted: Ints, weights: Floats | None = None) -> float:
    """Mean recall over the classes that occur in `truth`: every composer counts alike, however many pieces there are."""
    w = _unit(weights, len(truth))
    total = np.bincount(truth, weights=w)
    right = np.bincount(truth, weights=w * (truth == predicted))
    seen = total > 0
    return float(np.mean(right[seen] / total[seen]))


def precision_recall_f1(truth: Ints, predicted: Ints, n_classes: int, weights: Floats | None = None) -> PerClass:
    """Precision, recall and F1 of every class; 0 where there is nothing to divide by."""
    table = confusion_matrix(truth, predicted, n_classes, weights)
    right, support, answered = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    return PerClass(_ratio(right, answered), _ratio(right, support), _ratio(2 * right, support + answered), support)


def macro_f1(truth: Ints, predicted: Ints, weights: Floats | None = None) -> float:
    """Mean F1 over the classes that occur in `truth` or in the answers."""
    n_classes = int(max(truth.max(), predicted.max())) + 1
    w = _unit(weights, len(truth))
    both = np.bincount(truth, weights=w, minlength=n_classes) + np.bincount(predicted, weights=w, minlength=n_classes)
    right = np.bincount(truth, weights=w * (truth == predicted), minlength=n_classes)
    occurs = both > 0
    return float(np.mean(2 * right[occurs] / both[occurs]))


def top_k_accuracy(truth: Ints, probabilities: Floats, k: int, weights: Floats | None = None) -> float:
    """Share of pieces whose true class is among the `k` most probable; ties count against the answer."""
    own = probabilities[np.arange(len(truth)), truth]
    above = (probabilities >= own[:, None]).sum(axis=1) - 1
    w = _unit(weights, len(truth))
    return float((w * (above < k)).sum() / w.sum())


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part, dtype=np.float64), where=whole > 0)


# -- probabilities -----------------------------------------------------------------------------------------------------


def log_loss(truth: Ints, probabilities: Floats, weights: Floats | None = None) -> float:
    """Mean of minus the natural logarithm of the true class's probability; nats."""
    return _mean(_surprise(truth, probabilities), weights)


def brier(truth: Ints, probabilities: Floats, weights: Floats | None = None) -> float:
    """Mean squared distance of the row of probabilities from the truth, summed over classes: 0 perfect, 2 surely wrong."""
    return _mean(_distance(truth, probabilities), weights)


def _surprise(truth: Ints, probabilities: Floats) -> Floats:
    own: Floats = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return -np.log(np.clip(own, CLIP, 1.0))


def _distance(truth: Ints, probabilities: Floats) -> Floats:
    distance: Floats = (probabilities**2).sum(axis=1) - 2 * probabilities[np.arange(len(truth)), truth] + 1
    return distance


def _mean(values: Floats, weights: Floats | None = None) -> float:
    w = _unit(weights, len(values))
    return float((w * values).sum() / w.sum())  # no dot product: the threads of BLAS cost more than the sum


def expected_calibration_error(
    truth: Ints, probabilities: Floats, weights: Floats | None = None, *, bins: int = CALIBRATION_BINS
) -> float:
    """Mean gap between the top probability and the share answered right, over `bins` equally wide bins of that probability."""
    return _equal_width_gap(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth, weights, bins=bins)


def _equal_width_gap(
    confidence: Floats, right: NDArray[np.bool_], weights: Floats | None = None, *, bins: int = CALIBRATION_BINS
) -> float:
    which = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)  # bins open below, closed above
    return _calibration_gap(confidence, right, which, weights)


def adaptive_calibration_error(
    truth: Ints, probabilities: Floats, weights: Floats | None = None, *, bins: int = CALIBRATION_BINS
) -> float:
    """As `expected_calibration_error`, with bins that hold equally many pieces."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    rank = np.empty(len(truth), dtype=np.int64)
    rank[np.argsort(confidence, kind="stable")] = np.arange(len(truth))
    return _calibration_gap(confidence, right, rank * bins // len(truth), weights)


def _calibration_gap(confidence: Floats, right: NDArray[np.bool_], which: Ints, weights: Floats | None) -> float:
    w = _unit(weights, len(confidence))
    gap = np.bincount(
        which, weights=w * (right - confidence)
    )  # weight of the bin times (share right - mean confidence)
    return float(np.abs(gap).sum() / w.sum())


# -- scores ------------------------------------------------------------------------------------------------------------


def roc_auc(positive: NDArray[np.bool_], score: Floats, weights: Floats | None = None) -> float:
    """Chance that a positive scores above a negative, ties counting half; NaN if one side is empty."""
    w = _unit(weights, len(score))
    _, level = np.unique(score, return_inverse=True)
    up = np.bincount(level, weights=w * positive)
    down = np.bincount(level, weights=w * ~positive)
    pairs = up.sum() * down.sum()
    return float((up * (np.cumsum(down) - down / 2)).sum() / pairs) if pairs > 0 else float("nan")


def roc_auc_one_vs_rest(truth: Ints, probabilities: Floats, weights: Floats | None = None) -> Floats:
    """`roc_auc` of every class against the rest, shape=(n_classes,); NaN for classes that do not occur."""
    return np.array([roc_auc(truth == c, probabilities[:, c], weights) for c in range(probabilities.shape[1])])


def average_precision(positive: NDArray[np.bool_], score: Floats, weights: Floats | None = None) -> float:
    """Mean precision over the steps of recall, without interpolation; NaN if nothing is positive."""
    w = _unit(weights, len(score))
    _, level = np.unique(-score, return_inverse=True)  # 0 is the highest score
    up = np.bincount(level, weights=w * positive)
    everything: Floats = np.cumsum(np.bincount(level, weights=w))
    found: Floats = np.cumsum(up)
    return float((up * _ratio(found, everything)).sum() / found[-1]) if found[-1] > 0 else float("nan")


def tpr_at_fpr(positive: NDArray[np.bool_], score: Floats, fpr: float) -> float:
    """Largest share of positives accepted by a threshold that lets at most `fpr` of the negatives in; NaN if one side is empty."""
    if not positive.any() or positive.all():
        return float("nan")
    values, level = np.unique(-score, return_inverse=True)
    up = np.cumsum(np.bincount(level, weights=positive, minlength=len(values))) / positive.sum()
    down = np.cumsum(np.bincount(level, weights=~positive, minlength=len(values))) / (~positive).sum()
    allowed = down <= fpr + 1e-12
    return float(up[allowed].max()) if allowed.any() else 0.0


def unknown_auroc(known: NDArray[np.bool_], score: Floats, weights: Floats | None = None) -> float:
    """`roc_auc` of a score of being known (higher: one of the model's composers) over known and unknown pieces."""
    return roc_auc(known, score, weights)


def known_acceptance(known: NDArray[np.bool_], score: Floats, rejection: float = REJECTION) -> float:
    """Share of known pieces accepted at a threshold that refuses `rejection` of the unknown ones."""
    return tpr_at_fpr(known, score, 1.0 - rejection)


# -- intervals ---------------------------------------------------------------------------------------------------------


def bootstrap_interval(
    metric: Callable[..., float],
    *arrays: NDArray[Any],
    groups: Sequence[Hashable] | NDArray[Any],
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a metric when whole groups are drawn with replacement.

    Parameters
    ----------
    metric : callable
        ``metric(*arrays) -> float``. One that takes ``weights`` (most here do) is resampled through how often each piece was
        drawn; any other is called on the drawn rows.
    arrays : ndarrays, shape=(n_pieces, ...)
        What `metric` takes, a row a piece.
    groups : array-like, shape=(n_pieces,)
        The work of each piece.
    n : int
        Number of resamples.
    seed : int
        Of the draw; the same seed gives the same interval.
    level : float
        Coverage, 0..1.

    Returns
    -------
    Interval
        The metric on all pieces, with the bounds; a resample on which the metric is not defined (NaN) is left out.
    """
    size = len(arrays[0]) if arrays else 0
    if not size or any(len(a) != size for a in arrays) or len(groups) != size:
        raise _bad(
            f"arrays of {[len(a) for a in arrays]} and {len(groups)} groups: the same number of pieces, at least one, is needed"
        )
    if not 0 < level < 1 or n < 1:
        raise FugatoError("bad-option", f"level {level} must lie between 0 and 1, and n {n} be at least 1")
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    n_groups = int(group.max()) + 1
    rng = np.random.default_rng(seed)
    value = metric(*arrays)
    by_weight = _takes_weights(metric)
    drawn = np.empty(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(n):
            times = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups)[group]
            if by_weight:
                drawn[i] = metric(*arrays, weights=times.astype(np.float64))
            else:
                rows = np.repeat(np.arange(size), times)
                drawn[i] = metric(*(a[rows] for a in arrays))
    tail = (1 - level) / 2
    kept = drawn[np.isfinite(drawn)]
    low, high = np.quantile(kept, [tail, 1 - tail]) if len(kept) else (float("nan"), float("nan"))
    return Interval(float(value), float(low), float(high), level)


def _takes_weights(metric: Callable[..., float]) -> bool:
    code = getattr(metric, "__code__", None)
    return code is not None and "weights" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def evaluate(
    truth: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    *,
    groups: Sequence[Hashable] | NDArray[Any] | None = None,
    known: ArrayLike | None = None,
    known_score: ArrayLike | None = None,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Any]:
    """All figures of a classifier as plain JSON values.

    Parameters
    ----------
    truth : int array-like, shape=(n_pieces,)
    probabilities : float array-like, shape=(n_pieces, n_classes)
    classes : sequence of str
        Names, in the order of the columns.
    groups : array-like, shape=(n_pieces,), optional
        Works. With them the main figures carry ``[low, high]`` intervals.
    known, known_score : array-like, shape=(m,), optional
        Whether each of m other pieces is by one of the classes, and the model's score for that.
    n, seed, level
        As in `bootstrap_interval`.

    Returns
    -------
    dict
        ``pieces``, ``groups``, the figures by name, ``intervals`` (name to [low, high]), ``per_class`` (name to precision, recall,
        f1, roc_auc, average_precision, support), ``confusion`` (rows true), ``bootstrap``; with `known`: ``unknown``.
    """
    validate(truth, probabilities=probabilities, n_classes=len(classes))
    true, table = np.asarray(truth, dtype=np.int64), np.asarray(probabilities, dtype=np.float64)
    answer = table.argmax(axis=1)
    each = precision_recall_f1(true, answer, len(classes))
    areas = roc_auc_one_vs_rest(true, table)
    precisions = [average_precision(true == c, table[:, c]) for c in range(len(classes))]
    main: dict[str, tuple[Callable[..., float], tuple[NDArray[Any], ...]]] = {
        "accuracy": (accuracy, (true, answer)),
        "balanced_accuracy": (balanced_accuracy, (true, answer)),
        "macro_f1": (macro_f1, (true, answer)),
        "log_loss": (_mean, (_surprise(true, table),)),  # reduced to a number a piece, so that resampling is cheap
        "brier": (_mean, (_distance(true, table),)),
        "ece": (_equal_width_gap, (table.max(axis=1), answer == true)),
    }
    out: dict[str, Any] = {"pieces": len(true), "groups": None, **{name: f(*a) for name, (f, a) in main.items()}}
    out["adaptive_ece"] = adaptive_calibration_error(true, table)
    out["top_3_accuracy"] = top_k_accuracy(true, table, 3)
    out["top_5_accuracy"] = top_k_accuracy(true, table, 5)
    out["macro_roc_auc"] = _plain(float(np.nanmean(areas)) if np.isfinite(areas).any() else float("nan"))
    if groups is not None:
        out["groups"] = len(np.unique(np.asarray(groups)))
        out["bootstrap"] = {"n": n, "seed": seed, "level": level, "over": "groups"}
        out["intervals"] = {}
        for name, (f, a) in main.items():
            interval = bootstrap_interval(f, *a, groups=groups, n=n, seed=seed, level=level)
            out["intervals"][name] = [interval.low, interval.high]
    out["per_class"] = {
        name: {
            "precision": float(each.precision[c]),
            "recall": float(each.recall[c]),
            "f1": float(each.f1[c]),
            "roc_auc": _plain(areas[c]),
            "average_precision": _plain(precisions[c]),
            "support": int(each.support[c]),
        }
        for c, name in enumerate(classes)
    }
    out["confusion"] = confusion_matrix(true, answer, len(classes)).astype(np.int64).tolist()
    if known is not None and known_score is not None:
        flags, scores = np.asarray(known, dtype=bool), np.asarray(known_score, dtype=np.float64)
        if flags.shape != scores.shape or flags.ndim != 1:
            raise _bad(
                f"known has shape {flags.shape}, known_score {scores.shape}: one flag and one score a piece are needed"
            )
        out["unknown"] = {
            "auroc": _plain(unknown_auroc(flags, scores)),
            "known_acceptance": _plain(known_acceptance(flags, scores)),
            "at_rejection": REJECTION,
            "known": int(flags.sum()),
            "unknown": int((~flags).sum()),
        }
    return out


def _plain(value: float) -> float | None:
    """A float for JSON; None for NaN."""
    return float(value) if np.isfinite(value) else None
