"""Train a panel: n-grams and a network over events in one model folder, with how much each is heard fitted on works that neither saw.

The network is trained first and judged on a holdout of works. The n-grams are solved twice over one Gram matrix: without those works, which
gives a panel that has never met them and tells how far to trust either model, and with everything, which is what is shipped. Half of the
held-out works fit the weights by which the other half is judged. Where the collection has music by others, too, the n-grams learn to tell
the composers' from it (`fugato.train.strangers`).
"""

from __future__ import annotations

import io
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from fugato import metrics
from fugato.composer.identify import judgeable
from fugato.composer.panel import panel
from fugato.composer.pooled import REACH, RECIPE, Pool, PooledModel, evidence, farthest, pooled, sureness
from fugato.corpus import Corpus
from fugato.errors import FugatoError
from fugato.models import Card, fit_temperature, load_model, log_softmax, save_model
from fugato.read import read_many
from fugato.recipes.reading import opened
from fugato.score import Score
from fugato.train.export_decoder import halved
from fugato.train.judge import ACCEPTED, Judged, halves
from fugato.train.strangers import first, fit_columns, side_of, works_of

NETWORK: Final = "onset-cnn"
# Cut once from every held-out piece that is longer, so that short music is not trusted too far; of a performance a bar is two seconds.
EXCERPT_BARS: Final = (8, 16, 32)
START: Final = {"linear": 0.6, "network": 0.6, "events": 20.0}  # where the search for weights begins
# 0: held-out pieces count the same when weights are fitted, 1: composers do. So far rare names gain and no more pieces are named wrongly.
EVEN: Final = 0.65
WITHIN: Final = 0.985  # of held-out music, that is not called unlike all that was learnt
FEW: Final = 2.0  # divided by the number of held-out rows: share of the usual distance that is granted in addition
LEAST_STRANGERS: Final = 100  # pieces by others, from which on it is learnt who is none of the composers
BARELY: Final = 1e-3  # penalty on the logarithms of the weights, so that a search without evidence stays where it is
THEN: Final = "fugato.train.panel:score_bytes"
Progress = Callable[[int, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Heard:
    """What both models make of held-out music; a row a piece, or an excerpt of one.

    Attributes
    ----------
    piece : ndarray of int64, shape=(n,)
        Place of the piece among those asked for.
    bars : ndarray of int64, shape=(n,)
        Length of the excerpt; 0 for a whole piece.
    events : ndarray of int64, shape=(n,)
    each : ndarray of float64, shape=(n, 2, n_labels)
    distance, clarity : ndarray of float64, shape=(n,)
    alike : ndarray of float64, shape=(n, n_more)
        As `fugato.composer.pooled.Listened`.
    """

    piece: NDArray[np.int64]
    bars: NDArray[np.int64]
    events: NDArray[np.int64]
    each: NDArray[np.float64]
    distance: NDArray[np.float64]
    clarity: NDArray[np.float64]
    alike: NDArray[np.float64]

    def select(self, rows: NDArray[np.bool_]) -> Heard:
        """Some rows."""
        return Heard(*(getattr(self, each.name)[rows] for each in fields(self)))

    def as_new(self, side: NDArray[np.int64]) -> Heard:
        """With the column that has not met the strangers of a row's side in place of the one that has met them all."""
        if self.alike.shape[1] < 3:
            return self
        return replace(self, alike=self.alike[np.arange(len(side)), 1 + side][:, None])


def listen(folder: Path, pieces: Corpus, *, jobs: int = 2, progress: Progress | None = None) -> Heard:
    """Ask the two models of a panel about pieces and excerpts of them, in worker processes. What cannot be judged is left out."""
    rows: list[tuple[Any, ...]] = []
    sources = (opened(pieces, piece) for piece in pieces)
    for done, item in enumerate(read_many(sources, jobs=jobs, then=THEN, options={"folder": str(folder)})):
        if isinstance(item.result, bytes):
            file = io.BytesIO(item.result)
            lengths, *heard = (np.load(file, allow_pickle=False) for _ in range(len(fields(Heard)) - 2))
            rows += [(done, *length, *each) for length, *each in zip(lengths, *heard, strict=True)]
        if progress is not None:
            progress(done + 1, len(pieces))
    return Heard(*map(np.array, zip(*rows, strict=True)))


def score_bytes(score: Score, *, name: str, sha256: str, folder: str) -> bytes:
    """Bars (0: all) and events of a piece and of its excerpts, then the other fields of `Heard`, in NumPy's format, for `read_many`."""
    model = panel(folder).classifiers[0]
    assert isinstance(model, PooledModel)
    rng = np.random.default_rng(int(sha256[:16] or "0", 16))
    whole = judgeable(score, name)
    found = [(0, len(whole), model.listen(score, whole))]
    for bars in EXCERPT_BARS:
        if len(score.bars) > bars:
            first = int(rng.integers(len(score.bars) - bars + 1))
            try:
                excerpt = score.excerpt(first, first + bars - 1)
                events = judgeable(excerpt)
            except FugatoError:  # bars of rest
                continue
            found.append((bars, len(events), model.listen(excerpt, events)))
    out = io.BytesIO()
    heard = [listened for _, _, listened in found]
    of_each = ([getattr(h, each.name) for h in heard] for each in fields(Heard)[3:])
    for array in ([row[:2] for row in found], *of_each):
        np.save(out, np.array(array), allow_pickle=False)
    return out.getvalue()


def fit_pool(
    heard: Heard, truth: NDArray[np.int64], rows: NDArray[np.bool_], counts: Sequence[int]
) -> dict[str, float]:
    """The weights under which held-out music is most likely, for `fugato.composer.pooled.Pool.of`.

    A composer of whom there is much counts for less than all of it, so that names are not preferred for what a collection happens to have.

    Parameters
    ----------
    heard : Heard
    truth : ndarray of int64, shape=(n,)
        Place of the true name of each row.
    rows : ndarray of bool, shape=(n,)
        Those to fit by.
    counts : sequence of int
        Pieces of each name that were learnt from.
    """
    from scipy.optimize import minimize

    each, events, true = heard.each[rows], heard.events[rows], truth[rows]
    at = np.arange(len(true))
    weight = np.bincount(true)[true].astype(np.float64) ** -EVEN
    weight /= weight.sum()
    start = np.array([*np.log(list(START.values())), 0.0])

    def weights(point: NDArray[np.float64]) -> dict[str, float]:
        return {**dict(zip(START, np.exp(point[:-1]).tolist(), strict=True)), "prior": float(point[-1])}

    def loss(point: NDArray[np.float64]) -> float:
        scores = log_softmax(pooled(each, events, Pool.of(weights(point), counts)))
        return float(-(weight @ scores[at, true]) + BARELY * np.square(point - start).sum())

    found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-5, "maxiter": 600})
    return {key: round(value, 4) for key, value in weights(found.x).items()}


def fit_reach(heard: Heard) -> list[float]:
    """How far from the mean held-out music of a length lies, but for the farthest: `fugato.composer.pooled.farthest`."""
    length = np.log(np.clip(heard.events, *REACH))
    basis = np.stack([np.ones(len(length)), length, length**2], axis=1)
    usual, *_ = np.linalg.lstsq(basis, heard.distance)
    beyond = float(np.quantile(heard.distance - basis @ usual, WITHIN))
    beyond += FEW * float(heard.distance.mean()) / len(length)  # a few pieces say little of how far others may lie
    return [round(float(usual[0]) + beyond, 5), round(float(usual[1]), 5), round(float(usual[2]), 5)]


def fit_clarity(heard: Heard) -> float:
    """How clear the keys of held-out music are at least, but for the least clear."""
    few = FEW / len(heard.clarity)
    return round(float(np.quantile(heard.clarity, 1 - WITHIN)) - few, 4)


def fit_known(own: Heard, others: Heard, pool: Pool) -> list[float]:
    """Weights, and a bias, by which pieces of the composers are told from others': a logistic regression in which both count the same."""
    from sklearn.linear_model import LogisticRegression

    facts = np.concatenate([evidence(h.each, h.events, h.distance, h.alike, pool) for h in (own, others)])
    mean, spread = facts.mean(axis=0), facts.std(axis=0) + 1e-9
    truth = np.arange(len(facts)) < len(own.piece)
    fitted = LogisticRegression(class_weight="balanced", max_iter=5000).fit((facts - mean) / spread, truth)
    weights = fitted.coef_[0] / spread
    return [round(float(w), 6) for w in (*weights, float(fitted.intercept_[0]) - float(weights @ mean))]


def sure_of(heard: Heard, pool: Pool, calibration: Mapping[str, Any]) -> NDArray[np.float64]:
    """How surely pieces are by composers of the model, shape=(n,), as `PooledModel.judged`; `calibration` of its card."""
    facts = evidence(heard.each, heard.events, heard.distance, heard.alike, pool)
    return np.where(like_music(heard, calibration), sureness(facts, calibration["known"]), 0.0)


def like_music(heard: Heard, calibration: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Whether pieces are like what was learnt from, whoever wrote them, shape=(n,)."""
    near = heard.distance <= farthest(heard.events, calibration["reach"])
    found: NDArray[np.bool_] = near & (heard.clarity >= calibration["clarity"])
    return found


@dataclass(frozen=True, eq=False)
class Told:
    """How surely held-out pieces are by the composers, by weights that were fitted on others.

    Attributes
    ----------
    own, others : ndarray of float64, shape=(n,)
        Pieces of the composers, and of strangers.
    """

    own: NDArray[np.float64]
    others: NDArray[np.float64]


def tell(
    own: Heard,
    others: Heard,
    own_groups: NDArray[Any],
    their_names: NDArray[Any],
    pool: Pool,
    calibration: Mapping[str, Any],
) -> Told:
    """Whole pieces by weights fitted on the other half of the works and of the strangers' names, an entry a row each."""
    half, their_half = halves(own_groups), sides(their_names)
    own, others = own.as_new(half), others.as_new(their_half)
    sure, theirs = np.zeros(len(half)), np.zeros(len(their_half))
    for side in (0, 1):
        known = fit_known(own.select(half != side), others.select(their_half != side), pool)
        fitted = {**calibration, "known": known}
        sure[half == side] = sure_of(own.select(half == side), pool, fitted)
        theirs[their_half == side] = sure_of(others.select(their_half == side), pool, fitted)
    return Told(sure[own.bars == 0], theirs[others.bars == 0])


def sides(names: NDArray[Any]) -> NDArray[np.int64]:
    """The half of the strangers that each name belongs to, shape=(n,)."""
    return np.array([side_of(str(name)) for name in names], np.int64)


def judge(heard: Heard, truth: NDArray[np.int64], groups: NDArray[Any], labels: Mapping[str, int]) -> Judged:
    """Whole pieces by weights that were fitted on the other half of the works; arrays as `fit_pool`, a row each; `labels` of its card."""
    half, counts = halves(groups), list(labels.values())
    scores = np.zeros((len(truth), len(labels)), np.float32)
    for side in (0, 1):
        pool = Pool.of(fit_pool(heard, truth, half != side, counts), counts)
        scores[half == side] = pooled(heard.each[half == side], heard.events[half == side], pool)
    kept = heard.bars == 0
    return Judged(tuple(labels), truth[kept], groups[kept], half[kept], scores[kept])


def _auroc(own: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    is_own = np.arange(len(own) + len(others)) < len(own)
    return metrics.unknown_auroc(is_own, np.concatenate([own, others]))


def calibrate(
    folder: Path,
    pieces: Corpus,
    *,
    strangers: Corpus | None = None,
    jobs: int = 2,
    progress: Progress | None = None,
) -> tuple[Judged, Heard, dict[str, Any]]:
    """How much either model of a panel is to be heard, and how sure it must be, from pieces that it has not seen.

    Parameters
    ----------
    folder : Path
        Of the panel; of what its card says about this only the temperature is used.
    pieces, strangers : Corpus
        By its composers, with works; and by others.

    Returns
    -------
    judged : Judged
        Whole pieces.
    heard : Heard
        With excerpts.
    calibration : dict
        For its card.
    """
    labels = load_model(folder).card.labels
    heard = listen(folder, pieces, jobs=jobs, progress=progress)
    of_row = metrics.encode([pieces[int(place)].composer for place in heard.piece], tuple(labels))
    groups = works_of([pieces[int(place)] for place in heard.piece])
    together = judge(heard, of_row, groups, labels)
    counts = list(labels.values())
    weights = fit_pool(heard, of_row, np.ones(len(of_row), bool), counts)
    pool = Pool.of(weights, counts)
    calibration: dict[str, Any] = {
        "method": "weights of a logarithmic pool on held-out works, whole pieces and excerpts",
        "pool": weights,
        "reach": fit_reach(heard),
        "clarity": fit_clarity(heard),
    }
    sure = np.where(like_music(heard, calibration)[heard.bars == 0], together.probabilities().max(axis=1), 0.0)
    if strangers is not None and len(strangers) >= LEAST_STRANGERS:
        others = listen(folder, strangers, jobs=jobs)
        names = np.array([strangers[int(place)].composer for place in others.piece])
        told = tell(heard, others, groups, names, pool, calibration)
        own_as_new, as_new = heard.as_new(halves(groups)), others.as_new(sides(names))
        calibration["known"] = fit_known(own_as_new, as_new, pool)
        calibration["strangers"] = {
            "pieces": len(told.others),
            "names": len(set(names.tolist())),
            "auroc": round(_auroc(told.own, told.others), 4),
            "refused": round(float((told.others < np.quantile(told.own, 1 - ACCEPTED)).mean()), 4),
        }
        # The threshold by the column that has met all strangers: that is the one that will be asked, and no held-out work was its teacher.
        sure = sure_of(heard, pool, calibration)[heard.bars == 0]
    calibration["known_threshold"] = round(float(np.quantile(sure, 1 - ACCEPTED)), 4)
    return together, heard, calibration


@dataclass(frozen=True, eq=False)
class Made:
    """A panel and what it is worth.

    Attributes
    ----------
    judged : Judged
        Whole pieces of the works held out.
    parts : dict
        The n-grams, fitted on everything, and the network with weights in float16.
    calibration : dict
        For the card.
    alone : dict
        Balanced accuracy of either model by itself on the same pieces, and their number.
    """

    judged: Judged
    parts: dict[str, Any]
    calibration: dict[str, Any]
    alone: dict[str, float]


def make(
    linear: Any,
    prepared: Any,
    judged: Judged,
    network: bytes,
    representation: dict[str, Any],
    folder: Path,
    *,
    strangers: Corpus | None = None,
    jobs: int = 2,
    progress: Progress | None = None,
    **settings: float,
) -> Made:
    """Fit n-grams beside a network that is trained.

    Parameters
    ----------
    linear : module
        The recipe of the n-grams.
    prepared
        What its ``prepare`` gave, with works.
    judged : Judged
        Of the network: the works that it has not seen are kept from the n-grams, too.
    network : bytes
        ONNX.
    representation : dict
        For the card of the panel that is judged.
    folder : Path
        Where that panel is written, and ``judged.json`` beside it.
    strangers : Corpus, optional
        Pieces by nobody of the labels, to learn from when to say "none of these".
    jobs, progress
        Of reading the pieces that are judged.
    settings
        Of the n-grams.

    Raises
    ------
    FugatoError
        ``bad-data`` where a composer has no work left to learn from.
    """
    label = np.array([piece.composer for piece in prepared.pieces])
    group = works_of(prepared.pieces)
    unseen = np.isin(group, judged.groups)
    learn, ask = np.flatnonzero(~unseen), np.flatnonzero(unseen)
    fitted = linear.fit(prepared, learn, label[learn], group[learn], **settings)
    if fitted.labels != judged.labels:
        missing = ", ".join(sorted(set(judged.labels) ^ set(fitted.labels)))
        raise FugatoError("bad-data", f"There are too few works of {missing} to learn from some and judge others.")
    truth = metrics.encode(label[ask].tolist(), judged.labels)
    temperature = fit_temperature(fitted.logits(prepared, ask), truth)
    counts = Counter(label[learn].tolist())
    card = Card(
        name="held-out",
        version="1.0.0",
        task="composer",
        recipe=RECIPE,
        labels={name: counts[name] for name in judged.labels},
        representation=representation,
        calibration={"temperature": temperature, "pool": dict(START), "reach": [1e5, 0.0, 0.0], "clarity": -1.0},
        limits=("It has not seen the works it was judged on, and is there to be measured.",),
    )
    network = halved(onnx.load_from_string(network)).SerializeToString()  # judged as it is kept
    more = None
    if strangers is not None and len(strangers) >= LEAST_STRANGERS and len(set(sides(np.array(strangers.labels)))) == 2:
        more = fit_columns(linear, prepared, learn, strangers, jobs=jobs, progress=progress)
    parts = {**linear.export(prepared, fitted, more), "network": network}
    save_model(folder, card, parts)
    pieces = Corpus([prepared.pieces[row] for row in ask], "works held out")
    together, heard, calibration = calibrate(folder, pieces, strangers=strangers, jobs=jobs, progress=progress)
    calibration = {"temperature": temperature, **calibration}
    save_model(folder, replace(card, calibration=calibration), parts)
    listed = json.dumps(
        {"judged": [piece.id for piece in pieces], "learnt": [prepared.pieces[row].id for row in learn]}
    )
    folder.with_name("judged.json").write_text(listed + "\n", encoding="utf-8")
    whole, of_row = heard.bars == 0, truth[heard.piece]
    alone = {
        name: round(metrics.balanced_accuracy(of_row[whole], heard.each[whole, k].argmax(axis=1)), 4)
        for k, name in enumerate((linear.NAME, NETWORK))
    }
    _log.info("alone: %s, of %d pieces", alone, int(whole.sum()))
    everything = np.arange(len(label))
    final = linear.fit(prepared, everything, label, group, **settings)
    parts = {**linear.export(prepared, final, None if more is None else first(more)), "network": network}
    return Made(together, parts, calibration, {**alone, "n": int(whole.sum())})
