"""ONNX Runtime sessions: quiet, on the CPU, with one or two threads, so that many workers share a machine well."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import FugatoError


def onnx_session(path: Path, *, threads: int = 1) -> Any:
    """An ``onnxruntime.InferenceSession`` for the network in `path`.

    Parameters
    ----------
    path : Path
        A ``.onnx`` file, usually ``model.path("network")``.
    threads : int
        Threads inside one operation, 1 or 2.

    Raises
    ------
    FugatoError
        ``bad-model`` where the file is no network that this ONNX Runtime can run.
    """
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exception classes are private
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FugatoError("bad-model", f"ONNX Runtime cannot run the network ({reason}).", str(path)) from error


def load_onnxruntime() -> Any:
    """The module ``onnxruntime``, without its record of use.

    Version 1.31 keeps one in the user's cache folder and sends it to its makers, unless a variable forbids it when it is loaded. Whoever
    wants it sets ORT_DISABLE_TELEMETRY to 0.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime
