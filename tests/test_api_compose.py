"""Composing over the API: jobs whose bars come while they are written, that can be stopped, and that leave the others room."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")
httpx = pytest.importorskip("httpx", reason="the server needs the extra serve")

from matplotlib import get_configdir  # noqa: E402

import fugato  # noqa: E402
from fugato.errors import FugatoError  # noqa: E402
from fugato.serve import Client  # noqa: E402

from .api_server import Served, example_file, sent, serving, wait_for  # noqa: E402

MAZURKA = example_file("chopin-mazurka06-2")
CHORALE = example_file("bach-bwv66-6")
LONG = {"bars": 400, "variations": 8}  # minutes of work


@pytest.fixture(scope="module")
def writing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that loses its patience quickly and takes few jobs."""
    limits = {"waiting_jobs": 1, "patience": 4.0, "writers": 2, "kept_jobs": 3}
    environment = {"FUGATO_SOUNDFONT": "built-in", "MPLCONFIGDIR": get_configdir()}
    with serving(tmp_path_factory.mktemp("writing"), environment, **limits) as running:
        yield running


@pytest.fixture
def client(writing: Served) -> Iterator[Client]:
    with Client(writing.address) as asked:
        yield asked


def test_a_piece_is_that_of_the_library(client: Client, tmp_path: Path) -> None:
    job = client.compose("Chopin", MAZURKA, bars=3, random_seed=5)
    assert job.status in ("waiting", "writing")
    bars = list(client.bars(job))
    done = client.wait(job)
    piece = fugato.compose("Chopin", MAZURKA, bars=3, random_seed=5)
    path = tmp_path / "1.mid"
    path.write_bytes(client.file(job))
    assert sorted(fugato.read(path).notes["pitch"]) == sorted(piece.score.notes["pitch"])
    (found,) = done.pieces
    assert found.name == "chopin-5" and found.new_bars == tuple(piece.report["new_bars"])
    assert found.options["seed"] == MAZURKA.name and str(tmp_path.parent) not in found.model_dump_json()
    assert found.answer is not None and ("ranking" in found.answer or found.answer["error"]["kind"] == "too-short")
    new = [bar for bar in bars if not bar.seed]
    assert [bar.bar for bar in new] == list(range(found.new_bars[0], found.new_bars[1] + 1))
    assert [bar.seed for bar in bars] == [True] * (len(bars) - 3) + [False] * 3
    assert sum(len(bar.notes) for bar in bars) == len(piece.score)
    for bar in bars:  # in seconds of the whole piece
        assert all(bar.start - 1e-3 <= start < bar.end + 1e-3 for start, *_ in bar.notes)
    onsets = sorted(float(s) for s in piece.score.notes["onset_seconds"])
    told = sorted(start for bar in bars for start, *_ in bar.notes)
    assert told == pytest.approx(onsets, abs=2e-3)
    assert done.progress.bars == 3 == done.progress.of
    for name, begins in (("1.musicxml", b"<?xml"), ("1.wav", b"RIFF"), ("1.png", b"\x89PNG")):
        assert client.file(job, name).startswith(begins)
    for name in ("2.mid", "1.exe", "..%2Flock"):
        with pytest.raises(FugatoError):
            client.file(job, name)
    assert [bar.bar for bar in client.bars(job)] == [bar.bar for bar in bars]  # told again from the beginning


def test_bars_are_filled_in_and_the_best_kept(client: Client) -> None:
    done = client.wait(client.compose("Bach", CHORALE, infill=(3, 4), variations=2, keep=1, random_seed=1))
    (piece,) = done.pieces
    assert piece.new_bars == (3, 4) and piece.options["infill"] == [3, 4]
    assert piece.options["random_seed"] == piece.variation in (1, 2)
    bars = [bar for bar in client.bars(done) if bar.variation == 2]
    assert {bar.bar for bar in bars if not bar.seed} == {3, 4} and {3, 4}.isdisjoint({b.bar for b in bars if b.seed})


def test_the_beginning_of_a_seed_is_gone_on_from(client: Client, tmp_path: Path) -> None:
    seed = fugato.read(MAZURKA)
    job = client.wait(client.compose("Chopin", MAZURKA, seed_bars=4, bars=2, random_seed=5))
    (found,) = job.pieces
    assert found.new_bars == (5, 6) and found.options["seed_bars"] == 4
    bars = list(client.bars(job))
    assert [bar.bar for bar in bars if bar.seed] == [1, 2, 3, 4] and [bar.bar for bar in bars if not bar.seed] == [5, 6]
    kept = [note[2] for bar in bars if bar.seed for note in bar.notes]
    first = [int(n["pitch"]) for n in seed.notes if n["onset"] < seed.bars[4] - 1e-6]
    assert sorted(kept) == sorted(first)
    path = tmp_path / "1.mid"
    path.write_bytes(client.file(job))
    piece = fugato.read(path)
    again = client.wait(
        client.compose("Chopin", path, seed_bars=5, bars=2, random_seed=5)
    )  # as "continue from here" does
    assert again.pieces[0].new_bars == (6, 7)
    edge = piece.bars[4]
    old = piece.notes[piece.notes["onset"] < edge - 1e-6]
    assert (old["onset"] + old["duration"] <= edge + 1e-2).all(), "nothing of the seed sounds on into what is new"
    more = client.wait(client.compose("Bach", CHORALE, seed_bars=900, bars=1, random_seed=1)).pieces[0]
    assert more.new_bars[0] == len(fugato.read(CHORALE).bars) + 1, "all of it, where there are fewer"
    for wrong in (
        {"seed_bars": 4},
        {"seed": CHORALE, "seed_bars": 4, "infill": (2, 3)},
        {"seed": CHORALE, "seed_bars": 0},
    ):
        with pytest.raises(FugatoError):
            client.compose("Bach", **wrong)


def test_a_stream_starts_a_job_and_leaving_it_stops_the_job(writing: Served, client: Client) -> None:
    lines: list[str] = []
    with httpx.stream("GET", writing.address + "/api/compose/stream", params=LONG, timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            lines.append(line)
            if line.startswith("data:"):
                break
    first = json.loads(lines[-1][5:])
    assert first["bar"] == 1 and first["notes"] and not first["seed"]
    name = next(line for line in lines if line.startswith("id:"))[3:].strip().rpartition(":")[0]
    wait_for(lambda: False, 6.0)  # nobody asks meanwhile
    assert client.job(name).status == "stopped"


def test_a_stream_that_was_cut_off_goes_on_where_it_was(writing: Served, client: Client) -> None:
    job = client.compose("Bach", bars=4, random_seed=2)
    client.wait(job)
    headers = {"Last-Event-ID": f"{job.job}:1"}
    text = httpx.get(writing.address + "/api/compose/stream", headers=headers, timeout=60).text
    assert [line for line in text.splitlines() if line.startswith("id:")] == [f"id: {job.job}:{n}" for n in (2, 3)]
    assert text.count("event: done") == 1


def test_jobs_are_stopped_and_too_many_refused_and_others_answered(writing: Served, client: Client) -> None:
    with httpx.Client(base_url=writing.address, timeout=60) as http:
        jobs = [http.post("/api/compose", data=LONG).json()["job"] for _ in range(2)]
        assert wait_for(lambda: all(client.job(job).status == "writing" for job in jobs), 60)
        waiting = http.post("/api/compose", data=LONG).json()["job"]
        assert client.job(waiting).status == "waiting"
        full = http.post("/api/compose", data=LONG)
        assert full.status_code == 429 and full.json()["kind"] == "busy" and int(full.headers["retry-after"]) > 0
        answers = http.post("/api/identify", files=sent(CHORALE)).json()
        assert answers[0]["name"] == "Bach"  # how soon, says benchmarks/serve.py
        assert all(client.job(job).status == "writing" for job in jobs)
        before = writing.children()
        for job in (*jobs, waiting):
            assert http.delete(f"/api/compose/{job}").json()["status"] == "stopped"
        assert wait_for(lambda: before - writing.children())  # their processes are ended
        assert http.delete("/api/compose/nothing").status_code == 404
    assert client.wait(client.compose(bars=1, random_seed=1)).status == "done"


def test_a_job_that_nobody_asks_about_is_stopped_and_one_that_is_asked_about_goes_on(client: Client) -> None:
    forgotten, cared_for = client.compose(**LONG), client.compose(**LONG)
    until = time.monotonic() + 7
    while time.monotonic() < until:
        assert client.job(cared_for).status in ("waiting", "writing")
        time.sleep(0.5)
    assert client.job(forgotten).status == "stopped"
    assert client.stop(cared_for).status == "stopped"


def test_what_cannot_be_composed_is_said(writing: Served, client: Client, tmp_path: Path) -> None:
    drums = tmp_path / "x.mid"
    drums.write_bytes(b"MThd nothing")
    for wrong, kind in (
        ({"style": "Chopin", "seed": drums}, ("corrupt", "not-music", "empty")),
        ({"style": "Nobody Anywhere"}, ("bad-option",)),
        ({"style": "Bach", "seed": CHORALE, "infill": (300, 301)}, ("bad-option",)),
    ):
        with pytest.raises(FugatoError) as caught:
            client.wait(client.compose(**wrong))
        assert caught.value.kind in kind and str(writing.home) not in str(caught.value)
        assert caught.value.input in (None, "x.mid", CHORALE.name)
    with pytest.raises(FugatoError):
        list(client.bars(client.compose("Nobody Anywhere")))
    for wrong in (
        {"temperature": 9.0}, {"bars": 3, "seconds": 4.0}, {"infill": (1, 2)}, {"keep": 3}, {"seed": CHORALE, "seed_composer": "Bach"},
        {"model": "composer"}, {"model": "nowhere"}, {"bars": 10_000},
    ):  # fmt: skip
        with pytest.raises(FugatoError) as caught:
            client.compose(**wrong)
        assert caught.value.kind in ("bad-option", "no-model", "bad-model")


def test_a_verdict_is_kept(writing: Served, client: Client) -> None:
    job = client.wait(client.compose("Bach", bars=1, random_seed=3))
    with httpx.Client(base_url=writing.address) as http:
        said = {"job": job.job, "variation": 1, "verdict": "keep", "comment": "like a bell"}
        assert http.post("/api/feedback", json=said).status_code == 204
        assert http.post("/api/feedback", json={**said, "variation": 2}).status_code == 400
        assert http.post("/api/feedback", json={**said, "job": "x"}).status_code == 404
        assert http.post("/api/feedback", json={**said, "verdict": "perhaps"}).status_code == 422
        assert http.post("/api/feedback", json={**said, "comment": "o" * 2001}).status_code == 422
    client.feedback(job, "discard", comment="zu viele Läufe\n— in the bass")
    with pytest.raises(FugatoError, match="no piece 2"):
        client.feedback(job, "keep", variation=2)
    line, other = (writing.home / "feedback.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(other)["comment"] == "zu viele Läufe\n— in the bass" and json.loads(other)["verdict"] == "discard"
    kept = json.loads(line)
    assert (
        kept["comment"] == "like a bell" and kept["options"]["random_seed"] == 3 and kept["options"]["style"] == "Bach"
    )


def test_old_jobs_are_forgotten(writing: Served, client: Client) -> None:
    jobs = [client.wait(client.compose("Bach", bars=1, random_seed=n)) for n in range(5)]
    with pytest.raises(FugatoError, match="forgotten"):
        client.job(jobs[0])
    assert client.job(jobs[-1]).status == "done"
    assert not (writing.folder / "jobs" / jobs[0].job).exists()


def test_without_a_model_it_is_said_and_all_else_answered(tmp_path: Path) -> None:
    with (
        serving(tmp_path, compose_model="nowhere", workers=1, writers=1) as running,
        httpx.Client(base_url=running.address, timeout=60) as http,
    ):
        said = http.post("/api/compose", data={"style": "Chopin"})
        assert said.status_code == 404 and said.json()["kind"] == "no-model"
        assert http.get("/api/compose/stream").json()["kind"] == "no-model"
        assert http.get("/api/composers").json()["styles"] == []
        assert http.post("/api/identify", files=sent(CHORALE)).json()[0]["name"] == "Bach"


def test_a_job_has_its_time(tmp_path: Path) -> None:
    with serving(tmp_path, job_seconds=2.0, workers=1, writers=1) as running, Client(running.address) as client:
        with pytest.raises(FugatoError) as caught:
            client.wait(client.compose(**LONG))
        assert caught.value.kind == "timeout"
        assert client.wait(client.compose(bars=1, random_seed=0)).status == "done"


def test_two_readers_of_one_job_hear_the_same(client: Client) -> None:
    job = client.compose("Bach", bars=6, random_seed=8)
    heard: list[list[int]] = [[], []]

    def listen(into: list[int]) -> None:
        into += [bar.bar for bar in client.bars(job)]

    threads = [threading.Thread(target=listen, args=(into,)) for into in heard]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert heard[0] == heard[1] == [1, 2, 3, 4, 5, 6]
