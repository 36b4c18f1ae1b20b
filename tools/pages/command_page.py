"""The commands as a page: every command of the Typer app with its usage, its options and its example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from fugato.cli.app import COMMANDS, app

GROUPS = {  # heading -> its commands; one that is nowhere comes under the last
    "Ask": ("identify", "compare", "neighbours", "map", "embed", "genre"),
    "Write": ("compose",),
    "Look at a collection": ("audit", "explore", "featurise"),
    "Train and judge": ("train", "tune", "report", "benchmark"),
    "Models, server and examples": ("models", "serve", "demo"),
}
HEAD = """# Commands

Made from the commands themselves when this page is built: it says what `fugato COMMAND --help` says. Answers go to stdout, a table on
a terminal and JSON Lines in a pipe; messages go to stderr. [The contract](../contract.md#the-command-line) has the exit statuses.
`fugato --version` prints the version; `--debug`, anywhere, shows a traceback where something goes wrong.
"""


def commands() -> str:
    """The whole page, in Markdown."""
    found = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    placed = {name for names in GROUPS.values() for name in names}
    groups = {heading: list(names) for heading, names in GROUPS.items()}
    groups[list(groups)[-1]] += [name for name in found if name not in placed]
    examples = {command.__name__: example for command, example in COMMANDS}
    lines = [HEAD]
    for heading, names in groups.items():
        lines += [f"## {heading}", "", "| command | what it does |", "|---|---|"]
        lines += [f"| [`fugato {name}`](#fugato-{name}) | {_text(found[name].help)} |" for name in names] + [""]
        for name in names:
            lines += list(_command(name, found[name], examples[name]))
    return "\n".join(lines)


def _command(name: str, command: Any, example: str) -> Iterator[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    yield from (f"### `fugato {name}` {{ #fugato-{name} }}", "", _text(command.help), "")
    usage = " ".join([f"fugato {name}", "[OPTIONS]", *(_place(p) for p in arguments)])
    yield from ("```text", usage, "```", "", "```sh", example, "```", "")
    yield from ("| argument or option | takes | what for |", "|---|---|---|")
    for parameter in arguments:
        yield f"| `{_place(parameter)}` | | {_text(parameter.help)} |"
    for parameter in options:
        names = ", ".join(f"`{n}`" for n in (*parameter.opts, *parameter.secondary_opts))
        takes = "" if parameter.is_flag else f"`{parameter.metavar or parameter.name.upper()}`"
        yield f"| {names} | {takes} | {_text(parameter.help)}{_default(parameter)} |"
    yield ""


def _place(parameter: Any) -> str:
    """An argument as it stands in a command line, in brackets where it may be left out."""
    name = (parameter.metavar or parameter.name.upper()).strip("[]")
    return name if parameter.required else f"[{name}]"


def _default(parameter: Any) -> str:
    default = parameter.default
    if default is None or isinstance(default, bool) or callable(default) or default in ((), [], ""):
        return ""
    return f" Default: `{default}`."


def _text(help: str | None) -> str:
    """Help on one line, safe inside a table."""
    words = " ".join((help or "").split("\n"))
    return words.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").strip()
