"""A trained network as ONNX, with proof that it answers the same."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.models import onnx_session

TOLERANCE: Final = 1e-3  # of scores, absolute and relative: single precision, other order of sums
OPSET: Final = 17
CHECKED: Final = (1, 5)  # windows at a time, in the check


def onnx_bytes(network: Any, rows: NDArray[Any], *, name: str = "rows") -> bytes:
    """A network from rows to scores as ONNX, its weights inside; the number of windows is free.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    rows : ndarray, shape=(n_windows, size, n_columns)
        Real windows, at least one, of the type that it will be fed; the export is checked on them. Windows of symbols have no columns.
    name : str
        Of the input.

    Raises
    ------
    FugatoError
        ``bad-model`` where ONNX Runtime answers otherwise than the network.
    """
    example = torch.from_numpy(np.ascontiguousarray(np.resize(rows, (max(CHECKED), *rows.shape[1:]))))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        with quiet():
            torch.onnx.export(
                network,
                (example,),
                str(path),
                input_names=[name],
                output_names=["scores"],
                dynamic_axes={name: {0: "windows"}, "scores": {0: "windows"}},
                opset_version=OPSET,
                dynamo=False,  # the newer exporter takes half a minute for an LSTM, this one a fifth of a second
            )
        session = onnx_session(path)
        for n in CHECKED:
            with torch.inference_mode():
                expected = network(example[:n]).numpy()
            answered = session.run(None, {name: example[:n].numpy()})[0]
            if not np.allclose(answered, expected, rtol=TOLERANCE, atol=TOLERANCE):
                worst = float(np.abs(answered - expected).max())
                raise FugatoError(
                    "bad-model", f"The exported network answers otherwise than the trained one, by {worst:.3g}."
                )
        return path.read_bytes()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporter speaks of its steps on stdout and in warnings."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
