"""`/openapi.json`: the routes that serve, described by the models that they read and answer with."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from appliance import __version__
from appliance.gateway.app import API, DEVICE_COOKIE, GUEST_COOKIE, PAGE, WHEP
from appliance.gateway.envelope import Failure, enveloped
from appliance.gateway.operations import Answer, Operation, operation_of

Json = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"
_ANY_CALL = (400, 403, 429, 500, 503)
_UNDESCRIBED = ("HEAD", "*")
_SCHEMES: Json = {
    "macaroon": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "macaroon root=…"},
    "api_token": {"type": "apiKey", "in": "query", "name": "api_token"},
    "device": {"type": "apiKey", "in": "cookie", "name": DEVICE_COOKIE},
    "guest": {"type": "apiKey", "in": "cookie", "name": GUEST_COOKIE},
    "bearer": {"type": "http", "scheme": "bearer"},
    "ticket": {"type": "apiKey", "in": "query", "name": "token"},
}
_WAYS = {PAGE: ("device", "guest"), WHEP: ("bearer",)}
_API_WAYS = ("macaroon", "api_token")
"""How who calls may be known, by how a path begins, and elsewhere."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an API introduces itself, and what it puts around its answers."""

    title: str
    description: str
    enveloped: Callable[[Json, Literal["sync", "list", "async"], int], Json]
    failure: type[BaseModel]


GATEWAY = Dialect(
    "Fanlight gateway",
    f"Paths below {API} may end in a slash, and `session` stands for `sessions`"
    " where more of the path follows.",
    enveloped,
    Failure,
)


@dataclass(frozen=True, slots=True)
class _Call:
    """A route in the one spelling that is described."""

    path: str
    method: str
    handler: Callable[..., Any]
    operation: Operation

    @property
    def parameters(self) -> list[str]:
        """Of the path; aiohttp and OpenAPI spell them alike."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def security(self) -> list[Json]:
        """Any one of these; an empty one where it may be left out."""
        if getattr(self.handler, "ticketed", False):
            return [{"ticket": []}]
        ways = next((ways for prefix, ways in _WAYS.items() if self.path.startswith(prefix)), _API_WAYS)
        keyed: list[Json] = [{way: []} for way in ways]
        if not getattr(self.handler, "public", False):
            return keyed
        return [{}, *keyed] if self.operation.more_for_known else []


def describe(routes: Iterable[web.AbstractRoute], dialect: Dialect = GATEWAY) -> Json:
    """The OpenAPI 3.1 document of `routes`; several spellings of a path are described as one."""
    calls = list(_calls(routes))
    schemas = _Schemas(calls, dialect)
    paths: dict[str, Json] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method] = _described(call, calls, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": dialect.title,
            "version": __version__,
            "description": dialect.description,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _SCHEMES},
    }


def canonical(path: str) -> str:
    """The spelling of `path` under which it is described."""
    plain = path.removeprefix(f"/internal{API}").replace(f"{API}/session/", f"{API}/sessions/")
    return plain.rstrip("/") or "/"


def _calls(routes: Iterable[web.AbstractRoute]) -> Iterator[_Call]:
    """All but the signed ones, which AWS describes."""
    seen = set()
    for route in routes:
        if route.resource is None or route.method in _UNDESCRIBED or getattr(route.handler, "signed", False):
            continue
        path, method = canonical(route.resource.canonical), route.method.lower()
        if (path, method) not in seen:
            seen.add((path, method))
            yield _Call(path, method, route.handler, operation_of(route.handler))


def _described(call: _Call, calls: list[_Call], schemas: "_Schemas") -> Json:
    operation = call.operation
    found: Json = {
        "operationId": call.handler.__name__,
        "summary": (call.handler.__doc__ or "").strip().partition("\n")[0],
        "security": call.security,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in call.parameters
        ],
        "responses": {str(status): schemas.failure(status) for status in _errors(call)},
    }
    if operation.query:
        found["parameters"] += schemas.query(operation.query)
    if operation.body:
        content = {"application/json": {"schema": schemas.of(operation.body)}}
        found["requestBody"] = {"content": content, "required": bool(_required(operation.body))}
    if operation.text:
        content = {operation.text: {"schema": {"type": "string"}}}
        found["requestBody"] = {"content": content, "required": True}
    for status, answer in operation.answers.items():
        found["responses"][str(status)] = schemas.success(status, answer) | _links(answer, calls)
    return found


def _errors(call: _Call) -> list[int]:
    known = call.operation.errors | set(_ANY_CALL)
    if call.security and {} not in call.security:
        known.add(401)
    if call.operation.body:
        known |= {408, 413}
    return sorted(known)


def _required(model: type[BaseModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if field.is_required()]


def _links(answer: Answer, calls: list[_Call]) -> Json:
    """What may be called next with the id that is in the answer."""
    below = [call for call in calls if answer.names and call.path.startswith(answer.names)]
    links = {
        call.handler.__name__: {
            "operationId": call.handler.__name__,
            "parameters": {"path.id": "$response.body#/metadata/id"},
        }
        for call in below
        if not getattr(call.handler, "ticketed", False)
    }
    return {"links": links} if links else {}


class _Schemas:
    """The JSON Schemas of all models, by what the routes name."""

    def __init__(self, calls: list[_Call], dialect: Dialect) -> None:
        self._dialect = dialect
        bodies = {call.operation.body for call in calls if call.operation.body}
        contents = [answer.content for call in calls for answer in call.operation.answers.values()]
        wanted: list[tuple[Any, Any, TypeAdapter[Any]]] = [
            (repr(body), "validation", TypeAdapter(body)) for body in bodies
        ]
        wanted += [(repr(each), "serialization", TypeAdapter(each)) for each in [dialect.failure, *contents]]
        found, shared = TypeAdapter.json_schemas(wanted, ref_template=_REFERENCE)
        self._found = {key[0]: schema for key, schema in found.items()}
        self.components: Json = shared.get("$defs", {})

    def of(self, what: Any) -> Json:
        """The schema of a body, or of what is answered."""
        return self._found[repr(what)]

    def query(self, model: type[BaseModel]) -> list[Json]:
        """The parameters of a query; None is one that is not there."""
        schema = model.model_json_schema(ref_template=_REFERENCE)
        self.components |= schema.get("$defs", {})
        found = []
        for name, each in schema["properties"].items():
            present = [option for option in each.get("anyOf", []) if option != {"type": "null"}]
            text = each.pop("description", "")
            each.pop("default", None)
            found.append(
                {
                    "name": name,
                    "in": "query",
                    "required": name in schema.get("required", []),
                    "schema": present[0] if present else each,
                }
                | ({"description": text} if text else {})
            )
        return found

    def success(self, status: int, answer: Answer) -> Json:
        """An answer with its body, where it has one."""
        response: Json = {"description": HTTPStatus(status).phrase}
        if answer.envelope != "none":
            schema = self._dialect.enveloped(self.of(answer.content), answer.envelope, status)
            response["content"] = {"application/json": {"schema": schema}}
        elif answer.content:
            response["content"] = {answer.media: {"schema": self.of(answer.content)}}
        return response

    def failure(self, status: int) -> Json:
        """An error."""
        content = {"application/json": {"schema": self.of(self._dialect.failure)}}
        return {"description": HTTPStatus(status).phrase, "content": content}
