"""The linear model over n-grams, as it answers: weights, scales and calibration from a model folder, NumPy alone.

A piece's vector (`fugato.represent.ngrams`), seen from the mean of the training pieces at distance 1, is multiplied with int8 weights, one
column a composer. But for that distance every score is a sum over grams, and every gram stands in a bar: which bars spoke for whom is read
off, not estimated.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.models import Model, softmax
from fugato.represent import ngrams
from fugato.represent.stream import Stream

RECIPE: Final = "ngram-linear"
NEAREST: Final = 1e-3  # least distance of a piece from the mean


class Scored(NamedTuple):
    """What the n-grams make of a piece.

    Attributes
    ----------
    logits : ndarray of float32, shape=(n_labels,)
        Before calibration.
    alike : ndarray of float32, shape=(n_more,)
        How much it is like music by any of the composers rather than by others, a number a column beyond theirs.
    distance : float
        From the mean of the training pieces.
    """

    logits: NDArray[np.float32]
    alike: NDArray[np.float32]
    distance: float


class NgramLinear:
    """Scores of a piece against every composer of a model.

    Parameters
    ----------
    model : Model
        A folder of the recipe "ngram-linear": part "weights" with the arrays ``weights`` int8, shape=(width, n_columns);
        ``scale`` float32, shape=(n_blocks, n_columns); ``bias`` float32, shape=(n_columns,); ``rarity`` float16, shape=(width,);
        ``origin`` float16, shape=(width,), the mean vector before scaling, and ``at_origin`` float32, shape=(n_columns,), its scores
        without bias; ``block_scale`` float32, shape=(n_blocks,). A column a composer; those beyond tell their music from others'.
    more : tuple of int
        How many columns beyond there may be.
    """

    def __init__(self, model: Model, more: tuple[int, ...] = (0,)) -> None:
        arrays = model.arrays("weights")
        self.labels = model.labels
        self.model = model
        self._places = ngrams.layout()
        width, blocks = ngrams.width(), len(self._places)
        self.n_more = arrays["bias"].size - len(self.labels) if "bias" in arrays else 0
        n = len(self.labels) + (self.n_more if self.n_more in more else 0)
        expected = {"weights": (width, n), "scale": (blocks, n), "bias": (n,), "rarity": (width,)}
        expected |= {"origin": (width,), "at_origin": (n,), "block_scale": (blocks,)}
        wrong = [name for name, shape in expected.items() if name not in arrays or arrays[name].shape != shape]
        made_with = model.card.representation.get("settings", {}).get("version")
        if wrong or made_with != ngrams.VERSION:
            raise FugatoError(
                "bad-model",
                f"It was made with version {made_with} of the n-grams, and this version of Fugato counts in version {ngrams.VERSION}; "
                f"arrays that do not fit: {', '.join(wrong) or 'none'}. Train it again.",
                str(model.folder),
            )
        self._weights: NDArray[np.int8] = arrays["weights"]
        self._scale: NDArray[np.float32] = arrays["scale"]
        self._bias: NDArray[np.float32] = arrays["bias"]
        self._rarity = arrays["rarity"].astype(np.float32)
        self._origin: NDArray[np.float32] = arrays["origin"].astype(np.float32)
        self._block_square = np.square(arrays["block_scale"].astype(np.float64))
        squares = np.add.reduceat(np.square(self._origin), [place.start for place in self._places])
        self._origin_square = float(self._block_square @ squares)
        metrical = np.array([place.metrical for place in self._places])
        self._metre_square = float(self._block_square[metrical] @ squares[metrical])
        self._at_origin: NDArray[np.float32] = arrays["at_origin"]
        self.temperature = float(model.card.calibration.get("temperature", 1.0))

    @cached_property
    def _label_index(self) -> dict[str, int]:
        return {label: i for i, label in enumerate(self.labels)}

    def logits(self, events: Stream) -> NDArray[np.float32]:
        """Scores before calibration, shape=(n_labels,)."""
        return self.judged(events).logits

    def judged(self, events: Stream) -> Scored:
        """The same, and how the piece lies among all music."""
        cell, times = ngrams.count(events)
        values = ngrams.weigh(cell, times, self._rarity, self._places)
        scores = -self._at_origin if events.has_metre else self._metre_at_origin - self._at_origin
        starts, stops = self._edges(cell)
        rows = self._weights.take(cell, axis=0)
        # Converting the few thousand int8 rows that occur, block by block in one place, is cheaper than keeping floats.
        place = np.empty((int((stops - starts).max()), len(scores)), np.float32)
        for scale, a, b in zip(self._scale, starts.tolist(), stops.tolist(), strict=True):
            block = place[: b - a]
            block[:] = rows[a:b]
            scores += (values[a:b] @ block) * scale
        distance = self._distance(cell, values, events.has_metre)
        scores = scores / distance + self._bias
        n = len(self.labels)
        return Scored(scores[:n], scores[n:], float(distance))

    @cached_property
    def _metre_at_origin(self) -> NDArray[np.float32]:
        """What the metre of the mean piece gives: without beats a piece's own is not known, and taken to be that."""
        found = np.zeros_like(self._at_origin)
        for place, scale in zip(self._places, self._scale, strict=True):
            if place.metrical:
                part = slice(place.start, place.stop)
                found += (self._origin[part] @ self._weights[part].astype(np.float32)) * scale
        return found

    def _distance(self, cell: NDArray[np.int32], values: NDArray[np.float32], has_metre: bool) -> np.float32:
        """How far a piece lies from the mean of the training pieces."""
        starts, stops = self._edges(cell)
        of_cell = np.repeat(self._block_square, stops - starts)
        square = of_cell @ (values.astype(np.float64) * (values - 2 * self._origin.take(cell))) + self._origin_square
        if not has_metre:
            square -= self._metre_square
        return np.float32(np.sqrt(max(float(square), NEAREST**2)))

    def _edges(self, cell: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each block's cells begin and end."""
        edges = np.searchsorted(cell, np.array([p.start for p in self._places] + [self._places[-1].stop], cell.dtype))
        return edges[:-1], edges[1:]

    def probabilities(self, logits: NDArray[Any], candidates: list[int] | None = None) -> NDArray[np.float64]:
        """Calibrated probabilities, shape=(n_labels,); 0 for all but the candidates where they are given."""
        if candidates is None:
            return softmax(logits, self.temperature)
        out = np.zeros(len(logits))
        out[candidates] = softmax(logits[candidates], self.temperature)
        return out

    def bar_weights(self, events: Stream, label: str, n_bars: int) -> NDArray[np.float64]:
        """How much each bar spoke for a composer against the average composer, shape=(n_bars,), in units of the logits.

        A gram's share of the score is spread evenly over its occurrences, each counted in the bar of its first event, so the bars add
        up to the score less its bias and the mean over composers.
        """
        cell, times, share = self._shares(events, label)
        table = np.zeros(ngrams.width(), np.float64)
        table[cell] = share / times
        bars = np.zeros(n_bars)
        for place, (codes, event) in zip(self._places, ngrams.grams(events), strict=True):
            bars += np.bincount(events.bar[event], table[place.start + codes], n_bars)[:n_bars]
        return bars

    def pattern_weights(self, events: Stream, label: str, least: int) -> Iterator[tuple[str, int, float]]:
        """Grams of the exact blocks that occur at least `least` times and spoke for a composer, the strongest first.

        Yields
        ------
        block : str
        cell : int
            Within the block.
        weight : float
            In units of the logits, as in `bar_weights`.
        """
        cell, times, share = self._shares(events, label)
        starts = np.array([place.start for place in self._places])
        for i in np.argsort(-share, kind="stable"):
            if share[i] <= 0:
                return
            number = int(np.searchsorted(starts, cell[i], side="right")) - 1
            if times[i] >= least and not self._places[number].hashed:
                yield ngrams.BLOCKS[number].name, int(cell[i] - starts[number]), float(share[i])

    def _shares(self, events: Stream, label: str) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
        """Cells that occur, how often, and what each gave to a composer's score beyond the mean over composers."""
        cell, times = ngrams.count(events)
        values = ngrams.weigh(cell, times, self._rarity, self._places)
        starts, stops = self._edges(cell)
        rows = self._weights.take(cell, axis=0).astype(np.float32) * np.repeat(self._scale, stops - starts, axis=0)
        values = values / self._distance(cell, values, events.has_metre)
        return cell, times, values * (rows[:, self._label_index[label]] - rows[:, : len(self.labels)].mean(axis=1))
