"""Requests made up from the OpenAPI document: none brings the server to an error of its own, and what it answers is what it promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")
schemathesis = pytest.importorskip("schemathesis", reason="comes with the extra dev")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from .api_server import Served, serving  # noqa: E402

ROUTES = [
    ("POST", "/api/identify"), ("POST", "/api/genre"), ("POST", "/api/compare"), ("POST", "/api/map"),
    ("POST", "/api/notes"), ("POST", "/api/convert"), ("POST", "/api/sound"), ("POST", "/api/compose"),
    ("GET", "/api/compose/stream"), ("GET", "/api/compose/{job}"), ("DELETE", "/api/compose/{job}"), ("GET", "/api/compose/{job}/{file}"),
    ("POST", "/api/feedback"), ("GET", "/api/models"), ("GET", "/api/models/{name}"), ("GET", "/api/models/{name}/figures"),
    ("GET", "/api/composers"), ("GET", "/api/examples"), ("GET", "/api/examples/{name}"), ("GET", "/api/soundfont"),
    ("GET", "/health"),
]  # fmt: skip
EXAMPLES = 12  # requests a route
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that cannot compose, so that no request keeps it busy for minutes."""
    environment = {"FUGATO_SOUNDFONT": "built-in"}
    home = tmp_path_factory.mktemp("described")
    with serving(home, environment, workers=1, writers=1, compose_model="nowhere") as running:
        yield running


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda value: str(value))
def test_no_request_is_too_strange(described: Served, method: str, path: str) -> None:
    schema = schemathesis.openapi.from_url(described.address + "/openapi.json")
    operation = schema[path][method]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy())
    def ask(case: schemathesis.Case) -> None:
        response = case.call(base_url=described.address, timeout=60)
        case.validate_response(response, checks=CHECKS)

    ask()


def test_every_route_is_asked(described: Served) -> None:
    schema = schemathesis.openapi.from_url(described.address + "/openapi.json")
    found = {(o.ok().method.upper(), o.ok().path) for o in schema.get_all_operations()}
    assert found == set(ROUTES)
