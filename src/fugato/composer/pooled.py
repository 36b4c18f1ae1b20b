"""n-grams and a network that answer as one: both lie in one model folder, and how much each is heard was fitted on held-out works.

A logarithmic opinion pool (Genest & Zidek, "Combining probability distributions", Statistical Science 1, 1986): the scores are a weighted
sum of both models' log probabilities. Few events are weaker evidence than either model takes them for, so the sum shrinks with them. How
many pieces of a composer a collection has says little of who wrote the next one, so part of it is taken off again (logit adjustment: Menon
et al., "Long-tail learning via logit adjustment", ICLR 2021).

Whether a piece is by any of the composers is a question of its own: strangers are often given a name with confidence, but seldom the same
by both models, and they lie elsewhere; and one more column of the n-grams has learnt to tell them. Notes drawn by lot would be named, too;
they are known by keys that are less clear than any music's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.composer.ngram_linear import NgramLinear
from fugato.composer.window_network import WindowNetwork
from fugato.errors import FugatoError
from fugato.models import Card, Model, log_softmax, softmax
from fugato.represent.keys import clarity
from fugato.represent.stream import Stream
from fugato.represent.windows import LEAST_ROWS
from fugato.score import Score

RECIPE: Final = "panel"
# Windows of a piece that the network looks at, evenly spread. Of the works held out 12 name 0.610 rightly, 4 name 0.608.
HEARD: Final = 4
FACTS: Final = 11  # numbers that `evidence` gives of a piece
MORE: Final = (0, 1, 3)  # columns of the n-grams for strangers: none, one, or one with the two by which it is judged
LEAST: Final = -9.0  # log probability below which nothing is told apart
REACH: Final = (30, 5000)  # events between which the usual distance from the mean was fitted; beyond, as at the end


class Listened(NamedTuple):
    """What both models make of a piece.

    Attributes
    ----------
    each : ndarray of float64, shape=(2, n_labels)
        Log probabilities by n-grams and by the network; 0 by the network where the piece is too short for it.
    distance : float
        From the mean of the pieces that the n-grams learnt from.
    clarity : float
        Of its keys: `fugato.represent.keys.clarity`.
    alike : ndarray of float64, shape=(n_more,)
        How much it is like music by any of the composers rather than by strangers, by each of the n-grams' columns for that.
    """

    each: NDArray[np.float64]
    distance: float
    clarity: float
    alike: NDArray[np.float64]


class Pool(NamedTuple):
    """How much of either model is heard.

    Attributes
    ----------
    linear, network : float
        Weights of the log probabilities by n-grams and by the network.
    events : float
        Number of events at which the evidence counts half.
    common : ndarray of float64, shape=(n_labels,)
        Taken off before that: what a name is thought likelier only since the collection has more by it.
    """

    linear: float
    network: float
    events: float
    common: NDArray[np.float64]

    @classmethod
    def of(cls, weights: Mapping[str, float], counts: Iterable[int]) -> Pool:
        """From the weights that a card keeps and the number of pieces of each name.

        Parameters
        ----------
        weights : mapping of str to float
            ``linear``, ``network`` and ``events``; and ``prior``, 0 if absent: how much of the logarithm of its number is taken off.
        """
        pieces = np.log(np.maximum(np.fromiter(counts, float), 1))
        common = weights.get("prior", 0.0) * (pieces - pieces.mean())
        return cls(float(weights["linear"]), float(weights["network"]), float(weights["events"]), common)

    @classmethod
    def kept(cls, card: Card) -> Pool:
        """That of a model, by its card."""
        return cls.of(card.calibration["pool"], card.labels.values())


class PooledModel:
    """The two models of a folder of the recipe "panel".

    Parameters
    ----------
    model : Model
        With the parts of `NgramLinear` and of `WindowNetwork`. Its card's ``calibration`` holds ``pool``: the weights that `Pool.of` is
        made from; ``reach``: how far music of a length may lie from the mean and still be like what was learnt (`farthest`); where it is
        told, ``clarity``: how clear its keys must be; and, where strangers were at hand in training, ``known``: the weights of a logistic
        regression over `evidence`, the last one its bias.
    """

    temperature: Final = 1.0

    def __init__(self, model: Model) -> None:
        self.model, self.labels = model, model.labels
        self.linear, self.network = NgramLinear(model, MORE), WindowNetwork(model)
        calibration = model.card.calibration
        facts = FACTS + bool(self.linear.n_more)
        pool, reach, known, clarity = (calibration.get(key) for key in ("pool", "reach", "known", "clarity"))
        if (
            not isinstance(pool, Mapping)
            or not all(_number(pool.get(key)) and pool[key] >= 0 for key in ("linear", "network", "events"))
            or not _number(pool.get("prior", 0.0))
            or not isinstance(reach, list)
            or len(reach) != 3
            or not all(map(_number, reach))
            or not (clarity is None or _number(clarity))
            or not (known is None or (isinstance(known, list) and len(known) == facts + 1 and all(map(_number, known))))
        ):
            raise FugatoError("bad-model", "Its card does not say how its models answer together.", str(model.folder))
        self.pool = Pool.kept(model.card)
        self.reach = [float(value) for value in reach]
        self.clarity = -1.0 if clarity is None else float(clarity)
        self.known = None if known is None else [float(value) for value in known]

    def judged(self, score: Score, events: Stream, windows: int = HEARD) -> tuple[NDArray[np.float64], float]:
        """Log probabilities up to a constant, calibrated, shape=(n_labels,), and how surely it is by one of these composers, 0 to 1.

        The latter is 0 where the music is like none that was learnt from. The network looks at so many windows at most.
        """
        found = self.listen(score, events, windows)
        each, length, distance = found.each[None], np.array([len(events)]), np.array([found.distance])
        scores: NDArray[np.float64] = pooled(each, length, self.pool)[0]
        if found.clarity < self.clarity or distance[0] > farthest(length, self.reach)[0]:
            return scores, 0.0
        if self.known is None:
            return scores, float(softmax(scores).max())
        return scores, float(sureness(evidence(each, length, distance, found.alike[None], self.pool), self.known)[0])

    def listen(self, score: Score, events: Stream, windows: int = HEARD) -> Listened:
        """What either model makes of a piece."""
        each = np.zeros((2, len(self.labels)))
        scored = self.linear.judged(events)
        each[0] = log_softmax(scored.logits, self.linear.temperature)
        if len(events) >= LEAST_ROWS:
            each[1] = self.network.logits(self.network.table(score, events, windows))
        return Listened(each, scored.distance, clarity(events), scored.alike.astype(np.float64))


def pooled(each: NDArray[np.float64], events: NDArray[np.int64], pool: Pool) -> NDArray[np.float64]:
    """Scores of pieces, shape=(n, n_labels), from those of both models, shape=(n, 2, n_labels), and the pieces' numbers of events."""
    both: NDArray[np.float64] = pool.linear * each[:, 0] + pool.network * each[:, 1] - pool.common
    return both * (events / (events + pool.events))[:, None]


def evidence(
    each: NDArray[np.float64],
    events: NDArray[np.int64],
    distance: NDArray[np.float64],
    alike: NDArray[np.float64],
    pool: Pool,
) -> NDArray[np.float64]:
    """What tells the composers of a model from others, shape=(n, `FACTS`), or one more where there is a column for it.

    How sure both are together, how far ahead the first name is, how spread the rest; how sure either is, and what it gives to the name that
    the other prefers; how far from the mean of all music, and how long; the first number in `alike`, shape=(n, n_more).
    """
    together = log_softmax(pool.linear * each[:, 0] + pool.network * each[:, 1])
    best = np.sort(together, axis=1)[:, -2:]
    rows, (linear, network) = np.arange(len(each)), each.argmax(axis=2).T
    length = np.log(np.clip(events, *REACH))
    facts = (
        best[:, 1],
        best[:, 1] - best[:, 0],
        -(np.exp(together) * together).sum(axis=1),
        each[:, 0].max(axis=1),
        each[:, 1].max(axis=1),
        np.maximum(each[rows, 1, linear], LEAST),
        np.maximum(each[rows, 0, network], LEAST),
        distance,
        length,
        length**2,
        distance * length,
        *alike.T[:1],
    )
    return np.stack(facts, axis=1)


def sureness(facts: NDArray[np.float64], known: Sequence[float]) -> NDArray[np.float64]:
    """The probability that pieces are by composers of the model, shape=(n,), were half of all pieces."""
    score = facts @ np.array(known[:-1]) + known[-1]
    sure: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(score, -50, 50)))
    return sure


def farthest(events: NDArray[np.int64], reach: Sequence[float]) -> NDArray[np.float64]:
    """The distance from the mean up to which music of so many events is like what was learnt, shape=(n,): a parabola of their logarithm."""
    length = np.log(np.clip(events, *REACH))
    limit: NDArray[np.float64] = reach[0] + reach[1] * length + reach[2] * length**2
    return limit


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6
