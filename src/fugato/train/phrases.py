"""Pieces to learn composing from: the steps of a whole collection in one memory-mapped file, and samples drawn from it.

Reading is done once; what is drawn depends on the seed and the number of the step alone. A sample is a row of `CONTEXT` + 1 steps from any
bar on, transposed by -5..6 semitones to C major or A minor, with some of what is known of it left out, and every other one with bars
taken out of the middle and put at the end.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.corpus import Corpus, composer_info
from fugato.corpus.names import PERIODS
from fugato.corpus.works import count_pairs, fingerprint, join, same_work
from fugato.errors import FugatoError
from fugato.read import read_many
from fugato.recipes.reading import opened
from fugato.represent import tokens as t
from fugato.represent.stream import stream
from fugato.score import Score
from fugato.train.ranks import is_first, together
from fugato.train.store import file_state
from fugato.write.place import replaced_folder

VERSION: Final = 2  # of the folder; the vocabulary has its own
LEAST_NOTES: Final = 48  # a piece with fewer teaches nothing about how music goes on
PARTS: Final = {"train": 0.9, "valid": 0.05, "test": 0.05}  # of the works: to learn from, to stop by, to judge
LOWEST: Final = -5  # semitones
HIGHEST: Final = 6
ELSEWHERE: Final = (
    0.15  # share of samples that are not in the home key: modulations, and keys that were taken for others
)
KNOWN_BY_ROOT: Final = 0.7  # chance of a piece: its steps to this power, so that long ones do not drown the rest
STYLED: Final = 2.0  # times as often, pieces of a composer who is a style of his own
BEGINNING: Final = 0.15  # share of samples that show one
ENDING: Final = 0.15
HIDDEN: Final = {"families": 0.15, "key": 0.15, "density": 0.5, "left": 0.15}  # share of samples without

Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Phrases:
    """The steps of many pieces.

    Attributes
    ----------
    rows : ndarray of uint8, shape=(n_rows, 10)
        `fugato.represent.tokens.COLUMNS` of all pieces, one after another; memory-mapped.
    start : ndarray of int64, shape=(n_pieces + 1,)
        First row of each piece, and the end.
    controls : ndarray of int64, shape=(n_pieces, 10)
        `fugato.represent.tokens.CONTROLS`.
    part : ndarray of int64, shape=(n_pieces,)
        Place in `PARTS`.
    pieces : tuple of dict
        ``id``, ``title``, ``composer``, ``corpus``, ``licence``, ``group``, ``qpm``, ``notes``, ``programs``.
    styles, periods : tuple of str
        Names of the controls' values from 1.
    left_out : dict of str to int
        How many pieces were not taken, by reason.
    """

    rows: NDArray[np.uint8]
    start: Ints
    controls: Ints
    part: Ints
    pieces: tuple[dict[str, Any], ...]
    styles: tuple[str, ...]
    periods: tuple[str, ...]
    left_out: dict[str, int]

    def of(self, part: str) -> Ints:
        """Pieces of a part, ascending."""
        return np.flatnonzero(self.part == list(PARTS).index(part))

    def tokens(self, piece: int) -> NDArray[np.uint8]:
        """The steps of a piece, shape=(n, 10)."""
        return np.asarray(self.rows[self.start[piece] : self.start[piece + 1]])

    def steps(self, part: str) -> int:
        """Steps of all pieces of a part."""
        of = self.of(part)
        return int((self.start[of + 1] - self.start[of]).sum())

    @cached_property
    def chance(self) -> NDArray[np.float64]:
        """How often each piece is drawn to learn from, shape=(n_pieces,), sum 1."""
        size = np.diff(self.start).astype(np.float64) ** KNOWN_BY_ROOT
        size *= np.where(self.controls[:, t.STYLE] > 0, STYLED, 1.0) * (self.part == 0)
        chance: NDArray[np.float64] = size / size.sum()
        return chance


def prepare(
    corpus: Corpus,
    folder: str | os.PathLike[str],
    *,
    min_works: int = 15,
    styles: Sequence[str] | None = None,
    seed: int = 0,
    jobs: int = 2,
    progress: Progress | None = None,
) -> Phrases:
    """Read a collection once and keep its steps in a folder; a folder that holds the same files already is used as it is.

    Parameters
    ----------
    corpus : Corpus
        With the works of its pieces.
    folder : path
    min_works : int
        Works in the training part that make a composer a style.
    styles : sequence of str, optional
        The styles themselves, in place of that.
    seed : int
        Of the split.
    jobs : int
        Reading processes.
    progress : callable, optional
        Told (files done, files in all).

    Raises
    ------
    FugatoError
        ``bad-data`` where fewer than two works could be used; ``bad-output``.
    """
    target = Path(folder)
    key = _key(corpus)
    try:
        fresh = json.loads((target / "phrases.json").read_text(encoding="utf-8"))["key"] != key
    except (OSError, ValueError, KeyError):
        fresh = True
    if fresh and is_first():
        with replaced_folder(target, "the steps of the collection") as building:
            _fill(building, corpus, key, jobs, progress)
    together()
    return load(target, min_works=min_works, styles=styles, seed=seed)


def load(
    folder: str | os.PathLike[str], *, min_works: int = 15, styles: Sequence[str] | None = None, seed: int = 0
) -> Phrases:
    """What `prepare` kept: one piece of each work's near-copies, split by work; parameters as there."""
    target = Path(folder)
    described = json.loads((target / "phrases.json").read_text(encoding="utf-8"))
    with np.load(target / "phrases.npz", allow_pickle=False) as arrays:
        start, families = arrays["start"], arrays["families"]
        grams = np.split(arrays["grams"], np.cumsum(arrays["n_grams"])[:-1]) if len(arrays["n_grams"]) else []
    pieces = described["pieces"]
    rows = np.memmap(target / "rows.bin", np.uint8, "r").reshape(-1, len(t.COLUMNS))
    left_out = Counter(described["failed"])
    kept = _without_copies(start, grams)
    left_out["another copy of the same music"] = len(pieces) - len(kept)
    groups = [pieces[i]["group"] for i in kept]
    if len(set(groups)) < 2:
        raise FugatoError("bad-data", "Composing is learnt from two works at least that can be read as scores.")
    part = _split(groups, seed)
    composers = [pieces[i]["composer"] for i in kept]
    if styles is None:
        works = Counter(c for c, g in {(c, g) for c, g, p in zip(composers, groups, part, strict=True) if p == 0})
        known = {c for c in works if (info := composer_info(c)) is not None and info.full}
        styles = sorted(c for c, n in works.items() if n >= min_works and c in known)
    place = {name: i + 1 for i, name in enumerate(styles)}
    controls = np.zeros((len(kept), len(t.CONTROLS)), np.int64)
    for row, i in enumerate(kept):
        info = composer_info(pieces[i]["composer"])
        controls[row, t.STYLE] = place.get(pieces[i]["composer"], 0)
        controls[row, t.PERIOD] = PERIODS.index(info.period) + 1 if info is not None and info.period in PERIODS else 0
        controls[row, t.FAMILY :] = families[i]
    return Phrases(
        _Chosen(rows, start, kept) if len(kept) < len(pieces) else rows,  # type: ignore[arg-type]
        np.concatenate([[0], np.cumsum(start[kept + 1] - start[kept])]),
        controls,
        part,
        tuple(pieces[i] for i in kept),
        tuple(styles),
        PERIODS,
        dict(left_out),
    )


class _Chosen:
    """Rows of some pieces as if they lay one after another, without copying them."""

    def __init__(self, rows: NDArray[np.uint8], start: Ints, kept: Ints) -> None:
        self.rows, self.at = rows, start[kept]
        self.before = np.concatenate([[0], np.cumsum(start[kept + 1] - start[kept])])

    def __len__(self) -> int:
        return int(self.before[-1])

    def __getitem__(self, wanted: slice) -> NDArray[np.uint8]:
        piece = int(np.searchsorted(self.before, wanted.start, side="right")) - 1
        shift = int(self.at[piece] - self.before[piece])
        return self.rows[wanted.start + shift : wanted.stop + shift]


def _key(corpus: Corpus) -> str:
    digest = hashlib.sha256(f"{VERSION} {t.VERSION}\n".encode())
    for piece in corpus:
        digest.update(f"{piece.id}\t{piece.path}\t{file_state(piece.path)}\t{piece.group}\t{piece.composer}\n".encode())
    return digest.hexdigest()


def _fill(folder: Path, corpus: Corpus, key: str, jobs: int, progress: Progress | None) -> None:
    pieces: list[dict[str, Any]] = []
    families: list[Ints] = []
    grams: list[NDArray[np.uint32]] = []
    start = [0]
    failed: Counter[str] = Counter()
    with (folder / "rows.bin").open("wb") as file:
        items = read_many((opened(corpus, piece) for piece in corpus), jobs=jobs)
        for number, (piece, item) in enumerate(zip(corpus, items, strict=True)):
            if progress is not None:
                progress(number + 1, len(corpus))
            score = item.result
            try:
                if isinstance(score, FugatoError):
                    raise score
                assert isinstance(score, Score)
                tokens = t.encode(score)
            except FugatoError as error:
                failed[error.kind] += 1
                continue
            if tokens.n_notes < LEAST_NOTES:
                failed["too-short"] += 1
                continue
            file.write(np.ascontiguousarray(tokens.rows).data)
            start.append(start[-1] + len(tokens))
            families.append(t.families(tokens.programs))
            grams.append(fingerprint(stream(score)))
            facts = {name: getattr(piece, name) for name in ("id", "title", "composer", "corpus", "licence")}
            pieces.append(
                {
                    **facts,
                    "group": piece.group or piece.id,
                    "qpm": _tempo(score),
                    "notes": tokens.n_notes,
                    "programs": list(tokens.programs),
                }
            )
    np.savez(
        folder / "phrases.npz",
        start=np.array(start, np.int64),
        families=np.array(families, np.int64).reshape(-1, t.N_PARTS),
        grams=np.concatenate([np.zeros(0, np.uint32), *grams]),
        n_grams=np.array([len(g) for g in grams], np.int64),
    )
    described = {"key": key, "pieces": pieces, "failed": failed}
    (folder / "phrases.json").write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")


def _tempo(score: Score) -> float:
    """Quarter notes a minute that hold for most of the piece; 0 where the file only has the default."""
    at = np.array([*(max(tempo.onset, 0.0) for tempo in score.tempos), max(score.end, 1e-6)])
    longest = int(np.argmax(np.diff(np.maximum.accumulate(at))))
    qpm = float(score.tempos[longest].qpm)
    return 0.0 if qpm == 120.0 else round(qpm, 2)


def _without_copies(start: Ints, grams: list[NDArray[np.uint32]]) -> Ints:
    """Of pieces with the same fingerprint the longest, ascending."""
    first, second, shared, sizes = count_pairs(grams)
    joined = same_work(shared, np.minimum(sizes[first], sizes[second]))
    group = join(len(grams), first[joined], second[joined])
    order = np.lexsort((np.arange(len(grams)), -np.diff(start), group))
    leads = np.ones(len(order), bool)
    leads[1:] = group[order[1:]] != group[order[:-1]]
    return np.sort(order[leads])


def _split(groups: Sequence[str], seed: int) -> Ints:
    """A part for each piece, works whole; at least one work to stop by."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    held = [max(round(PARTS["valid"] * len(names)), 1), round(PARTS["test"] * len(names))]
    part_of = np.zeros(len(names), np.int64)
    part_of[order[: held[0]]] = 1
    part_of[order[held[0] : sum(held)]] = 2
    place = {name: int(part_of[i]) for i, name in enumerate(names)}
    return np.array([place[g] for g in groups], np.int64)


# -- samples -------------------------------------------------------------------------------------------------------


def batch(phrases: Phrases, rng: np.random.Generator, size: int, length: int, settings: Mapping[str, float]) -> Ints:
    """Samples to learn from, shape=(size, length, 20): `COLUMNS`, then `CONTROLS`."""
    out = np.zeros((size, length, len(t.COLUMNS) + len(t.CONTROLS)), np.int64)
    for row in out:
        filled = 0
        while filled < length:
            piece = int(rng.choice(len(phrases.chance), p=phrases.chance))
            steps = sample(phrases.tokens(piece), rng, length - filled, settings, fresh=filled > 0)
            known = hidden(phrases.controls[piece], rng, settings)
            row[filled : filled + len(steps), : len(t.COLUMNS)] = steps
            row[filled : filled + len(steps), len(t.COLUMNS) :] = known
            filled += len(steps)
    return out


def sample(
    rows: NDArray[np.uint8],
    rng: np.random.Generator,
    length: int,
    settings: Mapping[str, float],
    *,
    fresh: bool = False,
) -> NDArray[np.uint8]:
    """At most `length` steps of a piece from some bar on, shape=(n, 10).

    A piece that is seen from its beginning opens with START, one that is seen to its end closes with END. `fresh` starts at the beginning:
    for what follows another piece in a row.
    """
    bars = np.flatnonzero(rows[:, t.EVENT] == t.BAR)
    where = rng.random()
    first = 0
    if not fresh and len(rows) + 2 > length and where >= BEGINNING:
        latest = int(np.searchsorted(bars, len(rows) - length + 2, side="left"))  # from there on all of it is seen
        first = latest if where >= 1 - ENDING else int(rng.integers(0, latest + 1))
        first = min(first, len(bars) - 1)
    seen = t.transposed(rows[bars[first] : bars[first] + length], t.shift_home(int(rows[bars[0], t.KEY])))
    shift = int(rng.integers(LOWEST, HIGHEST + 1))
    if rng.random() < ELSEWHERE:
        seen[:, t.PITCH] = t.transposed(seen, shift)[:, t.PITCH]
    for name, column in (("key", t.KEY), ("density", t.DENSITY), ("left", t.LEFT)):
        if rng.random() < HIDDEN[name]:
            seen[:, column] = 0
    opening = marker(t.START) if first == 0 else marker(t.START)[:0]
    if rng.random() < settings["infill"]:
        return with_gap(np.concatenate([opening, seen]), rng, length)
    return np.concatenate([opening, seen, marker(t.END)])[:length]


def with_gap(rows: NDArray[np.uint8], rng: np.random.Generator, length: int) -> NDArray[np.uint8]:
    """Whole bars of at most `length` steps, some of them moved to the end; fewer than three bars stay as they are."""
    bars = np.flatnonzero(rows[:, t.EVENT] == t.BAR)
    ends = np.append(bars[1:], len(rows))
    n = int(np.searchsorted(ends, length - 3, side="right"))
    if n < 3:
        return rows[:length]
    size = int(rng.integers(1, n // 2 + 1))
    first = int(rng.integers(0, n - size))  # something always follows
    return arranged(rows[: bars[first]], rows[bars[first] : bars[first + size]], rows[bars[first + size] : ends[n - 1]])


def arranged(before: NDArray[np.uint8], gap: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Prefix, suffix, then what goes between; the bars that are filled in count those left to the gap's end."""
    gap = gap.copy()
    bars = np.flatnonzero(gap[:, t.EVENT] == t.BAR)
    gap[bars, t.LEFT] = t.left_index(np.arange(len(bars), 0, -1))
    return np.concatenate([before, marker(t.SUFFIX), after, marker(t.MIDDLE), gap, marker(t.END)])


def hidden(known: Ints, rng: np.random.Generator, settings: Mapping[str, float]) -> Ints:
    """What is known of a piece, with some of it left out, shape=(10,)."""
    out = known.copy()
    chance = rng.random()
    if chance < 2 * settings["unknown"]:
        out[t.STYLE] = 0
        if chance < settings["unknown"]:
            out[t.PERIOD] = 0
    if rng.random() < HIDDEN["families"]:
        out[t.FAMILY :] = 0
    return out


def marker(event: int) -> NDArray[np.uint8]:
    """A step that is neither note nor bar, shape=(1, 10)."""
    row = np.zeros((1, len(t.COLUMNS)), np.uint8)
    row[0, t.EVENT] = event
    return row


def whole(phrases: Phrases, pieces: Ints, length: int) -> list[Ints]:
    """Pieces to judge by, as rows of at most `length` + 1 steps, each shape=(n, 20): every step but the first is foretold once."""
    out = []
    for piece in pieces:
        own = phrases.tokens(int(piece))
        own = t.transposed(own, t.shift_home(int(own[0, t.KEY])))
        rows = np.concatenate([marker(t.START), own, marker(t.END)]).astype(np.int64)
        rows = np.concatenate([rows, np.repeat(phrases.controls[piece][None], len(rows), axis=0)], axis=1)
        out += [rows[i : i + length + 1] for i in range(0, len(rows) - 1, length)]
    return out
