"""`/openapi.json` is whole and sound; every test that calls a gateway holds its answers against it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema_rs
import pytest
from aiohttp import web

from appliance.gateway import app as gateway_app
from appliance.gateway import service
from tests.support.gateway import Street, street

pytestmark = pytest.mark.integration


@pytest.fixture
async def built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[tuple[Street, web.Application]]:
    """A gateway, and the application that serves in it."""
    applications = []

    def build(*args: object) -> web.Application:
        applications.append(gateway_app.build(*args))  # type: ignore[arg-type]
        return applications[-1]

    monkeypatch.setattr(service, "build", build)
    async with street(tmp_path) as here:
        yield here, applications[0]


async def test_every_route_is_described(built: tuple[Street, web.Application]) -> None:
    here, app = built
    routes = [
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource and route.method != "HEAD" and not getattr(route.handler, "signed", False)
    ]
    assert len(routes) > 60
    for method, path in routes:
        concrete = path.replace("{id}", "some").replace("{name}", "name")
        assert here.described.operation(method, concrete), f"{method} {path}"


async def test_nothing_is_described_that_is_not_served(built: tuple[Street, web.Application]) -> None:
    here, app = built
    served = {
        (route.method.lower(), route.resource.canonical) for route in app.router.routes() if route.resource
    }
    for path, calls in here.described.document["paths"].items():
        for method in calls:
            assert (method, path) in served


async def test_every_call_says_what_it_does_and_answers(built: tuple[Street, web.Application]) -> None:
    here, _ = built
    ids = []
    for path, calls in here.described.document["paths"].items():
        for call in calls.values():
            ids.append(call["operationId"])
            assert call["summary"], path
            assert any(status < "400" for status in call["responses"]) or "/sockets/" in path, path
            named = [each["name"] for each in call["parameters"] if each["in"] == "path"]
            assert all("{" + name + "}" in path for name in named)
            assert path.count("{") == len(named)
    assert len(ids) == len(set(ids))
    made = here.described.document["paths"]["/1.0/sessions"]["post"]
    assert made["requestBody"]["required"]


async def test_all_schemas_are_sound_and_all_references_lead_somewhere(
    built: tuple[Street, web.Application],
) -> None:
    here, _ = built
    document = here.described.document
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)
        jsonschema_rs.validator_for({**schema, "components": document["components"]})
    text = json.dumps(document)
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text
