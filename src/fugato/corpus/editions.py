"""Editions: the files of a collection sorted into the pieces of music that they hold, for the index of works.

A work's group (`fugato.corpus.groups`) holds all that may not stand on both sides of a split: movements, whole works, performances and
excerpts together. To say which piece somebody brings, the group is taken apart again: files of the same extent and the same music
make one edition; a file that only joins what others hold singly (a whole sonata beside its movements) adds nothing; a performance
adds nothing where a score has its music, and is kept where no score has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from fugato.corpus.works import Hashes, count_pairs, distinct, join

SAME_EXTENT: Final = 0.4  # of the larger fingerprint: two files with so much in common are one edition
COVERED: Final = 0.8  # of a fingerprint that smaller editions have, for a file that joins them
PLAYED_COVERED: Final = (
    0.12  # of a performance's, for one that plays what a score has: wrong and spread notes hide the rest
)


class Edition(NamedTuple):
    """Files that hold the same music, as positions in the collection, and the distinct grams of those that are indexed.

    `also` are files with this music that have no edition of their own: whole works, and performances of what a score has.
    """

    members: tuple[int, ...]
    grams: Hashes
    work: int
    also: tuple[int, ...] = ()


def find_editions(
    fingerprints: Sequence[Hashes], works: Sequence[int], played: Sequence[bool]
) -> tuple[list[Edition], dict[int, int]]:
    """Sort files into editions.

    Parameters
    ----------
    fingerprints : sequence of ndarray of uint32, length n
    works : sequence of int, length n
    played : sequence of bool, length n
        Whether a file is a performance.

    Returns
    -------
    editions : list of Edition
        In order of their first member.
    wholes : dict of int to int
        Work to the largest file that joins several of its editions.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for i, work in enumerate(works):
        if len(fingerprints[i]):
            members[work].append(i)
    editions: list[Edition] = []
    wholes: dict[int, int] = {}
    for work, files in members.items():
        found = _classes(files, fingerprints)
        scores = [c for c in found if not all(played[i] for i in c)]
        plays = [c for c in found if all(played[i] for i in c)]
        written = {c: _union([fingerprints[i] for i in c if not played[i]]) for c in scores}
        left: dict[tuple[int, ...], Hashes] = {}
        for c in sorted(scores, key=lambda c: -len(written[c])):
            others = _union([grams for other, grams in written.items() if other != c])
            if len(others) and _share(written[c], others) >= COVERED:
                left[c] = written.pop(c)
                wholes.setdefault(work, c[0])
        heard = _union(list(written.values()))
        for c in sorted(plays, key=lambda c: -len(c)):
            grams = _union([fingerprints[i] for i in c])
            if not len(heard) or _share(fingerprints[c[0]], heard) < PLAYED_COVERED:
                written[c] = grams
                heard = _union([heard, grams])
            else:
                left[c] = grams
        for c, grams in written.items():
            also = [i for other, theirs in left.items() if _share(grams, theirs) >= PLAYED_COVERED for i in other]
            editions.append(Edition(c, grams, work, tuple(sorted(also))))
    return sorted(editions, key=lambda e: e.members[0]), wholes


def _classes(files: list[int], fingerprints: Sequence[Hashes]) -> list[tuple[int, ...]]:
    """Files of the same extent and music together."""
    if len(files) == 1:
        return [tuple(files)]
    prints = [fingerprints[i] for i in files]
    first, second, grams, _ = count_pairs(prints, common=len(files))
    sizes = np.array([len(p) for p in prints])
    same = grams >= SAME_EXTENT * np.maximum(sizes[first], sizes[second])
    label = join(len(files), first[same], second[same])
    classes: dict[int, list[int]] = defaultdict(list)
    for i, own in zip(files, label.tolist(), strict=True):
        classes[own].append(i)
    return [tuple(c) for c in classes.values()]


def _union(prints: list[Hashes]) -> Hashes:
    if not prints:
        return np.zeros(0, np.uint32)
    grams = np.sort(np.concatenate(prints))
    return grams[distinct(grams)]


def _share(grams: Hashes, others: Hashes) -> float:
    """The share of `grams` that is in the ascending `others`."""
    place = np.minimum(np.searchsorted(others, grams), len(others) - 1)
    return float((others[place] == grams).mean())
