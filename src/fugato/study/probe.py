"""The artefact probe: how much of a label the mere files give away, before a note of music is looked at.

Ticks per quarter note, the share of onsets on a notated grid, the number of tracks and tempos, and velocities tell who made a file
and with which program. Where a composer's pieces come from one maker, a classifier that sees them learns the maker. The probe
fits a random forest [1]_ to these numbers alone, on folds that keep works whole, and sets it beside the answer that always names the
commonest label. What it reaches above that, on a given corpus, is what any figure on that corpus may owe to its files.

It needs scikit-learn (the extra ``train``).

References
----------
.. [1] Breiman, "Random Forests", Machine Learning 45, 2001. The danger itself: Sturm, "A simple method to determine if a music
   information retrieval system is a horse", IEEE Transactions on Multimedia 16, 2014.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.corpus import canonical, grouped_kfold
from fugato.corpus.audit import AuditReport
from fugato.corpus.facts import Artefacts, Facts
from fugato.errors import FugatoError
from fugato.metrics import accuracy, balanced_accuracy, bootstrap_interval, encode

TREES: Final = 100
LEAVES: Final = 1_024  # of a tree at most, which keeps hundreds of composers in memory
LEAF: Final = 2  # pieces in a leaf at least
FOLDS: Final = 5
LEAST_WORKS: Final = 10  # of a label; rarer ones are left out

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Probe:
    """What the files alone give away of one label.

    Attributes
    ----------
    target : str
        "composer" or "source".
    pieces, works, classes : int
        That the probe was made on.
    accuracy, balanced_accuracy : float
        Over the held-out pieces of all folds, 0..1.
    accuracy_interval, balanced_accuracy_interval : (low, high)
        95 %, bootstrapped over works.
    majority_accuracy, chance_balanced_accuracy : float
        Of the answer that always names the commonest label.
    recall : dict
        Of every label, the best told first.
    importance : dict
        Share of each artefact in the forest's decisions, the largest first; sums to 1.
    folds, random_seed : int
    """

    target: str
    pieces: int
    works: int
    classes: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    balanced_accuracy: float
    balanced_accuracy_interval: tuple[float, float]
    majority_accuracy: float
    chance_balanced_accuracy: float
    recall: dict[str, float]
    importance: dict[str, float]
    folds: int
    random_seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def probe(report: AuditReport, *, folds: int = FOLDS, random_seed: int = 0) -> dict[str, dict[str, Any]]:
    """Probe an audited collection for its composers and, where it has several, for its sources.

    Parameters
    ----------
    report : AuditReport
        Whose facts, works and corrected labels are used; what it excludes is left out.
    folds : int
        At least 2.
    random_seed : int
        Of folds, forest and bootstrap.

    Returns
    -------
    dict
        Probe figures as plain JSON values, by target: "composer", and "source" where the index names several corpora.

    Raises
    ------
    FugatoError
        ``bad-option`` without scikit-learn; ``bad-data`` where fewer than two composers have enough works.
    """
    excluded = report.excluded
    corrected = report.corrected()
    kept = [
        (k.facts, piece)
        for k, piece in zip(report.known, corrected, strict=True)
        if isinstance(k.facts, Facts) and piece.id not in excluded
    ]
    named = [(f, p) for f, p in kept if canonical(p.composer) is not None]
    out = {
        "composer": probe_labels(
            [f.artefacts for f, _ in named],
            [p.composer for _, p in named],
            [p.group for _, p in named],
            folds=folds,
            random_seed=random_seed,
        ).to_dict()
    }
    if len({p.corpus for _, p in kept}) > 1:
        out["source"] = probe_labels(
            [f.artefacts for f, _ in kept],
            [p.corpus for _, p in kept],
            [p.group for _, p in kept],
            target="source",
            folds=folds,
            random_seed=random_seed,
        ).to_dict()
    return out


def probe_labels(
    artefacts: Sequence[Artefacts],
    labels: Sequence[str],
    groups: Sequence[Hashable],
    *,
    target: str = "composer",
    folds: int = FOLDS,
    least_works: int = LEAST_WORKS,
    random_seed: int = 0,
) -> Probe:
    """Cross-validated figures of a forest that sees artefacts alone.

    Parameters
    ----------
    artefacts : sequence of Artefacts, length n
    labels, groups : sequences of length n
        The label and the work of each piece.
    target : str
        What the labels are, for the report.
    folds : int
    least_works : int
        Labels with fewer works are left out.
    random_seed : int

    Raises
    ------
    FugatoError
        ``bad-option`` without scikit-learn or with fewer than 2 folds; ``bad-data`` where fewer than two labels remain.
    """
    forest = _forest()
    if folds < 2:
        raise FugatoError("bad-option", f"{folds} folds; there must be at least 2.")
    works = Counter(label for label, _ in set(zip(labels, groups, strict=True)))
    needed = max(least_works, folds)
    kept = [i for i, label in enumerate(labels) if works[label] >= needed]
    classes = sorted({labels[i] for i in kept})
    if len(classes) < 2:
        raise FugatoError(
            "bad-data", f"Only {len(classes)} {target}s have {needed} works or more; the probe needs two to tell apart."
        )
    table = np.array([artefacts[i] for i in kept], np.float64)  # (n, n_artefacts)
    truth = encode([labels[i] for i in kept], classes)
    group = [groups[i] for i in kept]
    split = grouped_kfold(truth.tolist(), group, folds, random_seed)
    answer = np.zeros(len(kept), np.int64)
    importance = np.zeros(len(Artefacts._fields))
    for learn, judge in split.sides():
        model = forest(
            n_estimators=TREES,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=LEAF,
            class_weight="balanced",
            random_state=random_seed,
            n_jobs=1,
        ).fit(table[learn], truth[learn])
        answer[judge] = model.predict(table[judge])
        importance += model.feature_importances_ / folds
    right = bootstrap_interval(accuracy, truth, answer, groups=group, seed=random_seed)
    even = bootstrap_interval(balanced_accuracy, truth, answer, groups=group, seed=random_seed)
    counts = np.bincount(truth, minlength=len(classes))
    recall = np.bincount(truth, weights=truth == answer, minlength=len(classes)) / counts
    return Probe(
        target=target,
        pieces=len(kept),
        works=len(set(group)),
        classes=len(classes),
        accuracy=round(right.value, 4),
        accuracy_interval=(round(right.low, 4), round(right.high, 4)),
        balanced_accuracy=round(even.value, 4),
        balanced_accuracy_interval=(round(even.low, 4), round(even.high, 4)),
        majority_accuracy=round(float(counts.max() / counts.sum()), 4),
        chance_balanced_accuracy=round(1 / len(classes), 4),
        recall=_falling(classes, recall),
        importance=_falling(Artefacts._fields, importance),
        folds=folds,
        random_seed=random_seed,
    )


def _falling(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    """Names with their values, the largest first."""
    order = np.argsort(-values, kind="stable")
    return {names[i]: round(float(values[i]), 4) for i in order}


def _forest() -> Callable[..., Any]:
    """scikit-learn's forest, loaded when it is asked for."""
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError:
        raise FugatoError(
            "bad-option", 'The artefact probe needs scikit-learn; install it with: pip install "fugato[train]".'
        ) from None
    found: Callable[..., Any] = RandomForestClassifier
    return found
