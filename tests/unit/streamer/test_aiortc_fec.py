"""Contracts with the privates of aiortc 1.16: these fail when it moves."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiortc.rtcpeerconnection
import pytest
from aiortc import RTCPeerConnection
from aiortc.codecs import CODECS
from aiortc.rtp import RtcpRtpfbPacket

from appliance.streamer import aiortc_adapter, aiortc_fec
from appliance.streamer.broadcast import Subscription
from appliance.streamer.frames import EncodedFrame, SourceInfo
from appliance.streamer.rtp.packetizer import PAYLOAD_BYTES
from tests.support.loopback import Loopback
from tests.support.repair import sequences

pytestmark = pytest.mark.unit

PICTURE = b"\0\0\0\1\x65" + b"\xff" * 7 * (PAYLOAD_BYTES - 2)


class Rendition:
    """Delivers when told to."""

    info: SourceInfo | None = None
    problem = ""
    current = False

    def __init__(self) -> None:
        self.subscribed = asyncio.Event()

    @contextmanager
    def subscribe(self, ready: Callable[[EncodedFrame], None] | None = None) -> Iterator[Subscription]:
        self._subscription = Subscription(self.request_keyframe, ready)
        if ready:
            self.subscribed.set()
        yield self._subscription

    def request_keyframe(self) -> None:
        pass

    def deliver(self) -> None:
        self._subscription.offer(EncodedFrame(PICTURE, True, 9000, 0, 0, 0))


@pytest.fixture(autouse=True)
def installed() -> None:
    aiortc_adapter.install()


def of_video(*names: str) -> list[Any]:
    known = CODECS["video"]
    return [next(each for each in known if each.name == name) for name in names]


def test_the_payload_type_is_nobody_elses() -> None:
    numbers = [codec.payloadType for codec in CODECS["video"]]
    assert len(set(numbers)) == len(numbers)
    assert aiortc_fec._CODEC in CODECS["video"]


def test_the_functions_that_are_changed_are_those_in_use() -> None:
    module = vars(aiortc.rtcpeerconnection)
    used = (RTCPeerConnection.createOffer, RTCPeerConnection.setRemoteDescription)
    names = ("create_media_description_for_transceiver", "find_common_codecs")
    for user, name in zip(used, names, strict=True):
        assert name in user.__code__.co_names + sum(
            (const.co_names for const in user.__code__.co_consts if inspect.iscode(const)), ()
        )
        assert module[name].func.__module__ == aiortc_fec.__name__


def test_the_codec_of_the_picture_comes_first_whatever_the_order() -> None:
    common = vars(aiortc.rtcpeerconnection)["find_common_codecs"]
    repair, picture = of_video("flexfec-03", "H264")
    assert [codec.name for codec in common(CODECS["video"], [repair, picture])] == ["H264", "flexfec-03"]
    assert common(CODECS["video"], [repair]) == []


async def test_repair_packets_reach_the_receiver_and_what_it_tells_of_them_comes_back() -> None:
    async with Loopback(Rendition(), knows=("H264", "FLEXFEC-03")) as loopback:
        await loopback.rendition.subscribed.wait()
        loopback.ours.reception.protection.repairs = 1
        loopback.rendition.deliver()
        packets = [await loopback.packets.get()]
        while not packets[-1].marker:
            packets.append(await loopback.packets.get())
        repair = await loopback.packets.get()
        group, source = f"FEC-FR {loopback.sender._ssrc} {repair.ssrc}", f"a=ssrc:{repair.ssrc} cname:"
        assert group in loopback.offer
        assert source in loopback.offer
        assert repair.payload_type == aiortc_fec._PAYLOAD_TYPE
        assert {len(packet.payload) for packet in packets} == {PAYLOAD_BYTES}
        # IPv6, UDP, the header of RTP with the number, the tag of SRTP
        assert len(repair.payload) + 40 + 8 + 12 + 8 + 16 <= 1280
        assert sequences(repair.payload) == [packet.sequence_number for packet in packets]
        feedback = RtcpRtpfbPacket(fmt=15, ssrc=1, media_ssrc=repair.ssrc)
        assert loopback.sender.transport._rtp_router.route_rtcp(feedback) == {loopback.sender}


async def test_who_does_not_know_them_gets_none() -> None:
    async with Loopback(Rendition()) as loopback:
        await loopback.rendition.subscribed.wait()
        loopback.rendition.deliver()
        await loopback.packets.get()
        assert not loopback.ours.track._seat.stream.repairs  # type: ignore[union-attr]
