"""Recordings are explored, and models drawn, with nothing installed beyond the base."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

NO_EXTRAS = """
import sys
for name in ("torch", "scipy", "sklearn", "pandas", "librosa", "pyarrow", "onnx", "seaborn", "transformers"):
    sys.modules[name] = None
"""


def fugato_in_a_shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = NO_EXTRAS + "from fugato.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ})


def test_a_folder_of_recordings_is_explored(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    t = np.arange(4 * 22_050) / 22_050
    for genre, sound in (("tone", np.sin(2 * np.pi * 440 * t)), ("noise", rng.standard_normal(len(t)))):
        (tmp_path / "sounds" / genre).mkdir(parents=True)
        soundfile.write(tmp_path / "sounds" / genre / "one.flac", 0.3 * sound / np.abs(sound).max(), 22_050)
    done = fugato_in_a_shell("explore", str(tmp_path / "sounds"), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "explore.html").stat().st_size > 100_000 and "6 pictures" in done.stderr


def test_a_model_is_drawn_and_a_recipe_says_what_it_needs(tmp_path: Path) -> None:
    done = fugato_in_a_shell("models", "composer", "--draw", "--out", str(tmp_path / "composer.png"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"] > 1e6 and (tmp_path / "composer.png").stat().st_size > 10_000
    done = fugato_in_a_shell("models", "lstm", "--draw", "--out", str(tmp_path / "lstm.png"))
    assert done.returncode == 2 and "needs the package torch" in done.stderr
    done = fugato_in_a_shell("models", "nothing", "--draw")
    assert done.returncode == 2 and "There is no model or recipe 'nothing'; the recipes are" in done.stderr
