"""Importing Fugato costs next to nothing, and the base package needs no extra."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest

import fugato

HEAVY = [
    "torch",
    "music21",
    "librosa",
    "numpy",
    "onnxruntime",
    "matplotlib",
    "symusic",
    "sklearn",
    "pandas",
    "typer",
    "rich",
]
EXTRAS = [
    "torch",
    "lightning",
    "optuna",
    "sklearn",
    "pandas",
    "pyarrow",
    "onnx",
    "librosa",
    "fastapi",
    "dask",
    "transformers",
]
TIMED = """
import json, sys, time
start = time.perf_counter()
import fugato
took = time.perf_counter() - start
print(json.dumps([took, sorted(set(sys.modules) & set(%r))]))
"""


def test_import_is_quick_and_loads_nothing_heavy() -> None:
    runs = [
        json.loads(subprocess.run([sys.executable, "-c", TIMED % HEAVY], check=True, capture_output=True).stdout)
        for _ in range(3)
    ]
    assert runs[0][1] == []
    assert min(took for took, _ in runs) < 0.15


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'transmogrify'"):
        _ = fugato.transmogrify


def test_a_public_function_stays_a_function_after_its_room_is_imported() -> None:
    code = (
        "import importlib, fugato; first = fugato.read; importlib.import_module('fugato.read'); import fugato.read.midi;"
        "assert callable(fugato.read) and fugato.read is first"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not os.environ.get("FUGATO_BASE_ONLY"), reason="says something only where no extra is installed")
def test_no_extra_is_installed_here() -> None:
    assert [name for name in EXTRAS if importlib.util.find_spec(name)] == []
    assert "site-packages" in str(fugato.__file__), "the built wheel is what is tested"
