"""Contracts with the privates of aiortc 1.16: these fail when it moves."""

import asyncio
from typing import Any

import pytest
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import (
    Chunk,
    CookieAckChunk,
    CookieEchoChunk,
    DataChunk,
    InitAckChunk,
    InitChunk,
    RTCSctpTransport,
    SackChunk,
    parse_packet,
    serialize_packet,
)

from appliance.streamer import aiortc_adapter, aiortc_sctp
from appliance.streamer.broadcast import Broadcast
from tests.support.loopback import Loopback

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def installed() -> None:
    aiortc_adapter.install()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, list[type[Chunk]]]]:
    """Of every packet whether the DTLS server sent it, and what was in it."""
    packets = []
    send = aiortc_sctp._SEND_CHUNK

    async def recorded(self: RTCSctpTransport, chunk: Chunk) -> None:
        packets.append((self.is_server, [type(each) for each in parsed(chunk)]))
        await send(self, chunk)

    monkeypatch.setattr(aiortc_sctp, "_SEND_CHUNK", recorded)
    return packets


def parsed(chunk: Chunk) -> list[Chunk]:
    return parse_packet(serialize_packet(5000, 5000, 1, chunk))[3]


def unused() -> None:
    raise NotImplementedError


def prepared() -> tuple[Loopback, asyncio.Queue[Any]]:
    """A loopback that is not connected yet, and what its viewer hears on a channel, `open` first."""
    loopback = Loopback(Broadcast(unused))
    heard: asyncio.Queue[Any] = asyncio.Queue()
    channel = loopback.theirs.createDataChannel("control")
    channel.on("open", lambda: heard.put_nowait("open"))
    channel.on("message", heard.put_nowait)
    loopback.ours._pc.on("datachannel", lambda opened: opened.send("hello"))
    return loopback, heard


async def test_the_dtls_client_alone_begins_and_answers_share_a_packet(
    sent: list[tuple[bool, list[type[Chunk]]]],
) -> None:
    loopback, heard = prepared()
    async with asyncio.timeout(10), loopback:
        assert [await heard.get(), await heard.get()] == ["open", "hello"]
    ours = [types for server, types in sent if server]
    assert ours[:3] == [[InitAckChunk], [CookieAckChunk], [SackChunk, DataChunk, DataChunk]]
    assert [types for server, types in sent if not server][:2] == [[InitChunk], [CookieEchoChunk]]


async def test_who_waits_for_us_is_begun_with(
    sent: list[tuple[bool, list[type[Chunk]]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait() -> None:
        """As aiortc before 1.16 does where ICE controls it."""

    monkeypatch.setattr(aiortc_sctp, "_BEGIN_SECONDS", 0.01)
    loopback, heard = prepared()
    vars(loopback.theirs.sctp)["_init"] = wait
    async with asyncio.timeout(10), loopback:
        assert [await heard.get(), await heard.get()] == ["open", "hello"]
        sctp: Any = loopback.ours._pc.sctp
        assert sctp._rto >= 1, "what is lost later on is waited for as usual"
    assert sent[0] == (True, [InitChunk])


def test_what_does_not_fit_has_a_packet_of_its_own() -> None:
    large, small, sack = DataChunk(), DataChunk(), SackChunk()
    large.user_data, small.user_data = bytes(1200), b"x"
    packets = [*aiortc_sctp._packets([small, large, small, small, sack])]
    found = [[type(each) for each in parsed(aiortc_sctp._Together(body=packet))] for packet in packets]
    assert found == [[SackChunk, DataChunk], [DataChunk], [DataChunk, DataChunk]]
    assert not [*aiortc_sctp._packets([])]


async def test_the_last_of_what_waits_is_acknowledged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks: list[Chunk] = []
    send = aiortc_sctp._SEND_CHUNK

    async def recorded(self: RTCSctpTransport, chunk: Chunk) -> None:
        if self.is_server:
            chunks.extend(parsed(chunk))
        await send(self, chunk)

    loopback, heard = prepared()
    async with asyncio.timeout(10), loopback:
        assert [await heard.get(), await heard.get()] == ["open", "hello"]
        monkeypatch.setattr(aiortc_sctp, "_SEND_CHUNK", recorded)
        sctp: Any = loopback.ours._pc.sctp
        [*sctp._data_channels.values()][-1].send("x" * 5000)
        await heard.get()
    data = [each.flags for each in chunks if isinstance(each, DataChunk)]
    assert [flags & aiortc_sctp._AT_ONCE for flags in data] == [0, 0, 0, 0, aiortc_sctp._AT_ONCE]
    assert "_outbound_queue" in RTCSctpTransport._transmit.__code__.co_names


async def test_what_is_malformed_leaves_nothing_behind() -> None:
    loopback, heard = prepared()
    async with asyncio.timeout(10), loopback:
        assert await heard.get() == "open"
        sctp: Any = loopback.ours._pc.sctp
        await sctp._handle_data(b"no packet")
        assert "_kept" not in vars(sctp)


def test_what_is_changed_is_in_use() -> None:
    assert "_init" in RTCSctpTransport.start.__code__.co_names
    assert "_rto" in RTCSctpTransport._t1_start.__code__.co_names
    assert {"_send_chunk", "_t1_start"} <= set(aiortc_sctp._INIT.__code__.co_names)
    assert "_send_sack" in aiortc_sctp._HANDLE_DATA.__code__.co_names
    assert "_handle_data" in RTCDtlsTransport._recv_next.__code__.co_names
