"""What systems that compose are asked to go on from, and what really follows: passages of works that none of them has learnt.

A passage is a seed of some bars and the bars that follow it in the piece. Passages are taken from the end of a piece backwards, so that
the first of each piece ends where the piece does. Half to two thirds of them are by a few composers, in equal shares as far as they go,
so that it can be asked whether they are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import numpy as np

from fugato.errors import FugatoError
from fugato.score import Score
from fugato.study.foretell import score_of

BARS: Final = 32  # that are written
SEED_BARS: Final = 8
NAMED: Final = 8  # composers among whom one is named
SHARE: Final = 0.64  # of the passages, by them
LEAST: Final = {"seed": 16, "real": 32}  # notes
HELD_OUT: Final = ("test", "valid")  # parts of the works that were judged and stopped by


@dataclass(frozen=True, eq=False)
class Passage:
    """A seed and what really follows it.

    Attributes
    ----------
    name : str
        The piece and its first bar, from 1.
    seed, real : Score
    composer, work, title : str
    ends : bool
        Whether the piece ends with it.
    """

    name: str
    seed: Score
    real: Score
    composer: str
    work: str
    title: str
    ends: bool


def passages_of(phrases: Any, piece: int, bars: int, seed_bars: int) -> Iterator[Passage]:
    """The passages of a piece, the last one first."""
    score = score_of(phrases, piece)
    about = phrases.pieces[piece]
    stop = int(score.bar_of(float(score.notes["onset"].max()))) + 1 if len(score) else 0
    last = stop
    while stop >= bars + seed_bars:
        first = stop - bars - seed_bars
        seed = score.excerpt(first, first + seed_bars - 1)
        real = score.excerpt(first + seed_bars, stop - 1)
        if len(seed) >= LEAST["seed"] and len(real) >= LEAST["real"]:
            name = f"{about['id']}:{first + 1}"
            yield Passage(name, seed, real, about["composer"], about["group"], about["title"], stop == last)
        stop = first


def choose(
    phrases: Any,
    pieces: int,
    *,
    labels: Collection[str] = (),
    bars: int = BARS,
    seed_bars: int = SEED_BARS,
    named: int = NAMED,
    seed: int = 0,
) -> tuple[list[Passage], list[str]]:
    """Passages of held-out works.

    Parameters
    ----------
    phrases : fugato.train.phrases.Phrases
    pieces : int
        How many; passages stand more than once where there are fewer.
    labels : collection of str
        Composers whom judge and systems know.
    bars, seed_bars : int
    named : int
        Composers at most who are to be named.
    seed : int
        Of the order in which works are taken.

    Returns
    -------
    passages : list of Passage
    composers : list of str
        Those who are to be named, the one with most works first; fewer than two are none.

    Raises
    ------
    FugatoError
        ``bad-data`` where no held-out piece is long enough.
    """
    works: dict[str, list[list[Passage]]] = {}
    order = []
    for part in HELD_OUT:
        of = phrases.of(part)
        for i in of[np.random.default_rng(seed).permutation(len(of))]:
            found = list(passages_of(phrases, int(i), bars, seed_bars))
            if found:
                order += [] if found[0].work in works else [found[0].work]
                works.setdefault(found[0].work, []).append(found)
    if not works:
        raise FugatoError(
            "bad-data",
            f"No held-out piece has {seed_bars} + {bars} bars to go on from and compare with; ask for fewer bars.",
        )
    by_work = {work: _turns(works[work]) for work in order}
    known = Counter(found[0].composer for found in by_work.values())
    count = Counter(p.composer for found in by_work.values() for p in found)
    asked = [name for name in known if name in set(labels)]
    asked = sorted(asked, key=lambda name: (-known[name], -count[name], name))[:named]
    if len(asked) < 2:
        asked = []
    chosen: list[Passage] = []
    each = int(SHARE * pieces) // max(len(asked), 1)
    for name in asked:
        chosen += _turns([found for found in by_work.values() if found[0].composer == name])[:each]
    left = _turns([found for found in by_work.values() if found[0].composer not in asked])
    chosen += left[: pieces - len(chosen)]
    taken = {p.name for p in chosen}
    chosen += [p for p in _turns(list(by_work.values())) if p.name not in taken][: pieces - len(chosen)]
    once = len(chosen)
    chosen += [chosen[i % once] for i in range(pieces - once)]
    return chosen, asked


def _turns(rows: Sequence[Sequence[Passage]]) -> list[Passage]:
    """One of each row in turn, until all are taken."""
    return [p for turn in zip_longest(*rows) for p in turn if p is not None]
