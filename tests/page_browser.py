"""A real browser on a real server: what the tests of the page start with.

Every visit is watched: a message on the console that is an error, a request to anywhere but the server, or an exception of the page fails
the test that made the visit, whatever else it looks at.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .api_server import Served, serving

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("FUGATO_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
NO_CHROMIUM = "no Chromium: apt-get install chromium, or say where one is in FUGATO_CHROMIUM"
FLAGS = [
    "--no-sandbox",  # tests run as root in containers
    "--autoplay-policy=user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",  # a microphone that beeps
    "--disable-background-networking",
    "--disable-component-update",
]
PATIENCE = 90_000  # milliseconds; the machine may be busy with other tests
WIDE, PHONE = (1440, 900), (375, 812)


class Visits:
    """Opens pages in one browser on one server."""

    def __init__(self, browser: Any, served: Served) -> None:
        self.browser, self.served = browser, served

    @contextmanager
    def visit(
        self, where: str = "#/who", *, size: tuple[int, int] = WIDE, theme: str = "light", **options: Any
    ) -> Iterator[Any]:
        """A page in a context of its own, at an address of the page; `before`, a script, runs before its own."""
        before = options.pop("before", None)
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, reduced_motion="reduce", **options
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        if before:
            page.add_init_script(before)
        trouble: list[str] = []
        page.on("console", lambda m: trouble.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: trouble.append(f"exception: {error}"))
        page.on("request", lambda r: trouble.append(f"request to {r.url}") if not self._own(r.url) else None)
        page.goto(f"{self.served.address}/{where}")
        try:
            yield page
        finally:
            context.close()
        assert trouble == [], trouble

    def _own(self, url: str) -> bool:
        return url.startswith((self.served.address, "data:", f"blob:{self.served.address}"))


@contextmanager
def visiting(home: Path) -> Iterator[Visits]:
    """A server and a browser for the length of a block."""
    from matplotlib import get_configdir
    from playwright.sync_api import sync_playwright

    with serving(home, {"MPLCONFIGDIR": get_configdir()}) as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield Visits(browser, served)
        finally:
            browser.close()


def until(page: Any, script: str, argument: Any = None, seconds: float = PATIENCE / 1000) -> None:
    """Wait until a script is true; playwright's own waiting evaluates text in the page, which its security policy forbids."""
    for _ in range(int(seconds / 0.1)):
        if page.evaluate(script, argument):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not in {seconds:g} s: {script}")


def sounds(page: Any, seconds: float = 30.0) -> bool:
    """Whether the analyser behind everything that is heard shows a signal in time."""
    listen = """async (seconds) => {
        const { level } = await import("/static/js/audio/context.js");
        for (const end = performance.now() + 1000 * seconds; performance.now() < end; ) {
            if (level() > 0.003) return true;
            await new Promise((go) => setTimeout(go, 50));
        }
        return false;
    }"""
    return bool(page.evaluate(listen, seconds))


def place(page: Any) -> float:
    """Where the player is, in seconds."""
    return float(page.locator(".seek").input_value())


def inked(page: Any, canvas: str) -> int:
    """Pixels of a canvas that are drawn on."""
    count = """(element) => {
        const { data } = element.getContext("2d").getImageData(0, 0, element.width, element.height);
        let inked = 0;
        for (let i = 3; i < data.length; i += 4) inked += data[i] > 0;
        return inked;
    }"""
    return int(page.locator(canvas).evaluate(count))


def saved(page: Any, press: str) -> Path:
    """The file that a press on a button or link downloads."""
    with page.expect_download() as waiting:
        page.click(press)
    path = Path(waiting.value.path())
    return path.rename(path.with_name(path.name + "-" + waiting.value.suggested_filename))


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
