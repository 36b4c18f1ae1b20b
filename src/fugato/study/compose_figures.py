"""What the benchmark of composing measures: of one piece, and of all pieces of a system beside real music.

Intervals are of 95 % and drawn over works. The Fréchet distance (Heusel et al., "GANs trained by a two time-scale update rule converge to
a local Nash equilibrium", NeurIPS 2017) is taken in the style space of `fugato.embed`; as it depends on the number of pieces, each one is a
mean over halves of the works: real music of one half against a system's of the other, and for the floor real music against real music.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.composer import embed, identify
from fugato.errors import FugatoError
from fugato.metrics import bootstrap_interval
from fugato.score import Key, Score
from fugato.study import music_metrics as mm
from fugato.study.compose_seeds import Passage
from fugato.write.spelling import estimate_key

DRAWS: Final = 1000  # of the bootstrap
HALVES: Final = 20  # ways to halve the works, for the Fréchet distance
LEAST: Final = 8  # pieces of a half
ROUNDED: Final = 6  # digits of what is kept

Floats = NDArray[np.float64]
Figure = dict[str, Any]


# -- of one piece --------------------------------------------------------------------------------------------------------


def measured(score: Score, passage: Passage, composers: Sequence[str], judge: str) -> Figure:
    """Everything that is measured of a piece, as plain JSON values.

    Parameters
    ----------
    score : Score
        The new music alone, or what really follows the seed.
    passage : Passage
        That it goes on from.
    composers : sequence of str
        Among whom one is named; empty where none is.
    judge : str
        The model that names composers.
    """
    found: Figure = {
        "features": {name: [round(v, ROUNDED) for v in values.tolist()] for name, values in mm.features(score).items()},
        "self-similarity": [round(mm.self_similarity(score, lag), ROUNDED) for lag in mm.LAGS],
        "bar run": mm.longest_bar_run(score),
        "sound run": mm.longest_sound_run(score),
        "loops": mm.loops(score),
        "distinct": round(mm.distinct_ngrams(score), ROUNDED),
        "notes": len(score),
        "seconds": round(score.seconds, 3),
        "ends": cadence(score, passage.seed),
    }
    try:
        found["vector"] = [round(float(v), ROUNDED) for v in embed(score)]
        found["named"] = identify(score, model=judge, candidates=composers, work=False).name if composers else None
        found["named of all"] = identify(score, model=judge, work=False).name
    except FugatoError:  # too short to be judged
        found.update({"vector": None, "named": None, "named of all": None})
    return found


def cadence(score: Score, seed: Score) -> bool:
    """Whether it ends on a cadence with its last bar complete, in the seed's key or in its own, both estimated."""
    if not len(score):
        return False
    keys = {_at_start(estimate_key(piece)) for piece in (seed, score)}
    return any(mm.ending(replace(score, keys=(key,))).is_cadence for key in keys)


def _at_start(key: Key) -> Key:
    return key._replace(onset=0.0)


# -- of a system ---------------------------------------------------------------------------------------------------------


def mean(values: Sequence[float] | NDArray[Any], works: Sequence[str]) -> Figure | None:
    """A mean with its interval over works; values that are no numbers are left out."""
    kept = [(float(v), w) for v, w in zip(values, works, strict=True) if v is not None and math.isfinite(v)]
    if not kept:
        return None
    table = np.array([v for v, _ in kept])
    return interval(_mean, table, groups=[w for _, w in kept])


def interval(metric: Callable[..., float], *arrays: NDArray[Any], groups: Sequence[str]) -> Figure:
    """Any figure with its interval, and of how many pieces."""
    found = bootstrap_interval(metric, *arrays, groups=list(groups), n=DRAWS)
    return {"value": _plain(found.value), "interval": [_plain(found.low), _plain(found.high)], "n": len(arrays[0])}


def _mean(values: NDArray[Any], weights: NDArray[Any] | None = None) -> float:
    return float(np.average(values, weights=weights)) if weights is None or weights.sum() else math.nan


def _plain(value: float) -> float | None:
    return round(float(value), 5) if math.isfinite(value) else None


def by_composer(right: Sequence[bool], composers: Sequence[str], works: Sequence[str]) -> Figure | None:
    """Share of pieces named rightly, each composer weighing the same, with its interval over works."""
    if not len(right):
        return None
    names, place = np.unique(list(composers), return_inverse=True)

    def balanced(hit: NDArray[Any], who: NDArray[Any], weights: NDArray[Any] | None = None) -> float:
        weight = np.ones(len(hit)) if weights is None else weights
        total = np.bincount(who, weight, len(names))
        known = total > 0
        return float((np.bincount(who, weight * hit, len(names))[known] / total[known]).mean())

    return interval(balanced, np.array(right, float), place, groups=works)


def overlap(real: Sequence[Figure], made: Sequence[Figure], works: Sequence[str]) -> dict[str, Figure | None]:
    """For each feature, and as ``mean`` over all of them, how much of its density a system shares with real music.

    The value is that of `music_metrics.compare`. Its interval draws the system's pieces by work, with real music and the widths of the
    kernels as they are.
    """
    found: dict[str, Figure | None] = {}
    curves = []
    for name in mm.FEATURES:
        a, _ = _feature(real, name)
        b, rows = _feature(made, name)
        if len(a) < 3 or len(b) < 2:
            found[name] = None
            continue
        within = np.linalg.norm(a[:, None] - a[None], axis=-1)[~np.eye(len(a), dtype=bool)]
        between = np.linalg.norm(b[:, None] - a[None], axis=-1)  # (n_made, n_real)
        distance = mm.Distance(mm.overlap_area(within, between.ravel()), mm.kl_distance(within, between.ravel()))
        curve = _Curve(within, between, [works[i] for i in rows])
        found[name] = {**curve.interval(distance.overlap), "kl": _plain(distance.kl)}
        curves.append((distance.overlap, curve))
    if curves and all(found.values()):
        draws = np.mean([curve.draws for _, curve in curves], axis=0)
        value = float(np.mean([area for area, _ in curves]))
        found["mean"] = {"value": _plain(value), "interval": _shifted(draws, value), "n": len(made)}
    else:
        found["mean"] = None
    return found


def _feature(pieces: Sequence[Figure], name: str) -> tuple[Floats, list[int]]:
    """The feature of all pieces that have it, shape=(n, n_values), and which they are."""
    rows = [
        i for i, piece in enumerate(pieces) if all(v is not None and math.isfinite(v) for v in piece["features"][name])
    ]
    return np.array([pieces[i]["features"][name] for i in rows], np.float64), rows


class _Curve:
    """The densities of one feature, the system's split by piece, so that pieces can be drawn again."""

    def __init__(self, within: Floats, between: Floats, works: Sequence[str]) -> None:
        every = between.ravel()
        low, high = min(within.min(), every.min()), max(within.max(), every.max())
        self.x = np.linspace(low, high, mm.POINTS)
        flat = low == high
        self.real = np.zeros(len(self.x)) if flat else mm.density(within, self.x)
        width = mm.kernel_width(every, self.x)
        each = np.zeros((len(between), len(self.x)))
        for row, distances in zip(each, between, strict=True):
            if not flat:
                row[:] = mm.kernels(distances, self.x, width)
        _, group = np.unique(list(works), return_inverse=True)
        rng = np.random.default_rng(0)
        n = int(group.max()) + 1
        self.draws = np.ones(DRAWS)
        for i in range(0 if flat else DRAWS):
            times = np.bincount(rng.integers(0, n, n), minlength=n)[group]
            self.draws[i] = np.trapezoid(np.minimum(self.real, times @ each / times.sum()), self.x)

    def interval(self, value: float) -> Figure:
        return {"value": _plain(value), "interval": _shifted(self.draws, value), "n": None}


def _shifted(draws: Floats, value: float) -> list[float | None]:
    """Bounds of 95 %."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return [_plain(min(low, value)), _plain(max(high, value))]


def frechet(a: Floats, b: Floats) -> float:
    """Fréchet distance of two sets of vectors, shape=(n, d) and (m, d), taken as normally distributed.

    The trace of the root of the product of two covariances is the sum of the singular values of the product of the centred tables,
    since the covariances are their squares; so few vectors of many dimensions need no matrix root.
    """
    x, y = a - a.mean(axis=0), b - b.mean(axis=0)
    x, y = x / math.sqrt(max(len(a) - 1, 1)), y / math.sqrt(max(len(b) - 1, 1))
    apart = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    root = float(np.linalg.svd(x @ y.T, compute_uv=False).sum())
    return max(apart + float((x**2).sum() + (y**2).sum()) - 2 * root, 0.0)


def frechet_to_real(real: Sequence[Figure], made: Sequence[Figure], works: Sequence[str]) -> Figure | None:
    """The distance of a system's pieces from real music of other works, mean and range of 95 % over halves of the works.

    Parameters
    ----------
    real, made : sequences of what `measured` gives
        Of the same passages.
    works : sequence of str
    """
    usable = [i for i, (r, m) in enumerate(zip(real, made, strict=True)) if r["vector"] and m["vector"]]
    names = sorted({works[i] for i in usable})
    found = []
    for seed in range(HALVES):
        order = np.random.default_rng(seed).permutation(len(names))
        one = {names[i] for i in order[: len(names) // 2]}
        a = np.array([real[i]["vector"] for i in usable if works[i] in one])
        b = np.array([made[i]["vector"] for i in usable if works[i] not in one])
        if min(len(a), len(b)) < LEAST:
            return None
        size = min(len(a), len(b))
        found.append(frechet(a[:size], b[:size]))
    low, high = np.quantile(found, [0.025, 0.975])
    return {"value": _plain(float(np.mean(found))), "interval": [_plain(low), _plain(high)], "n": len(usable)}
