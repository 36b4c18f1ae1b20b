"""The shape of the house, read from its source: who may import whom, and what may not be in a room at all."""

from __future__ import annotations

import ast
import importlib
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import fugato

SOURCE = Path(fugato.__file__).parent
ROOMS = [  # a room imports only from rooms above it
    ("errors",),
    ("score", "recording", "answer"),
    ("read",),
    ("write",),
    ("represent",),
    ("metrics",),
    ("corpus",),
    ("models",),
    ("composer", "genre", "compose"),
    ("recipes",),
    ("train",),
    ("study",),
    ("scale",),
    ("serve",),
    ("cli",),
]
RANK = {room: rank for rank, rooms in enumerate(ROOMS) for room in rooms}
TASK_ROOMS = {"composer", "genre", "compose"}
HEAVY = {"torch", "lightning", "pytorch_lightning"}  # for training alone
TRAINING_ROOMS = {"train", "recipes"}
UNSAFE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
MAX_LINES = 600

FILES = sorted(SOURCE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def room_of(path: Path) -> str:
    """The room a file lies in; "" for fugato/__init__.py and fugato/__main__.py, which open the front door."""
    first = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return "" if first in {"__init__", "__main__"} else first


def imports_of(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Absolute dotted names that a file imports, wherever in it the import stands."""
    package = ["fugato", *path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module, node
            if module == "fugato" or node.module is None:  # from . import x, from fugato import x
                for alias in node.names:
                    yield f"{module}.{alias.name}", node


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_in_a_known_room(path: Path) -> None:
    assert room_of(path) in {"", *RANK}, f"{name_of(path)} is in no room of the house; add it to ROOMS in its place"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_from_rooms_above_it(path: Path) -> None:
    room = room_of(path)
    if not room:
        return
    for module, node in imports_of(path):
        parts = module.split(".")
        if parts[0] != "fugato" or len(parts) < 2 or parts[1] not in RANK or parts[1] == room:
            continue
        other = parts[1]
        if {room, other} <= TASK_ROOMS:
            assert len(parts) == 2, (
                f"{name_of(path)}:{node.lineno} uses the insides of {other}; import from fugato.{other}"
            )
        elif RANK[other] == RANK[room]:
            assert room in {"score", "recording", "answer"}, (
                f"{name_of(path)}:{node.lineno} imports {other}, which is no room above"
            )
        else:
            assert RANK[other] < RANK[room], f"{name_of(path)}:{node.lineno} imports {other}, which is below {room}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_training_rooms_import_torch(path: Path) -> None:
    if room_of(path) in TRAINING_ROOMS:
        return
    for module, node in imports_of(path):
        assert module.split(".")[0] not in HEAVY, f"{name_of(path)}:{node.lineno} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_unpickles(path: Path) -> None:
    for module, node in imports_of(path):
        assert module.split(".")[0] not in UNSAFE, f"{name_of(path)}:{node.lineno} imports {module}"
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False, (
                f"{name_of(path)}:{node.value.lineno}"
            )


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_library_code_prints_or_evaluates(path: Path) -> None:
    forbidden = {"eval", "exec", "breakpoint"} if room_of(path) == "cli" else {"print", "eval", "exec", "breakpoint"}
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in forbidden, f"{name_of(path)}:{node.lineno} calls {node.func.id}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_short_enough_to_read(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{name_of(path)} has {lines} lines, more than {MAX_LINES}: split it by concept"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_opens_with_what_it_does(path: Path) -> None:
    assert ast.get_docstring(TREES[path]), f"{name_of(path)} has no docstring"


PACKAGES = [p for p in FILES if p.name == "__init__.py" and room_of(p) not in {"", *TRAINING_ROOMS}]


@pytest.mark.parametrize("path", PACKAGES, ids=name_of)
def test_public_names_exist_and_are_described(path: Path) -> None:
    module = importlib.import_module(".".join(["fugato", *path.relative_to(SOURCE).parts[:-1]]))
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names))
    for name in names:
        assert hasattr(module, name), f"{module.__name__}.__all__ names {name}, which is not there"
        value = getattr(module, name)
        if isinstance(value, type | types.FunctionType):
            assert value.__doc__ and not value.__doc__.startswith(f"{name}("), (
                f"{module.__name__}.{name} has no docstring"
            )


def test_public_names_of_the_front_door_are_found() -> None:
    from fugato import _WHERE

    assert set(fugato.__all__) == {"__version__", *_WHERE}
    assert set(fugato.__all__) <= set(dir(fugato))
    for name, module in _WHERE.items():
        path = SOURCE.joinpath(*module.split(".")[1:])
        assert path.with_suffix(".py").exists() or (path / "__init__.py").exists(), f"{name} is said to be in {module}"
