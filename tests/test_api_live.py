"""The live route: who might have composed what is being played, after each message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")
pytest.importorskip("websockets", reason="the server needs the extra serve")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import fugato
from fugato.errors import FugatoError
from fugato.serve import Client

from .api_server import Served, example_file, serving, wait_for

MAZURKA = example_file("chopin-mazurka06-2")


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("hearing"), workers=1, writers=1, listeners=2) as running:
        yield running


def joined(served: Served, **options: Any) -> ClientConnection:
    return connect(served.address.replace("http", "ws") + "/api/live", proxy=None, **options)


def told(socket: ClientConnection, **message: Any) -> dict[str, Any]:
    socket.send(json.dumps(message))
    answer: dict[str, Any] = json.loads(socket.recv(60))
    return answer


@pytest.fixture(scope="module")
def played() -> list[list[float]]:
    notes = fugato.read(MAZURKA).notes
    return [
        [int(n["pitch"]), float(n["onset_seconds"]), float(n["onset_seconds"] + n["duration_seconds"]), 64]
        for n in notes
    ]


def test_the_answer_is_that_of_a_listener(hearing: Served, played: list[list[float]]) -> None:
    listener = fugato.Listener()
    with joined(hearing) as socket:
        assert told(socket, notes=played[:5])["ranking"] == []
        for start in range(5, 200, 40):
            answer = told(socket, notes=played[start : start + 40])
        for pitch, onset, offset, _ in played[:205]:
            listener.note(int(pitch), onset, offset - onset)
        assert answer["notes"] == len(listener) == 205
        assert answer["ranking"][:3] == [guess.to_dict() for guess in listener.ranking[:3]]
        assert answer["known"] == listener.known and answer["elapsed"] > 0
        whole = told(socket, notes=[], explain=True)["answer"]
        assert whole["name"] == listener.answer().name and whole["evidence"]["bars"]


def test_the_client_listens_too(hearing: Served, played: list[list[float]]) -> None:
    with Client(hearing.address) as client, client.live() as live:
        notes = [(int(pitch), onset, offset, int(velocity)) for pitch, onset, offset, velocity in played[:120]]
        live.play(notes[:60])
        heard = live.play(notes[60:], explain=True)
        assert heard.notes == 120 and heard.ranking[0].probability >= heard.ranking[1].probability
        assert heard.answer is not None and heard.answer.name == heard.ranking[0].name
        with pytest.raises(FugatoError, match="notes"):
            live.play([(300, 0.0, 1.0, 64)])
        assert live.play([(60, 0.0, None, 64)], reset=True).notes == 1, "the connection goes on"
        with (
            client.live(),
            client.live() as third,
            pytest.raises(FugatoError) as caught,
        ):  # a server that listens to two
            third.play()
        assert caught.value.kind == "busy"
    with pytest.raises(FugatoError, match="No server answers"):
        Client("http://127.0.0.1:9").live()


def test_a_new_piece_begins(hearing: Served, played: list[list[float]]) -> None:
    with joined(hearing) as socket:
        told(socket, notes=played[:60])
        again = told(socket, reset=True, notes=played[:10])
        assert again["notes"] == 10 and again["work"] is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"notes": [[1]]}', '{"notes": [[200, 0, 1, 64]]}', '{"notes": [[60, NaN, 1, 64]]}',
     '{"notes": [[60, 0, 1, 64], [60, 1e300, 1e301, 64]]}',
     '{"model": "../x"}', '{"model": "nowhere"}'],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_the_connection_goes_on(
    hearing: Served, played: list[list[float]], text: str
) -> None:
    with joined(hearing) as socket:
        told(socket, notes=played[:20])
        socket.send(text)
        assert json.loads(socket.recv(60))["error"]["message"]
        assert told(socket, notes=played[20:40])["notes"] == 40


def test_notes_that_still_sound(hearing: Served) -> None:
    with joined(hearing) as socket:
        notes = [[60 + 2 * (i % 5), i * 0.5, None, 80] for i in range(20)]
        assert told(socket, notes=notes)["ranking"]


def test_a_worker_that_died_is_told_again(hearing: Served, played: list[list[float]]) -> None:
    import os
    import signal

    others = hearing.children()
    with joined(hearing) as socket:
        before = told(socket, notes=played[:100])
        for pid in hearing.children():
            os.kill(pid, signal.SIGKILL)
        assert wait_for(lambda: not hearing.children() & others)
        socket.send(json.dumps({"notes": []}))
        answer = json.loads(socket.recv(60))
        if "error" in answer:  # it was found dead in the middle of this very message
            answer = told(socket, notes=[])
        assert answer["notes"] == 100 and answer["ranking"] == before["ranking"]


def test_pages_of_others_may_not_listen_and_places_are_few(hearing: Served) -> None:
    with pytest.raises(InvalidStatus):
        joined(hearing, origin="http://evil.example")
    with joined(hearing) as one, joined(hearing) as two:
        assert told(one, notes=[])["notes"] == told(two, notes=[])["notes"] == 0
        with joined(hearing) as three, pytest.raises(ConnectionClosed):
            three.recv(20)
    with joined(hearing) as socket:
        assert wait_for(lambda: told(socket, notes=[])["notes"] == 0)
