"""The documentation site: it builds from nothing without a warning, lacks no command and no public name, and fetches nothing."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import pytest

import fugato

from .page_browser import CHROMIUM, FLAGS, NO_CHROMIUM, PATIENCE

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ORDER = ["Start", "Tutorials", "Guides", "Reference", "How we measure", "Models", "Scale", "Security", "Decisions"]
COLOURS = ("paper", "sheet", "well", "ink", "soft", "line", "accent", "wash")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    pytest.importorskip("material", reason="the site needs the extra docs")
    pytest.importorskip("mkdocstrings", reason="the site needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "FUGATO_HOME": str(folder.parent / "home")}
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def text_of(page: Path) -> str:
    """What a reader sees, in one line."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


class Fetched(HTMLParser):
    """The addresses that a browser asks for by itself when it opens a page: all but links that one follows."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.addresses += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "poster", "action") and v]


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        found = Fetched()
        found.feed(page.read_text(encoding="utf-8"))
        assert found.addresses
        for address in found.addresses:
            assert not re.match(r"(?:[a-z]+:)?//", address, re.I), f"{page.name} fetches {address}"
    for sheet in site.rglob("*.css"):
        for address in re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)", sheet.read_text(encoding="utf-8")):
            assert not re.match(r"(?:https?:)?//", address), f"{sheet.name} fetches {address}"
            if not address.startswith(("data:", "#")):
                assert (sheet.parent / address).is_file(), f"{sheet.name} lacks {address}"


def test_the_order_is_kept(site: Path) -> None:
    tabs = re.search(
        r'<ul class="md-tabs__list">(.*?)</ul>', (site / "index.html").read_text(encoding="utf-8"), re.DOTALL
    )
    assert tabs
    names = [re.sub(r"\s+", " ", t).strip() for t in re.findall(r'class="md-tabs__link">(.*?)</a>', tabs[1], re.DOTALL)]
    assert names == ORDER


def test_every_command_stands_there_with_its_options_and_its_example(site: Path) -> None:
    import typer

    from fugato.cli.app import COMMANDS, app

    text = text_of(site / "reference" / "commands.html")
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        assert " ".join(command.help.split()) in text
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or parameter.opts[0] in text, f"{name} {parameter.opts[0]}"
            assert " ".join((parameter.help or "").split()) in text, f"{name}: {parameter.help}"
    for _, example in COMMANDS:
        assert example in text


def test_every_public_name_stands_there(site: Path) -> None:
    public = text_of(site / "reference" / "python.html")
    for name in fugato.__all__:
        if callable(getattr(fugato, name)):
            assert f"fugato.{name}" in public
    rooms = text_of(site / "reference" / "rooms.html")
    for room in ("read", "represent", "corpus", "models", "composer", "genre", "compose"):
        module = import_module(f"fugato.{room}")
        for name in module.__all__:
            shown = (
                not callable(getattr(module, name)) or f"fugato.{room}.{name}" in rooms or f"fugato.{name}" in public
            )
            assert shown, f"fugato.{room}.{name}"


def test_every_shipped_model_stands_there_with_its_figures(site: Path) -> None:
    from fugato.models import list_models

    text = text_of(site / "models.html")
    for entry in list_models():
        if entry.shipped and entry.card is not None:
            figure = entry.card.figures[0]["value"]
            for said in (entry.card.recipe, entry.card.licence, *entry.card.limits):
                assert said in text
            assert (f"{figure:.3f}" if isinstance(figure, float) else f"{figure:,}") in text


def test_tutorials_show_their_code_and_what_it_answered(site: Path) -> None:
    import json

    for notebook in sorted((DOCS / "tutorials").glob("*.ipynb")):
        page = site / "tutorials" / f"{notebook.stem}.html"
        text, source = text_of(page), page.read_text(encoding="utf-8")
        cells = [c for c in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
        for cell in cells:
            line = next(ln for ln in cell["source"] if not ln.startswith("%%")).strip()
            assert re.sub(r"\s+", "", line) in re.sub(r"\s+", "", text), f"{notebook.name}: {line}"
        answers = [o for cell in cells for o in cell["outputs"]]
        pictures = [o for o in answers if "image/png" in o.get("data", {})]
        assert source.count('class="answer"') == len(answers) - len(pictures)
        assert len(list(page.parent.glob(f"{notebook.stem}-*.png"))) == len(pictures) >= 1
        assert (page.parent / notebook.name).read_bytes() == notebook.read_bytes()


def test_marks_for_the_tests_are_not_shown(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert "```" not in text_of(page), page.name


def test_the_colours_are_those_of_the_page_of_the_server() -> None:
    served = (ROOT / "src" / "fugato" / "serve" / "page" / "css" / "tokens.css").read_text(encoding="utf-8")
    light, dark = re.findall(
        r"\[data-md-color-scheme=\"\w+\"\] \{(.*?)\}", (DOCS / "css" / "site.css").read_text(), re.DOTALL
    )
    for name in COLOURS:
        found = re.search(rf"--{name}: light-dark\((#\w+), (#\w+)\)", served)
        assert found
        assert f"--{name}: {found[1]};" in light and f"--{name}: {found[2]};" in dark


def test_limits_on_the_page_about_security_are_those_of_the_code() -> None:
    from fugato.read import AudioLimits, Limits

    text = (DOCS / "security.md").read_text(encoding="utf-8")
    notes, sounds = text.split("| limit on a recording | |")
    for limits, part in ((Limits(), notes), (AudioLimits(), sounds)):
        for name, value in vars(limits).items():
            assert re.search(rf"\(`{name}`\) \| {value:,.0f} \|", part), f"{name} is {value:,.0f}"


def test_limits_of_the_server_are_those_of_the_code() -> None:
    settings_of = pytest.importorskip("fugato.serve.settings", reason="the server needs the extra serve")
    s, text = settings_of.Settings(), (DOCS / "security.md").read_text(encoding="utf-8")
    for said in (
        f"{s.request_bytes:,} bytes and {s.files} files a request, {s.requests} requests",
        f"{s.waiting_jobs} pieces waiting",
        f"{s.listeners} live connections",
        f"{s.answer_seconds:.0f} s a file, {s.sound_seconds:.0f} s a recording, {s.job_seconds:.0f} s a piece",
        f"at least {settings_of.LEAST_TOKEN} characters",
    ):
        assert said in text, said


def test_what_was_measured_on_hostile_files_is_what_the_page_says() -> None:
    import json

    found = json.loads((ROOT / "benchmarks" / "results" / "hostile.json").read_text(encoding="utf-8"))
    text = " ".join((DOCS / "security.md").read_text(encoding="utf-8").split())
    read, mended = found["outcomes"]["read"], found["outcomes"]["read, mended"]
    refused = found["answered"] - read - mended
    assert f"Of the {found['files']} invalid" in text and f"all {found['answered']} were answered" in text
    assert f"{read + mended} read, {mended} of them mended, and {refused} refused" in text
    assert f"the slowest file took {found['slowest_seconds']} s" in text and f"{found['peak_worker_mb']:.0f} MB" in text
    assert found["worker_restarts"] == 0


def test_every_licence_and_collection_of_the_cards_is_explained() -> None:
    from fugato.models import list_models

    text = (DOCS / "data-and-licences.md").read_text(encoding="utf-8")
    for entry in list_models():
        if entry.shipped and entry.card is not None:
            assert f"| `{entry.card.name}` | {entry.card.licence} |" in text
            for corpus in entry.card.corpora:
                assert f"| `{corpus['name']}` |" in text, corpus["name"]


def test_the_readme_lists_the_guides_in_the_order_of_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1].split("\nvalidation:")[0]
    pages = [page for page in re.findall(r": (\S+\.md)$", nav, re.MULTILINE) if (DOCS / page).is_file()]
    index = (ROOT / "README.md").read_text(encoding="utf-8").split("## Documentation\n")[1].split("\n## ")[0]
    assert re.findall(r"\]\(docs/(\S+?\.md)\)", index) == pages


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where a plain file server shows the site."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
def test_in_a_browser_it_is_found_light_and_dark_and_fits_a_phone(address: str) -> None:
    api = pytest.importorskip("playwright.sync_api", reason="a browser is driven by playwright")
    trouble: list[str] = []
    accents = {}
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for scheme, width, name in (
            ("light", 1440, "index.html"),
            ("dark", 375, "tutorials/compose-and-edit.html"),
        ):
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.on("request", lambda r: trouble.append(r.url) if not r.url.startswith((address, "data:")) else None)
            page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
            page.on("pageerror", lambda error: trouble.append(str(error)))
            page.goto(address + name)
            accents[scheme] = page.evaluate("getComputedStyle(document.body).getPropertyValue('--accent').trim()")
            assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px \"Instrument Sans\"'))")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if width > 1000:
                page.locator("input.md-search__input").click()
                page.locator("input.md-search__input").type("infill")
                page.locator(".md-search-result__item").first.wait_for()
            context.close()
        browser.close()
    assert trouble == []
    assert accents == {"light": "#2b4fc2", "dark": "#93aeff"}
