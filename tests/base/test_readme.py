"""What the documents tell people to type exists: commands, options, make targets, Python names."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import fugato

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MADE = {
    "models.md",
    "reference/commands.md",
    "reference/python.md",
    "reference/rooms.md",
    "reference/changes.md",
}  # by tools/pages
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEREDOC = re.compile(r"<<'?(\w+)'?\n.*?^\1\n", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    found = []
    for path in DOCUMENTS:
        for kind, text in FENCE.findall(path.read_text(encoding="utf-8")):
            if kind == language:
                found.append((path.name, text))
    return found


def shell_commands() -> list[tuple[str, list[str]]]:
    whole = [(name, HEREDOC.sub("", text).replace("\\\n", " ")) for name, text in blocks("sh")]
    lines = [(name, line) for name, text in whole for line in text.splitlines()]
    return [(name, words) for name, line in lines if (words := shlex.split(line, comments=True))]


@cache
def help_of(command: str) -> str:
    code = "from fugato.cli import main; main()"
    arguments = [sys.executable, "-c", code, command, "--help"]
    result = subprocess.run(arguments, capture_output=True, text=True, env={**os.environ, "COLUMNS": "160"})
    return result.stdout if result.returncode == 0 else ""


def test_fugato_commands_in_the_documents_exist_with_their_options() -> None:
    commands = [(name, words) for name, words in shell_commands() if words[0] == "fugato"]
    assert len(commands) >= 5
    for name, words in commands:
        text = help_of(words[1])
        assert text, f"{name}: there is no command {' '.join(words[:2])}"
        for option in (w for w in words if w.startswith("--")):
            assert option in text, f"{name}: fugato {words[1]} has no {option}"


def test_make_targets_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [(name, words[1]) for name, words in shell_commands() if words[0] == "make"]
    assert {"demo", "test"} <= {target for _, target in named}
    for name, target in named:
        assert target in targets, f"{name}: the Makefile has no target {target}"


def test_python_in_the_documents_uses_names_that_exist() -> None:
    snippets = blocks("python")
    assert snippets
    for name, text in snippets:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fugato":
                assert node.attr in fugato.__all__, f"{name}: fugato has no {node.attr}"


def test_json_in_the_documents_is_json() -> None:
    for _, text in blocks("json"):
        assert isinstance(json.loads(text), dict)


def test_the_contract_lists_every_kind_of_error() -> None:
    from fugato.errors import KINDS

    text = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    for kind, meaning in KINDS.items():
        assert f"| `{kind}` | {meaning} |" in text


def test_the_contract_shows_the_fields_of_an_answer_in_their_order() -> None:
    from fugato.answer import Answer, Guess, ModelName

    (_, shown), *_ = blocks("json")
    answer = Answer("x", None, "composer", (Guess("Chopin", 1.0),), True, ModelName("composer", "1"))
    assert list(json.loads(shown)) == list(answer.to_dict())


def test_the_contract_lists_every_field_of_a_card() -> None:
    from fugato.models import Card

    text = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    for field in Card.__dataclass_fields__:
        assert f"`{field}`" in text


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script and "\nmake test\n" in script


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")) and not (path.parent / target).exists():
            made = Path(os.path.relpath(path.parent / target, ROOT / "docs")).as_posix()
            assert made in MADE, f"{path.name} links to {target}"


def test_every_page_is_in_the_table_of_contents() -> None:
    docs = ROOT / "docs"
    pages = {page.relative_to(docs).as_posix() for page in docs.rglob("*.md")}
    tutorials = {f"tutorials/{notebook.stem}.md" for notebook in docs.glob("tutorials/*.ipynb")}
    assert len(tutorials) == 3
    assert pages | tutorials | MADE == set(
        re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    )
