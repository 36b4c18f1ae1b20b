"""Splits over works, so that no piece is judged by a model that has learnt from another edition or movement of it.

The unit of independence is the group (a work). `grouped_kfold`, `grouped_holdout` and `leave_one_source_out` never put a group on
two sides. `random_kfold_files` and `random_holdout_files` are the protocols under which most published figures were made: files at
random, works on both sides. They carry ``independent=False`` and their own protocol names, and nothing uses them by default.

The grouped splits are greedy: groups in falling order of size (equal ones shuffled by the seed) each go where they keep every
label's pieces nearest to the wanted shares, in the sense of the least sum over labels of squared relative counts (the idea of
scikit-learn's StratifiedGroupKFold, with an incremental cost). A label whose groups are all of that label alone, and at least as
many as the folds, occurs in every fold. The same input and seed give the same split on every machine.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import FugatoError

FORMAT: Final = "fugato-split-1"

Ints = NDArray[np.int64]
Kind = Literal["folds", "parts", "sources"]


@dataclass(frozen=True)
class Split:
    """Which pieces are learnt from and which are judged.

    Attributes
    ----------
    name : str
        For people and file names: "works-5".
    protocol : str
        "grouped-kfold", "grouped-holdout", "leave-one-source-out", "random-kfold-files" or "random-holdout-files".
    seed : int
        That the split was drawn with.
    ids : tuple of str, length n
        The pieces.
    folds : tuple of int, length n
        The part each piece lies in, a place in `parts`.
    parts : tuple of str
        Names of the parts: "0".."k-1", or "train", "valid", "test", or the sources.
    kind : "folds", "parts" or "sources"
        Whether every part is judged in turn ("folds", "sources"), or the last alone by a model of the first ("parts").
    independent : bool
        Whether groups were kept whole; False for the published random protocols.
    removed : tuple of tuple of int
        For "sources", a part each: places of pieces that are left out of training because they share a group with the judged part.
    """

    name: str
    protocol: str
    seed: int
    ids: tuple[str, ...]
    folds: tuple[int, ...]
    parts: tuple[str, ...]
    kind: Kind = "folds"
    independent: bool = True
    removed: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.folds):
            raise FugatoError("bad-data", f"a split of {len(self.ids)} pieces has {len(self.folds)} folds")
        if len(set(self.ids)) != len(self.ids):
            twice = next(i for i, count in Counter(self.ids).items() if count > 1)
            raise FugatoError("bad-data", f"the piece {twice!r} stands twice in a split; ids must be unique")
        if self.folds and not 0 <= min(self.folds) <= max(self.folds) < len(self.parts):
            raise FugatoError(
                "bad-data", f"a split of {len(self.parts)} parts has folds {min(self.folds)} to {max(self.folds)}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, name: str) -> Ints:
        """Places of the pieces in a part, ascending."""
        if name not in self.parts:
            raise FugatoError("bad-option", f"the split has no part {name!r}; its parts are {', '.join(self.parts)}")
        return np.flatnonzero(np.asarray(self.folds) == self.parts.index(name))

    def sides(self) -> Iterator[tuple[Ints, Ints]]:
        """Places to learn from and places to judge: once for every fold or source, or once (first and last part)."""
        folds = np.asarray(self.folds, dtype=np.int64)
        if self.kind == "parts":
            yield np.flatnonzero(folds == 0), np.flatnonzero(folds == len(self.parts) - 1)
            return
        for i in range(len(self.parts)):
            learn = folds != i
            if self.removed:
                learn[list(self.removed[i])] = False
            yield np.flatnonzero(learn), np.flatnonzero(folds == i)

    def fold_of(self, ids: Sequence[str]) -> Ints:
        """The fold of each id, shape=(m,); -1 for pieces that the split does not know."""
        table = dict(zip(self.ids, self.folds, strict=True))
        return np.array([table.get(i, -1) for i in ids], dtype=np.int64)

    def check(self, groups: Sequence[Hashable] | NDArray[Any]) -> None:
        """Raise FugatoError("bad-data") if a group (one a piece, in the order of `ids`) stands on two sides."""
        code = _codes(groups, len(self), "groups")
        if self.kind == "parts":  # valid must not share with train either
            pairs: list[tuple[Ints, Ints]] = [
                (self.part(a), self.part(b)) for a in self.parts for b in self.parts if a < b
            ]
        else:
            pairs = list(self.sides())
        for learn, judge in pairs:
            both = np.intersect1d(code[learn], code[judge])
            if len(both):
                here = self.ids[int(learn[code[learn] == both[0]][0])]
                there = self.ids[int(judge[code[judge] == both[0]][0])]
                work = groups[int(np.flatnonzero(code == both[0])[0])]
                raise FugatoError(
                    "bad-data",
                    f"{len(both)} works stand on two sides of the split {self.name!r}, among them {work!r} with {here} and {there}",
                )

    def save(self, path: str | Path) -> Path:
        """Write as JSON, small enough to commit: a line of ids and a line of folds."""
        fields = {
            "format": FORMAT,
            "name": self.name,
            "protocol": self.protocol,
            "seed": self.seed,
            "kind": self.kind,
            "independent": self.independent,
            "parts": self.parts,
            "ids": self.ids,
            "folds": self.folds,
            "removed": self.removed,
        }
        lines = (
            f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False, separators=(',', ':'))}" for k, v in fields.items()
        )
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        except OSError as error:
            raise FugatoError(
                "bad-output", f"the split cannot be written there ({error.strerror})", str(path)
            ) from error
        return path

    @classmethod
    def load(cls, path: str | Path) -> Split:
        """Read what `save` wrote; FugatoError("bad-data") if it is no such file."""
        try:
            fields = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise FugatoError("bad-data", f"the split cannot be read ({error.strerror})", str(path)) from error
        except ValueError as error:
            raise FugatoError("bad-data", "this is no split file: it is not JSON", str(path)) from error
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            raise FugatoError("bad-data", f"this is no split file of the kind {FORMAT}", str(path))
        try:
            return cls(
                name=str(fields["name"]),
                protocol=str(fields["protocol"]),
                seed=int(fields["seed"]),
                ids=tuple(str(i) for i in fields["ids"]),
                folds=tuple(int(f) for f in fields["folds"]),
                parts=tuple(str(p) for p in fields["parts"]),
                kind=fields["kind"],
                independent=bool(fields["independent"]),
                removed=tuple(tuple(int(i) for i in r) for r in fields["removed"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FugatoError("bad-data", f"the split file is damaged: {error}", str(path)) from error


# -- over works --------------------------------------------------------------------------------------------------------


def grouped_kfold(
    labels: Sequence[Hashable],
    groups: Sequence[Hashable],
    k: int,
    seed: int = 0,
    *,
    ids: Sequence[str] | None = None,
    name: str = "",
) -> Split:
    """`k` folds that keep every group whole and every label as evenly spread as its groups allow.

    Parameters
    ----------
    labels, groups : sequences, length n
        Composer and work of each piece. A group of None is a work by itself.
    k : int
        At least 2, at most the number of groups.
    seed : int
        Orders groups of one size.
    ids : sequence of str, optional
        Names of the pieces; their places where left out.
    name : str
        For people; "works-{k}" where left out.
    """
    group = _codes(groups, len(labels), "groups")
    n_groups = int(group.max()) + 1 if len(group) else 0
    if not 2 <= k <= n_groups:
        raise FugatoError(
            "bad-option", f"{k} folds need between 2 and the number of works, and there are {n_groups} works"
        )
    folds = _deal(_codes(labels, len(labels), "labels"), group, np.full(k, 1.0 / k), seed)
    return _split(name or f"works-{k}", "grouped-kfold", seed, ids, folds, tuple(map(str, range(k))))


def grouped_holdout(
    labels: Sequence[Hashable],
    groups: Sequence[Hashable],
    fractions: Mapping[str, float],
    seed: int = 0,
    *,
    ids: Sequence[str] | None = None,
    name: str = "",
) -> Split:
    """Named parts, such as ``{"train": 0.8, "valid": 0.1, "test": 0.1}``, that keep every group whole.

    Parameters as `grouped_kfold`; `fractions` are positive and sum to 1, the first part is learnt from, the last one judged.
    """
    shares = _shares(fractions)
    group = _codes(groups, len(labels), "groups")
    folds = _deal(_codes(labels, len(labels), "labels"), group, shares, seed)
    return _split(name or "works-holdout", "grouped-holdout", seed, ids, folds, tuple(fractions), kind="parts")


def leave_one_source_out(
    sources: Sequence[Hashable],
    groups: Sequence[Hashable] | None = None,
    *,
    ids: Sequence[str] | None = None,
    name: str = "",
) -> Split:
    """Every source (corpus, transcriber) judged in turn by a model of all others.

    Pieces of the other sources that share a group with the judged source are taken out of the training side (`Split.removed`).
    """
    parts = tuple(sorted({str(s) for s in sources}))
    if len(parts) < 2:
        raise FugatoError("bad-data", f"leaving one source out needs at least two sources, and there is {len(parts)}")
    place = {p: i for i, p in enumerate(parts)}
    folds = np.array([place[str(s)] for s in sources], dtype=np.int64)
    removed: list[tuple[int, ...]] = []
    group = _codes(groups if groups is not None else [None] * len(folds), len(folds), "groups")
    for i in range(len(parts)):
        judged = np.zeros(int(group.max()) + 1, dtype=bool)
        judged[group[folds == i]] = True
        removed.append(tuple(np.flatnonzero(judged[group] & (folds != i)).tolist()))
    return _split(
        name or "sources", "leave-one-source-out", 0, ids, folds, parts, kind="sources", removed=tuple(removed)
    )


# -- published protocols: files at random, works on both sides ---------------------------------------------------------


def random_kfold_files(
    labels: Sequence[Hashable], k: int, seed: int = 0, *, ids: Sequence[str] | None = None, name: str = ""
) -> Split:
    """`k` folds of files at random within each label, blind to works; only to set beside published figures."""
    if not 2 <= k <= len(labels):
        raise FugatoError(
            "bad-option", f"{k} folds need between 2 and the number of files, and there are {len(labels)} files"
        )
    folds = _deal(_codes(labels, len(labels), "labels"), np.arange(len(labels)), np.full(k, 1.0 / k), seed)
    return _split(
        name or f"files-{k}", "random-kfold-files", seed, ids, folds, tuple(map(str, range(k))), independent=False
    )


def random_holdout_files(
    labels: Sequence[Hashable],
    fractions: Mapping[str, float],
    seed: int = 0,
    *,
    ids: Sequence[str] | None = None,
    name: str = "",
) -> Split:
    """Named parts of files at random within each label, blind to works; only to set beside published figures."""
    folds = _deal(_codes(labels, len(labels), "labels"), np.arange(len(labels)), _shares(fractions), seed)
    parts = tuple(fractions)
    return _split(
        name or "files-holdout", "random-holdout-files", seed, ids, folds, parts, kind="parts", independent=False
    )


# -- inside ------------------------------------------------------------------------------------------------------------


def _deal(label: Ints, group: Ints, shares: NDArray[np.float64], seed: int) -> Ints:
    """The part of every piece, shape=(n,), groups whole, labels spread as `shares` (shape=(n_parts,), sum 1) ask."""
    if not len(label):
        raise FugatoError("bad-data", "there is nothing to split: no pieces")
    n_groups, n_labels = int(group.max()) + 1, int(label.max()) + 1
    rng = np.random.default_rng(seed)
    pair, count = np.unique(group * n_labels + label, return_counts=True)  # pieces of each label in each group, sparse
    owner, own_label = pair // n_labels, pair % n_labels
    starts = np.searchsorted(owner, np.arange(n_groups + 1))
    total = np.bincount(label, minlength=n_labels).astype(np.float64)
    mixed = np.diff(starts) > 1
    size = np.bincount(group, minlength=n_groups)
    shuffled = rng.permutation(n_groups)
    order = shuffled[np.lexsort((-size[shuffled], ~mixed[shuffled]))]  # groups of several labels first, then by size
    preference = rng.permutation(len(shares))  # which part takes what fits everywhere alike
    held = np.zeros((len(shares), n_labels))
    filled = np.zeros(len(shares))
    part = np.zeros(n_groups, dtype=np.int64)
    for g in order:
        span = slice(starts[g], starts[g + 1])
        which, pieces = own_label[span], count[span].astype(np.float64)
        cost = ((2 * held[:, which] + pieces) * pieces / total[which] ** 2).sum(axis=1) / shares
        near = cost <= cost.min() * (1 + 1e-9)
        candidates = preference[near[preference]]
        best = candidates[np.argmin((filled / shares)[candidates])]
        part[g] = best
        held[best, which] += pieces
        filled[best] += pieces.sum()
    return part[group]


def _shares(fractions: Mapping[str, float]) -> NDArray[np.float64]:
    shares = np.array(list(fractions.values()), dtype=np.float64)
    if len(shares) < 2 or (shares <= 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise FugatoError("bad-option", f"fractions must be at least two, positive and sum to 1, not {dict(fractions)}")
    return shares


def _codes(values: Sequence[Hashable] | NDArray[Any], n: int, what: str) -> Ints:
    """Whole numbers 0.. in order of first appearance, shape=(n,); every None is one of its own."""
    if len(values) != n:
        raise FugatoError("bad-data", f"there are {n} pieces and {len(values)} {what}; one a piece is needed")
    seen: dict[Hashable, int] = {}
    return np.array(
        [seen.setdefault(v if v is not None else ("\0", i), len(seen)) for i, v in enumerate(values)], dtype=np.int64
    )


def _split(
    name: str, protocol: str, seed: int, ids: Sequence[str] | None, folds: Ints, parts: tuple[str, ...], **facts: Any
) -> Split:
    named = tuple(str(i) for i in (ids if ids is not None else range(len(folds))))
    return Split(name, protocol, seed, named, tuple(folds.tolist()), parts, **facts)
