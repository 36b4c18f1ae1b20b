"""The page in Debian's Chromium, on real files: every job of it end to end, seen, heard and used by keyboard."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .api_server import example_file, wait_for
from .page_browser import PHONE, WIDE, Visits, inked, needs_chromium, place, saved, sounds, until, visiting

pytest.importorskip("fastapi", reason="the server needs the extra serve")
pytest.importorskip("playwright", reason="the page is tested with playwright, of the extra dev")
pytestmark = needs_chromium

VIEWS = ("who", "genre", "compose", "live", "collection", "models")
FULL = {  # what a view shows once it is complete
    "who": ".examples button",
    "compose": "#style optgroup",
    "models": ".card h2",
    "who?example=bach-bwv66-6": ".evidence",
}
SCREENSHOTS = os.environ.get("FUGATO_SCREENSHOTS")  # a folder in which a picture of every view is kept
WEIGHT = 1_500_000  # bytes before the soundfont and the score engraver
SIMULATED_PORT = """
const port = { id: "simulated", name: "Simulated keyboard", state: "connected", onmidimessage: null };
window.press = (...data) => port.onmidimessage?.({ data: Uint8Array.from(data) });
navigator.requestMIDIAccess = async () => ({ inputs: new Map([[port.id, port]]), onstatechange: null });
"""


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visits]:
    """One server and one browser for this file; not for longer, since playwright holds the thread's event loop."""
    with visiting(tmp_path_factory.mktemp("page")) as ready:
        yield ready


def expect(locator: Any) -> Any:
    from playwright.sync_api import expect as of

    return of(locator)


def test_dropped_pieces_are_named_shown_heard_and_taken_away(visits: Visits, tmp_path: Path) -> None:
    broken = tmp_path / "letter.mid"
    broken.write_bytes(b"MThd, said the letter")
    pieces = [example_file("joplin-maple-leaf-rag"), example_file("bach-bwv66-6"), broken]
    with visits.visit() as page:
        page.set_input_files("input[type=file]", pieces)
        expect(page.locator(".files li")).to_have_count(3, timeout=90_000)
        page.click(".files button:has-text('letter.mid')")
        expect(page.locator(".notice")).to_contain_text("letter.mid")
        page.click(".files button:has-text('maple_leaf')")
        expect(page.locator(".verdict h2")).to_have_text("Joplin")
        assert page.locator(".ranking li").count() == 6
        shares = page.locator(".ranking .share").all_inner_texts()
        assert all(share.endswith("%") for share in shares)
        roll = page.locator(".roll canvas")
        expect(roll).to_have_attribute("aria-label", re.compile(r"notes in \d+ bars; telling bars: \d"), timeout=90_000)
        assert inked(page, ".roll canvas") > 5000

        page.click("[data-play]")
        assert sounds(page)
        expect(page.locator(".voice")).to_contain_text("Sound:")
        page.locator(".seek").fill("20")
        page.wait_for_timeout(700)
        assert 20 <= place(page) < 40
        assert "translateX(0px)" not in (page.locator(".roll .cursor").get_attribute("style") or "")
        page.click("[data-play]")
        stood = place(page)
        page.wait_for_timeout(500)
        assert place(page) == stood

        answer = json.loads(saved(page, "button:has-text('JSON')").read_text(encoding="utf-8"))
        assert answer["name"] == "Joplin" and answer["evidence"]["bars"]
        rows = list(csv.DictReader(saved(page, "button:has-text('CSV')").open(encoding="utf-8", newline="")))
        assert rows[0]["name"] == "Joplin" and float(rows[0]["probability"]) == answer["probability"]


def test_an_example_is_a_link_and_its_score_follows_the_sound(visits: Visits) -> None:
    with visits.visit("#/who?example=bach-bwv66-6", permissions=["clipboard-read", "clipboard-write"]) as page:
        expect(page.locator(".verdict h2")).to_have_text("Bach", timeout=90_000)
        page.click("button:has-text('Copy link')")
        assert page.evaluate("navigator.clipboard.readText()").endswith("/#/who?example=bach-bwv66-6")
        page.click("button:has-text('Score')")
        page.wait_for_selector("svg.engraved g.note")
        assert page.locator("svg.engraved rect.tell").count() > 0
        page.click("[data-play]")
        page.wait_for_selector("svg.engraved g.note.sounding", state="attached")
        assert page.locator("svg.engraved .playhead").count() == 1
        assert sounds(page)
        page.click("[data-play]")
        page.locator("svg.engraved g.measure").nth(4).locator("g.note").first.click(force=True)
        assert 5 < place(page) < 14  # the fifth of ten bars in 22 seconds


def test_the_score_can_be_asked_for_once_the_piece_is_there(visits: Visits) -> None:
    with visits.visit() as page:
        held: list[Any] = []
        page.route("**/api/notes", lambda route: held.append(route))
        page.evaluate("location.hash = '#/who?example=bach-bwv66-6'")
        expect(page.locator(".verdict h2")).to_have_text("Bach", timeout=90_000)
        expect(page.locator("button:has-text('Score')")).to_be_disabled()
        held[0].continue_()
        page.click("button:has-text('Score')")
        page.wait_for_selector("svg.engraved g.note")


def test_nobody_is_named_where_nobody_is_likely(visits: Visits) -> None:
    with visits.visit("#/who?example=schumann-robert-dichterliebe-no2") as page:
        expect(page.locator(".verdict h2")).to_have_text("None of these", timeout=90_000)
        expect(page.locator(".verdict")).to_contain_text("Nearest:")
        page.wait_for_selector("[data-play]:not([disabled])")
        page.route("**/api/soundfont", lambda route: route.fulfill(status=204))  # a server that has none
        page.click("[data-play]")
        assert sounds(page)
        expect(page.locator(".voice")).to_have_text("Sound: built-in synthesiser")


def test_a_recording_is_heard_seen_and_judged_along_its_time(visits: Visits) -> None:
    with visits.visit("#/genre?example=bach-bwv66-6-played") as page:
        page.wait_for_selector(".heat .lane", timeout=240_000)  # the server renders it first, below other work
        assert page.locator(".ranking li").count() >= 5
        assert inked(page, ".wave") > 1000
        assert page.locator(".mel").evaluate("(image) => image.complete && image.naturalWidth > 100")
        before = page.locator(".lanes > .cursor").get_attribute("style")
        page.click("[data-play]")
        assert sounds(page)
        page.locator(".seek").fill("10")
        page.wait_for_timeout(500)
        assert place(page) >= 10 and page.locator(".lanes > .cursor").get_attribute("style") != before
        assert re.search(r"\d+ %", page.locator(".heat .lane span").first.inner_text())
        page.click("[data-play]")
        rows = list(csv.reader(saved(page, "button:has-text('CSV')").open(encoding="utf-8", newline="")))
        assert rows[0][:2] == ["start", "end"] and len(rows) > 4

        page.click("button:has-text('Record')")
        until(page, "parseFloat(document.querySelector('.meter time').textContent.split(':')[1]) >= 4")
        page.click("button:has-text('Stop and ask')")
        expect(page.locator(".files li")).to_have_count(2, timeout=90_000)
        expect(page.locator(".files")).to_contain_text("recording.wav")


def test_a_piece_is_heard_while_it_is_written_and_then_changed(visits: Visits) -> None:
    with visits.visit("#/compose") as page:
        page.wait_for_selector("#style optgroup option", state="attached")
        assert page.locator("#temperature").input_value() == "1"
        assert [page.locator("#temperature").get_attribute(name) for name in ("min", "max", "step")] == [
            "0.5",
            "5",
            "0.1",
        ]
        page.select_option("#style", "Chopin")
        page.fill("#bars", "6")
        page.fill("#random", "7")
        page.click("form button[type=submit]")
        page.wait_for_selector("[data-stop]:visible")
        assert sounds(page, 180)  # the first bar, on a machine that may be busy with other tests
        page.wait_for_selector("[data-continue]")
        assert "6 bars" in page.locator(".roll canvas").get_attribute("aria-label")
        expect(page.locator("section[aria-label='Who wrote this?'] .ranking li")).to_have_count(4)
        expect(page.locator("section[aria-label='Is it copied?']")).to_contain_text("longest run")
        for form, start in (("MIDI", b"MThd"), ("WAV", b"RIFF"), ("MusicXML", b"<?xml"), ("PNG", b"\x89PNG")):
            assert saved(page, f"a.button:has-text('{form}')").read_bytes().startswith(start)

        page.get_by_label("Comment on the piece").fill("a good turn in bar 4")
        page.click("[data-verdict=keep]")
        expect(page.locator("[data-verdict=keep]")).to_have_attribute("aria-pressed", "true")
        page.get_by_label("Comment on the piece").fill("a good turn in bar 5")
        page.keyboard.press("Tab")
        noted = visits.served.home / "feedback.jsonl"
        assert wait_for(lambda: len(noted.read_text(encoding="utf-8").splitlines()) == 2)
        first, second = map(json.loads, noted.read_text(encoding="utf-8").splitlines())
        assert (first["verdict"], first["comment"]) == ("keep", "a good turn in bar 4")
        assert (second["verdict"], second["comment"]) == ("keep", "a good turn in bar 5")
        assert second["options"]["random_seed"] == 7

        roll = page.locator(".roll canvas")  # bars 2 and 3 are selected on the roll and written anew
        roll.scroll_into_view_if_needed()
        box = roll.bounding_box()
        y = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.25, y)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.35, y, steps=3)
        page.mouse.move(box["x"] + box["width"] * 0.45, y, steps=3)
        page.mouse.up()
        chosen = [int(page.get_by_label(f"{which} bar to write anew").input_value()) for which in ("First", "Last")]
        assert chosen == [2, 3]
        page.click("[data-infill]")
        page.wait_for_selector("[data-stop]:visible")
        page.wait_for_selector("[data-continue]")
        assert "6 bars" in roll.get_attribute("aria-label")

        page.wait_for_selector(
            "button[aria-label='Play']"
        )  # what was written has been heard to its end, or is put back to its start
        place_in = page.get_by_label("Place in the piece")
        place_in.fill(str(0.55 * float(place_in.get_attribute("max"))))  # in the fourth bar, which is kept
        page.fill("#bars", "1")
        page.click("[data-continue]")
        page.wait_for_selector("[data-stop]:visible")
        page.wait_for_selector("[data-continue]")
        assert "in 5 bars" in roll.get_attribute("aria-label")
        page.wait_for_selector("button[aria-label='Play']")
        place_in.fill("0")
        page.fill("#bars", "48")  # gone on from the end, and stopped on the way
        page.click("[data-continue]")
        until(page, "/Bar [2-9]/.test(document.querySelector('.wait')?.textContent ?? '')")
        page.click("[data-stop]:visible")
        page.wait_for_selector("[data-continue]")
        bars = int(re.search(r"in (\d+) bars", roll.get_attribute("aria-label")).group(1))
        assert 5 < bars < 53
        expect(page.locator(".notice.calm").first).to_contain_text("Stopped after")


def test_the_ranking_follows_a_keyboard_and_what_was_played_goes_to_compose(visits: Visits) -> None:
    with visits.visit("#/live", before=SIMULATED_PORT) as page:
        page.click("[data-connect]")
        expect(page.locator("#port")).to_have_value("simulated")
        tune = [60, 64, 67, 72, 71, 67, 65, 64, 62, 65, 69, 74, 72, 69, 67, 65] * 2
        for pitch in tune:
            page.evaluate("(p) => press(0x90, p, 80)", pitch)
            page.wait_for_timeout(60)
            if pitch == 72:
                assert sounds(page)
            page.evaluate("(p) => press(0x80, p, 0)", pitch)
        page.wait_for_selector(".ranking li")
        first = page.locator("[data-speed]").inner_text()
        for pitch in tune:
            page.evaluate("(p) => { press(0x90, p - 12, 80); press(0x80, p - 12, 0); }", pitch)
            page.wait_for_timeout(40)
        until(page, "(before) => document.querySelector('[data-speed]').textContent !== before", first)
        assert inked(page, ".history") > 200
        until(page, "/^6[0-9] notes/.test(document.querySelector('[data-speed]').textContent)")
        page.click("[data-continue]")
        page.wait_for_selector("#style")
        expect(page.locator("[data-seed=own]")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("form")).to_contain_text("played.mid")


def test_a_file_that_plays_is_recognised_while_it_sounds(visits: Visits) -> None:
    with visits.visit("#/live") as page:
        page.wait_for_selector("#live-example option[value=bach-bwv66-6]", state="attached")
        page.select_option("#live-example", "bach-bwv66-6")
        assert sounds(page)
        expect(page.locator(".live-name")).to_have_text("Bach", timeout=90_000)
        expect(page.locator(".work")).to_contain_text("recognised", timeout=90_000)
        assert page.locator(".keys i.on").count() > 0 or place(page) == 0


def test_a_folder_becomes_a_table_and_a_map(visits: Visits, tmp_path: Path) -> None:
    folder = tmp_path / "shelf"
    (folder / "deep").mkdir(parents=True)
    for name in ("bach-bwv66-6", "joplin-maple-leaf-rag"):
        shutil.copy(example_file(name), folder)
    shutil.copy(example_file("chopin-mazurka06-2"), folder / "deep")
    (folder / "torn.mid").write_bytes(b"MThd" + struct.pack(">IHHH", 6, 1, 3, 480))
    (folder / "notes.txt").write_text("not music, and not asked about")
    with visits.visit("#/collection") as page:
        page.set_input_files("input[webkitdirectory]", folder)
        page.wait_for_selector(".map canvas")
        rows = page.locator("tbody tr")
        expect(rows).to_have_count(4)
        assert "shelf/deep/" in page.locator("tbody").inner_text()
        assert inked(page, ".map canvas") > 200
        expect(page.locator("section[aria-label='Style map']")).to_contain_text("At most 400 are drawn")
        page.click("th button:has-text('Composer')")
        expect(page.locator("th[data-key=name]")).to_have_attribute("aria-sort", "ascending")
        named = [name for name in rows.locator("td:nth-child(2)").all_inner_texts() if not name.startswith("No answer")]
        assert named == sorted(named) and "Joplin" in named
        page.fill("#search", "joplin")
        expect(rows).to_have_count(1)
        page.fill("#search", "")
        page.select_option("#which", "failed")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("torn.mid")
        page.select_option("#which", "all")
        page.select_option("#composer", "Joplin")
        expect(rows).to_have_count(1)
        table = list(csv.DictReader(saved(page, "button:has-text('CSV')").open(encoding="utf-8", newline="")))
        assert len(table) == 4 and sum(bool(row["error"]) for row in table) == 1


def test_cards_show_figures_with_their_intervals(visits: Visits) -> None:
    with visits.visit("#/models") as page:
        card = page.locator("article[aria-label='Model composer']")
        expect(card).to_contain_text("balanced accuracy")
        expect(card).to_contain_text(re.compile(r"\[0\.\d{3}, 0\.\d{3}\]"))
        expect(card).to_contain_text("Bach")
        expect(page.locator("article[aria-label='Model genre']")).to_contain_text("none granted")


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark")])
def test_every_view_is_accessible_and_fits(visits: Visits, size: tuple[int, int], theme: str, tmp_path: Path) -> None:
    from axe_playwright_python.base import AXE_SCRIPT

    pictures = Path(SCREENSHOTS) if SCREENSHOTS else tmp_path
    pictures.mkdir(parents=True, exist_ok=True)
    with visits.visit(size=size, theme=theme) as page:
        page.evaluate(AXE_SCRIPT)
        for view in [*VIEWS, "who?example=bach-bwv66-6"]:
            page.evaluate("(hash) => { location.hash = hash }", f"#/{view}")
            page.wait_for_selector(f"main[data-view={view.partition('?')[0]}] h1")
            page.wait_for_selector(FULL.get(view, "main h1"), state="attached")
            page.wait_for_timeout(300)
            found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
            grave = [
                f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in ("serious", "critical")
            ]
            assert grave == [], f"{view} {theme} {size}"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
                f"{view} is wider than {size[0]} px"
            )
            assert page.locator(".tabs a[aria-current]").is_visible()
            name = view.replace("?example=bach-bwv66-6", "-answer")
            page.screenshot(path=pictures / f"{name}-{size[0]}-{theme}.png")


def test_the_page_is_light_and_loads_the_rest_when_it_is_needed(visits: Visits) -> None:
    with visits.visit() as page:
        page.wait_for_selector(".examples button")
        page.wait_for_load_state("networkidle")
        loaded = page.evaluate("performance.getEntriesByType('resource').map((r) => [r.name, r.decodedBodySize])")
        assert sum(size for _, size in loaded) < WEIGHT
        assert not [name for name, _ in loaded if re.search("verovio|spessasynth|api/soundfont|swagger", name)]


def test_who_skips_to_the_content_stays_in_the_view(visits: Visits) -> None:
    with visits.visit() as page:
        page.evaluate("location.hash = '#/genre'")
        page.wait_for_selector("main[data-view=genre] h1")
        page.focus(".skip")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "view"
        page.wait_for_timeout(300)
        assert page.evaluate("[location.hash, document.querySelector('main').dataset.view]") == ["#/genre", "genre"]


def test_the_page_works_by_keyboard_and_keeps_its_theme(visits: Visits) -> None:
    with visits.visit() as page:
        page.wait_for_selector(".examples button")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        page.focus(".examples button")
        page.keyboard.press("Enter")
        expect(page.locator(".verdict h2")).to_have_text("Bach", timeout=90_000)
        page.focus(".roll")
        page.wait_for_selector(".legend span")
        page.keyboard.press("Space")
        assert sounds(page)
        page.focus(".seek")
        page.keyboard.press("PageUp")
        assert place(page) >= 10
        page.keyboard.press("Tab")
        page.focus("[data-play]")
        page.keyboard.press("Enter")
        expect(page.locator("[data-play]")).to_have_attribute("aria-label", "Play")
        page.click("#theme")
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_description_of_the_api_opens_without_the_internet(visits: Visits) -> None:
    with visits.visit("docs") as page:
        page.wait_for_selector(".swagger-ui .opblock")
        assert page.locator(".opblock").count() > 8
