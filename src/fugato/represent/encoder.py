"""Recordings heard by a network that somebody else trained: the hidden states of a transformers audio encoder, averaged over time.

The encoder is a folder on this machine, as `save_pretrained` writes it or as it was downloaded by hand: MERT (Li et al., "MERT: Acoustic
music understanding model with large-scale self-supervised training", ICLR 2024), AST (Gong et al., "AST: Audio spectrogram transformer",
Interspeech 2021), wav2vec 2.0, HuBERT, WavLM, data2vec and others that transformers knows. Nothing is fetched, and no code from the folder
is run: MERT without its constant-Q and DeepNorm options is a HuBERT, and is read as one (its relaxed attention gives the same numbers in
another order).

It needs the extra ``encoder``, and is the one place outside training where torch runs; it is used through transformers alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.recording import LEAST_SECONDS, Recording
from fugato.represent.resample import resampled

SECONDS: Final = 10.0  # of a window; AST hears 10.24 s, MERT was trained on 5 s and hears any length
AT_ONCE: Final = 3  # windows in one run of the encoder: half a minute
CONFIG: Final = "config.json"
WEIGHTS: Final = (".safetensors", ".bin")
TASTE: Final = 1 << 20  # bytes at both ends of each file of weights that its fingerprint looks at
NOT_HUBERT: Final = ("feature_extractor_cqt", "deepnorm")  # what MERT can have and HuBERT has not

Floats = NDArray[np.float32]


class Heard(NamedTuple):
    """What an encoder made of a window.

    Attributes
    ----------
    start, end : float
        Seconds.
    vector : ndarray of float32, shape=(n_layers, width)
        Hidden states after each layer, the embedding first, averaged over the window.
    """

    start: float
    end: float
    vector: Floats


class Encoder:
    """A transformers audio encoder from a folder.

    Parameters
    ----------
    folder : path

    Attributes
    ----------
    folder : Path
    kind : str
        Its architecture: "mert_model", "audio-spectrogram-transformer"...
    rate : int
        Samples a second that it hears.
    fingerprint : str
        Of its configuration and weights, in hex; another encoder has another.

    Raises
    ------
    FugatoError
        ``no-model`` where the folder holds no encoder, ``bad-model`` where it cannot be used, ``bad-option`` where the extra is missing.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).expanduser()
        config = _config(self.folder)
        self.kind = str(config.get("model_type", ""))
        transformers = _transformers()
        try:
            extractor = transformers.AutoFeatureExtractor.from_pretrained(str(self.folder), local_files_only=True)
            self._network = _network(transformers, self.folder, config)
        except FugatoError:
            raise
        except Exception as error:  # whatever a foreign folder makes transformers raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise FugatoError("bad-model", f"transformers cannot load the encoder ({reason}).", str(folder)) from error
        self._network.eval()
        self._network.requires_grad_(False)
        self._extractor = extractor
        self.rate = int(extractor.sampling_rate)
        self.fingerprint = fingerprint(self.folder)

    def windows(self, recording: Recording, *, seconds: float = SECONDS) -> Iterator[Heard]:
        """What it hears along a recording, in windows that follow one another; a remainder under 3 s stays with the window before it.

        Parameters
        ----------
        recording : Recording
        seconds : float
            Of a window.

        Yields
        ------
        Heard

        Raises
        ------
        FugatoError
            As `Recording.mono`.
        """
        size, least = round(seconds * self.rate), round(LEAST_SECONDS * self.rate)
        held = np.zeros(0, np.float32)
        waiting: list[Floats] = []
        start = 0.0
        for block in resampled(recording.mono(), recording.rate, self.rate):
            held = np.concatenate((held, block))
            while len(held) >= size + least:
                waiting.append(held[:size])
                held = held[size:]
                if len(waiting) == AT_ONCE:
                    for heard in self._run(waiting, start):
                        start = heard.end
                        yield heard
                    waiting = []
        for windows in (waiting, [held] if len(held) else []):
            for heard in self._run(windows, start) if windows else ():
                start = heard.end
                yield heard

    def embed(self, recording: Recording, *, seconds: float = SECONDS) -> Floats:
        """The mean over the windows of a recording, weighted by their lengths, shape=(n_layers, width). Errors as `windows`."""
        heard = list(self.windows(recording, seconds=seconds))
        weights = np.array([h.end - h.start for h in heard])
        out: Floats = np.average([h.vector for h in heard], axis=0, weights=weights).astype(np.float32)
        return out

    def _run(self, windows: list[Floats], start: float) -> Iterator[Heard]:
        """Windows of equal length."""
        inputs = self._extractor(windows, sampling_rate=self.rate, return_tensors="pt")
        found = self._network(**inputs, output_hidden_states=True)
        states = np.stack([layer.detach().float().numpy().mean(axis=1) for layer in found.hidden_states])
        for number, window in enumerate(windows):  # states are (n_layers, n_windows, width)
            end = start + len(window) / self.rate
            yield Heard(start, end, np.ascontiguousarray(states[:, number], np.float32))
            start = end


def fingerprint(folder: Path) -> str:
    """Of the configuration and of the ends of all files of weights, with their sizes."""
    digest = hashlib.sha256((folder / CONFIG).read_bytes())
    for path in sorted(p for p in folder.iterdir() if p.suffix in WEIGHTS):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            digest.update(file.read(TASTE))
            file.seek(max(size - TASTE, 0))
            digest.update(file.read())
    return digest.hexdigest()


def _config(folder: Path) -> dict[str, Any]:
    """The configuration of an encoder's folder, checked as far as it can be without transformers."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FugatoError(
            "no-model",
            f"There is no encoder: a folder with {CONFIG} and its weights is needed, as transformers' save_pretrained writes it or as it "
            "was downloaded. Nothing is fetched from here.",
            str(folder),
        ) from None
    except (OSError, ValueError) as error:
        raise FugatoError("bad-model", f"Its {CONFIG} cannot be read ({error}).", str(folder)) from error
    if not isinstance(config, dict):
        raise FugatoError("bad-model", f"Its {CONFIG} is no JSON object.", str(folder))
    if not any(p.suffix in WEIGHTS for p in folder.iterdir()):
        raise FugatoError(
            "no-model", f"There are no weights in it, no file that ends in {' or '.join(WEIGHTS)}.", str(folder)
        )
    if config.get("model_type") == "mert_model" and (odd := [name for name in NOT_HUBERT if config.get(name)]):
        raise FugatoError(
            "bad-model",
            f"This MERT has {' and '.join(odd)}, which only code from its own folder can compute, and none is run from there.",
            str(folder),
        )
    return config


def _transformers() -> Any:
    """The package, quiet and without the internet."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise FugatoError(
            "bad-option",
            "A pretrained encoder needs the extra encoder: install it with  pip install 'fugato[encoder]'.",
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def _network(transformers: Any, folder: Path, config: dict[str, Any]) -> Any:
    """The network with its weights; refused where some of them are missing."""
    if config.get("model_type") == "mert_model":
        plain = {key: value for key, value in config.items() if key not in {"model_type", "auto_map", "architectures"}}
        maker, options = transformers.HubertModel, {"config": transformers.HubertConfig(**plain)}
    else:
        maker, options = transformers.AutoModel, {}
    network, found = maker.from_pretrained(str(folder), local_files_only=True, output_loading_info=True, **options)
    missing = sorted(name for name in found["missing_keys"] if "masked_spec_embed" not in name)
    if missing:
        raise FugatoError(
            "bad-model",
            f"{len(missing)} weights of the encoder are missing from its files, the first of them {missing[0]}.",
            str(folder),
        )
    return network
