"""A box that enrols by itself: it waits for its gateway, and gives up only where that says no."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from appliance.agent import enrolment, newcomer
from appliance.agent.enrolment import Enrolment
from appliance.config import GatewaySection
from appliance.errors import ConfigError
from tests.support.gateway import until

pytestmark = pytest.mark.integration

GRANTED = {"name": "attic", "bus": "tls://127.0.0.1:4222", "ca": ""}


class Door:
    """A gateway that gives these answers, one after another."""

    def __init__(self, *answers: tuple[int, dict[str, str]]) -> None:
        self._answers = list(answers)

    async def enroll(self, _: web.Request) -> web.Response:
        """The next answer."""
        status, body = self._answers.pop(0)
        return web.json_response(body, status=status)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomer, "_LATER_SECONDS", (0.01, 0.02))


async def join(
    state: Path, *answers: tuple[int, dict[str, str]], code: str = "secret."
) -> tuple[Enrolment | None, GatewaySection]:
    app = web.Application()
    app.router.add_post("/fanlight/enroll", Door(*answers).enroll)
    async with TestServer(app) as server:
        section = GatewaySection(mode="remote", url=str(server.make_url("/")), token=code)
        found = await newcomer.join(section, state, box="b0b0b0b0", name="attic", stop=asyncio.Event())
    return found, section


async def test_a_gateway_that_cannot_yet_is_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made, section = await join(
        tmp_path, (503, {"error": "the bus is away"}), (429, {"error": "too many"}), (200, GRANTED)
    )
    assert made
    assert (made.name, made.gateway) == ("attic", section.url)
    assert enrolment.load(tmp_path, section) == made
    assert "the bus is away; trying again" in caplog.text


@pytest.mark.parametrize(
    ("code", "answer", "why"),
    [
        ("secret.", (401, "the code was used already"), "the code was used already"),
        ("secret.", (409, "box 'attic' is enrolled already"), "is enrolled already"),
        ("half a code", (200, ""), "not a whole one"),
    ],
)
async def test_a_gateway_that_says_no_is_not_asked_again(
    tmp_path: Path, code: str, answer: tuple[int, str], why: str
) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        await join(tmp_path, (answer[0], {"error": answer[1]}), code=code)
    assert str(refused.value).startswith("gateway.token: not enrolled at http://127.0.0.1:")
    assert code not in str(refused.value)


async def test_it_stops_where_nobody_answers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    section = GatewaySection(mode="remote", url="http://127.0.0.1:9/", token="secret.")
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        joining = group.create_task(newcomer.join(section, tmp_path, box="b0b0b0b0", name="attic", stop=stop))
        await until(lambda: "no gateway answers there" in caplog.text)
        stop.set()
    assert joining.result() is None
    assert enrolment.load(tmp_path, section) is None
