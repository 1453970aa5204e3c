"""What one client does wrong costs that client alone."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.e2e.anbox.clients import Client, Crowd, Gateway

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]

DISCOVER = '{"type": "discover"}'
SETTINGS = '{"type": "settings", "api_version": 2}'


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watcher(browser: Browser, gateway: Gateway, pattern: str) -> AsyncIterator[Client]:
    """Plays all the while, by a share, which takes over from nobody."""
    crowd = Crowd(browser, gateway)
    client = await crowd.client()
    await client.watch(await gateway.link(pattern))
    yield client
    await crowd.leave()


@pytest_asyncio.fixture(loop_scope="session")
async def socket(gateway: Gateway, pattern: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """The signaling socket of a client that joined and may misbehave."""
    _, answer = await gateway.api("POST", f"/1.0/sessions/{pattern}/join", {})
    async with gateway.http.ws_connect(answer["metadata"]["url"]) as ws:
        yield ws


async def heard(ws: aiohttp.ClientWebSocketResponse, kind: str) -> Any:
    """The next message of this type; another `error` fails the test."""
    while True:
        message = await ws.receive_json(timeout=10)
        if message["type"] == kind:
            return message
        assert message["type"] != "error", message


OFFER = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "[]",
        '{"type": 5}',
        '{"type": "settings", "api_version": 9}',
        '{"type": "settings", "enable_video": "yes"}',
        '{"type": "answer"}',
        '{"type": "answer", "sdp": "***"}',
        json.dumps({"type": "answer", "sdp": encoded("nonsense")}),
        json.dumps({"type": "answer", "sdp": encoded(OFFER)}),
        json.dumps({"type": "offer", "sdp": encoded(OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n")}),
        json.dumps({"type": "candidate", "candidate": encoded("candidate:x"), "sdpMid": "0"}),
        json.dumps({"type": "candidate", "candidate": "%%%", "sdpMid": "0"}),
    ],
)
async def test_a_malformed_message_is_an_error_to_its_sender_alone(
    watcher: Client, socket: aiohttp.ClientWebSocketResponse, text: str
) -> None:
    await socket.send_str(DISCOVER)
    await heard(socket, "resp:discover")
    await socket.send_str(SETTINGS)
    await heard(socket, "offer")
    await socket.send_str(text)
    assert (await heard_error(socket))["message"]
    await socket.send_str(DISCOVER)
    await heard(socket, "resp:discover")
    await watcher.more_frames(5)


async def heard_error(ws: aiohttp.ClientWebSocketResponse) -> Any:
    while (message := await ws.receive_json(timeout=10))["type"] != "error":
        pass
    return message


async def test_an_unknown_message_is_ignored(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_str('{"type": "some::thing", "of": "tomorrow"}')
    await socket.send_str(DISCOVER)
    assert (await socket.receive_json(timeout=10))["type"] == "resp:discover"


async def test_a_client_ignores_what_it_does_not_know(crowd: Crowd, pattern: str) -> None:
    client = await crowd.play(pattern)
    assert [name for name, _ in await client.log() if name.startswith("fanlight")] == []


async def test_an_oversized_message_is_an_error_and_the_end_of_its_socket(
    watcher: Client, socket: aiohttp.ClientWebSocketResponse
) -> None:
    await socket.send_str(json.dumps({"type": "answer", "sdp": "A" * 100_000}))
    assert "bytes" in (await heard_error(socket))["message"]
    assert (await socket.receive(timeout=10)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    await watcher.more_frames(5)


async def test_a_flood_of_candidates_is_refused(
    watcher: Client, socket: aiohttp.ClientWebSocketResponse
) -> None:
    await socket.send_str(DISCOVER)
    await socket.send_str(SETTINGS)
    await heard(socket, "offer")
    line = "candidate:1 1 udp 1 192.0.2.77 %d typ host"
    for port in range(1024, 1124):
        await socket.send_json({"type": "candidate", "candidate": encoded(line % port), "sdpMid": "0"})
    assert "candidate" in (await heard_error(socket))["message"]
    await watcher.more_frames(5)


@pytest.mark.parametrize("token", ["", "nonsense", "e30.e30"])
async def test_a_socket_without_its_ticket_is_401(gateway: Gateway, pattern: str, token: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await gateway.http.ws_connect(f"{gateway.url}/1.0/sessions/{pattern}/sockets/slave?token={token}")
    assert refusal.value.status == 401


async def test_a_ticket_opens_only_its_own_session(gateway: Gateway, pattern: str, desktop: str) -> None:
    _, answer = await gateway.api("POST", f"/1.0/sessions/{pattern}/join", {})
    url = answer["metadata"]["url"].replace(pattern, desktop)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await gateway.http.ws_connect(url)
    assert refusal.value.status == 401
