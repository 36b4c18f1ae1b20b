"""The style space: what must not move a vector, what must, and collections that are asked twice."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import fugato
from fugato.cli.app import app
from fugato.composer import StyleCollection, embed_collection, embed_many
from fugato.composer import style as room
from fugato.corpus import Piece
from fugato.errors import FugatoError
from fugato.represent import ngrams, stream
from fugato.represent.played import played
from fugato.represent.style_space import SKETCH, StyleSpace, load_space, sketch
from fugato.score import Score
from fugato.study.style_map import layout, style_map, trustworthiness

from .music_files import midi_of, piece
from .music_styles import COMPOSERS, musicxml_of, styled

RUNNER = CliRunner()
SCORE = styled("Chopin", 300, bars=32)


def cosine(a: Score, b: Score) -> float:
    return float(fugato.embed(a) @ fugato.embed(b))


# -- the vector --------------------------------------------------------------------------------------------------------


def test_a_vector_is_of_unit_length_and_always_the_same() -> None:
    vector = fugato.embed(SCORE)
    assert vector.shape == (load_space().n_dimensions,) and vector.dtype == np.float32
    assert float(vector @ vector) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(vector, fugato.embed(SCORE))


@pytest.mark.parametrize("semitones", [-5, -1, 1, 6])
def test_key_does_not_move_it(semitones: int) -> None:
    assert np.array_equal(fugato.embed(SCORE.transpose(semitones)), fugato.embed(SCORE))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_tempo_does_not_move_it(factor: float) -> None:
    assert np.array_equal(fugato.embed(SCORE.change_tempo(factor)), fugato.embed(SCORE))


@pytest.mark.parametrize(
    "options", [{"ticks": 96}, {"ticks": 960}, {"qpm": 61.0}, {"velocities": (20, 90)}, {"tracks": 3}], ids=str
)
def test_how_a_file_was_made_does_not_move_it(options: dict[str, Any]) -> None:
    plain = fugato.embed(midi_of(SCORE))
    assert float(plain @ fugato.embed(midi_of(SCORE, **options))) > 0.9999


def test_neither_does_its_format(tmp_path: Path) -> None:
    path = tmp_path / "piece.musicxml"
    path.write_bytes(musicxml_of(SCORE))
    assert float(fugato.embed(path) @ fugato.embed(midi_of(SCORE))) > 0.98


def test_a_performance_lies_nearer_to_its_score_than_any_other_piece_does() -> None:
    others = [styled(composer, seed, bars=32) for composer in COMPOSERS for seed in range(310, 314)]
    for number, score in enumerate(others):
        vector = fugato.embed(played(score, np.random.default_rng(number)))
        nearest = int(np.argmax([float(vector @ fugato.embed(other)) for other in others]))
        assert nearest == number


def test_pieces_in_one_manner_lie_nearer_than_in_two() -> None:
    vectors = {c: np.stack([fugato.embed(styled(c, seed)) for seed in range(320, 326)]) for c in COMPOSERS}
    for composer, own in vectors.items():
        within = (own @ own.T)[np.triu_indices(len(own), 1)].mean()
        across = np.mean([(own @ other.T).mean() for name, other in vectors.items() if name != composer])
        assert within > across


def test_too_little_music_is_refused() -> None:
    with pytest.raises(FugatoError) as refused:
        fugato.embed(Score.from_notes([0, 1, 2], [1] * 3, [60, 62, 64]))
    assert refused.value.kind == "too-short"


def test_a_sketch_keeps_inner_products() -> None:
    rarity = np.ones(ngrams.width(), np.float32)
    places = ngrams.layout()
    counts = [ngrams.count(stream(styled(c, seed))) for c in COMPOSERS for seed in range(4)]
    whole = np.zeros((len(counts), ngrams.width()))
    for row, (cell, times) in zip(whole, counts, strict=True):
        row[cell] = ngrams.weigh(cell, times, rarity, places)
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    small = np.stack([sketch(cell, times, rarity) for cell, times in counts])
    assert small.shape == (12, 2 * SKETCH)
    assert np.abs(small @ small.T - whole @ whole.T).max() < 0.12
    assert np.corrcoef((small @ small.T).ravel(), (whole @ whole.T).ravel())[0, 1] > 0.97


def test_a_space_of_another_shape_is_refused(tmp_path: Path) -> None:
    arrays = load_space().arrays()
    with pytest.raises(FugatoError, match="no array 'mean'"):
        StyleSpace.from_arrays({k: v for k, v in arrays.items() if k != "mean"})
    with pytest.raises(FugatoError, match="Make it again"):
        StyleSpace.from_arrays({**arrays, "rarity": arrays["rarity"][:-1]})
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"not arrays")
    with pytest.raises(FugatoError, match="safetensors"):
        load_space(path)


# -- two pieces --------------------------------------------------------------------------------------------------------


def test_an_edition_and_a_performance_are_the_same_work() -> None:
    score = piece(7)
    for other in (score.transpose(3), played(score, np.random.default_rng(0)), fugato.read(midi_of(score, tracks=2))):
        found = fugato.compare(score, other)
        assert found.same_work and found.shared_grams > 30 and found.alike > 0.95
        assert fugato.compare(other, score).cosine == pytest.approx(found.cosine, abs=1e-6)


def test_two_tunes_are_two_works() -> None:
    found = fugato.compare(piece(7), piece(8))
    assert not found.same_work and found.shared_grams == 0


def test_a_piece_is_as_like_itself_as_can_be() -> None:
    found = fugato.compare(SCORE, SCORE)
    assert (
        found.alike == pytest.approx(1) == found.alike_within
        and found.cosine == pytest.approx(1, abs=1e-5)
        and found.shared == 1
    )
    assert json.loads(json.dumps(found.to_dict()))["same_work"] is True


def test_shares_rise_with_the_cosine_and_works_of_one_composer_are_more_alike() -> None:
    style = room._style()
    for table in ("different", "same"):
        shares = [style.share(c, table) for c in np.linspace(-1, 1, 41)]
        assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)
    assert all(style.share(c, "different") > style.share(c, "same") for c in (0.0, 0.2, 0.4))


# -- collections -------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pieces by each of two composers, one with neither, and a letter."""
    top = tmp_path / "music"
    for composer in ("Bach", "Joplin"):
        (top / composer).mkdir(parents=True)
        for seed in range(4):
            (top / composer / f"{seed}.mid").write_bytes(midi_of(styled(composer, 400 + seed)))
    (top / "loose.mid").write_bytes(midi_of(piece(3)))
    (top / "Bach" / "letter.mid").write_text("Dear Sir")
    return top


def test_neighbours_are_in_one_manner(folder: Path, fugato_home: Path) -> None:
    found = fugato.neighbours(styled("Joplin", 450), folder, 4, jobs=1)
    assert [n.composer for n in found].count("Joplin") >= 3
    assert [n.cosine for n in found] == sorted((n.cosine for n in found), reverse=True)
    assert not any(n.same_work for n in found)


def test_a_performance_finds_its_score_and_knows_the_work(folder: Path, fugato_home: Path) -> None:
    first = fugato.neighbours(played(piece(3), np.random.default_rng(5)), folder, 1, jobs=1)[0]
    assert (first.title, first.composer, first.same_work) == ("loose", "", True)


def test_the_file_itself_is_no_neighbour_but_a_copy_in_another_key_is(folder: Path, fugato_home: Path) -> None:
    asked = folder / "Bach" / "0.mid"
    (folder / "Bach" / "copy.mid").write_bytes(asked.read_bytes())
    (folder / "Bach" / "higher.mid").write_bytes(midi_of(styled("Bach", 400).transpose(2)))
    titles = [n.title for n in fugato.neighbours(asked, folder, 20, jobs=1)]
    assert titles[0] == "higher" and not {"0", "copy"} <= {*titles[:2]} and len(titles) == 8 + 1 - 1 + 1


def test_what_cannot_be_read_is_named_and_stops_nothing(folder: Path, fugato_home: Path) -> None:
    found = embed_collection(folder, jobs=1)
    assert len(found.pieces) == len(found.vectors) == 9
    assert [error.kind for error in found.failed] == ["not-music"] and "letter.mid" in str(found.failed[0].input)
    with pytest.raises(FugatoError, match="at least 1"):
        fugato.neighbours(SCORE, folder, 0)


def test_asking_again_reads_nothing(folder: Path, fugato_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed_collection(folder, jobs=1)
    asked: list[Any] = []
    real: Callable[..., Any] = room.read_many
    monkeypatch.setattr(room, "read_many", lambda sources, **options: real(_kept(sources, asked), **options))
    again = embed_collection(folder, jobs=1)
    assert [Path(source.name).name for source in asked] == ["letter.mid"], "a refusal is asked again, a vector is not"
    assert np.array_equal(first.vectors, again.vectors) and first.pieces == again.pieces
    (folder / "new.mid").write_bytes(midi_of(styled("Bach", 460)))
    assert len(embed_collection(folder, jobs=1).pieces) == 10 and len(asked) == 3


def _kept(sources: Any, asked: list[Any]) -> Any:
    for source in sources:
        asked.append(source)
        yield source


def test_a_damaged_store_is_written_anew(folder: Path, fugato_home: Path) -> None:
    first = embed_collection(folder, jobs=1)
    (store,) = fugato_home.glob("cache/style-*.npy")
    store.write_bytes(store.read_bytes()[:500])
    assert np.array_equal(first.vectors, embed_collection(folder, jobs=1).vectors)
    assert store.stat().st_size > 500


def test_a_store_that_cannot_be_written_costs_nothing_else(folder: Path, fugato_home: Path) -> None:
    fugato_home.mkdir()
    (fugato_home / "cache").write_text("a file in its place")
    assert len(embed_collection(folder, jobs=1).pieces) == 9


def test_many_files_in_order_in_two_processes(folder: Path, fugato_home: Path) -> None:
    paths = sorted(folder.rglob("*.mid"))
    found = list(embed_many(paths, jobs=2))
    assert [name for name, _, _ in found] == [str(p) for p in paths]
    for path, (_, sha256, vector) in zip(paths, found, strict=True):
        if path.stem == "letter":
            assert isinstance(vector, FugatoError)
        else:
            assert len(sha256) == 64 and np.array_equal(vector, fugato.embed(path))


# -- the map -----------------------------------------------------------------------------------------------------------


def clouds(n: int = 40) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points around three directions of a hundred dimensions."""
    rng = np.random.default_rng(0)
    of = np.repeat(np.arange(3), n)
    points = np.eye(3, 100)[of] + rng.normal(0, 0.05, (3 * n, 100))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), of


def test_what_is_near_in_style_is_near_on_the_map() -> None:
    vectors, of = clouds()
    places = layout(vectors)
    assert places.shape == (120, 2) and np.abs(places).max() == pytest.approx(1)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (of[apart.argmin(axis=1)] == of).all()
    assert np.array_equal(places, layout(vectors)) and not np.array_equal(places, layout(vectors, random_seed=1))


def test_trust_is_high_for_a_true_picture_and_half_for_a_random_one() -> None:
    vectors, _ = clouds(100)
    assert trustworthiness(vectors, layout(vectors)) > 0.8
    assert trustworthiness(vectors, np.random.default_rng(0).normal(size=(300, 2))) == pytest.approx(0.5, abs=0.05)


def test_trust_is_that_of_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    from sklearn.manifold import trustworthiness as theirs

    vectors, _ = clouds(50)
    places = np.random.default_rng(1).normal(size=(150, 2))
    places[:50] += 3
    assert trustworthiness(vectors, places, near=10) == pytest.approx(
        theirs(vectors, places, n_neighbors=10, metric="cosine"), abs=1e-6
    )


@pytest.mark.parametrize("n", [3, 4, 20])
def test_small_collections_have_a_map_too(n: int) -> None:
    assert np.isfinite(layout(clouds()[0][:n])).all()


def test_alike_points_have_a_map_too() -> None:
    assert np.isfinite(layout(np.ones((30, 5), np.float32) / np.sqrt(5).astype(np.float32))).all()


def test_the_page_holds_every_piece_and_fetches_nothing(folder: Path, fugato_home: Path, tmp_path: Path) -> None:
    made = style_map(folder, tmp_path / "map.html", jobs=1)
    text = made.page.read_text(encoding="utf-8")
    data = data_of(text)
    assert made.pieces == len(data["points"]) == 9 and made.composers == 3
    assert {c["name"]: c["n"] for c in data["composers"]} == {"Bach": 4, "Joplin": 4, "unnamed": 1}
    assert [p["name"] for p in data["periods"]] == ["Baroque", "Romantic", "not known"] or len(data["periods"]) == 3
    assert "1 files could not be read" in text
    assert not re.search(r"""(src|href)=|https?://|@import|fetch\(""", text)


def test_a_title_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    bad = '</script><script>alert("x")</script>'
    vectors = clouds(2)[0]
    pieces = tuple(Piece(id=f"{bad}{i}", path=f"{i}.mid", composer=bad, title=bad) for i in range(len(vectors)))
    made = style_map(StyleCollection(pieces, vectors, ()), tmp_path / "map.html")
    text = made.page.read_text(encoding="utf-8")
    assert text.count("</script>") == 1 and data_of(text)["points"][0][2] == bad


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r"^const data = (.*);$", text, re.MULTILINE)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_a_map_that_cannot_be_made_says_why(folder: Path, fugato_home: Path, tmp_path: Path) -> None:
    for out, kind in ((tmp_path / "map.png", "bad-output"), (tmp_path / "no" / "map.html", "bad-output")):
        with pytest.raises(FugatoError) as refused:
            style_map(folder, out, jobs=1)
        assert refused.value.kind == kind
    with pytest.raises(FugatoError, match="needs 3"):
        style_map(StyleCollection((Piece("a", "a", ""),) * 2, clouds()[0][:2], ()), tmp_path / "map.html")


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
@pytest.mark.slow
def test_the_script_of_the_page_draws_and_builds_its_legend(folder: Path, fugato_home: Path, tmp_path: Path) -> None:
    made = style_map(folder, tmp_path / "map.html", jobs=1)
    done = subprocess.run(
        [
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=2000",
            "--dump-dom",
            made.page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.count('aria-pressed="true"') == 3


# -- the command line --------------------------------------------------------------------------------------------------


def test_compare_on_the_command_line(folder: Path, fugato_home: Path) -> None:
    result = RUNNER.invoke(app, ["compare", str(folder / "Bach" / "0.mid"), str(folder / "Bach" / "1.mid")])
    assert result.exit_code == 0
    line = json.loads(result.stdout)
    assert line["task"] == "compare" and line["same_work"] is False and 0 <= line["alike"] <= 1


def test_neighbours_on_the_command_line(folder: Path, fugato_home: Path) -> None:
    result = RUNNER.invoke(app, ["neighbours", str(folder / "loose.mid"), str(folder), "-n", "2", "--jobs", "1"])
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 2
    assert "letter.mid" in result.stderr


def test_map_on_the_command_line(folder: Path, fugato_home: Path, tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["map", str(folder), "--out", str(tmp_path / "map.html"), "--jobs", "1"])
    assert result.exit_code == 0 and json.loads(result.stdout)["pieces"] == 9
    assert RUNNER.invoke(app, ["map", str(tmp_path / "nothing"), "--out", "map.html"]).exit_code == 2


def test_embed_on_the_command_line_goes_on_where_it_was(folder: Path, fugato_home: Path, tmp_path: Path) -> None:
    out = tmp_path / "vectors.jsonl"
    first = RUNNER.invoke(app, ["embed", str(folder / "Joplin"), "--out", str(out), "--jobs", "1"])
    assert first.exit_code == 0
    again = RUNNER.invoke(app, ["embed", str(folder), "--out", str(out), "--resume", "--jobs", "1"])
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert again.exit_code == 1, "the letter is refused"
    assert len(lines) == len({line["input"] for line in lines}) == 10
    assert len(lines[0]["style"]) == load_space().n_dimensions
