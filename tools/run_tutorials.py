"""Run the tutorials and keep what they answered, for the pages of the site.

    python tools/run_tutorials.py [NAME…]

Each notebook of docs/tutorials runs from its first cell to its last in an empty folder with a FUGATO_HOME of its own, on the command
``fugato`` of this Python. Its file then holds the answers and nothing of this machine or run. The tests run the same function.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"


@contextmanager
def at_hand(folder: Path) -> Iterator[dict[str, str]]:
    """An environment with ``python`` and ``fugato`` of this Python first on the path, and nothing of the user's own."""
    commands = folder / "bin"
    commands.mkdir(parents=True)
    for name, code in (("python", '"$@"'), ("fugato", '-m fugato "$@"')):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {code}\n')
        (commands / name).chmod(0o755)
    given = {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "FUGATO_HOME": str(folder / "home"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "MPLBACKEND": "agg",
        "NO_COLOR": "1",
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield dict(os.environ)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run(notebook: Path, folder: Path, *, timeout: int = 600) -> Any:
    """The notebook with what its cells answer, run in `folder`; raises `nbclient.exceptions.CellExecutionError` where one fails."""
    made = nbformat.read(notebook, as_version=4)
    work = folder / "work"
    work.mkdir(parents=True)
    with at_hand(folder):
        client = NotebookClient(
            made,
            timeout=timeout,
            startup_timeout=timeout,
            kernel_name="python3",
            resources={"metadata": {"path": str(work)}},
        )
        client.execute()
    for cell in made.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = _tidy(cell.outputs)
    made.metadata.get("language_info", {}).clear()
    made.metadata["language_info"] = {"name": "python"}
    return made


def _tidy(outputs: list[Any]) -> list[Any]:
    """What was printed as one output, however it arrived, and then what was shown; messages on stderr are left out."""
    printed = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
    shown = [o for o in outputs if o.output_type != "stream"]
    for output in shown:
        if "execution_count" in output:
            output.execution_count = None
        if len(output.get("data", {})) > 1:  # a picture or a table needs no words beside it
            output.data.pop("text/plain", None)
    return [*([nbformat.v4.new_output("stream", name="stdout", text=printed)] if printed else []), *shown]


def main(names: list[str]) -> None:
    for notebook in sorted(TUTORIALS.glob("*.ipynb")):
        if not names or notebook.stem in names:
            with tempfile.TemporaryDirectory() as folder:
                made = run(notebook, Path(folder))
            nbformat.write(made, notebook)
            print(f"{notebook.name}: {sum(len(c.get('outputs', [])) for c in made.cells)} answers")


if __name__ == "__main__":
    main(sys.argv[1:])
