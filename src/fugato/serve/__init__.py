"""The server: one process on this machine that answers over HTTP what the command line answers, and shows the page.

`create_app` makes the ASGI application, `run` serves it until it is stopped, `Client` asks it. All of it needs the extra ``serve``
(``pip install fugato[serve]``) and is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fugato.serve.api import create_app
    from fugato.serve.client import Client
    from fugato.serve.server import run
    from fugato.serve.settings import Settings

__all__ = ["Client", "Settings", "create_app", "run"]

_WHERE: Final[dict[str, str]] = {"Client": "client", "Settings": "settings", "create_app": "api", "run": "server"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
