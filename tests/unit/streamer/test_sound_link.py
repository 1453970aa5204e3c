"""Sound on its way around aiortc's sender, and contracts with what that needs of it."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from appliance.streamer.aiortc_reports import hear
from appliance.streamer.frames import Codec
from appliance.streamer.rtp.red import redundant
from tests.support.loopback import Loopback

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Packet:
    data: bytes
    timestamp: int


class NoPicture:
    """A rendition that never delivers."""

    current = False
    info = None
    problem = ""

    @contextlib.contextmanager
    def subscribe(self, ready: object = None) -> Iterator[object]:
        yield object()

    def request_keyframe(self) -> None:
        pass


async def attached(loopback: Loopback) -> Any:
    """The stream of the only viewer."""
    while not (streams := loopback.sources.sound._fan_out._streams):
        await asyncio.sleep(0)
    return next(iter(streams))


async def test_a_viewer_that_answers_with_redundancy_gets_it_where_much_is_lost() -> None:
    async with Loopback(NoPicture(), codec=Codec.H264) as loopback:
        stream = await attached(loopback)
        packets = [
            Packet(data, number * 480) for number, data in enumerate((b"\xf4one", b"\xf4two", b"\xf4six"))
        ]
        for packet in packets[:2]:
            loopback.sources.sound.deliver(packet)
        first, second = [await loopback.sound.get() for _ in range(2)]
        transceiver = loopback.ours._sound
        assert transceiver
        opus, red = [codec.payloadType for codec in transceiver._codecs]
        assert f"a=fmtp:{red} {opus}/{opus}" in loopback.offer
        assert {packet.payload_type for packet in (first, second)} == {opus} == {96}
        assert {packet.ssrc for packet in (first, second)} == {transceiver.sender._ssrc}
        assert first.extensions.mid == "1"
        assert (second.timestamp - first.timestamp) & 0xFFFFFFFF == 480
        assert second.payload == b"\xf4two"
        assert stream._link.loss == 0
        report = RtcpReceiverInfo(transceiver.sender._ssrc, 64, 9, 0, 0, 0, 0)
        hear(bytes(RtcpRrPacket(ssrc=1, reports=[report])), {report.ssrc: transceiver.sender})
        assert stream._link.loss == 0.25
        stream._sequence += 50 - stream._sequence % 50
        loopback.sources.sound.deliver(packets[2])
        third = await loopback.sound.get()
        assert third.payload_type == red == 63
        assert third.ssrc == first.ssrc
        assert third.payload == redundant(packets[2], packets[:2], opus)
    assert not loopback.sources.sound._fan_out._streams


async def test_where_our_packets_cannot_go_aiortc_sends_the_opus_as_it_is() -> None:
    async with Loopback(NoPicture(), codec=Codec.H264, own_packets=False) as loopback:
        fan = loopback.sources.sound
        while not fan._queues:
            await asyncio.sleep(0)
        fan.deliver(Packet(b"\xf4one", 480))
        packet = await loopback.sound.get()
        assert packet.payload == b"\xf4one"
        assert packet.payload_type == 96
