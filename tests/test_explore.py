"""The pictures of a collection are there, on one page, and their texts say what the figures say."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from fugato.cli.app import app
from fugato.errors import FugatoError
from fugato.represent.chunks import FEATURES
from fugato.study.explore import (
    Exploration,
    between_share,
    correlations,
    distance,
    explore,
    gather,
    principal,
)
from fugato.study.explore_page import sentence
from fugato.study.explore_pictures import DARK, LIGHT, cut, density, png

from .music_files import midi_of, piece
from .music_styles import write_collection

PICTURES = ["classes", "densities", "correlation", "pca", "augmentation", "example-01", "example-02", "example-03"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three composers, one with fewer files, and one of whom nothing is long enough."""
    root = write_collection(tmp_path_factory.mktemp("music <& more>"), range(4))
    (root / "Joplin" / "piece 3.mid").unlink()
    (root / "Haydn").mkdir()
    (root / "Haydn" / "short.mid").write_bytes(midi_of(piece(1, notes=20)))
    return root


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Exploration:
    return explore(folder, tmp_path_factory.mktemp("out") / "pictures", size=50, jobs=1)


class Page(HTMLParser):
    """What a page asks for and shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "source", "!doctype"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def size_of(data: bytes) -> tuple[int, int]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def test_every_picture_is_written(made: Exploration) -> None:
    assert [p.stem for p in made.pictures] == PICTURES and made.left_out == ()
    for path in made.pictures:
        width, height = size_of(path.read_bytes())
        assert width > 900 and height > 300
    names = {p.name for p in made.folder.iterdir()}
    assert names == {*(f"{name}.png" for name in PICTURES), "explore.html", "explore.json"}
    assert json.loads((made.folder / "explore.json").read_text(encoding="utf-8")) == made.to_dict()


def test_the_page_holds_all_of_itself(made: Exploration) -> None:
    text = made.page.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == [] and page.all("html") == [{"lang": "en"}]
    assert not re.search(r"https?://|src=\"(?!data:)|<script|@import", text)
    images, darks = page.all("img"), page.all("source")
    assert len(images) == len(darks) == len(PICTURES)
    for image, dark, path in zip(images, darks, made.pictures, strict=True):
        light = base64.b64decode(str(image["src"]).removeprefix("data:image/png;base64,"))
        assert light == path.read_bytes()
        assert size_of(base64.b64decode(str(dark["srcset"]).removeprefix("data:image/png;base64,"))) == size_of(light)
        assert made.sentences[path.stem] in str(image["alt"]) and len(str(image["alt"])) > 60
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    anchors = {a["href"] for a in page.all("a")}
    assert anchors == {f"#{s['id']}" for s in page.all("section")}
    assert "music &lt;&amp; more&gt;" in text and "<& more>" not in text


def test_sentences_are_made_from_the_figures(made: Exploration) -> None:
    said, figures = made.sentences, made.figures
    assert "Bach has 4 of the 11 files that are used (36 %)" in said["classes"]
    assert "1 of 12 files (8 %) give no chunk: 1 too-short." in said["classes"]
    assert "1 of 4 composers have fewer than 3 usable files" in said["classes"]
    best = max((f for f in figures["densities"] if f["between"] is not None), key=lambda f: f["between"])
    assert f"{100 * best['between']:.0f} % of its variance" in said["densities"]
    pair = figures["correlation"]["strongest"][0]
    assert f"(r = {pair['r']:.2f})" in said["correlation"]
    for constant in ("program", "velocity", "accented"):
        assert constant in figures["correlation"]["constant"] and constant in said["correlation"]
    assert f"{100 * sum(figures['pca']['explained']):.0f} % of the variance" in said["pca"]
    needed = figures["augmentation"]["needed"]
    assert (
        needed[figures["augmentation"]["largest"]] == 0 and f"{sum(needed.values()):,} changed" in said["augmentation"]
    )
    for k, example in enumerate(figures["examples"], 1):
        assert example["composer"] in said[f"example-{k:02d}"] and example["piece"] in said[f"example-{k:02d}"]


def test_only_the_largest_are_drawn_and_all_are_counted(folder: Path, tmp_path: Path) -> None:
    made = explore(folder, tmp_path, classes=1, sample=2, size=50, jobs=1)
    assert [c["composer"] for c in made.figures["classes"] if c["shown"]] == ["Bach"]
    assert len(made.figures["classes"]) == 4 and made.figures["sample"]["chunks"] == 2
    assert made.sentences["densities"].startswith("There is one composer only")
    assert [p.stem for p in made.pictures] == ["classes", "densities", "correlation", "augmentation", "example-01"]
    # two chunks are too few for two directions
    assert made.left_out == ("pca: 2 chunks are too few for two directions",)
    assert "Not drawn: pca" in made.page.read_text(encoding="utf-8") and not (tmp_path / "pca.png").exists()


def test_the_same_seed_gives_the_same_pictures(folder: Path, tmp_path: Path) -> None:
    first, again = (explore(folder, tmp_path / str(k), classes=1, sample=1, size=50, jobs=k) for k in (1, 2))
    assert again.figures == first.figures
    for a, b in zip(first.pictures, again.pictures, strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_a_sample_is_drawn_evenly(folder: Path) -> None:
    from fugato.corpus import load_corpus

    corpus = load_corpus(folder)
    whole = gather(corpus, size=50, sample=10_000, jobs=1)
    part = gather(corpus, size=50, sample=5, jobs=1)
    assert np.bincount(part.sample_label).tolist() == [5, 5, 5] and len(part.table) == len(whole.table)
    everything = {chunk.tobytes() for chunk in whole.notes}
    assert all(chunk.tobytes() in everything for chunk in part.notes)
    assert len({chunk.tobytes() for chunk in part.notes}) == 15
    other = gather(corpus, size=50, sample=5, random_seed=1, jobs=1)
    assert not np.array_equal(other.notes, part.notes) and np.array_equal(other.table, whole.table)


def test_shares_distances_and_components_by_hand() -> None:
    label = np.array([0, 0, 1, 1])
    assert between_share(np.array([1, 1, 3, 3]), label) == 1
    assert between_share(np.array([1, 3, 1, 3]), label) == 0
    assert between_share(np.array([0, 2, 2, 4]), label) == pytest.approx(4 / 8)
    assert np.isnan(between_share(np.ones(4), label))
    assert distance(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 4])) == 0
    assert distance(np.array([1, 2, 3, 4]), np.array([3, 4, 5, 6])) == 0.5
    table = np.array([[1, 2, 5, 0], [2, 4, 5, 1], [3, 6, 5, 0]], float)
    found = correlations(table)
    assert found[0, 1] == pytest.approx(1) and found[0, 3] == pytest.approx(0) and np.isnan(found[2]).all()
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(500, 2)) @ np.array([[3.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
    _, _, components, explained = principal(np.column_stack([plane, np.ones(500)]))
    assert explained.sum() == pytest.approx(1) and components.shape == (2, 4)
    assert abs(components[0, :2]) == pytest.approx([0.5**0.5] * 2, abs=0.05) and components[:, 3] == pytest.approx(0)


def test_a_density_has_area_one_and_its_peak_where_the_values_are() -> None:
    values = np.random.default_rng(0).normal(10, 2, 5000)
    at, height = density(values, 0, 20)
    assert (height * (at[1] - at[0])).sum() == pytest.approx(1, abs=0.01) and at[height.argmax()] == pytest.approx(
        10, abs=0.5
    )
    assert height.max() == pytest.approx(1 / (2 * (2 * np.pi) ** 0.5), rel=0.05)
    for odd in (np.zeros(0), np.full(5, 3.0)):
        assert np.isfinite(density(odd, 0, 20, whole=True)[1]).all()


def test_pictures_are_light_and_dark_and_names_fit() -> None:
    from matplotlib.figure import Figure
    from PIL import Image

    def corner(theme: Any) -> Any:
        with Image.open(io.BytesIO(png(lambda _: Figure(figsize=(2, 2)), theme))) as image:
            return image.convert("RGB").getpixel((3, 3))

    assert corner(LIGHT) == (255, 255, 255) and max(corner(DARK)) < 50
    assert len(cut("Wolfgang Amadeus Mozart and his friends in Vienna")) <= 28 and cut("Bach") == "Bach"
    assert len(cut("x" * 99)) == 28


def test_velocity_is_told_to_be_the_makers() -> None:
    features = [
        {"feature": name, "between": share, "median": {"Bach": 1.0, "Chopin": 2.0}}
        for name, share in (("velocity", 0.5), ("pitch", 0.2), ("interval", 0.001))
    ]
    assert "--probe" in sentence("densities", {"densities": features})
    features[0]["feature"] = "pitch_range"
    assert "--probe" not in sentence("densities", {"densities": features})


def test_what_cannot_be_done_is_refused_before_anything_is_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "no" / "such"):
        with pytest.raises(FugatoError) as refused:
            explore(folder, out)
        assert refused.value.kind == "bad-output"
    for options in ({"classes": 0}, {"sample": 0}, {"size": 1}):
        with pytest.raises(FugatoError) as refused:
            explore(folder, tmp_path / "out", **options)
        assert refused.value.kind == "bad-option"
    with pytest.raises(FugatoError, match="None of its 12 files has an instrument with 5000 notes") as refused:
        explore(folder, tmp_path / "out", size=5000, jobs=1)
    assert refused.value.kind == "bad-data"


def test_the_command(folder: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    few = ["--size", "50", "--classes", "1", "--sample", "2"]
    result = runner.invoke(app, ["explore", str(folder), "--out", str(tmp_path / "p"), *few, "--json"])
    assert result.exit_code == 0, result.stderr
    assert "5 pictures in" in result.stderr and "Bach has 4 of the 11" in result.stderr
    assert json.loads(result.stdout)["figures"]["correlation"]["features"] == list(FEATURES)
    (tmp_path / "empty").mkdir()
    result = runner.invoke(app, ["explore", str(tmp_path / "empty"), "--out", str(tmp_path / "q")])
    assert result.exit_code == 2 and "Traceback" not in result.stderr


@pytest.mark.corpora
@pytest.mark.slow
def test_real_composers(corpora: Path, tmp_path: Path) -> None:
    made = explore(corpora / "classics" / "files", tmp_path, classes=4, jobs=2)
    assert made.figures["correlation"]["dropped"] == ["end"]  # as in the published study
    assert len(made.pictures) == 9
