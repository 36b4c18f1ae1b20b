"""The tutorials run as notebooks, from the first cell to the last, and answer in the way that their pages show."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))


def kinds(cell: dict[str, Any]) -> list[str]:
    """Of what a cell answers: printed text, or the richest form that is shown."""
    return [
        o["name"]
        if o["output_type"] == "stream"
        else next(k for k in ("image/png", "text/html", "text/plain") if k in o["data"])
        for o in cell["outputs"]
    ]


@pytest.mark.skipif(not shutil.which("bash"), reason="the snippets are for a POSIX shell")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_tutorial_runs_and_answers_as_its_page_shows(notebook: Path, tmp_path: Path) -> None:
    pytest.importorskip("nbclient", reason="notebooks are run by nbclient")
    pytest.importorskip("ipykernel", reason="notebooks run in ipykernel")
    if notebook.stem == "train-and-judge":
        pytest.importorskip("scipy", reason="training needs the extra train")
    spec = importlib.util.spec_from_file_location("run_tutorials", ROOT / "tools" / "run_tutorials.py")
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    shown = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    answered = tool.run(notebook, tmp_path)["cells"]
    for before, after in zip(shown, answered, strict=True):
        if before["cell_type"] == "code":
            assert kinds(after) == kinds(before), "".join(before["source"])


def test_nothing_of_the_machine_is_in_them() -> None:
    for notebook in NOTEBOOKS:
        text = notebook.read_text(encoding="utf-8")
        assert "/home/" not in text and "/tmp/" not in text and str(ROOT) not in text
        cells = json.loads(text)["cells"]
        assert all(c["execution_count"] is None and not c["metadata"] for c in cells if c["cell_type"] == "code")
