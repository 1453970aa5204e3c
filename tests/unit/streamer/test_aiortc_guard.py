"""Contracts with the privates of aiortc's DTLS transport, and what it lets through."""

import asyncio
import struct
import threading
from collections.abc import AsyncIterator
from typing import Any

import pylibsrtp
import pytest
from aiortc import RTCDtlsTransport, RTCPeerConnection
from aiortc.rtcsctptransport import SCTP_DATA_FIRST_FRAG, DataChunk
from aiortc.rtp import RtcpRtpfbPacket, RtpPacket

from appliance.streamer.aiortc_adapter import hook_feedback, new_connection
from appliance.streamer.aiortc_guard import BoundedSession, guard
from appliance.streamer.broadcast import Broadcast
from tests.support.hostile import BYE, PSFB, RTPFB, feedback, pli, report, rtcp
from tests.support.inlet import Plain, arrive, unprotected
from tests.support.loopback import Loopback

pytestmark = pytest.mark.unit


@pytest.fixture
def bounded() -> BoundedSession:
    return BoundedSession(Plain())  # type: ignore[arg-type]


def unused() -> Any:
    raise NotImplementedError


@pytest.fixture
async def loopback() -> AsyncIterator[Loopback]:
    async with Loopback(Broadcast(unused)) as loopback:
        yield loopback


def ours(loopback: Loopback) -> Any:
    return loopback.sender.transport


def piece(number: int, stream: int = 0) -> DataChunk:
    """Of a message that never ends."""
    return DataChunk(SCTP_DATA_FIRST_FRAG, struct.pack("!LHHL", number, stream, 0, 51) + b"x")


async def test_messages_that_never_end_are_not_kept() -> None:
    connection = RTCPeerConnection()
    connection.createDataChannel("chat")
    guard(connection)
    sctp: Any = connection.sctp
    sctp._last_received_tsn = 0
    for number in range(1, 3000):
        await sctp._receive_data_chunk(piece(number))
    for number in range(10_000, 13_000):  # with a gap before them
        await sctp._receive_data_chunk(piece(number, stream=1))
    for number in range(20_000, 20_400):
        await sctp._receive_data_chunk(piece(number, stream=number % 400))
    kept = [len(each.reassembly) for each in sctp._inbound_streams.values()]
    assert max(kept) <= 1024
    assert len(kept) <= 256
    assert len(sctp._sack_misordered) <= 1024
    await connection.close()


def test_media_is_dropped_before_it_is_decrypted(bounded: BoundedSession) -> None:
    with pytest.raises(pylibsrtp.Error, match="not taken"):
        bounded.unprotect(bytes(100))


def voice(source: int, size: int = 100) -> bytes:
    """An RTP packet of `size` bytes."""
    return struct.pack("!BBHLL", 0x80, 111, 7, 960, source).ljust(size, b"x")


def test_media_that_is_taken_has_a_budget_and_some_sources() -> None:
    taking = BoundedSession(Plain(), takes_media=True)  # type: ignore[arg-type]
    for number in range(16):
        assert taking.unprotect(voice(number)) == voice(number)
    with pytest.raises(pylibsrtp.Error, match="sources"):
        taking.unprotect(voice(16))
    with pytest.raises(pylibsrtp.Error, match="bytes of media"):
        taking.unprotect(voice(0, 1 << 19))


@pytest.fixture
async def clear() -> AsyncIterator[RTCPeerConnection]:
    """A connection whose transport agrees on no keys."""
    connection = new_connection([])
    connection.addTransceiver("audio")
    unprotected(connection.getTransceivers()[0].receiver.transport)
    yield connection
    await connection.close()


def inlet(connection: RTCPeerConnection) -> Any:
    return connection.getTransceivers()[0].receiver.transport


def test_media_goes_to_who_takes_it_and_not_to_aiortc(clear: RTCPeerConnection) -> None:
    heard: list[RtpPacket] = []
    guard(clear, heard.append)
    arrive(inlet(clear), voice(7), b"\x80", voice(7)[:11])
    assert [(each.ssrc, each.payload_type, each.timestamp) for each in heard] == [(7, 111, 960)]
    assert inlet(clear).transport._connection._queue.empty()


def test_nothing_is_taken_before_there_are_keys(clear: RTCPeerConnection) -> None:
    heard: list[RtpPacket] = []
    guard(clear, heard.append)
    ice = inlet(clear).transport._connection
    ice.data_received(voice(7), 1)
    assert ice._queue.empty()
    assert not heard
    ice.data_received(b"\x16 of DTLS", 1)
    assert ice._queue.get_nowait() == (b"\x16 of DTLS", 1)


def test_all_of_a_compound_is_heard(clear: RTCPeerConnection) -> None:
    told, lost = [], []
    sender: Any = clear.getTransceivers()[0].sender
    inlet(clear)._rtp_router.register_sender(sender, ssrc=sender._ssrc)
    hook_feedback(sender, print, lambda many: bool(lost.append(many)), told.append, print, print)
    guard(clear)
    message = feedback(RTPFB, 15, sender._ssrc, b"bodies")
    padded = b"\xaf" + message[1:]
    nack = bytes(RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=sender._ssrc, lost=[4]))
    arrive(
        inlet(clear), message, message + nack + padded, nack + message[:-4], feedback(RTPFB, 15, 7, b"odd!")
    )
    assert told == [b"bodies\0\0"] * 3
    assert lost == [[4]]


async def test_no_thread_waits_for_the_media_that_aiortc_is_not_given() -> None:
    async with Loopback(Broadcast(unused), speaks=True) as loopback:
        assert loopback.ours.uplink
        async with asyncio.timeout(10):
            while loopback.ours._pc.sctp.state != "connected":  # begun after the media
                await asyncio.sleep(0.01)
        names = [each.name for each in threading.enumerate()]
        assert (names.count("audio-decoder"), names.count("video-decoder")) == (1, 1), "theirs alone"


def test_a_viewer_has_some_sources_and_no_more(bounded: BoundedSession) -> None:
    for number in range(16):
        bounded.unprotect_rtcp(report(number))
    with pytest.raises(pylibsrtp.Error, match="sources"):
        bounded.unprotect_rtcp(report(16))
    assert bounded.unprotect_rtcp(report(3)) == report(3)


def test_who_forges_takes_no_source_from_the_viewer(bounded: BoundedSession) -> None:
    for number in range(50):
        with pytest.raises(pylibsrtp.Error, match="authentication"):
            bounded.unprotect_rtcp(report(number) + b"forged")
    assert bounded.unprotect_rtcp(report(1)) == report(1)


def test_a_storm_of_feedback_ends_at_the_budget(bounded: BoundedSession) -> None:
    large = rtcp(PSFB, 15, bytes(1020))
    for _ in range(32):
        bounded.unprotect_rtcp(large)
    with pytest.raises(pylibsrtp.Error, match="bytes of feedback"):
        bounded.unprotect_rtcp(large)


async def test_the_transport_of_aiortc_is_guarded(loopback: Loopback) -> None:
    assert ours(loopback)._rx_srtp
    assert ours(loopback).transport._connection.on_srtp
    assert callable(RTCDtlsTransport._setup_srtp)
    assert "_setup_srtp" in vars(ours(loopback))


@pytest.mark.parametrize(
    "packet",
    [
        feedback(PSFB, 15, 0, b"REMB\x05\x00\x00\x00" + struct.pack("!L", 7)),
        rtcp(BYE, 31, bytes(4)),
        b"\x80\xc9",
    ],
)
async def test_malformed_feedback_ends_no_connection(loopback: Loopback, packet: bytes) -> None:
    asked, changed = asyncio.Event(), asyncio.Event()
    loopback.theirs.on("connectionstatechange", changed.set)
    while loopback.theirs.connectionState != "connected":
        await changed.wait()
        changed.clear()
    vars(loopback.sender)["_send_keyframe"] = asked.set
    theirs: Any = loopback.theirs.getReceivers()[0].transport
    await theirs._send_rtp(packet.ljust(8, b"\0"))
    await theirs._send_rtp(pli(loopback.sender._ssrc))
    await asked.wait()
