"""Contracts with the privates of aiortc 1.16: these fail when it moves."""

import asyncio
from typing import Any

import aiortc.rtcdtlstransport
import pytest
from aiortc.rtcdtlstransport import RTCDtlsTransport
from cryptography.hazmat.primitives.hashes import SHA256
from OpenSSL import SSL

from appliance.streamer import aiortc_adapter, aiortc_dtls
from appliance.streamer.aiortc_economy import _SharedCertificate
from appliance.streamer.broadcast import Broadcast
from tests.support.loopback import Loopback

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def installed() -> None:
    aiortc_adapter.install()


def unused() -> None:
    raise NotImplementedError


def prepared() -> tuple[Loopback, asyncio.Queue[Any], Any]:
    """A loopback that is not connected yet, what its viewer says on its channel, and that channel."""
    loopback = Loopback(Broadcast(unused))
    heard: asyncio.Queue[Any] = asyncio.Queue()
    channel = loopback.theirs.createDataChannel("control")
    channel.on("open", lambda: channel.send("hello"))
    loopback.ours._pc.on("datachannel", lambda opened: opened.on("message", heard.put_nowait))
    return loopback, heard, channel


def dtls_of(loopback: Loopback) -> Any:
    return loopback.ours._pc.sctp.transport  # type: ignore[union-attr]


async def test_messages_are_taken_in_where_they_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    loopback, heard, channel = prepared()
    async with asyncio.timeout(10), loopback:
        assert await heard.get() == "hello"
        dtls = dtls_of(loopback)
        queued: list[object] = []
        connection = dtls.transport._connection
        monkeypatch.setattr(connection._queue, "put_nowait", queued.append)
        known = dtls._RTCDtlsTransport__rx_packets
        channel.send("more")
        assert await heard.get() == "more"
        assert not queued
        assert dtls._RTCDtlsTransport__rx_packets > known


async def test_what_is_no_message_harms_nobody() -> None:
    loopback, heard, channel = prepared()
    async with asyncio.timeout(10), loopback:
        assert await heard.get() == "hello"
        connection = dtls_of(loopback).transport._connection
        connection.data_received(bytes([23]) + bytes(40), 1)
        channel.send("more")
        assert await heard.get() == "more"


@pytest.mark.parametrize("error", [ConnectionError, RuntimeError])
async def test_a_failure_ends_the_connection_as_it_does_in_aiortc(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(data: bytes) -> None:
        raise error

    loopback, heard, channel = prepared()
    async with asyncio.timeout(10), loopback:
        assert await heard.get() == "hello"
        dtls = dtls_of(loopback)
        monkeypatch.setattr(dtls._data_receiver, "_handle_data", failing)
        channel.send("more")
        while await loopback.states.get() != "closed":
            continue
        assert dtls.state == "closed"


async def test_who_says_farewell_ends_the_connection_and_takes_nothing_more() -> None:
    loopback, heard, _ = prepared()
    async with asyncio.timeout(10), loopback:
        assert await heard.get() == "hello"
        connection = dtls_of(loopback).transport._connection
        await loopback.theirs.close()
        while await loopback.states.get() != "closed":
            continue
        assert connection.on_messages is None


async def test_a_handshake_needs_no_task_for_each_packet() -> None:
    async def answer() -> asyncio.Task[Any] | None:
        return asyncio.current_task()

    waiting = vars(aiortc.rtcdtlstransport)["asyncio"].wait_for
    assert await waiting(answer(), timeout=1) is asyncio.current_task()
    with pytest.raises(TimeoutError):
        await waiting(asyncio.Event().wait(), timeout=0)


def test_fingerprints_are_written_as_aiortc_writes_them() -> None:
    certificate = _SharedCertificate.generateCertificate()
    found = aiortc_dtls._digest(certificate._cert, "sha-256")
    assert len(found) == 3 * 32 - 1
    assert found == ":".join(f"{each:02X}" for each in certificate._cert.fingerprint(SHA256()))


def test_what_is_changed_is_in_use() -> None:
    assert "certificate_digest" in RTCDtlsTransport._validate_peer_identity.__code__.co_names
    assert {"asyncio", "wait_for", "TimeoutError"} <= set(RTCDtlsTransport._recv_next.__code__.co_names)
    assert {"asyncio", "ensure_future"} <= set(RTCDtlsTransport.start.__code__.co_names)
    assert "_RTCDtlsTransport__run" in RTCDtlsTransport.start.__code__.co_names
    assert {"_recv_next", "_set_state"} <= set(aiortc_dtls._RUN.__code__.co_names)
    assert SSL.WantReadError.__mro__[1] is SSL.Error
