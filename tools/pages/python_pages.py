"""The Python reference: the public names, and those of each room, for mkdocstrings to fill from their docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module

import fugato

PUBLIC = """# Python

`import fugato` takes next to no time and loads nothing heavy: each name below is loaded when it is first used. Refusals are one exception,
`FugatoError`, with a `kind`; [the contract](../contract.md#errors) lists them. What lies beneath these names is on the next page,
[room by room](rooms.md).
"""
ROOMS = """# Python, room by room

Beneath the [public names](python.md). Data flows one way: file, `read`, Score, `represent`, array, `models`, numbers, a task room, Answer.
A name that a package exports in its `__all__`, or that stands here, is public; all else may change.
"""
EXPORTED = {  # room -> its heading; what it shows is its `__all__`, less what the first page has
    "fugato.read": "Reading",
    "fugato.represent": "Music as arrays",
    "fugato.corpus": "Collections",
    "fugato.models": "Models",
    "fugato.composer": "Composers",
    "fugato.genre": "Genres",
    "fugato.compose": "New music",
}
NAMED = {  # heading -> names of modules without an `__all__`, and of those that need an extra to be imported
    "Answers and recordings": ("fugato.answer.Guess", "fugato.answer.Segment", "fugato.recording.Recording"),
    "Studies": (
        "fugato.study.featurise.featurise",
        "fugato.study.explore.explore",
        "fugato.study.explore_sound.explore_sound",
        "fugato.study.predict.report_model",
        "fugato.study.report.Predictions",
        "fugato.study.report.report",
        "fugato.study.benchmark.benchmark",
        "fugato.study.benchmark_genre.benchmark_genre",
        "fugato.study.benchmark_compose.benchmark_compose",
        "fugato.train.tune.tune",
    ),
    "The server's client": ("fugato.serve.client.Client",),
}
WHOLE = {"Metrics": "fugato.metrics", "Metrics of music": "fugato.study.music_metrics"}  # modules of pure functions


def public() -> str:
    """The page of the names that `import fugato` gives."""
    names = [name for name in fugato.__all__ if callable(getattr(fugato, name))]
    return "\n".join([PUBLIC, *(line for name in names for line in _entry(_path(fugato, name), f"fugato.{name}"))])


def rooms() -> str:
    """The page of what the rooms have beyond."""
    shown = {_path(fugato, name) for name in fugato.__all__}
    lines = [ROOMS]
    for room, heading in EXPORTED.items():
        module = import_module(room)
        found = [(name, _path(module, name)) for name in module.__all__ if callable(getattr(module, name))]
        entries = [(path, f"{room}.{name}") for name, path in found if path not in shown]
        lines += [f"## {heading}", "", f"`{room}`: {_first(module)}", ""]
        lines += [line for path, told in entries for line in _entry(path, told, level=3)]
    for heading, paths in NAMED.items():
        lines += [f"## {heading}", ""]
        lines += [line for path in paths for line in _entry(path, path, level=3)]
    for heading, path in WHOLE.items():
        lines += [f"## {heading}", "", f"::: {path}", "    options:", "      show_root_heading: false"]
        lines += ["      show_root_toc_entry: false", "      heading_level: 3", ""]
    return "\n".join(lines)


def _entry(path: str, heading: str, *, level: int = 2) -> Iterator[str]:
    yield from (
        f"::: {path}",
        "    options:",
        f"      heading: {heading}",
        f"      toc_label: {heading.split('.')[-1]}",
    )
    yield from (f"      heading_level: {level}", "")


def _path(module: object, name: str) -> str:
    """Where a name is defined, as mkdocstrings, which imports nothing, has to be told."""
    thing = getattr(module, name)
    return f"{thing.__module__}.{thing.__qualname__}" if hasattr(thing, "__qualname__") else name


def _first(module: object) -> str:
    return (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")
