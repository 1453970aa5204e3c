"""Contracts with the privates of aiortc 1.16: these fail when it moves."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import aiortc.codecs.h264
import aiortc.codecs.vpx
import aiortc.rtcdtlstransport
import aiortc.rtcicetransport
import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
import aiortc.rtp
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters

from appliance.bus.messages import IceServer
from appliance.errors import InvalidInputError
from appliance.signaling.anbox import Settings
from appliance.streamer import aiortc_adapter as adapter
from appliance.streamer import aiortc_reports
from appliance.streamer.aioice_adapter import Connection
from appliance.streamer.frames import EncodedFrame, SourceInfo
from tests.support.hostile import RTPFB, feedback
from tests.support.loopback import Loopback

pytestmark = pytest.mark.unit


class EndlessRendition:
    """Frames as fast as they are pulled; not decodable, which nobody here tries."""

    current = False
    info: SourceInfo | None = None
    problem = ""
    dropped = 0

    def __init__(self) -> None:
        self.keyframes_requested = asyncio.Event()
        self.kbps: int | None = None
        self._number = 0

    @contextmanager
    def subscribe(self) -> Iterator["EndlessRendition"]:
        yield self

    async def next(self) -> EncodedFrame:
        await asyncio.sleep(0.01)
        self._number += 1
        data = b"\0\0\0\1\x65" + bytes(range(1, 256)) * 40
        return EncodedFrame(data, True, self._number * 900, 0, 0, 0)

    def request_keyframe(self) -> None:
        self.keyframes_requested.set()

    def set_bitrate(self, kbps: int) -> None:
        self.kbps = kbps


@pytest.fixture
async def loopback() -> AsyncIterator[Loopback]:
    async with Loopback(EndlessRendition(), own_packets=False) as loopback:
        yield loopback


def names_in(function: Any) -> set[str]:
    """Globals and attributes that a function uses, nested functions included."""

    def walk(code: CodeType) -> set[str]:
        nested = (walk(const) for const in code.co_consts if isinstance(const, CodeType))
        return set(code.co_names).union(*nested)

    return walk(getattr(function, "__func__", function).__code__)


@pytest.mark.parametrize(
    ("user", "module", "name", "value"),
    [
        (aiortc.rtcrtpsender.RTCRtpSender._retransmit, aiortc.rtcrtpsender, "RTP_HISTORY_SIZE", 1024),
        (aiortc.rtcrtpsender.RTCRtpSender._run_rtp, aiortc.rtcrtpsender, "RTP_HISTORY_SIZE", 1024),
        (aiortc.codecs.h264.H264Encoder._packetize_fu_a, aiortc.codecs.h264, "PACKET_MAX", 1156),
        (aiortc.codecs.h264.H264Encoder._packetize_stap_a, aiortc.codecs.h264, "PACKET_MAX", 1156),
        (aiortc.codecs.h264.H264Encoder._packetize, aiortc.codecs.h264, "PACKET_MAX", 1156),
        (aiortc.codecs.vpx.Vp8Encoder._packetize, aiortc.codecs.vpx, "PACKET_MAX", 1156),
    ],
)
def test_the_constants_that_are_changed_are_those_in_use(
    user: Any, module: Any, name: str, value: float
) -> None:
    adapter.install()
    assert name in names_in(user)
    assert vars(module)[name] == value


async def test_only_configured_ice_servers_are_asked() -> None:
    turn = ["turn:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=tcp", "turns:192.0.2.1"]
    configured = IceServer(urls=["stun:192.0.2.1:3478", "stun:192.0.2.2", *turn], username="u", password="p")
    address = ("192.0.2.1", 3478)
    ways = [(address, "udp", False), (address, "tcp", False), (("192.0.2.1", 5349), "tcp", True)]
    for servers, stun, relays in (([], None, []), ([configured], address, ways)):
        connection = adapter.new_connection(servers)
        connection.createDataChannel("x")
        ice = connection.sctp.transport.transport._connection
        assert isinstance(ice, Connection)
        assert (ice.stun_server, ice.turn_server) == (stun, None)
        found = [(each["turn_server"], each["turn_transport"], each["turn_ssl"]) for each in ice.turn_servers]
        assert found == relays
        assert all((each["turn_username"], each["turn_password"]) == ("u", "p") for each in ice.turn_servers)
        await connection.close()


async def test_every_packet_says_that_it_wants_no_playout_delay(loopback: Loopback) -> None:
    assert adapter.PLAYOUT_DELAY in loopback.offer
    sender = loopback.ours._video.sender  # type: ignore[union-attr]
    extensions = sender._RTCRtpSender__rtp_header_extensions_map  # type: ignore[attr-defined]
    assert isinstance(extensions, adapter._LowDelayExtensions)
    packet = await loopback.packets.get()
    profile, value = extensions.set(packet.extensions)
    assert (5, b"\0\0\0") in aiortc.rtp.unpack_header_extensions(profile, value)
    assert any(id_ != 5 for id_, _ in aiortc.rtp.unpack_header_extensions(profile, value))


def test_a_hostile_extension_id_switches_the_delay_extension_off() -> None:
    adapter.install()
    extensions = adapter._LowDelayExtensions()
    extensions.configure(
        RTCRtpParameters(headerExtensions=[RTCRtpHeaderExtensionParameters(300, adapter.PLAYOUT_DELAY)])
    )
    assert extensions.set(aiortc.rtp.HeaderExtensions()) == (0, b"")


async def test_packets_pass_a_tunnel_of_1280_bytes(loopback: Loopback) -> None:
    sizes = [len((await loopback.packets.get()).payload) for _ in range(20)]
    assert max(sizes) <= 1156
    assert max(sizes) > 1100


def test_sound_and_picture_are_in_streams_of_their_own() -> None:
    async def streams() -> list[str]:
        loopback = Loopback(EndlessRendition())
        offer = await loopback.ours.offer(Settings())
        await loopback.ours.close()
        await loopback.theirs.close()
        return [line.split()[0] for line in offer.splitlines() if line.startswith("a=msid:")]

    found = asyncio.run(streams())
    assert len(found) == len(set(found)) == 2


async def test_feedback_is_counted_and_asks_for_a_keyframe(loopback: Loopback) -> None:
    packet = await loopback.packets.get()
    receiver = loopback.theirs.getReceivers()[0]
    loopback.rendition.keyframes_requested.clear()
    await receiver._send_rtcp_nack(packet.ssrc, [packet.sequence_number])
    await receiver._send_rtcp_pli(packet.ssrc)
    await loopback.rendition.keyframes_requested.wait()
    counters = loopback.ours.feedback
    sender = loopback.ours._video.sender  # type: ignore[union-attr]
    await sender._handle_rtcp_packet(
        aiortc.rtp.RtcpPsfbPacket(fmt=aiortc.rtp.RTCP_PSFB_FIR, ssrc=1, media_ssrc=packet.ssrc)
    )
    assert (counters.nacks, counters.plis, counters.firs) == (1, 1, 1)
    assert loopback.ours.reception.target_bps is None
    for fci in (b"REMB\x03", aiortc.rtp.pack_remb_fci(2_000_000, [packet.ssrc])):
        packet_ = aiortc.rtp.RtcpPsfbPacket(
            fmt=aiortc.rtp.RTCP_PSFB_APP, ssrc=1, media_ssrc=packet.ssrc, fci=fci
        )
        await sender._handle_rtcp_packet(packet_)
    assert loopback.ours.reception.target_bps == 2_000_000
    assert loopback.rendition.kbps == 1900


async def test_reports_tell_what_was_lost_of_the_picture(loopback: Loopback) -> None:
    aiortc_reports.reports_of(loopback.sender).heard(0.25)
    assert loopback.ours.reception.estimator.loss == 0.25


async def test_the_pair_in_use_is_known(loopback: Loopback) -> None:
    assert adapter.pair_type(loopback.ours._pc) in ("host", "prflx")


async def test_codecs_of_an_answer_are_restricted_with_their_retransmission() -> None:
    theirs = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    theirs.addTransceiver("video", direction="recvonly")
    await theirs.setLocalDescription(await theirs.createOffer())
    ours = adapter.new_connection([])
    await ours.setRemoteDescription(theirs.localDescription)
    (transceiver,) = ours.getTransceivers()
    adapter.restrict_codecs(transceiver, ["H264"])
    assert {codec.name for codec in transceiver._codecs} == {"H264", "rtx"}
    assert adapter.negotiated_codec(transceiver) == "H264"
    with pytest.raises(InvalidInputError, match="none of AV1"):
        adapter.restrict_codecs(transceiver, ["AV1"])
    await ours.close()
    await theirs.close()


def test_capabilities_come_in_the_order_asked_for() -> None:
    names = [each.name for each in adapter.capabilities("video", ["H264", "VP8"])]
    assert names == ["H264", "H264", "VP8", "rtx"]
    first = adapter.capabilities("video", ["H264", "VP8"])[0]
    assert first.parameters["profile-level-id"] == "42e01f"
    assert first.parameters["packetization-mode"] == "1"
    assert [each.name for each in adapter.capabilities("audio", ["opus"])] == ["opus"]


@pytest.mark.parametrize(
    "line", ["", "candidate:", "candidate:1 1 udp x 10.0.0.1 1 typ host", "candidate:1 1"]
)
def test_a_malformed_candidate_is_named(line: str) -> None:
    with pytest.raises(InvalidInputError, match="candidate: malformed"):
        adapter.parse_candidate(line, "0", 0)


def test_transport_feedback_is_offered_beside_remb() -> None:
    async def offer() -> str:
        loopback = Loopback(EndlessRendition(), own_packets=False)
        async with loopback:
            return loopback.offer

    lines = asyncio.run(offer()).splitlines()
    extension = f"a=extmap:4 {adapter.TRANSPORT_CC}"
    assert lines.count(extension) == 1
    media = next(at for at, line in enumerate(lines) if line.startswith("m=audio"))
    assert lines.index(extension) < media
    feedbacks = [line.split(" ", 1) for line in lines if line.startswith("a=rtcp-fb:")]
    for what in ("goog-remb", "transport-cc"):
        assert len([each for each in feedbacks if each[1] == what]) == 2


async def test_transport_feedback_finds_its_sender(loopback: Loopback) -> None:
    arrived, told = bytes.fromhex("0007 0001 000001 00 2001 04 00"), asyncio.Event()  # packet 7
    loopback.ours.reception.changed = lambda _: told.set()
    theirs: Any = loopback.theirs.getReceivers()[0].transport
    async with asyncio.timeout(10):
        while theirs.state != "connected":
            await asyncio.sleep(0.01)
        for about in (b"nonsense", arrived):
            await theirs._send_rtp(feedback(RTPFB, 15, loopback.sender._ssrc, about))
        await told.wait()
    assert loopback.ours.reception.target_bps is not None
