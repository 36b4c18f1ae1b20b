"""What a user of the base package has: the shipped model answers, with no extra installed, and training says what it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fugato
from fugato.cli.demo import corpus_files
from fugato.errors import FugatoError

NO_EXTRAS = """
import sys
for name in ("torch", "scipy", "sklearn", "pandas", "librosa", "pyarrow", "onnx", "dask", "fastapi"):
    sys.modules[name] = None
"""


def fugato_in_a_shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = NO_EXTRAS + "from fugato.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "160"})


def test_pieces_that_come_with_music21_are_answered_by_the_shipped_model() -> None:
    files = [str(path) for path, _, _ in corpus_files()]
    result = fugato_in_a_shell("identify", *files, "--explain", "--jobs", "2")
    assert result.returncode == 0, result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [a["input"] for a in answers] == files
    right = [a["name"] == composer for a, (_, _, composer) in zip(answers, corpus_files(), strict=True)]
    assert sum(right) >= len(right) // 2
    for answer in answers:
        assert len(answer["ranking"]) == 76 and answer["evidence"]["bars"] and answer["model"]["name"] == "composer"


def test_python_answers_as_the_shell_does() -> None:
    path, _, _ = next(corpus_files())
    answer = fugato.identify(path)
    shown = json.loads(fugato_in_a_shell("identify", str(path)).stdout)
    assert {**answer.to_dict(), "elapsed": 0} == {**shown, "elapsed": 0}
    assert fugato.identify(fugato.read(path)).ranking == answer.ranking
    assert fugato.identify(Path(path).read_bytes()).ranking == answer.ranking


def test_what_is_no_music_is_refused() -> None:
    with pytest.raises(FugatoError) as caught:
        fugato.identify(b"Dear Sir, I enclose a nocturne.")
    assert caught.value.kind == "not-music"


def test_the_card_of_the_shipped_model_is_shown() -> None:
    result = fugato_in_a_shell("models", "composer")
    card = json.loads(result.stdout)
    assert card["task"] == "composer" and len(card["labels"]) == 76 and card["figures"] and card["licence"]


def test_training_says_which_extra_it_needs(tmp_path: Path) -> None:
    result = fugato_in_a_shell("train", "composer", str(tmp_path), "--out", str(tmp_path / "model"))
    assert (
        result.returncode == 2 and "pip install 'fugato[train]'" in result.stderr and "Traceback" not in result.stderr
    )
