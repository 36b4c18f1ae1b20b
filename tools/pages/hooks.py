"""What mkdocs does beyond turning Markdown into pages: it writes those that are made from the code, and brings the typeface along.

Named in mkdocs.yml. Pages made here: the commands from the Typer app, the shipped models from their cards, the Python reference from
`__all__` of the rooms, the tutorials from their notebooks, the changes from CHANGELOG.md. None of them is kept in the repository, so none
can fall behind.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import command_page
import model_page
import notebook_page
import python_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
SERVED = ROOT / "src" / "fugato" / "serve" / "page"
FONTS = SERVED / "vendor" / "instrument-sans"
NOTEBOOKS = ROOT / "docs" / "tutorials"

_RUN = re.compile(r"^(```(?:sh|python)) run$", re.MULTILINE)  # a mark for the tests that no Markdown knows
_NOTEBOOK = re.compile(
    r"(\]\((?:tutorials/)?[a-z-]+)\.ipynb\)(?!\{)"
)  # in the repository one reads the notebook, here its page
_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^):]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code, the pictures of the tutorials, and typeface and mark of the page of `fugato serve`."""
    made: dict[str, str | bytes] = {
        "models.md": model_page.models(),
        "reference/commands.md": command_page.commands(),
        "reference/python.md": python_pages.public(),
        "reference/rooms.md": python_pages.rooms(),
        "reference/changes.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "mark.svg": (SERVED / "mark.svg").read_bytes(),
    }
    for font in (*FONTS.glob("*.woff2"), FONTS / "LICENSE"):
        made[f"fonts/{font.name}"] = font.read_bytes()
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        text, pictures = notebook_page.render(notebook)
        made[f"tutorials/{notebook.stem}.md"] = text
        made |= {f"tutorials/{name}": picture for name, picture in pictures.items()}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Take the mark off snippets that the tests run, links off files of the repository that are no pages; lead to the tutorials' pages."""
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]  # it stands alone in its tab

    def told(link: re.Match[str]) -> str:
        there = (Path("docs", page.file.src_uri).parent / link[0].split("](")[1][:-1].split("#")[0]).as_posix()
        inside = Path(os.path.normpath(there)).parts[:1] == ("docs",)
        return link[0] if inside else f"{link[1]} (`{os.path.normpath(there)}`)"

    return _NOTEBOOK.sub(r"\1.md)", _OUTSIDE.sub(told, _RUN.sub(r"\1", markdown)))
