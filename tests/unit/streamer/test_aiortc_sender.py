"""Contracts with the privates that the fan-out needs of aiortc, aioice and pylibsrtp."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import aiortc.rtp
import pytest
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import vp8_depayload
from aiortc.rtcdtlstransport import SRTP_PROFILES
from aiortc.rtp import RtcpRtpfbPacket, RtcpSrPacket, RtpPacket, unpack_header_extensions
from pylibsrtp import Policy, Session

from appliance.errors import UnavailableError
from appliance.streamer import aiortc_sender
from appliance.streamer.aiortc_reports import reports_of
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo
from appliance.streamer.rtp.extensions import Extensions
from appliance.streamer.rtp.sockets import TransportPath, UdpPath
from appliance.streamer.subscription import Subscription
from tests.support.loopback import Loopback

pytestmark = pytest.mark.unit

PICTURE = b"\0\0\0\1\x67sps\0\0\0\1\x68pps\0\0\0\1\x65" + bytes(range(1, 256)) * 40


class Rendition:
    """Delivers when told to."""

    current = False
    info: SourceInfo | None = None
    problem = ""

    def __init__(self) -> None:
        self.subscribed = asyncio.Event()
        self.subscriptions: set[Subscription] = set()

    @contextlib.contextmanager
    def subscribe(self, ready: Callable[[EncodedFrame], None] | None = None) -> Iterator[Subscription]:
        subscription = Subscription(self.request_keyframe, ready)
        self.subscriptions.add(subscription)
        if ready:
            self.subscribed.set()
        yield subscription
        self.subscriptions.discard(subscription)

    def request_keyframe(self) -> None:
        pass

    def deliver(self, data: bytes = PICTURE, timestamp: int = 9000) -> None:
        for subscription in tuple(self.subscriptions):
            subscription.offer(EncodedFrame(data, True, timestamp, 0, 0, 0))


@contextlib.asynccontextmanager
async def connected(codec: Codec) -> AsyncIterator[Loopback]:
    async with Loopback(Rendition(), codec=codec) as loopback:
        await loopback.rendition.subscribed.wait()
        yield loopback


@pytest.fixture
async def loopback() -> AsyncIterator[Loopback]:
    async with connected(Codec.H264) as loopback:
        yield loopback


async def frame(loopback: Loopback) -> list[RtpPacket]:
    packets = [await loopback.packets.get()]
    while not packets[-1].marker:
        packets.append(await loopback.packets.get())
    return packets


def link_of(loopback: Loopback) -> Any:
    return loopback.ours.track._seat.stream._link  # type: ignore[union-attr]


@pytest.mark.parametrize(("codec", "depayload"), [(Codec.H264, h264_depayload), (Codec.VP8, vp8_depayload)])
async def test_aiortc_receives_what_was_encoded(codec: Codec, depayload: Callable[[bytes], bytes]) -> None:
    async with connected(codec) as loopback:
        for timestamp in (9000, 12_000):
            loopback.rendition.deliver(timestamp=timestamp)
        first, second = await frame(loopback), await frame(loopback)
        for packets in (first, second):
            assert b"".join(depayload(packet.payload) for packet in packets) == PICTURE
        assert (second[0].timestamp - first[0].timestamp) & 0xFFFFFFFF == 3000
        assert second[0].sequence_number == (first[-1].sequence_number + 1) & 0xFFFF
        assert {packet.ssrc for packet in first} == {loopback.sender._ssrc}
        track = loopback.ours.track
        assert track
        assert (track.frames_sent, track.frames_dropped) == (2, 0)


async def test_packets_have_the_extensions_that_aiortc_would_write(loopback: Loopback) -> None:
    loopback.rendition.deliver()
    now = aiortc.clock.current_ntp_time()
    for packet in await frame(loopback):
        assert packet.extensions.mid == "0"
        assert abs(packet.extensions.abs_send_time - (now >> 14 & 0xFFFFFF)) < 2 << 18
    link = link_of(loopback)
    block = bytearray(link.extensions.stamped(0x010203 << 14))
    number_at = link.extensions.sequence_at
    assert number_at
    assert block[number_at : number_at + 2] == b"\0\0"
    block[number_at : number_at + 2] = b"\4\5"
    elements = unpack_header_extensions(int.from_bytes(block[:2]), bytes(block[4:]))
    assert len(block) == 4 + 4 * int.from_bytes(block[2:4]) == link.shape.extension_bytes
    assert {value for _, value in elements} == {b"0", b"\1\2\3", b"\4\5", b"\0\0\0"}


async def test_the_capture_time_has_room_where_it_was_agreed_on(loopback: Loopback) -> None:
    told = link_of(loopback).told
    block = told.stamped(0, 0x0102030405060708)
    assert len(block) == 4 + 4 * int.from_bytes(block[2:4])
    elements = dict(unpack_header_extensions(0xBEDE, block[4:]))
    assert elements[6] == b"\1\2\3\4\5\6\7\x08" + bytes(8)
    assert len(elements) == 5
    plain = Extensions(b"\x10\0\0\0")
    two_byte = SimpleNamespace(_RTCRtpSender__rtp_header_extensions_map=SimpleNamespace(capture_time=6))
    assert aiortc_sender._told(two_byte, plain) is plain


@pytest.mark.parametrize(
    ("mid", "expected"), [(None, Extensions()), ("x", Extensions(b"\xbe\xde\0\1\x10x\0\0"))]
)
def test_extensions_that_were_not_agreed_on_are_left_out(mid: str | None, expected: Extensions) -> None:
    extensions = aiortc.rtp.HeaderExtensionsMap()
    extensions._HeaderExtensionsMap__ids.mid = 1  # type: ignore[attr-defined]
    sender = SimpleNamespace(_RTCRtpSender__rtp_header_extensions_map=extensions, _RTCRtpSender__mid=mid)
    assert aiortc_sender._extensions(sender) == expected


async def test_sender_reports_tell_what_the_fan_out_sent(loopback: Loopback) -> None:
    reports: asyncio.Queue[RtcpSrPacket] = asyncio.Queue()
    receiver = loopback.theirs.getReceivers()[0]

    async def spy(packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            reports.put_nowait(packet)

    vars(receiver)["_handle_rtcp_packet"] = spy
    loopback.rendition.deliver()
    packets = await frame(loopback)
    # One report may have been under way.
    while (info := (await reports.get()).sender_info).packet_count == 0:
        continue
    assert info.packet_count == len(packets)
    assert info.octet_count == sum(len(packet.payload) for packet in packets)
    assert info.rtp_timestamp == packets[0].timestamp
    assert abs(info.ntp_timestamp - aiortc.clock.current_ntp_time()) < 5 << 32
    stats = await loopback.sender.getStats()
    outbound = next(each for each in stats.values() if each.type == "outbound-rtp")
    assert (outbound.packetsSent, outbound.bytesSent) == (info.packet_count, info.octet_count)


async def test_a_nack_is_answered_on_the_negotiated_stream(loopback: Loopback) -> None:
    loopback.rendition.deliver()
    packets = await frame(loopback)
    lost = packets[2]
    await loopback.theirs.getReceivers()[0]._send_rtcp_nack(lost.ssrc, [lost.sequence_number])
    again = await loopback.packets.get()
    assert again.ssrc == loopback.sender._rtx_ssrc != lost.ssrc
    assert again.payload_type == loopback.sender._RTCRtpSender__rtx_payload_type
    found = aiortc.rtp.unwrap_rtx(again, lost.payload_type, lost.ssrc)
    assert (found.sequence_number, found.payload) == (lost.sequence_number, lost.payload)
    assert loopback.ours.feedback.nacks == 1


class Waiting(Rendition):
    """Has one frame, and no other until it is told to."""

    @contextlib.contextmanager
    def subscribe(self, ready: Callable[[EncodedFrame], None] | None = None) -> Iterator[Subscription]:
        with super().subscribe(ready) as subscription:
            subscription.offer(EncodedFrame(PICTURE, True, 9000, 0, 0, 0))
            yield subscription


async def test_where_aiortc_sends_the_last_packet_before_a_pause_comes_again_once() -> None:
    rendition = Waiting()
    async with asyncio.timeout(20), Loopback(rendition, own_packets=False) as loopback:
        packets = await frame(loopback)
        again = await loopback.packets.get()
        assert again.ssrc == loopback.sender._rtx_ssrc
        found = aiortc.rtp.unwrap_rtx(again, packets[-1].payload_type, packets[-1].ssrc)
        assert (found.sequence_number, found.payload) == (packets[-1].sequence_number, packets[-1].payload)
        rendition.deliver(timestamp=12_000)
        following = await frame(loopback)
        assert {packet.ssrc for packet in following} == {loopback.sender._ssrc}
        again = await loopback.packets.get()
        assert int.from_bytes(again.payload[:2]) == following[-1].sequence_number


async def test_a_nack_for_nothing_is_harmless(loopback: Loopback) -> None:
    packet = RtcpRtpfbPacket(fmt=aiortc.rtp.RTCP_RTPFB_NACK, ssrc=1, media_ssrc=2, lost=list(range(2000)))
    await loopback.sender._handle_rtcp_packet(packet)
    loopback.rendition.deliver()
    assert await frame(loopback)


def test_every_profile_has_the_tag_that_was_assumed() -> None:
    assert SRTP_PROFILES
    for profile in SRTP_PROFILES:
        policy = Policy(
            key=bytes(profile.key_length + profile.salt_length),
            ssrc_type=Policy.SSRC_ANY_OUTBOUND,
            srtp_profile=profile.libsrtp_profile,
        )
        packet = bytes.fromhex("80610001 00000000 00000007") + bytes(100)
        expected = Session(policy).protect(packet)
        tag = aiortc_sender._TAG_BYTES[profile.openssl_profile]
        assert len(expected) == len(packet) + tag
        memory, session = aiortc_sender.SrtpMemory(16), Session(policy)
        view = memory.protect(session, packet + bytes(tag), [(0, len(packet))])
        assert bytes(view) == expected


def test_a_refusal_of_srtp_is_told() -> None:
    memory = aiortc_sender.SrtpMemory()
    profile = SRTP_PROFILES[0]
    policy = Policy(key=bytes(profile.key_length + profile.salt_length), srtp_profile=profile.libsrtp_profile)
    policy.ssrc_type = Policy.SSRC_ANY_OUTBOUND
    with pytest.raises(UnavailableError, match="srtp"):
        memory.protect(Session(policy), b"too short", [(0, 4)])


async def test_a_viewer_moves_with_the_pair_that_ice_nominates(loopback: Loopback) -> None:
    link = link_of(loopback)
    ice = loopback.sender.transport.transport._connection
    first = link.path()
    assert isinstance(first, UdpPath)
    assert link.path() is first
    pair = ice._nominated[1]

    class Relay:
        def get_extra_info(self, name: str) -> None:
            return None

    candidate = SimpleNamespace(type="relay")
    ice._nominated[1] = SimpleNamespace(
        protocol=SimpleNamespace(transport=Relay()),
        local_candidate=candidate,
        remote_addr=("192.0.2.1", 9),
    )
    assert isinstance(link.path(), TransportPath)
    del ice._nominated[1]
    assert aiortc_sender.link(loopback.ours._video, loopback.sources._memory) is None  # type: ignore[arg-type]
    with pytest.raises(UnavailableError, match="no way"):
        link.path()
    ice._nominated[1] = pair
    assert isinstance(link.path(), UdpPath)


async def test_the_socket_of_the_pair_is_plain_and_marked(loopback: Loopback) -> None:
    pair = loopback.sender.transport.transport._connection._nominated[1]
    found = aiortc_sender._socket_of(pair)
    assert found.type == socket.SOCK_DGRAM
    if found.family == socket.AF_INET6:
        assert found.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 0x88
    else:
        assert found.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x88


async def test_the_round_trip_is_that_of_the_reports(loopback: Loopback) -> None:
    assert link_of(loopback).rtt == 0
    reports_of(loopback.sender).rtt_s = 0.25
    assert link_of(loopback).rtt == 0.25


async def test_a_viewer_that_leaves_frees_its_place() -> None:
    async with connected(Codec.H264) as loopback:
        rendition, link = loopback.rendition, link_of(loopback)
    assert not rendition.subscriptions
    assert link._path is None
