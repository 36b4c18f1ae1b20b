"""Cross-validation over works: what a recipe is worth on pieces whose work it has never seen."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato import metrics
from fugato.corpus.splits import Split, grouped_kfold
from fugato.models import fit_temperature, softmax

ACCEPTED: Final = 0.9  # share of held-out pieces by known composers that the shipped threshold calls known
INNER: Final = 3  # folds within which settings are chosen
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


def halves(groups: NDArray[Any]) -> NDArray[np.int64]:
    """0 or 1 for each entry, the same for entries of one group."""
    _, work = np.unique(groups, return_inverse=True)
    drawn: NDArray[np.int64] = np.random.default_rng(0).permutation(int(work.max()) + 1)[work] % 2
    return drawn


def cross_validate(
    recipe: Any,
    prepared: Any,
    labels: Sequence[str],
    groups: Sequence[str],
    split: Split,
    *,
    progress: Callable[[int, int], None] | None = None,
    grid: Mapping[str, Sequence[float]] | None = None,
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
    grid : mapping of str to values, optional
        Settings to choose among for each fold, by balanced accuracy over works within what it learns from: nested
        cross-validation (Cawley & Talbot, JMLR 11, 2010), so that the choice never saw the pieces that are judged.
    settings
        Of the recipe.
    """
    names = tuple(sorted(set(labels)))
    label, group = np.array(labels), np.array(groups)
    logits = np.full((len(label), len(names)), ABSENT, np.float32)
    for number, (learn, judge) in enumerate(split.sides(), 1):
        best = chosen(recipe, prepared, learn, label, group, grid, settings) if grid else {}
        fitted = recipe.fit(prepared, learn, label[learn], group[learn], **{**settings, **best})
        columns = np.array([names.index(name) for name in fitted.labels], np.int64)
        logits[np.ix_(judge, columns)] = fitted.logits(prepared, judge)
        _log.debug("fold %d of %d", number, len(split.parts))
        if progress is not None:
            progress(number, len(split.parts))
    truth = metrics.encode(list(labels), names)
    return Judged(names, truth, group, np.asarray(split.folds), logits)


def chosen(
    recipe: Any,
    prepared: Any,
    learn: NDArray[np.int64],
    label: NDArray[Any],
    group: NDArray[Any],
    grid: Mapping[str, Sequence[float]],
    settings: Mapping[str, float],
) -> dict[str, float]:
    """The settings of a grid with the highest balanced accuracy over `INNER` folds of works among the pieces in `learn`."""
    inner = grouped_kfold(label[learn].tolist(), group[learn].tolist(), INNER, 0)
    found: dict[tuple[float, ...], float] = {}
    for values in itertools.product(*grid.values()):
        tried = dict(zip(grid, values, strict=True))
        named = np.empty(len(learn), dtype=label.dtype)
        for some, judge in inner.sides():
            rows = learn[some]
            fitted = recipe.fit(prepared, rows, label[rows], group[rows], **{**settings, **tried})
            named[judge] = np.array(fitted.labels)[fitted.logits(prepared, learn[judge]).argmax(axis=1)]
        names = tuple(np.unique(np.concatenate([label[learn], named])).tolist())
        truth, answer = metrics.encode(label[learn].tolist(), names), metrics.encode(named.tolist(), names)
        found[values] = metrics.balanced_accuracy(truth, answer)
    best = max(found, key=lambda values: found[values])
    _log.debug("chosen among %s: %s", found, best)
    return dict(zip(grid, best, strict=True))


def known_threshold(probabilities: NDArray[np.float64]) -> float:
    """The highest probability that `ACCEPTED` of the held-out pieces reach; below it a piece is called unknown."""
    return float(np.quantile(probabilities.max(axis=1), 1 - ACCEPTED))


def card_figures(
    judged: Judged, figures: Mapping[str, Any], keys: Sequence[str], protocol: str
) -> list[dict[str, Any]]:
    """Some of `Judged.figures` as a card shows them, with their intervals where there are."""
    return [
        {"name": key, "value": round(figures[key], 4), "protocol": protocol, "n": len(judged.truth)}
        | ({"interval": [round(x, 4) for x in figures["intervals"][key]]} if key in figures["intervals"] else {})
        for key in keys
    ]


def card_calibration(
    judged: Judged, figures: Mapping[str, Any], groups: str, fitted: Mapping[str, Any]
) -> dict[str, Any]:
    """How far a model may be trusted, for its card; `groups` says what no model saw before it was judged, `fitted` what else is known."""
    return {
        "method": f"temperature on held-out {groups}",
        "temperature": judged.temperature,
        "ece": round(figures["ece"], 4),
        "known_threshold": round(known_threshold(judged.probabilities()), 4),
        **fitted,
    }
