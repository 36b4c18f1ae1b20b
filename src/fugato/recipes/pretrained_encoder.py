"""pretrained-encoder: a linear head on the frozen hidden states of a transformers audio encoder.

In:     the states after every layer of an encoder from a folder of the user's own (`fugato.represent.encoder`), averaged over each
        recording, each number standardised on the recordings that are learnt from.
Model:  multinomial logistic regression with an L2 penalty on all layers at once, so that the head chooses among them, as in the probing of
        MERT (Yuan et al., "MARBLE: Music audio representation benchmark for universal evaluation", NeurIPS 2023). Genres count the
        same whatever their number of recordings. Fitted by L-BFGS in double precision; the encoder is not changed.
Figure: none here: no encoder comes with Fugato. Published: 0.77 to 0.82 on the filtered split of GTZAN with the largest.

From audio alone; spectrograms will not do. The model folder holds the head, and the card says which encoder it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fugato.corpus.sounds import Clip, Sounds
from fugato.errors import FugatoError
from fugato.models.encoder_head import PART, REPRESENTATION, head_logits
from fugato.read import read_audio
from fugato.recipes.options import check_names
from fugato.represent.encoder import SECONDS, Encoder
from fugato.write.network_picture import Layer

NAME: Final = "pretrained-encoder"
DEFAULTS: Final[dict[str, float]] = {
    "penalty": 3e-2,  # of the squared weights, against the mean loss of a recording and numbers of variance 1 over the root of their number
    "seconds": SECONDS,  # of a window that the encoder hears
}
SPACE: Final = {"penalty": (1e-3, 1.0)}
STEPS: Final = 200  # of L-BFGS, at most

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Recordings as an encoder hears them.

    Attributes
    ----------
    clips : tuple of Clip
    vectors : ndarray of float32, shape=(n, n_layers, width)
    encoder : dict
        What the card says of it: kind, folder, fingerprint, rate, seconds, layers, width.
    failed : tuple of FugatoError
    """

    clips: tuple[Clip, ...]
    vectors: Floats
    encoder: dict[str, Any]
    failed: tuple[FugatoError, ...] = ()

    def select(self, rows: Ints) -> Prepared:
        """Some of the recordings."""
        return Prepared(tuple(self.clips[i] for i in rows.tolist()), self.vectors[rows], self.encoder, self.failed)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A linear head.

    Attributes
    ----------
    labels : tuple of str
    mean, scale : ndarrays of float32, shape=(n_layers, width)
        A number is (value - mean) * scale.
    weights : ndarray of float32, shape=(n_layers, width, n_labels)
    bias : ndarray of float32, shape=(n_labels,)
    """

    labels: tuple[str, ...]
    mean: Floats
    scale: Floats
    weights: Floats
    bias: Floats

    def logits(self, prepared: Prepared, rows: Ints) -> Floats:
        """Scores of prepared recordings, shape=(len(rows), n_labels)."""
        return head_logits(prepared.vectors[rows], self.arrays())

    def arrays(self) -> dict[str, Floats]:
        """For a model folder."""
        return {"mean": self.mean, "scale": self.scale, "weights": self.weights, "bias": self.bias}


def check(chosen: Mapping[str, float]) -> None:
    """Raise FugatoError("bad-option") for a setting that there is not, or a value that makes no sense."""
    check_names(NAME, chosen, DEFAULTS)
    for name, value in chosen.items():
        if not math.isfinite(value) or value <= 0:
            raise FugatoError("bad-option", f"The setting {name} is {value:g}; it must be above 0.")
    if chosen.get("seconds", SECONDS) < 3:
        raise FugatoError("bad-option", f"The setting seconds is {chosen['seconds']:g}; a window lasts 3 s at least.")


def prepare(sounds: Sounds, encoder: str | Path, *, progress: Progress | None = None, **settings: float) -> Prepared:
    """Hear every recording once.

    Parameters
    ----------
    sounds : Sounds
    encoder : path
        The folder of a transformers audio encoder.
    progress : callable, optional
        Called with the number of recordings heard, and of all.

    Raises
    ------
    FugatoError
        As `Encoder`; ``bad-data`` where not one recording can be heard.
    """
    check(settings)
    seconds = {**DEFAULTS, **settings}["seconds"]
    made = Encoder(encoder)
    kept: list[Clip] = []
    vectors: list[Floats] = []
    failed: list[FugatoError] = []
    for number, clip in enumerate(sounds.clips, 1):
        try:
            vectors.append(made.embed(read_audio(clip.path), seconds=seconds))
            kept.append(clip)
        except FugatoError as error:
            failed.append(error)
        if progress is not None:
            progress(number, len(sounds))
    if not kept:
        raise FugatoError("bad-data", f"None of its {len(sounds):,} recordings can be heard.", sounds.name or None)
    about = {
        "kind": made.kind,
        "folder": str(made.folder.absolute()),
        "fingerprint": made.fingerprint,
        "rate": made.rate,
        "seconds": seconds,
        "layers": vectors[0].shape[0],
        "width": vectors[0].shape[1],
    }
    return Prepared(tuple(kept), np.stack(vectors), about, tuple(failed))


def fit(prepared: Prepared, rows: Ints, labels: Sequence[str], settings: Mapping[str, float] | None = None) -> Fitted:
    """Fit a head to some of the recordings.

    Parameters
    ----------
    prepared : Prepared
    rows : ndarray of int64
        Of the recordings to learn from.
    labels : sequence of str
        Of all prepared recordings.
    settings : mapping, optional
        On top of `DEFAULTS`.

    Raises
    ------
    FugatoError
        ``bad-data`` for fewer than two genres, ``bad-option``.
    """
    check(settings or {})
    chosen = {**DEFAULTS, **(settings or {})}
    names = tuple(sorted({labels[i] for i in rows.tolist()}))
    if len(names) < 2:
        raise FugatoError("bad-data", f"There must be two genres at least to tell apart, not {len(names)}.")
    seen = prepared.vectors[rows].astype(np.float64)
    mean, deviation = seen.mean(axis=0), seen.std(axis=0)
    scale = np.where(deviation > 1e-9 * (1 + np.abs(mean)), 1 / np.maximum(deviation, 1e-12), 0.0)
    scale /= math.sqrt(mean.size)
    values = torch.from_numpy(((seen - mean) * scale).reshape(len(rows), -1))
    target = torch.tensor([names.index(labels[i]) for i in rows.tolist()])
    share = torch.bincount(target, minlength=len(names)).double()
    each = (1 / share)[target] / len(names)  # together 1, every genre alike
    weights = torch.zeros(values.shape[1], len(names), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(names), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=STEPS, tolerance_grad=1e-8, line_search_fn="strong_wolfe")
    penalty = chosen["penalty"] / values.shape[1] ** 0.5

    def loss() -> Any:
        optimiser.zero_grad()
        total = (each * F.cross_entropy(values @ weights + bias, target, reduction="none")).sum()
        total = total + penalty * weights.square().sum()
        total.backward()
        return total

    optimiser.step(loss)
    return Fitted(
        names,
        mean.astype(np.float32),
        scale.astype(np.float32),
        weights.detach().numpy().reshape(*mean.shape, len(names)).astype(np.float32),
        bias.detach().numpy().astype(np.float32),
    )


def export(prepared: Prepared, fitted: Fitted) -> dict[str, Any]:
    """Parts of the model folder: the head alone. Its card needs `representation`."""
    return {PART: fitted.arrays()}


def representation(prepared: Prepared) -> dict[str, Any]:
    """What the card says of the input: which encoder, how long its windows are."""
    return {"name": REPRESENTATION, "settings": dict(prepared.encoder)}


def layers(n_labels: int) -> list[Layer]:
    """What happens to a recording, for a drawing of the recipe; sizes are those of an encoder of 12 layers of 768."""
    return [
        Layer("samples", "Input", ("n", "samples"), 0),
        Layer("", "Frozen encoder, here of 12 layers", ("n", 13, "steps", 768), 0),
        Layer("", "Mean over time, standardised", ("n", 13, 768), 0),
        Layer("head", "Dense", ("n", n_labels), (13 * 768 + 1) * n_labels),
        Layer("", "Softmax", ("n", n_labels), 0),
    ]
