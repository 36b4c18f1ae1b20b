"""WorkIndex: which of some ten thousand works a fingerprint belongs to, in a few megabytes and a few milliseconds.

The grams of `fugato.corpus.works` are kept in an inverted index from gram to edition, as in fingerprinting of audio (Wang, "An
industrial-strength audio search algorithm", ISMIR 2003) and of scores (Arzt, Böck & Widmer, "Fast identification of piece and score
position via symbolic fingerprinting", ISMIR 2012). An *edition* is a set of files of the same extent and the same music: a movement, a
song, or a whole work that has no movements of its own here.

To be small, the index keeps of each edition only grams whose hash falls below a threshold, the same for all files and all queries
(Broder, "On the resemblance and containment of documents", 1997), so the share of a query's own such grams that is found estimates the
share of all its grams. It keeps 26 bits of a hash, in no order, without place or time: no music can be rebuilt from it. Left out are
grams that many works have, and figures that belong to no one: scales, trills, broken chords that repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.corpus.works import RUN, Hashes, _line_grams, distinct
from fugato.represent.stream import Stream

BUCKET_BITS: Final = 18  # of a hash, for the bucket it lies in; a count of up to 255 entries for each
REST_BITS: Final = 8  # of a hash, kept with each entry
COMMON_WORKS: Final = 6  # a gram found in more works than this is left out
LEAST_KEPT: Final = 40  # grams of an edition that are kept where it has so many, however small the index
WIDEST: Final = 24  # semitones; steps of the simple figures that are left out
SMALL_STEP: Final = 3  # semitones; a run of such steps in one direction is a scale or a broken diminished chord
PERIOD: Final = 3  # steps after which a figure that repeats throughout a gram is simple
SALTS: Final = (1, 2)  # of the highest and of the lowest line, as in `works.fingerprint`

Ints = NDArray[np.int64]


class Located(NamedTuple):
    """The grams of a piece with their places, in order of the lines; all shape=(n_grams,).

    `first` and `last` are the events of a gram's first and last note; `simple` marks figures that no index keeps.
    """

    gram: Hashes
    first: Ints
    last: Ints
    simple: NDArray[np.bool_]


def locate(events: Stream) -> Located:
    """All grams of both outer lines, with repetitions; their distinct hashes are those of `works.fingerprint`."""
    lines = [_locate_line(line, salt) for line, salt in zip((events.top, events.bass), SALTS, strict=True)]
    return Located(*(np.concatenate([getattr(line, name) for line in lines]) for name in Located._fields))


def _locate_line(line: NDArray[np.int64], salt: int) -> Located:
    steps = np.diff(line)
    moves = np.flatnonzero(steps)
    gram = _line_grams(line, salt)
    n = len(gram)
    windows = np.lib.stride_tricks.sliding_window_view(steps[moves], RUN) if n else np.zeros((0, RUN), np.int64)
    return Located(gram, moves[:n], moves[RUN - 1 : RUN - 1 + n] + 1, is_simple(windows))


def is_simple(steps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which runs of steps, shape=(n, RUN), are figures that belong to no one.

    At most two different steps (a chromatic scale, a diatonic scale in one direction, a trill), small steps in one direction, or a
    figure of up to `PERIOD` steps that repeats.
    """
    ordered = np.sort(steps, axis=1)
    simple: NDArray[np.bool_] = (np.diff(ordered, axis=1) != 0).sum(axis=1) <= 1
    simple |= (np.abs(steps) <= SMALL_STEP).all(axis=1) & (np.abs(steps.sum(axis=1)) == np.abs(steps).sum(axis=1))
    for period in range(2, PERIOD + 1):
        simple |= (steps[:, period:] == steps[:, :-period]).all(axis=1)
    return simple


@lru_cache(maxsize=1)
def simple_grams() -> Hashes:
    """The hashes of all simple figures with steps up to `WIDEST`, ascending; half a million, made in about a second, once."""
    found = [np.unique(_line_hashes(figures, salt)) for figures in _simple_figures() for salt in SALTS]
    return np.unique(np.concatenate(found))


def _simple_figures() -> Iterator[NDArray[np.int64]]:
    values = np.array([*range(-WIDEST, 0), *range(1, WIDEST + 1)])
    choice = np.array(list(product((0, 1), repeat=RUN)))
    first, second = (a.ravel() for a in np.meshgrid(values, values, indexing="ij"))
    keep = first <= second
    pairs = np.stack([first[keep], second[keep]], axis=1)
    yield pairs[:, choice].reshape(-1, RUN)
    small = np.array(list(product(range(1, SMALL_STEP + 1), repeat=RUN)))
    yield np.concatenate([small, -small])
    for period in range(2, PERIOD + 1):
        cycle = np.stack(np.meshgrid(*[values] * period, indexing="ij"), axis=-1).reshape(-1, period)
        yield cycle[:, np.arange(RUN) % period]


def _line_hashes(steps: NDArray[np.int64], salt: int) -> Hashes:
    """The gram of each row of steps, shape=(n,): all rows as one line, from which every RUN-th gram is taken."""
    line = np.concatenate([[0], np.cumsum(steps.ravel())])
    return _line_grams(line, salt)[::RUN]


@dataclass(frozen=True, eq=False)
class WorkIndex:
    """An inverted index from grams to editions.

    Attributes
    ----------
    counts : uint8, shape=(2**BUCKET_BITS,)
        Entries in each bucket; a bucket is the highest bits of a hash.
    rest : uint8, shape=(n_entries,)
        The next bits of each entry's hash, ascending within a bucket.
    edition : uint16, shape=(n_entries,)
    kept : uint16, shape=(n_editions,)
        Which grams of an edition are kept: those whose `share_of` is at most this.
    """

    counts: NDArray[np.uint8]
    rest: NDArray[np.uint8]
    edition: NDArray[np.uint16]
    kept: NDArray[np.uint16]

    def __post_init__(self) -> None:
        ends = np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)])
        object.__setattr__(self, "_ends", ends)

    def __len__(self) -> int:
        """Editions."""
        return len(self.kept)

    @classmethod
    def build(cls, editions: Sequence[Hashes], works: Sequence[int], *, entries: int) -> WorkIndex:
        """Index the fingerprints of editions.

        Parameters
        ----------
        editions : sequence of ndarray of uint32
            The distinct grams of each edition, at most 65,536 editions.
        works : sequence of int
            The work of each edition: a gram in many editions of one work is not common for that.
        entries : int
            How many there may be; an entry takes three bytes. The share of grams that is kept is the largest that fits.
        """
        work = np.asarray(works, np.int64)
        edition = np.repeat(np.arange(len(editions)), [len(e) for e in editions])
        gram = np.concatenate(editions) if len(editions) else np.zeros(0, np.uint32)
        plain = ~np.isin(gram, simple_grams())
        gram, edition = gram[plain], edition[plain]
        rare = _works_of_each(gram, work[edition]) <= COMMON_WORKS
        gram, edition = gram[rare], edition[rare]
        share = share_of(gram)
        sizes = np.maximum(np.bincount(edition, minlength=len(editions)), 1)
        least = np.minimum(LEAST_KEPT / sizes, 1.0)
        low, high = 0.0, 1.0
        for _ in range(30):
            middle = (low + high) / 2
            fits = np.count_nonzero(share <= _limit(middle, least)[edition]) <= entries
            low, high = (middle, high) if fits else (low, middle)
        kept = _limit(high if high == 1.0 else low, least)
        chosen = share <= kept[edition]
        gram, edition = gram[chosen], edition[chosen]
        code = gram >> np.uint32(32 - BUCKET_BITS - REST_BITS)
        both = np.sort(code.astype(np.uint64) << np.uint64(16) | edition.astype(np.uint64))
        both = both[distinct(both)]
        bucket = (both >> np.uint64(16 + REST_BITS)).astype(np.int64)
        place = np.arange(len(both)) - np.searchsorted(bucket, bucket)
        both, bucket = both[place < 256 - 1], bucket[place < 256 - 1]
        return cls(
            counts=np.bincount(bucket, minlength=1 << BUCKET_BITS).astype(np.uint8),
            rest=(both >> np.uint64(16) & np.uint64((1 << REST_BITS) - 1)).astype(np.uint8),
            edition=(both & np.uint64(0xFFFF)).astype(np.uint16),
            kept=kept,
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of a model folder's part."""
        return {"counts": self.counts, "rest": self.rest, "edition": self.edition, "kept": self.kept}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> WorkIndex:
        """The inverse of `arrays`; raises ValueError where they do not belong together."""
        index = cls(*(arrays[name] for name in ("counts", "rest", "edition", "kept")))
        dtypes = [a.dtype for a in (index.counts, index.rest, index.edition, index.kept)]
        if dtypes != [np.dtype(t) for t in ("u1", "u1", "u2", "u2")] or len(index.counts) != 1 << BUCKET_BITS:
            raise ValueError("its arrays are not those of an index of works")
        n = int(index.counts.sum(dtype=np.int64))
        if n != len(index.rest) or n != len(index.edition) or (n and int(index.edition.max()) >= len(index)):
            raise ValueError("its arrays do not fit together")
        return index

    def find(self, grams: Hashes) -> tuple[Ints, Ints]:
        """Which editions have which of these grams.

        Parameters
        ----------
        grams : ndarray of uint32, shape=(n,)

        Returns
        -------
        query, edition : ndarray of int64, shape=(n_found,)
            A row for each meeting: the position in `grams`, ascending, and the edition.
        """
        ends: Ints = self._ends  # type: ignore[attr-defined]
        bucket = (grams >> np.uint32(32 - BUCKET_BITS)).astype(np.int64)
        rest = (grams >> np.uint32(32 - BUCKET_BITS - REST_BITS)).astype(np.uint8)
        starts = ends[bucket]
        lengths = ends[bucket + 1] - starts
        query = np.repeat(np.arange(len(grams)), lengths)
        within = np.arange(len(query)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        entry = starts[query] + within
        same = self.rest[entry] == rest[query]
        return query[same], self.edition[entry[same]].astype(np.int64)


def share_of(grams: Hashes) -> NDArray[np.uint16]:
    """A number of each hash that is even over 0..65535 and has nothing to do with the bits that are kept."""
    mixed: NDArray[np.uint32] = (grams ^ grams >> np.uint32(15)) * np.uint32(0x2C1B3C6D)
    return (mixed >> np.uint32(16)).astype(np.uint16)


def _limit(share: float, least: NDArray[np.float64]) -> NDArray[np.uint16]:
    limit: NDArray[np.uint16] = np.rint(65535 * np.maximum(share, least)).astype(np.uint16)
    return limit


def _works_of_each(gram: Hashes, work: Ints) -> Ints:
    """In how many works each of the grams occurs, shape=(n,)."""
    both = np.sort(gram.astype(np.uint64) << np.uint64(32) | work.astype(np.uint64))
    both = both[distinct(both)]
    known, counts = np.unique((both >> np.uint64(32)).astype(np.uint32), return_counts=True)
    found: Ints = counts[np.searchsorted(known, gram)]
    return found
