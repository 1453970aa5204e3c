"""What a box calls once: `fanlight enroll URL CODE`."""

from collections.abc import Callable

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from appliance.bus.nkey import is_public
from appliance.errors import InvalidInputError, UnauthorizedError
from appliance.gateway.app import public
from appliance.gateway.context import Context
from appliance.gateway.envelope import plain
from appliance.gateway.operations import answers, fails, takes


class Enroll(BaseModel):
    """The secret part of a code, and the box that brings it; `key`: the public half of its NATS key."""

    code: str = Field(max_length=64)
    id: str = Field(pattern=r"^[a-z0-9]{8,64}$")
    name: str = Field(min_length=1, max_length=63)
    key: str = Field(max_length=64)


class Enrolled(BaseModel):
    """What the box is called here, and how it reaches the bus; `ca`: PEM, empty for one known everywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    bus: str
    ca: str


class EnrollRoutes:
    """The handler of enrolments."""

    def __init__(self, context: Context, ca_pem: Callable[[], str | None]) -> None:
        self._context = context
        self._ca_pem = ca_pem

    def routes(self) -> list[web.RouteDef]:
        """The one there is."""
        return [web.post("/fanlight/enroll", self.enroll)]

    @public
    @takes(Enroll)
    @answers(200, Enrolled, "none")
    @fails(401, 409)
    async def enroll(self, request: web.Request, wish: Enroll) -> web.Response:
        """Spend a code and let the box onto the bus, to what concerns it."""
        if not is_public(wish.key):
            raise InvalidInputError("key: not the public key of a NATS user")
        enrolments = self._context.enrolments
        bus = enrolments.door.url(request.url.host or "")
        try:
            box = await enrolments.enrol(wish.code, wish.id, wish.name, wish.key)
        except UnauthorizedError:
            self._context.metrics.refused.labels("code").inc()
            raise
        return plain(Enrolled(name=box.name, bus=bus, ca=await enrolments.door.ca(self._ca_pem())))
