"""What every genre model answers about a passage of sound, and the models that can."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.genre.heard import Heard, n_stretches
from fugato.genre.segments import SegmentHearer
from fugato.models import Model, load_model, onnx_session, softmax, taken_up
from fugato.models.encoder_head import PART as HEAD
from fugato.models.encoder_head import EncoderHead
from fugato.represent import sound_covariance
from fugato.represent.sampled_mel import SECONDS, sampled
from fugato.represent.sound_covariance import LEAST_FRAMES, covariance_vector, standardised, strangeness
from fugato.represent.sound_rows import ROWS

AROUND: Final = 12.0  # seconds of sound that are heard for it
STEP: Final = 6.0  # seconds from one such hearing to the next
FLOOR: Final = 1e-9  # probability under which nothing is told apart
AT_ONCE: Final = 64  # windows in one run of a network

Floats = NDArray[np.float32]


class Hearer(Protocol):
    """A genre model."""

    model: Model
    labels: tuple[str, ...]

    def hear(self, decibels: Floats) -> Heard:
        """What it makes of a passage, shape=(128, n_frames), log-mel in dB, every frame."""
        ...


class CovarianceHearer:
    """Discriminants over how a sound's parts vary together, from a model folder of the recipe "mel-covariance"; NumPy alone.

    Parameters
    ----------
    model : Model
        With a part "covariance": ``mean``, ``scale``, shape=(width,); ``weights`` float16, shape=(width, n_labels); ``bias``; ``usual``
        float16, shape=(width, n_directions).
    """

    def __init__(self, model: Model) -> None:
        self.model, self.labels = model, model.labels
        arrays = model.arrays("covariance")
        about = model.card.representation.get("settings", {})
        expected = (sound_covariance.width(), len(self.labels))
        if arrays["weights"].shape != expected or about.get("version") != sound_covariance.VERSION:
            raise FugatoError(
                "bad-model",
                f"Its weights have shape {arrays['weights'].shape} and version {about.get('version')} of the covariances; this version of "
                f"Fugato has {expected} in version {sound_covariance.VERSION}. Train it again.",
                str(model.folder),
            )
        self._mean, self._scale = arrays["mean"].astype(np.float32), arrays["scale"].astype(np.float32)
        self._usual = arrays["usual"].astype(np.float32)
        self._limits = np.array(model.card.calibration.get("strange_limits") or [[1.0, np.inf]], np.float64)
        self._weights, self._bias = arrays["weights"].astype(np.float32), arrays["bias"].astype(np.float32)

    def hear(self, decibels: Floats) -> Heard:
        """The passage as a whole, and the `AROUND` seconds around each moment of it."""
        stretches = n_stretches(decibels.shape[1])
        decibels = sampled(decibels)
        n = decibels.shape[1]
        if n < LEAST_FRAMES:
            decibels, n = np.pad(decibels, ((0, 0), (0, LEAST_FRAMES - n)), mode="wrap"), LEAST_FRAMES
        whole = covariance_vector(decibels)
        logits = self._scores(whole)
        span = round(AROUND / SECONDS)
        if n <= 1.5 * span:  # hardly longer than what would be heard for each moment
            return Heard(logits, self._strange(whole, n), np.tile(logits, (stretches, 1)))
        windows = max(round((n - span) * SECONDS / STEP), 1) + 1
        starts = np.rint(np.linspace(0, n - span, windows)).astype(np.int64)
        around = np.stack([self._scores(covariance_vector(decibels[:, at : at + span])) for at in starts])
        middle = (np.arange(stretches) + 0.5) * n / stretches
        nearest = np.abs(middle[:, None] - (starts + span / 2)[None]).argmin(axis=1)
        return Heard(logits, self._strange(whole, n), around[nearest])

    def _scores(self, vector: Floats) -> Floats:
        out: Floats = standardised(vector, self._mean, self._scale) @ self._weights + self._bias
        return out

    def _strange(self, vector: Floats, n_frames: int) -> bool:
        """Whether a passage is further away than those of its length that were learnt from."""
        found = float(strangeness(standardised(vector, self._mean, self._scale), self._usual))
        return found > float(np.interp(np.log(n_frames * SECONDS), np.log(self._limits[:, 0]), self._limits[:, 1]))


class NetworkHearer:
    """A network over windows of sampled mel bands or cepstra, by ONNX Runtime.

    A passage's probabilities are the mean over its windows.

    Parameters
    ----------
    model : Model
        With a part "network" (input ``rows``, shape=(batch, size, n_columns); output scores) and a representation that says what a
        row is.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.labels = model, model.labels
        about = model.card.representation.get("settings", {})
        self.kind = str(about.get("kind"))
        if self.kind not in ROWS:
            raise FugatoError(
                "bad-model",
                f"It looks through windows of {self.kind!r}, which this version of Fugato does not cut. Train it again.",
                str(model.folder),
            )
        self.size, self.hop = int(about["size"]), int(about.get("hop") or about["size"])
        self._session = onnx_session(model.path("network"))

    def hear(self, decibels: Floats) -> Heard:
        """All windows of the passage; each moment has those that cover it."""
        rows = ROWS[self.kind](decibels)
        if len(rows) < self.size:
            rows = np.pad(rows, ((0, self.size - len(rows)), (0, 0)), mode="wrap")
        n = len(rows)
        windows = max(round((n - self.size) / self.hop), 0) + 1
        starts = np.rint(np.linspace(0, n - self.size, windows)).astype(np.int64)
        name = self._session.get_inputs()[0].name
        cut = np.stack([rows[at : at + self.size] for at in starts])
        scores = [self._session.run(None, {name: cut[i : i + AT_ONCE]})[0] for i in range(0, windows, AT_ONCE)]
        probabilities = softmax(np.concatenate(scores))
        stretches = n_stretches(decibels.shape[1])
        middle = (np.arange(stretches) + 0.5) * n / stretches
        covers = np.abs(middle[:, None] - (starts + self.size / 2)[None])
        near = covers <= np.maximum(self.size / 2, covers.min(axis=1, keepdims=True))
        local = (near / near.sum(axis=1, keepdims=True)) @ probabilities
        return Heard(_log(probabilities.mean(axis=0)), False, _log(local))


def _log(probabilities: NDArray[np.float64]) -> Floats:
    out: Floats = np.log(np.maximum(probabilities, FLOOR)).astype(np.float32)
    return out


HEARERS: Final[dict[str, Callable[[Model], Hearer | EncoderHead]]] = {  # by the part that only they have
    "covariance": CovarianceHearer,
    HEAD: EncoderHead,
    "segments": SegmentHearer,
    "network": NetworkHearer,
}


@lru_cache(maxsize=4)
def hearer(model: str) -> Hearer | EncoderHead:
    """The genre model of this name or folder, loaded once.

    Raises
    ------
    FugatoError
        ``no-model``; ``bad-model`` where it answers another question or is not known to this version.
    """
    found = load_model(model)
    if found.card.task != "genre":
        raise FugatoError(
            "bad-model",
            f"It answers the question {found.card.task!r}, not which genre a recording is.",
            str(found.folder),
        )
    for part, made in HEARERS.items():
        if found.has(part):
            with taken_up(found):
                return made(found)
    raise FugatoError(
        "bad-model", f"Its recipe {found.card.recipe!r} is not known to this version of Fugato.", str(found.folder)
    )
