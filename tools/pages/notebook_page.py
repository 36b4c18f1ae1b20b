"""A notebook as a page: its text as it stands, its code with what the code answered.

The answers are those in the file, put there by ``python tools/run_tutorials.py``; tests run every notebook anew and compare.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def render(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """The page in Markdown, and its pictures by name, to lie beside it."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    pictures: dict[str, bytes] = {}
    parts: list[str] = []
    for number, cell in enumerate(cells):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        language, source = ("sh", source[len("%%bash\n") :]) if source.startswith("%%bash\n") else ("python", source)
        parts.append(f"```{language}\n{source}\n```")
        for text, picture in _answers(cell["outputs"]):
            if picture:
                name = f"{notebook.stem}-{number}.png"
                pictures[name] = picture
                text = f"![{text}]({name})"
            parts.append(text)
    download = f'[This page as a notebook]({notebook.name}){{ .notebook download="{notebook.name}" }}'
    introduction, *rest = parts[0].split("\n\n## ", 1)
    parts[0] = "\n\n## ".join([f"{introduction}\n\n{download}", *rest])
    return "\n\n".join(parts) + "\n", pictures


def _answers(outputs: list[dict[str, Any]]) -> Iterator[tuple[str, bytes | None]]:
    """Each output as Markdown; of a picture what it shows, with its bytes."""
    for output in outputs:
        if output["output_type"] == "stream":
            yield _printed("".join(output["text"])), None
            continue
        data = output.get("data", {})
        if "image/png" in data:
            yield output["metadata"]["image/png"]["alt"], base64.b64decode("".join(data["image/png"]))
        elif "text/html" in data:
            yield f'<div class="answer">{_one_line("".join(data["text/html"]))}</div>', None
        elif "text/plain" in data:
            yield _printed("".join(data["text/plain"])), None


def _printed(text: str) -> str:
    return f'<pre class="answer"><code>{html.escape(_COLOURS.sub("", text).rstrip())}</code></pre>'


def _one_line(markup: str) -> str:
    """Without empty lines, at which Markdown would take the markup for finished."""
    return re.sub(r"\s*\n\s*", " ", markup)
