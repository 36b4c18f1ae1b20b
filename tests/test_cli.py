"""The command line: what a shell sees. Its task rooms are replaced here by ones that answer at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fugato.answer import Answer, Guess, ModelName
from fugato.cli.app import COMMANDS, app
from fugato.cli.output import JsonLines, json_line
from fugato.errors import FugatoError

RUNNER = CliRunner()


def answer_to(path: str, **changes: Any) -> dict[str, Any]:
    ranking = (Guess("Chopin", 0.9), Guess("Field", 0.1))
    answer = Answer(
        path,
        "0" * 64,
        "composer",
        ranking,
        True,
        ModelName("composer", "1.0.0"),
        {"notes": 9, "bars": 2, "seconds": 3.0},
    )
    return {**answer.to_dict(), **changes}


def identify_many(paths: list[str], **options: Any) -> Iterator[dict[str, Any]]:
    for path in paths:
        if "bad" in Path(path).name:
            yield FugatoError("corrupt", "It is damaged.", path).to_dict()
        elif "unknown" in Path(path).name:
            yield answer_to(path, known=False)
        else:
            yield answer_to(path, options={k: v for k, v in options.items() if v})


@pytest.fixture(autouse=True)
def rooms(monkeypatch: pytest.MonkeyPatch, fugato_home: Path) -> types.ModuleType:
    room = types.ModuleType("fugato.composer")
    room.identify_many = identify_many  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fugato.composer", room)
    monkeypatch.setattr("fugato.models.load_model", lambda name: None)
    return room


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mid", "a/x.MID", "a/bad.krn", "a/deep/down/unknown.abc", "a/readme.txt", "c.musicxml"):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "music"


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def names(answers: list[dict[str, Any]], folder: Path) -> list[str]:
    return [Path(a["input"]).relative_to(folder).as_posix() for a in answers]


@pytest.mark.parametrize(("command", "example"), COMMANDS, ids=[c.__name__ for c, _ in COMMANDS])
def test_every_command_explains_itself_with_an_example(command: Any, example: str) -> None:
    result = RUNNER.invoke(app, [command.__name__, "--help"], env={"COLUMNS": "160"})
    assert result.exit_code == 0
    assert f"Example: {example}" in result.stdout
    words = example.split()
    assert words[:2] == ["fugato", command.__name__]
    for option in (w for w in words if w.startswith("--")):
        assert option in result.stdout


def test_a_folder_gives_one_line_a_file_in_order_and_status_1_for_the_bad_one(folder: Path) -> None:
    result = RUNNER.invoke(app, ["identify", str(folder)])
    answers = lines_of(result.stdout)
    assert names(answers, folder) == ["a/bad.krn", "a/deep/down/unknown.abc", "a/x.MID", "b.mid", "c.musicxml"]
    assert answers[0]["error"]["kind"] == "corrupt" and answers[2]["name"] == "Chopin"
    assert result.exit_code == 1 and "1 of 5 could not be answered" in result.stderr


def test_all_answered_is_status_0_and_options_arrive(folder: Path) -> None:
    result = RUNNER.invoke(
        app, ["identify", str(folder / "b.mid"), "--candidates", "Haydn, Mozart", "--top", "3", "--explain"]
    )
    (answer,) = lines_of(result.stdout)
    assert result.exit_code == 0
    assert answer["options"] == {"model": "composer", "candidates": ["Haydn", "Mozart"], "top": 3, "explain": True}


def test_a_file_named_on_its_own_is_tried_whatever_its_suffix_and_only_once(folder: Path) -> None:
    readme = str(folder / "a/readme.txt")
    result = RUNNER.invoke(app, ["identify", readme, str(folder / "b.mid"), readme])
    assert names(lines_of(result.stdout), folder) == ["a/readme.txt", "b.mid"]


def test_out_holds_one_line_for_each_input(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    result = RUNNER.invoke(app, ["identify", str(folder), "--out", str(out)])
    assert result.exit_code == 1 and result.stdout == ""
    assert len(lines_of(out.read_text())) == 5 and "4 answered, 1 not" in result.stderr


@pytest.mark.parametrize("held", [b'{"input": "precious", "name": "Bach"}\n', b"chapter one\n"])
def test_answers_that_are_there_are_never_lost_unasked(held: bytes, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_bytes(held)
    command = ["identify", str(folder), "--out", str(out)]
    refused = RUNNER.invoke(app, command)
    assert refused.exit_code == 2 and "--resume" in refused.stderr and "--overwrite" in refused.stderr
    assert out.read_bytes() == held and refused.stdout == ""
    assert RUNNER.invoke(app, [*command, "--overwrite", "--resume"]).exit_code == 2 and out.read_bytes() == held
    replaced = RUNNER.invoke(app, [*command, "--overwrite"])
    assert replaced.exit_code == 1 and len(lines_of(out.read_text())) == 5 and b"precious" not in out.read_bytes()
    out.write_bytes(b"")
    assert RUNNER.invoke(app, command).exit_code == 1, "an empty file is nobody's"


def test_what_is_to_be_overwritten_stays_until_there_is_an_answer(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text('{"input": "precious"}\n')
    with pytest.raises(RuntimeError), JsonLines(out, overwrite=True):
        raise RuntimeError("before the first answer")
    assert out.read_text() == '{"input": "precious"}\n'
    with JsonLines(out, overwrite=True) as lines:
        lines.write({"input": "new"})
        lines.write({"input": "newer"})
    assert [a["input"] for a in lines_of(out.read_text())] == ["new", "newer"]


def test_resume_goes_on_where_a_line_was_torn(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    RUNNER.invoke(app, ["identify", str(folder), "--out", str(out)])
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    for torn in (b"", lines[2][:1], lines[2][:-1]):
        out.write_bytes(b"".join(lines[:2]) + torn)
        result = RUNNER.invoke(app, ["identify", str(folder), "--out", str(out), "--resume"])
        assert out.read_bytes() == whole
        assert "2 of 5 are answered already" in result.stderr and result.exit_code == 1, (
            "the earlier failure still counts"
        )
    result = RUNNER.invoke(app, ["identify", str(folder), "--out", str(out), "--resume"])
    assert out.read_bytes() == whole and "5 of 5" in result.stderr


def test_resume_leaves_a_file_of_something_else_alone(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "thesis.txt"
    out.write_text("chapter one\n")
    result = RUNNER.invoke(app, ["identify", str(folder), "--out", str(out), "--resume"])
    assert result.exit_code == 2 and "Line 1 is no answer" in result.stderr and out.read_text() == "chapter one\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no advisory locks")
def test_a_second_writer_is_refused_and_spoils_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with JsonLines(out) as first:
        first.write(answer_to("a.mid"))
        result = RUNNER.invoke(app, ["identify", str(folder), "--out", str(out)])
        assert result.exit_code == 2 and "Another process" in result.stderr
        first.write(answer_to("b.mid"))
    assert [a["input"] for a in lines_of(out.read_text())] == ["a.mid", "b.mid"]


def test_wrong_use_is_status_2_with_one_clear_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_model(name: str) -> None:
        raise FugatoError("no-model", "There is no model of that name.", name)

    empty = tmp_path / "empty"
    empty.mkdir()
    cases = [
        (["identify", str(empty)], "There is no music in it"),
        (["identify", str(folder), "--plot", "x.png"], "--plot draws one piece"),
        (["identify", str(folder), "--resume"], "--out"),
        (["identify", str(folder), "--overwrite"], "--out"),
        (["identify", str(folder), "--out", str(tmp_path / "nowhere" / "out.jsonl")], "cannot be written"),
        (["identify", str(folder), "--out", str(tmp_path)], "cannot be written"),
        (["identify", str(folder), "--top", "0"], "--top"),
        (["identify"], "Missing argument"),
        (["transmogrify"], "No such command"),
        (["train", "weather", str(folder)], "weather"),
        (["train", "composer", str(folder)], "--out"),
        (["train", "composer", str(folder), "--name", "composer"], "shipped"),
    ]
    for arguments, words in cases:
        result = RUNNER.invoke(app, arguments)
        assert (result.exit_code, words in result.stderr) == (2, True), (arguments, result.stderr)
        assert "Traceback" not in result.stderr and result.stdout == ""
    out = tmp_path / "out.jsonl"
    out.write_text('{"input": "precious"}\n')
    monkeypatch.setattr("fugato.models.load_model", no_model)
    result = RUNNER.invoke(app, ["identify", str(folder), "--model", "nobody", "--out", str(out)])
    assert result.exit_code == 2 and "nobody: There is no model" in result.stderr
    assert "precious" in out.read_text(), "a wrong model costs no earlier answers"


def test_a_fault_of_its_own_is_one_sentence(folder: Path, rooms: types.ModuleType) -> None:
    def broken(paths: list[str], **options: Any) -> Iterator[dict[str, Any]]:
        raise ZeroDivisionError("oh")

    rooms.identify_many = broken
    result = RUNNER.invoke(app, ["identify", str(folder)])
    assert result.exit_code == 1 and "ZeroDivisionError: oh" in result.stderr and "Traceback" not in result.stderr
    result = RUNNER.invoke(app, ["--debug", "identify", str(folder)])
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_terminal_sees_a_row_for_each_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fugato.cli.answering.is_table", lambda as_json: not as_json)
    (folder / "[red]\x1b[31m.mid").write_bytes(b"x")
    result = RUNNER.invoke(app, ["identify", str(folder)])
    rows = result.stdout.splitlines()
    assert len(rows) == 6 and "\x1b[31m.mid" not in result.stdout and "[red]" in result.stdout
    assert "not answered: It is damaged." in result.stdout and "none of these; nearest Chopin" in result.stdout
    assert "90 %  Chopin  Field 10 %" in result.stdout


def test_a_terminal_sees_more_of_a_single_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rooms: types.ModuleType
) -> None:
    monkeypatch.setattr("fugato.cli.answering.is_table", lambda as_json: not as_json)
    evidence = {
        "bars": [
            {"bar": 5, "for": "Chopin", "weight": 0.05},
            {"bar": 12, "for": "Chopin", "weight": 0.1},
            {"bar": 3, "for": "Field", "weight": 0.1},
        ],
        "patterns": [{"text": "bass falls a fifth", "weight": 0.1}],
    }
    rooms.identify_many = lambda paths, **o: iter(
        [answer_to(paths[0], evidence=evidence, warnings=["A track was cut."])]
    )
    result = RUNNER.invoke(app, ["identify", str(folder / "b.mid")])
    for words in (
        "Chopin",
        "90 %",
        "model composer 1.0.0",
        "bars that spoke most for Chopin: 12, 5\n",
        "bars that spoke most for Field: 3\n",
        "what spoke for Chopin: ",
        "bass falls a fifth",
        "A track was cut.",
    ):
        assert words in result.stdout


def test_a_name_that_is_no_unicode_is_still_a_line() -> None:
    name = os.fsdecode(b"caf\xe9.mid")
    assert json.loads(json_line({"input": name}))["input"] == name
    assert json_line({"input": "café"}) == '{"input": "café"}\n'.encode()


def test_the_demonstration_tells_right_from_wrong_and_draws(
    tmp_path: Path, rooms: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fugato.cli.demo import PIECES, corpus_files

    by = {str(path): composer for path, _, composer in corpus_files()}
    assert len(by) == len(PIECES), "every piece of the demonstration comes with this music21"

    def right_but_one(paths: list[str], **options: Any) -> Iterator[dict[str, Any]]:
        for path in paths:
            name = "Field" if by[path] == "Joplin" else by[path]
            known = by[path] != "Monteverdi"
            yield answer_to(path, name=name if known else "Chopin", known=known)

    rooms.identify_many = right_but_one
    answer = Answer("x", None, "composer", (Guess("Chopin", 0.9),), True, ModelName("composer", "1.0.0"))
    rooms.identify = lambda path, **options: answer
    model = types.SimpleNamespace(labels=[c for c in by.values() if c != "Monteverdi"])
    monkeypatch.setattr("fugato.models.load_model", lambda name: model)
    out = tmp_path / "demo.png"
    result = RUNNER.invoke(app, ["demo", "--plot", str(out)], env={"COLUMNS": "160"})
    assert result.exit_code == 0 and out.stat().st_size > 1000
    assert f"{len(PIECES) - 1} of {len(PIECES)} right" in result.stderr
    assert "none of these; nearest Chopin" in result.stdout and "joplin/maple_leaf_rag" in result.stdout
    assert len(lines_of(RUNNER.invoke(app, ["demo", "--json", "--plot", str(out)]).stdout)) == len(PIECES)


def test_rows_are_aligned_also_in_scripts_of_wide_letters() -> None:
    from rich.cells import cell_len

    from fugato.cli.show import _fit

    for name in ("short.mid", "テスト" * 20 + ".mid", "x" * 99):
        assert cell_len(_fit(name, 20)) == 20


def test_the_card_of_a_model_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fugato.models import folder as folders
    from fugato.models import local_folder, save_model
    from fugato.models.card import Card

    monkeypatch.setattr("fugato.models.load_model", folders.load_model)
    figure = {"name": "accuracy", "value": 0.8, "interval": [0.7, 0.9], "protocol": "grouped 5-fold", "n": 19}
    card = Card(
        "mine",
        "1.0.0",
        "composer",
        "ngram-linear",
        {"Bach": 12},
        {"name": "ngrams"},
        figures=(figure,),
        limits=("Not for jazz.",),
    )
    save_model(local_folder("mine"), card, {"vocabulary": ["a"]})
    (shown,) = lines_of(RUNNER.invoke(app, ["models", "mine"]).stdout)
    assert shown["labels"] == {"Bach": 12} and shown["figures"] == [figure]
    assert "mine" in [line["name"] for line in lines_of(RUNNER.invoke(app, ["models"]).stdout)]
    monkeypatch.setattr("fugato.cli.models.is_table", lambda as_json: not as_json)
    text = RUNNER.invoke(app, ["models", "mine"], env={"COLUMNS": "160"}).stdout
    for words in ("ngram-linear", "0.800 [0.700, 0.900]", "grouped 5-fold", "Bach", "Not for jazz."):
        assert words in text
    assert "ngram-linear" in RUNNER.invoke(app, ["models"], env={"COLUMNS": "160"}).stdout


# -- in a process of its own ---------------------------------------------------------------------------------------

FAKE = """
import sys, time, types
room = types.ModuleType("fugato.composer")
def identify_many(paths, **options):
    for path in paths:
        time.sleep(%s)
        yield {"input": path, "name": "Chopin", "known": True}
room.identify_many = identify_many
sys.modules["fugato.composer"] = room
import fugato.models
fugato.models.load_model = lambda name: None
from fugato.cli import main
main()
"""


def run(*arguments: str, code: str = "from fugato.cli import main; main()") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)


def test_help_is_quick() -> None:
    spent = []
    for _ in range(3):
        before = os.times()
        assert run("--help").returncode == 0
        after = os.times()  # processor time: other work on the machine is not this command's
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(spent) < 1.0  # 0.3 s on an idle machine


def test_version_and_wrong_use_in_a_shell() -> None:
    import fugato

    assert run("--version").stdout == f"fugato {fugato.__version__}\n"
    wrong = run("identify", "x.mid", "--nonsense")
    assert wrong.returncode == 2 and "No such option" in wrong.stderr and wrong.stdout == ""


def test_debug_may_stand_anywhere(tmp_path: Path) -> None:
    for arguments in (["--debug", "models", str(tmp_path)], ["models", str(tmp_path), "--debug"]):
        result = run(*arguments)
        assert result.returncode == 2 and "Traceback" in result.stderr and "no model folder" in result.stderr
    assert "Traceback" not in run("models", str(tmp_path)).stderr


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_an_interruption_is_status_130_and_leaves_whole_lines(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-c", FAKE % 0.3, "identify", str(folder), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (out.exists() and out.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
    assert out.read_bytes().endswith(b"\n") and 1 <= len(lines_of(out.read_text())) < 5


@pytest.mark.skipif(os.name == "nt", reason="pipes are POSIX")
def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    command = [sys.executable, "-c", FAKE % 0.2, "identify", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    assert "Chopin" in process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(timeout=30) == 0


def test_what_is_sure_is_said_where_the_composer_is_not() -> None:
    from fugato.cli.show import level_up

    answer = {
        "period": {"name": "Classical", "probability": 0.92},
        "repertoire": {"name": "strings", "probability": 0.81},
    }
    assert level_up(answer) == "not sure who, but Classical (92 %), for strings (81 %)"
    assert (
        level_up({**answer, "repertoire": {"name": "song", "probability": 0.3}}) == "not sure who, but Classical (92 %)"
    )
    assert level_up({"period": {"name": "Modern", "probability": 0.4}, "repertoire": None}) == ""
