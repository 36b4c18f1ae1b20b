"""How long people wait on the page: from the click to the first sound of new music, and from a dropped file to its answer.

    python benchmarks/page.py

A real server and Debian's Chromium on this machine, nothing beside them. The sound is there when the analyser behind everything that is
heard shows a signal; for the first piece a soundfont, where one is installed, is still to load. The file has 5,000 notes; the first answer
of a server also loads the model. Writes benchmarks/results/page.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.page_browser import Visits, sounds, visiting  # noqa: E402

import fugato  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "page.json"
NOTES = 5000
TIMES = 5


def until_sound(page: Any) -> float:
    """Seconds from the click on Compose until something is heard."""
    began = time.perf_counter()
    page.click("form button[type=submit]")
    if not sounds(page, 60):
        raise AssertionError("nothing was heard")
    waited = time.perf_counter() - began
    page.wait_for_selector("[data-continue]")
    return waited


def compose(visits: Visits) -> dict[str, float]:
    """The first piece of a fresh page, and the median of the next ones."""
    with visits.visit("#/compose") as page:
        page.wait_for_selector("#style optgroup", state="attached")
        page.select_option("#style", "Chopin")
        page.fill("#bars", "4")
        first, *later = (until_sound(page) for _ in range(TIMES))
    return {"first": round(first, 2), "later, median": round(float(np.median(later)), 2)}


def identify(visits: Visits, piece: Path) -> dict[str, float]:
    """From the dropped file to the ranking."""
    waits = []
    for _ in range(TIMES):
        with visits.visit("#/who") as page:
            page.wait_for_selector("input[type=file]", state="attached")
            began = time.perf_counter()
            page.set_input_files("input[type=file]", piece)
            page.wait_for_selector(".ranking li")
            waits.append(time.perf_counter() - began)
    first, *later = waits
    return {"first": round(first, 2), "later, median": round(float(np.median(later)), 2)}


def main() -> None:
    rng = np.random.default_rng(0)
    walk = 60 + np.cumsum(rng.integers(-2, 3, NOTES)) % 24
    with tempfile.TemporaryDirectory() as folder:
        piece = Path(folder) / "five thousand notes.mid"
        fugato.write(fugato.Score.from_notes(np.arange(NOTES) / 4, np.full(NOTES, 0.25), walk), piece)
        with visiting(Path(folder)) as visits:
            result = {
                "command": "python benchmarks/page.py",
                "seconds from the click to sound": compose(visits),
                f"seconds from a file of {NOTES:,} notes to its answer": identify(visits, piece),
            }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
