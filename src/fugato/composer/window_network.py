"""Networks over windows, as they answer: ONNX Runtime from a model folder, no torch.

A piece's probabilities are the mean over its windows; a bar speaks for a composer as far as the windows over it do more than the rest.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.models import Model, onnx_session, softmax
from fugato.represent.stream import Stream
from fugato.represent.windows import KINDS, Table, gather, table
from fugato.score import Score

PART: Final = "network"
AT_ONCE: Final = 64  # windows in one run of the network
MOST_WINDOWS: Final = 200  # of a piece that are looked at, evenly spread: enough for any mean
FLOOR: Final = 1e-9  # probability under which nothing is told apart


class WindowNetwork:
    """A network from windows of a piece to scores of composers.

    Parameters
    ----------
    model : Model
        With a part "network" (ONNX, input ``rows``, output ``scores``) and a representation that names a kind of window.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.labels = model.labels
        about = model.card.representation.get("settings", {})
        kind, size, columns = (about.get(key) for key in ("kind", "size", "columns"))
        if kind not in KINDS or (size, columns) != (KINDS[kind].size, len(KINDS[kind].columns)):
            raise FugatoError(
                "bad-model",
                f"It looks through windows of {kind!r}, {size} x {columns}, which this version of Fugato does not cut. Train it again.",
                str(model.folder),
            )
        self.kind, self.hop = KINDS[kind], int(about.get("hop", 0))
        self.temperature = float(model.card.calibration.get("temperature", 1.0))

    @cached_property
    def _session(self) -> Any:
        session = onnx_session(self.model.path(PART))
        inputs, outputs = session.get_inputs(), session.get_outputs()
        expected = [self.kind.size, len(self.kind.columns)]
        if len(inputs) != 1 or inputs[0].shape[1:] != expected or outputs[0].shape[-1] != len(self.labels):
            raise FugatoError(
                "bad-model",
                f"Its network takes {inputs[0].shape} and gives {outputs[0].shape}; its card says {expected} and {len(self.labels)} names.",
                str(self.model.folder),
            )
        return session

    def table(self, score: Score, events: Stream | None = None, most: int = MOST_WINDOWS) -> Table:
        """The windows that the network looks through, at most so many; raises as `fugato.represent.windows.table`.

        Where the stream of the score is at hand, windows of events are cut from it.
        """
        return table(score, self.kind.name, hop=self.hop, limit=most, fill=True, events=events)

    def window_probabilities(self, found: Table) -> NDArray[np.float64]:
        """Uncalibrated, shape=(n_windows, n_labels)."""
        name = self._session.get_inputs()[0].name
        scores = [
            self._session.run(None, {name: gather(found.rows, found.starts[at : at + AT_ONCE], self.kind.size)})[0]
            for at in range(0, len(found.starts), AT_ONCE)
        ]
        return softmax(np.concatenate(scores))

    def logits(self, found: Table) -> NDArray[np.float32]:
        """Scores of the piece before calibration, shape=(n_labels,): the log of its mean probability."""
        return piece_logits(self.window_probabilities(found))

    def bar_weights(self, found: Table, label: str, bar_seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much more the windows over each bar gave a composer than the whole piece did, shape=(n_bars,).

        Parameters
        ----------
        found : Table
        label : str
        bar_seconds : ndarray, shape=(n_bars,)
            When each bar begins.
        """
        given = self.window_probabilities(found)[:, self.labels.index(label)]
        n = len(bar_seconds)
        first = np.clip(np.searchsorted(bar_seconds, found.begin, side="right") - 1, 0, n - 1)
        stop = np.clip(np.searchsorted(bar_seconds, found.end, side="left"), first + 1, n)
        total, over = np.zeros(n + 1), np.zeros(n + 1)
        for change, sign in ((first, 1.0), (stop, -1.0)):
            total += sign * np.bincount(change, given - given.mean(), n + 1)
            over += sign * np.bincount(change, minlength=n + 1)
        covered = np.cumsum(over)[:n]
        mean: NDArray[np.float64] = np.cumsum(total)[:n] / np.maximum(covered, 1)
        return mean / max(n, 1)


def piece_logits(window_probabilities: NDArray[np.float64]) -> NDArray[np.float32]:
    """The log of the mean over windows, shape=(n_labels,); a softmax at temperature 1 gives that mean back."""
    logits: NDArray[np.float32] = np.log(np.maximum(window_probabilities.mean(axis=0), FLOOR)).astype(np.float32)
    return logits
