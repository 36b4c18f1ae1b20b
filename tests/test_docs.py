"""The snippets that the documents mark as run do run, one after the other, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
RUNNABLE = re.compile(r"^```(sh|python) run\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [page for page in sorted(DOCS.glob("*.md")) if RUNNABLE.search(page.read_text(encoding="utf-8"))]


@pytest.mark.skipif(not shutil.which("bash"), reason="the snippets are for a POSIX shell")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_snippets_of_a_page_run(page: Path, tmp_path: Path, fugato_home: Path) -> None:
    pytest.importorskip("scipy", reason="training needs the extra train")
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, code in (("python", '"$@"'), ("fugato", '-m fugato "$@"')):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {code}\n')
        (commands / name).chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    parts = [
        code if language == "sh" else f"python - <<'PYTHON'\n{code}PYTHON\n"
        for language, code in RUNNABLE.findall(page.read_text(encoding="utf-8"))
    ]
    script = "set -euo pipefail\n" + "\n".join(parts)
    environment = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=work, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    if page.name == "identify.md":
        answers = [json.loads(line) for line in (work / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
        assert len(answers) == 3 and (work / "mazurka.png").stat().st_size > 1000
        assert (work / "my-model" / "card.json").is_file() and (work / "report" / "index.csv").is_file()


def test_there_are_pages_that_run() -> None:
    assert [page.name for page in PAGES] == [
        "compose.md",
        "explore-sound.md",
        "featurise-and-explore.md",
        "genre.md",
        "identify.md",
        "index.md",
        "listen.md",
        "page.md",
        "recognise.md",
        "report.md",
        "scale.md",
        "serve.md",
        "sound.md",
        "style-space.md",
        "systems-that-compose.md",
        "train-and-tune.md",
        "write.md",
    ]
