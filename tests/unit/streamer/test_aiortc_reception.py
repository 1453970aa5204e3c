"""Contracts with the privates of aiortc that receiving without its receivers needs."""

import struct
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCPeerConnection
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket, RtpPacket

from appliance.streamer.aiortc_adapter import new_connection
from appliance.streamer.aiortc_reception import agreed, receive, send
from tests.support.inlet import arrive, unprotected

pytestmark = pytest.mark.unit

REPORT = RtcpSrPacket(ssrc=7, sender_info=RtcpSenderInfo(1 << 40, 2, 3, 4))


@pytest.fixture
async def connection() -> AsyncIterator[RTCPeerConnection]:
    connection = new_connection([])
    connection.addTransceiver("video", direction="recvonly")
    yield connection
    await connection.close()


async def test_reports_and_media_of_the_sender_are_heard(connection: RTCPeerConnection) -> None:
    reports: list[RtcpSrPacket] = []
    media: list[RtpPacket] = []
    dtls = connection.getTransceivers()[0].receiver.transport
    unprotected(dtls)
    receive(connection, media.append, reports.append, media_bytes=1000)
    arrive(dtls, bytes(REPORT), b"\x80\xc8", struct.pack("!BBHLL", 0x80, 99, 5, 6, 7))
    assert [(each.ssrc, each.sender_info.ntp_timestamp) for each in reports] == [(7, 1 << 40)]
    assert [(each.payload_type, each.sequence_number) for each in media] == [(99, 5)]


async def test_nothing_is_sent_to_nobody(connection: RTCPeerConnection) -> None:
    with pytest.raises(ConnectionError):
        await send(connection, bytes(REPORT))


async def test_what_was_agreed_on_is_what_comes(connection: RTCPeerConnection) -> None:
    (transceiver,) = connection.getTransceivers()
    assert agreed(transceiver) == []
    await connection.setLocalDescription(await connection.createOffer())
    transceiver._setCurrentDirection("recvonly")
    names = [each.name for each in agreed(transceiver)]
    assert names[:2] == ["VP8", "rtx"]
    assert agreed(transceiver)[1].parameters["apt"] == agreed(transceiver)[0].payloadType
