"""Strangers who send half a request, or nonsense: nobody waits for them, and nothing of ours fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway import Street, street, until

pytestmark = pytest.mark.integration

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: box\r\n"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
)
PATHS = ("/fanlight/pair", "/createSignalingChannel")
"""Bodies are read before anybody says who they are."""


@contextlib.asynccontextmanager
async def stranger(here: Street) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.gateway.port)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def post(path: str, body: bytes, *, more: int = 0, header: str = "Accept: */*") -> bytes:
    """`more` bytes are promised that do not come."""
    head = f"POST {path} HTTP/1.1\r\nHost: box\r\n{header}\r\nContent-Length: {len(body) + more}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    "sent", [b"", HEALTH, HEALTH + b"\r\n" + HEALTH], ids=["nothing", "half", "one and a half"]
)
async def test_who_does_not_finish_a_request_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("appliance.gateway.service.IDLE_SECONDS", 1.0)
    async with street(tmp_path) as here, stranger(here) as (reader, writer):
        writer.write(sent)
        said = await reader.read()
    assert said.count(b"HTTP/1.1 200 OK") == sent.count(b"\r\n\r\n")


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_does_not_come_is_not_waited_for(
    here: Street, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("appliance.gateway.operations._BODY_SECONDS", 0.3)
    async with stranger(here) as (reader, writer):
        writer.write(post(path, b"{", more=9))
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_is_not_what_its_headers_say_is_a_bad_request(
    here: Street, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    async with stranger(here) as (reader, writer):
        writer.write(post(path, b"hello", header="Content-Encoding: gzip"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("body", "more", "status"), [(b"x", 9, b"408"), (bytes(100_000), 0, b"413")], ids=["half", "huge"]
)
async def test_a_socket_takes_no_body(
    here: Street, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    body: bytes, more: int, status: bytes,
) -> None:  # fmt: skip
    if more:
        monkeypatch.setattr("appliance.gateway.operations._BODY_SECONDS", 0.3)
    async with stranger(here) as (reader, writer):
        writer.write(post("/signal/master", body, more=more, header=UPGRADE).replace(b"POST", b"GET", 1))
        assert (await reader.readline()).split()[1] == status
    assert "Traceback" not in caplog.text


async def test_who_leaves_in_the_middle_of_a_body_is_no_fault_of_ours(
    here: Street, caplog: pytest.LogCaptureFixture
) -> None:
    for path in PATHS:
        async with stranger(here) as (_, writer):
            writer.write(post(path, b"{", more=9))
            await writer.drain()

    async def noticed() -> bool:
        async with here.http.get(f"{here.base}/metrics") as answer:
            text = await answer.text()
        return all(f'handler="{each}",method="POST",status="400"' in text for each in ("pair", "answer"))

    await until(noticed)
    assert "Traceback" not in caplog.text
