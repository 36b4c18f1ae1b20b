"""One model, or several that answer together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.composer import pooled
from fugato.composer.ngram_linear import RECIPE, NgramLinear
from fugato.composer.pooled import PooledModel
from fugato.composer.window_network import PART, WindowNetwork
from fugato.errors import FugatoError
from fugato.models import Model, load_model, softmax
from fugato.represent.stream import Stream
from fugato.score import Score, seconds_at

FLOOR: Final = 1e-9  # of a probability, before its logarithm is taken


class Panel:
    """What is asked who composed a piece.

    Several models are fused late: the geometric mean of their calibrated probabilities (the product rule of Kittler et al., "On
    combining classifiers", IEEE TPAMI 20, 1998). The first is the one whose threshold and evidence count.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self.classifiers = [_classifier(model) for model in models]
        self.model = models[0]
        self.labels = models[0].labels
        for other in models[1:]:
            if set(other.labels) != set(self.labels):
                raise FugatoError(
                    "bad-option",
                    f"The models {self.model.card.name} and {other.card.name} know different composers and cannot answer together.",
                )

    @property
    def patterns(self) -> NgramLinear | None:
        """The n-grams of the first model, which name bars and patterns; None where it has none."""
        first = self.classifiers[0]
        if isinstance(first, PooledModel):
            return first.linear
        return first if isinstance(first, NgramLinear) else None

    def _scores(self, score: Score, events: Stream, windows: int) -> tuple[list[NDArray[np.float64]], float | None]:
        """Scores of each model at its own temperature, log probabilities up to a constant, shape=(n_labels,) each.

        And how surely the piece is by one of the composers, where the first is a pool: others cannot tell.
        """
        found, surest = [], None
        for classifier in self.classifiers:
            logits: NDArray[Any]
            if isinstance(classifier, NgramLinear):
                logits = classifier.logits(events)
            elif isinstance(classifier, PooledModel):
                logits, sure = classifier.judged(score, events, windows)
                surest = sure if classifier is self.classifiers[0] else surest
            else:
                logits = classifier.logits(classifier.table(score, events))
            order = [classifier.labels.index(label) for label in self.labels]
            found.append(logits[order].astype(np.float64) / classifier.temperature)
        return found, surest

    def answer(
        self, score: Score, events: Stream, candidates: list[int] | None, windows: int = pooled.HEARD
    ) -> tuple[NDArray[np.float64], float]:
        """Probabilities, shape=(n_labels,), 0 for all but the candidates where they are given; and how surely it is one of all.

        The latter is the highest probability among all, or what a pool knows better: 0 where the music is like none that was learnt from.
        The network of a pool looks at so many windows at most.
        """
        scores, sure = self._scores(score, events, windows)
        everyone = _fused([softmax(s) for s in scores])
        surest = float(everyone.max()) if sure is None else sure
        if candidates is None:
            return everyone, surest
        out = np.zeros(len(self.labels))
        out[candidates] = _fused([softmax(s[candidates]) for s in scores])
        return out, surest

    def bar_weights(self, score: Score, events: Stream, label: str) -> NDArray[np.float64]:
        """How much each bar spoke for a composer to the first model, to its n-grams where it has them, shape=(n_bars,)."""
        first = self.patterns or self.classifiers[0]
        if isinstance(first, NgramLinear):
            return first.bar_weights(events, label, len(score.bars))
        assert isinstance(first, WindowNetwork)  # a pool has its n-grams
        return first.bar_weights(first.table(score), label, seconds_at(score.tempos, score.bars))


def _fused(probabilities: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    if len(probabilities) == 1:
        return probabilities[0]
    return softmax(np.mean([np.log(np.maximum(p, FLOOR)) for p in probabilities], axis=0))


def _classifier(model: Model) -> NgramLinear | WindowNetwork | PooledModel:
    card = model.card
    if card.task != "composer":
        raise FugatoError(
            "bad-model", f"It answers the question {card.task!r}, not who composed a piece.", str(model.folder)
        )
    if card.recipe == pooled.RECIPE:
        return PooledModel(model)
    if model.has(PART):
        return WindowNetwork(model)
    if card.recipe != RECIPE:
        raise FugatoError(
            "bad-model",
            f"This version of Fugato does not name composers by a model of the recipe {card.recipe!r}.",
            str(model.folder),
        )
    return NgramLinear(model)


@lru_cache(maxsize=4)
def panel(*models: str) -> Panel:
    """The models of these names or folders, loaded once."""
    return Panel([load_model(model) for model in models])
