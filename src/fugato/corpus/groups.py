"""Groups of pieces that are one work: the unit that no split may cut.

Five ways lead two pieces into one group: identical bytes, a shared fingerprint (`fugato.corpus.works`), a catalogue or opus number
of one composer (`fugato.corpus.titles`), a link between score and performance that the collection itself gives (`Piece.pair`), and
a group that the index has already. Groups are the connected components of all these links; joining too much only makes a split
stricter, while joining too little lets a work stand on both sides.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.corpus.corpus import Corpus, Piece, load_corpus
from fugato.corpus.facts import Facts, Known, Progress, read_facts
from fugato.corpus.titles import work_keys
from fugato.corpus.works import count_pairs, join, same_work

Ints = NDArray[np.int64]


class Links(NamedTuple):
    """Pairs of pieces with common grams: positions (first < second), grams in common, and the smaller set's size.

    All have shape=(n_pairs,); `joined` marks the pairs that share a work by the fingerprint alone.
    """

    first: Ints
    second: Ints
    grams: Ints
    smaller: Ints
    joined: NDArray[np.bool_]

    @property
    def share(self) -> NDArray[np.float64]:
        """Grams in common over the smaller set, 0..1."""
        share: NDArray[np.float64] = self.grams / np.maximum(self.smaller, 1)
        return share


def links(known: Sequence[Known]) -> Links:
    """Pairs by fingerprint; identical bytes are compared once, by their first piece."""
    grams = [k.facts.grams if isinstance(k.facts, Facts) else np.zeros(0, np.uint32) for k in known]
    seen: set[str] = set()
    for i, k in enumerate(known):
        if k.sha256 in seen:
            grams[i] = np.zeros(0, np.uint32)
        seen.add(k.sha256)
    first, second, count, sizes = count_pairs(grams)
    smaller = np.minimum(sizes[first], sizes[second])
    return Links(first, second, count, smaller, same_work(count, smaller))


def group_pieces(pieces: Sequence[Piece], known: Sequence[Known], found: Links) -> Ints:
    """The group of each piece as the position of its first member, shape=(n,)."""
    chains = [
        _chains((k.sha256,) if k.sha256 else () for k in known),
        _chains(work_keys(p.composer, p.title) for p in pieces),
        _chains(((p.corpus, p.pair),) if p.pair else () for p in pieces),
        _chains((p.group,) if p.group else () for p in pieces),
    ]
    first = np.concatenate([found.first[found.joined], *(a for a, _ in chains)])
    second = np.concatenate([found.second[found.joined], *(b for _, b in chains)])
    return join(len(pieces), first, second)


def work_groups(
    corpus: Corpus | str | os.PathLike[str],
    *,
    jobs: int = 2,
    store: bool = True,
    progress: Progress | None = None,
) -> list[str]:
    """The work of each piece, one a piece in order, for training and splits.

    Parameters
    ----------
    corpus : Corpus, or what `load_corpus` takes
    jobs : int
        Reading processes.
    store : bool
        Keep fingerprints in ``FUGATO_HOME/cache``, so that the next call reads no music.
    progress : callable, optional
        Told (pieces done, pieces in all) now and then.

    Returns
    -------
    list of str
        The `id` of the first piece of the work. A file that cannot be read is joined by its bytes and title alone.
    """
    collection = load_corpus(corpus)
    known = read_facts(collection, jobs=jobs, store=store, progress=progress)
    ids = collection.ids
    return [ids[i] for i in group_pieces(collection.pieces, known, links(known))]


def _chains(keys: Iterable[Iterable[Hashable]]) -> tuple[Ints, Ints]:
    """Links that hold together all positions with a key in common: each to the one before."""
    last: dict[Hashable, int] = {}
    pairs: dict[str, list[int]] = defaultdict(list)
    for i, own in enumerate(keys):
        for key in own:
            if key in last:
                pairs["first"].append(last[key])
                pairs["second"].append(i)
            last[key] = i
    return np.array(pairs["first"], np.int64), np.array(pairs["second"], np.int64)
