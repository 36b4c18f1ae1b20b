"""A linear head on an encoder of the user's own, as it answers: the head from a model folder, the encoder from where the card says it is.

The encoder is not part of the model folder. It is looked for where it lay when the head was fitted, or where ``FUGATO_ENCODER`` says, and
must be the same one. It needs the extra ``encoder``; NumPy does the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import FugatoError
from ..recording import Recording
from ..represent.encoder import Encoder, Heard
from .folder import Model

PART: Final = "head"
REPRESENTATION: Final = "encoder-states"
WHERE: Final = "FUGATO_ENCODER"

Floats = NDArray[np.float32]


def head_logits(vectors: Floats, head: Mapping[str, NDArray[Any]]) -> Floats:
    """Scores of encoder states by the arrays of a head.

    Parameters
    ----------
    vectors : ndarray of float32, shape=(n, n_layers, width)
    head : mapping
        mean, scale : (n_layers, width); weights : (n_layers, width, n_labels); bias : (n_labels,).

    Returns
    -------
    ndarray of float32, shape=(n, n_labels)
    """
    values = (vectors - head["mean"]) * head["scale"]
    out: Floats = (np.einsum("nlw,lwk->nk", values, head["weights"]) + head["bias"]).astype(np.float32)
    return out


class EncoderHead:
    """Scores of a recording against every genre of a model.

    Parameters
    ----------
    model : Model
        Of the recipe "pretrained-encoder".
    encoder : path, optional
        Where its encoder lies; by default ``FUGATO_ENCODER``, or where the card says.

    Raises
    ------
    FugatoError
        ``bad-model`` where the folder is none of that recipe.
    """

    def __init__(self, model: Model, encoder: str | os.PathLike[str] | None = None) -> None:
        about = model.card.representation
        if about["name"] != REPRESENTATION or not model.has(PART):
            raise FugatoError("bad-model", "It is no head on a pretrained encoder.", str(model.folder))
        self.model = model
        self.labels = model.labels
        self._about: dict[str, Any] = about.get("settings", {})
        self._folder = Path(encoder or os.environ.get(WHERE) or self._about.get("folder", ""))
        self._head = model.arrays(PART)
        shape = (self._about.get("layers"), self._about.get("width"), len(self.labels))
        if self._head.get("weights", np.zeros(0)).shape != shape:
            raise FugatoError(
                "bad-model", f"Its head does not have the shape {shape} that its card says.", str(model.folder)
            )

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use; raises as `fugato.represent.encoder.Encoder`, and ``bad-model`` for another one."""
        try:
            found = Encoder(self._folder)
        except FugatoError as error:
            if error.kind != "no-model":
                raise
            raise FugatoError(
                "no-model", f"{error.message} {WHERE} says where the encoder of this model lies now.", error.input
            ) from error
        if found.fingerprint != self._about.get("fingerprint"):
            raise FugatoError(
                "bad-model",
                f"The head was fitted to another encoder ({self._about.get('kind')}) than the one in this folder.",
                str(self._folder),
            )
        return found

    def windows(self, recording: Recording) -> Iterator[tuple[Heard, Floats]]:
        """What the encoder heard along a recording, and the scores of each window before calibration, shape=(n_labels,)."""
        for heard in self.encoder.windows(recording, seconds=float(self._about["seconds"])):
            yield heard, head_logits(heard.vector[None], self._head)[0]

    def logits(self, recording: Recording) -> Floats:
        """Scores of a whole recording before calibration, shape=(n_labels,): those of its mean states, as it was learnt."""
        return self.whole([heard for heard, _ in self.windows(recording)])

    def whole(self, heard: Sequence[Heard]) -> Floats:
        """The same from all that was heard along a recording."""
        lengths = np.array([h.end - h.start for h in heard])
        vector = np.average([h.vector for h in heard], axis=0, weights=lengths).astype(np.float32)
        scores: Floats = head_logits(vector[None], self._head)[0]
        return scores
