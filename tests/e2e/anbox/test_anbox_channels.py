"""Data channels that a client of the dialect names end beside the instance."""

import asyncio
import contextlib

import pytest

from tests.e2e.anbox.clients import Crowd, Gateway

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="session")]


async def _connected(gateway: Gateway, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """As an application of the instance, once the channel is there."""
    for each in await asyncio.to_thread(lambda: list(gateway.box.directory.rglob(f"webrtc_data_{name}"))):
        with contextlib.suppress(ConnectionRefusedError):
            return await asyncio.open_unix_connection(each)
    return None


async def test_what_is_said_on_a_named_channel_reaches_an_application_and_back(
    crowd: Crowd, gateway: Gateway, pattern: str
) -> None:
    client = await crowd.play(pattern, dataChannels=["weather", "other"])
    await client.until("Object.values(r.channels).every((state) => state === 'open')")
    await client.page.evaluate("stream.channels.weather.send('rain')")
    reader, writer = await gateway.eventually(lambda: _connected(gateway, "weather"))
    assert await reader.readexactly(4) == b"rain"
    await client.page.evaluate("stream.channels.weather.send(new Uint8Array([1, 2, 255]))")
    assert await reader.readexactly(3) == b"\x01\x02\xff"
    writer.write(b"sun")
    await client.until("s.received.weather === 'sun' && s.received.other === ''")
    writer.close()
    await writer.wait_closed()
