"""Cross-validation over works: what a recipe is worth on pieces whose work it has never seen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato import metrics
from fugato.corpus.splits import Split
from fugato.models import fit_temperature, softmax

ACCEPTED: Final = 0.9  # share of held-out pieces by known composers that the shipped threshold calls known
ABSENT: Final = -1e9  # score of a name that stands in no piece a fold learnt from: it cannot be named there
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Judged:
    """Scores of every piece by a model that did not see its work.

    Attributes
    ----------
    labels : tuple of str
        Names, in the order of the columns.
    truth : ndarray of int64, shape=(n,)
    groups : ndarray, shape=(n,)
    folds : ndarray of int64, shape=(n,)
    logits : ndarray of float32, shape=(n, n_labels)
    """

    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    groups: NDArray[Any]
    folds: NDArray[np.int64]
    logits: NDArray[np.float32]

    @property
    def temperature(self) -> float:
        """That makes the probabilities of all held-out pieces most likely."""
        return self._fitted(np.ones(len(self.truth), bool))

    def _fitted(self, rows: NDArray[np.bool_]) -> float:
        """Temperature of some pieces; those whose composer could not be named say nothing about it."""
        rows = rows & (self.logits[np.arange(len(self.truth)), self.truth] > ABSENT)
        return fit_temperature(self.logits[rows], self.truth[rows]) if rows.any() else 1.0

    def probabilities(self) -> NDArray[np.float64]:
        """Calibrated with the temperature of the *other* folds, so that the calibration is held out as well."""
        out = np.zeros(self.logits.shape)
        for fold in np.unique(self.folds):
            here = self.folds == fold
            out[here] = softmax(self.logits[here], self._fitted(~here))
        return out

    def figures(self, *, resamples: int = 1000) -> dict[str, Any]:
        """Everything `fugato.metrics.evaluate` gives, intervals over works."""
        return metrics.evaluate(self.truth, self.probabilities(), self.labels, groups=self.groups, n=resamples)


def cross_validate(
    recipe: Any,
    prepared: Any,
    labels: Sequence[str],
    groups: Sequence[str],
    split: Split,
    *,
    progress: Callable[[int, int], None] | None = None,
    **settings: float,
) -> Judged:
    """Train on all folds but one and score that one, in turn.

    Parameters
    ----------
    recipe : module
        With ``fit``; its result has ``labels`` and ``logits``.
    prepared
        What the recipe's ``prepare`` gave.
    labels, groups : sequences of str, length n
        Composer and work of each prepared piece.
    split : Split
        Over the same pieces, in the same order.
    progress : callable, optional
        Told (folds done, folds in all).
    """
    names = tuple(sorted(set(labels)))
    label, group = np.array(labels), np.array(groups)
    logits = np.full((len(label), len(names)), ABSENT, np.float32)
    for number, (learn, judge) in enumerate(split.sides(), 1):
        fitted = recipe.fit(prepared, learn, label[learn], group[learn], **settings)
        columns = np.array([names.index(name) for name in fitted.labels], np.int64)
        logits[np.ix_(judge, columns)] = fitted.logits(prepared, judge)
        _log.debug("fold %d of %d", number, len(split.parts))
        if progress is not None:
            progress(number, len(split.parts))
    truth = metrics.encode(list(labels), names)
    return Judged(names, truth, group, np.asarray(split.folds), logits)


def known_threshold(probabilities: NDArray[np.float64]) -> float:
    """The highest probability that `ACCEPTED` of the held-out pieces reach; below it a piece is called unknown."""
    return float(np.quantile(probabilities.max(axis=1), 1 - ACCEPTED))
