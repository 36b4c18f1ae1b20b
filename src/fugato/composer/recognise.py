"""Which work is this: the piece itself, recognised by its fingerprint in the shipped index of works.

A piece's grams (`fugato.corpus.work_index`) are looked up; each edition that has some of them is judged by how much likelier its hits
are if the piece is that edition than if it is another one. Under the first a gram that the index would have kept of the edition is found
as often as it was here, under the second in `CHANCE` of cases: the log likelihood ratio of two binomials (Dunning, "Accurate methods for
the statistics of surprise and coincidence", Computational Linguistics 19, 1993). Hits within a few events of each other are one
observation, since a figure of somebody's study brings several at once.

What is found never reaches the style answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.composer.titles import for_people
from fugato.corpus.work_index import Located, WorkIndex, locate, share_of
from fugato.errors import FugatoError
from fugato.models import Card, Model, load_model
from fugato.represent.stream import Stream

SHIPPED: Final = "works"  # name of the shipped index
RECIPE: Final = "work-index"
CHANCE: Final = 0.01  # of the grams of one work that another has; exercises and scales have the most
LEAST_EVIDENCE: Final = 6.0  # natural log of the likelihood ratio: chosen on MAESTRO, benchmarks/recognise.py
FIRST: Final = 8  # editions with most hits that are judged
BLOCK: Final = 8  # events within which hits are one observation
GAP: Final = 24  # events without a hit that end a matched stretch, at least
PATIENCE: Final = 6.0  # times the expected distance between two hits that end a stretch
APART: Final = 2  # bars between two stretches that are told as one
STRETCHES: Final = 6  # told at most
WHOLE: Final = 0.7  # of the hits in a work below which the title is that of the whole work

Ints = NDArray[np.int64]


class Match(NamedTuple):
    """An edition that has grams of the piece.

    Attributes
    ----------
    edition, work : int
    evidence : float
        Natural logarithm of the likelihood ratio, 0 where there are no more hits than chance brings.
    share : float
        Of the piece's grams that the edition has, 0..1, estimated from those that the index keeps.
    hits : int
        Distinct grams found.
    places : ndarray of int64, shape=(n,)
        First and last events of the hits in the piece: rows of `first`, `last`, in order; shape=(n, 2).
    """

    edition: int
    work: int
    evidence: float
    share: float
    hits: int
    places: Ints


def matches(
    index: WorkIndex, works: NDArray[Any], located: Located, *, apart_from: Collection[int] = ()
) -> list[Match]:
    """The editions that share most with a piece, the best evidence first.

    Parameters
    ----------
    index : WorkIndex
    works : ndarray of int, shape=(n_editions,)
        The work of each edition.
    located : Located
        The piece's grams, or those of a part of it.
    apart_from : collection of int
        Works that are passed over, as if the index had never seen them.
    """
    plain = ~located.simple
    grams, first, last = located.gram[plain], located.first[plain], located.last[plain]
    query, edition = index.find(grams)
    if len(apart_from):
        other = ~np.isin(works[edition], list(apart_from))
        query, edition = query[other], edition[other]
    if not len(query):
        return []
    once = np.unique(edition.astype(np.uint64) << np.uint64(32) | grams[query].astype(np.uint64))
    hits = np.bincount((once >> np.uint64(32)).astype(np.int64), minlength=len(index))
    rare = np.log(len(index) / np.bincount(query, minlength=len(grams))[query])
    promise = (
        np.bincount(edition, rare, minlength=len(index)) * hits / np.bincount(edition, minlength=len(index)).clip(1)
    )
    shares = np.sort(share_of(np.unique(grams)))
    found = []
    some = np.flatnonzero(hits)
    for e in some[np.argsort(-promise[some], kind="stable")[:FIRST]]:
        own = query[edition == e]
        asked = max(int(np.searchsorted(shares, index.kept[e], side="right")), int(hits[e]))
        share = float(hits[e] / asked)
        apart = min(float(hits[e]), float(len(np.unique(first[own] // BLOCK))))
        places = np.stack([first[own], last[own]], axis=1)
        places = places[np.argsort(places[:, 0], kind="stable")]
        found.append(Match(int(e), int(works[e]), _evidence(apart, share), share, int(hits[e]), places))
    return sorted(found, key=lambda m: (-m.evidence, -m.hits, m.edition))


def _evidence(observed: float, share: float) -> float:
    """Log likelihood ratio of `observed` hits, a `share` of what was asked, against `CHANCE`."""
    if share <= CHANCE:
        return 0.0
    missed = observed / share - observed
    without = missed * (np.log1p(-share) - np.log1p(-CHANCE)) if missed > 0 else 0.0
    return float(observed * np.log(share / CHANCE) + without)


def bar_ranges(places: Ints, bars: NDArray[np.int64], rate: float) -> list[tuple[int, int]]:
    """The bars of the asked piece that matched, counted from 1, first and last of each stretch, in order.

    Parameters
    ----------
    places : ndarray of int64, shape=(n, 2)
        First and last events of hits, in order.
    bars : ndarray of int64, shape=(n_events,)
        The bar of each event, from 0.
    rate : float
        Hits that are expected for each event where the piece matches: their usual distance is its inverse.
    """
    if not len(places):
        return []
    gap = max(GAP, PATIENCE / max(rate, 1e-6))
    ends = np.maximum.accumulate(places[:, 1])
    cuts = np.flatnonzero(places[1:, 0] - ends[:-1] > gap) + 1
    runs = [(int(r[0]), int(r[-1])) for r in np.split(np.arange(len(places)), cuts)]
    runs = [r for r in runs if r[1] > r[0]] or runs  # one hit alone may be chance
    ranges: list[tuple[int, int]] = []
    for a, b in runs:
        low, high = int(bars[places[a, 0]]) + 1, int(bars[ends[b]]) + 1
        if ranges and low - ranges[-1][1] <= APART:
            ranges[-1] = (ranges[-1][0], max(high, ranges[-1][1]))
        else:
            ranges.append((low, high))
    longest = sorted(ranges, key=lambda r: r[0] - r[1])[:STRETCHES]
    return sorted(longest)


class Works:
    """The index of works as a model folder: which edition is which piece, and where it came from.

    Parameters
    ----------
    model : Model
        A folder of the recipe "work-index": part "index" with the arrays of `WorkIndex` and ``work`` uint16, shape=(n_editions,);
        part "titles" with, for each edition, its title, composer and the collections that have it, the titles of works that are in
        several editions, and the works of pieces that a training leaves out by name.
    """

    def __init__(self, model: Model) -> None:
        card = model.card
        if card.recipe != RECIPE:
            raise FugatoError(
                "bad-model", f"It is a model of the recipe {card.recipe!r}, no index of works.", str(model.folder)
            )
        self.model = model
        arrays = model.arrays("index")
        try:
            self.index = WorkIndex.from_arrays(arrays)
            self.works = arrays["work"].astype(np.int64)
        except (KeyError, ValueError) as error:
            raise FugatoError("bad-model", f"Its index cannot be used ({error}).", str(model.folder)) from error
        if self.works.shape != (len(self.index),):
            raise FugatoError("bad-model", "Its index does not give the work of every edition.", str(model.folder))

    @cached_property
    def _titles(self) -> dict[str, Any]:
        """Read when the first piece is recognised."""
        titles: dict[str, Any] = self.model.json("titles")
        return titles

    def recognise(self, events: Stream, card: Card | None = None) -> dict[str, Any] | None:
        """The work that a piece is, or None.

        Parameters
        ----------
        events : Stream
        card : Card, optional
            Of the composer model that is asked about the same piece: it says what its training had.

        Returns
        -------
        dict or None
            ``title``, ``composer``, ``match`` (share of the piece's grams that the work has, 0..1), ``where`` (bars of the
            piece that matched) and ``in_training`` (whether the collections that `card` names have it; None without a card).
        """
        located = locate(events)
        found = [m for m in matches(self.index, self.works, located) if m.evidence >= LEAST_EVIDENCE]
        if not found:
            return None
        best = found[0]
        parts = [m for m in found if m.work == best.work]
        rate = len(best.places) / max(len(events), 1)
        places = best.places
        if len(parts) > 1:
            places = np.concatenate([m.places for m in parts])
            places = places[np.argsort(places[:, 0], kind="stable")]
            rate = len(places) / max(len(events), 1)
        ranges = bar_ranges(places, events.bar, rate)
        return {
            "title": self._title(best, parts),
            "composer": self._composer(best.edition),
            "match": round(min(sum(m.share for m in parts), 1.0), 4),
            "where": "bars " + ", ".join(f"{a}-{b}" if b > a else str(a) for a, b in ranges),
            "in_training": None if card is None else self.in_training(best.work, best.edition, card),
        }

    def _title(self, best: Match, parts: Sequence[Match]) -> str:
        whole = self._titles["wholes"].get(str(best.work))
        if whole is not None and best.hits < WHOLE * sum(m.hits for m in parts):
            return for_people(str(whole))
        return for_people(str(self._titles["titles"][best.edition]))

    def _composer(self, edition: int) -> str:
        return str(self._titles["composers"][self._titles["composer"][edition]])

    def in_training(self, work: int, edition: int, card: Card) -> bool:
        """Whether a composer model was trained with a file of this music, by the collections that its card names."""
        if self._composer(edition) not in card.labels:
            return False
        named = {str(corpus.get("name")) for corpus in card.corpora}
        left_out = set(card.made.get("without") or ())
        have = [self._titles["sources"][i] for i in self._titles["source"][edition]]
        if not any(s.split(":")[0] in named and not {s, s.split(":")[0]} & left_out for s in have):
            return False
        kept_apart = self._titles["apart"]
        return not any(work in kept_apart.get(name, ()) for name in card.made.get("apart_from") or ())


@lru_cache(maxsize=2)
def shipped_works(name: str = SHIPPED) -> Works | None:
    """The index that comes with the package, loaded once; None where an installation leaves it out."""
    try:
        model = load_model(name)
    except FugatoError as error:
        if error.kind == "no-model":
            return None
        raise
    return Works(model)
