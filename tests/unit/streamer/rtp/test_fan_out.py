import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiortc.rtp import unpack_header_extensions

from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.rtp import fan_out
from appliance.streamer.rtp.clock import ntp_of
from appliance.streamer.rtp.fan_out import FanOut
from appliance.streamer.rtp.feed import SECOND, Feed
from appliance.streamer.rtp.packetizer import PAYLOAD_BYTES
from appliance.streamer.rtp.reception import Reception
from appliance.streamer.subscription import Subscription
from tests.support.wire import EXTENSIONS, Wire, header

pytestmark = pytest.mark.unit


class Source:
    """Delivers what the test says, as Broadcast does."""

    def __init__(self) -> None:
        self.keyframes_requested = 0
        self.subscriptions: list[Subscription] = []
        self.latest: list[EncodedFrame] = []
        """What who joins gets at once."""
        self._timestamp = 0

    def request_keyframe(self) -> None:
        self.keyframes_requested += 1

    @contextlib.contextmanager
    def subscribe(self, ready: Callable[[EncodedFrame], None]) -> Iterator[Subscription]:
        subscription = Subscription(self.request_keyframe, ready)
        self.subscriptions.append(subscription)
        for frame in self.latest:
            subscription.offer(frame)
        yield subscription
        self.subscriptions.remove(subscription)

    def deliver(self, data: bytes = b"\0\0\1\x65picture", *, key: bool = False) -> None:
        self._timestamp += 1000
        frame = EncodedFrame(data, key, self._timestamp, 0, 0, 0)
        for subscription in self.subscriptions:
            subscription.offer(frame)


def reception() -> Reception:
    return Reception(8_000_000, 300_000)


async def turns() -> None:
    """Of the loop: the fan-out takes more than one where the machine is busy."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_all_viewers_get_a_frame_in_one_turn_each_under_its_own_numbers() -> None:
    source, wires = Source(), [Wire(ssrc=1), Wire(ssrc=2)]
    fan = FanOut(source, Codec.H264)
    with fan.attach(wires[0], reception()) as one, fan.attach(wires[1], reception()) as two:
        source.deliver(key=True)
        source.deliver(b"\0\0\1\x61" + b"x" * 3000)
        await turns()
        assert (one.frames_sent, two.frames_sent) == (2, 2)
    for wire in wires:
        heads = [header(packet) for packet in wire.packets]
        assert [head[1] for head in heads] == [0xE1, 0x61, 0x61, 0xE1]
        assert [(head[2] - heads[0][2]) & 0xFFFF for head in heads] == [0, 1, 2, 3]
        assert [(head[3] - heads[0][3]) & 0xFFFFFFFF for head in heads] == [0, 1000, 1000, 1000]
        assert {head[4] for head in heads} == {wire.ssrc}
        assert all(packet[12:17] == b"\xbe\xde\0\2\x22" for packet in wire.packets)
        assert wire.counted == [(1, 8), (3, 3006)]
        assert wire.closed
    assert wires[0].packets[1][24:] == wires[1].packets[1][24:]
    assert header(wires[0].packets[0])[2:4] != header(wires[1].packets[0])[2:4]


async def test_who_joins_late_waits_for_a_keyframe_and_who_leaves_gets_nothing_more() -> None:
    source, wires = Source(), [Wire(), Wire()]
    fan = FanOut(source, Codec.VP8)
    with fan.attach(wires[0], reception()):
        source.deliver(key=True)
        with fan.attach(wires[1], reception()) as late:
            source.deliver()
            await turns()
            assert late.frames_sent == 0
            source.deliver(key=True)
        await turns()
    media = [[each for each in wire.packets if header(each)[4] == wire.ssrc] for wire in wires]
    assert list(map(len, media)) == [3, 0]


PADDING = 0x20


async def test_the_last_packet_before_a_pause_is_sent_again_once() -> None:
    source, wire = Source(), Wire()
    fan = FanOut(source, Codec.H264)
    with fan.attach(wire, reception()):
        source.deliver(b"\0\0\1\x65" + b"x" * 3000, key=True)
        async with asyncio.timeout(5):
            while fan._ticking:
                await asyncio.sleep(0.05)
        *media, again = [packet for packet in wire.packets if not packet[0] & PADDING]
        assert len(media) == 3
        assert header(again)[1:5:3] == (0x80 | 98, wire.rtx_ssrc)
        assert again[24:26] == media[-1][2:4]
        assert again[26:] == media[-1][24:]
        source.deliver()
        assert fan._ticking


async def test_frames_that_wait_already_are_sent_at_once_to_who_joins() -> None:
    source, wires = Source(), [Wire(), Wire()]
    source.latest = [
        EncodedFrame(b"\0\0\1\x65k", True, 1000, 0, 0, 0),
        EncodedFrame(b"\0\0\1\x61d", False, 2000, 0, 0, 0),
    ]
    fan = FanOut(source, Codec.H264)
    for wire in wires:
        with fan.attach(wire, reception()) as seat:
            await turns()
            assert seat.frames_sent == 2
    assert [[packet[-1:] for packet in wire.packets] for wire in wires] == [[b"k", b"d"]] * 2


async def test_of_a_frame_a_second_the_capture_time_is_told_and_sent_again_as_it_was() -> None:
    source, told = Source(), EXTENSIONS.with_capture_time(6)
    wire, plain = Wire(told=told, rtx_payload_type=None), Wire()
    fan = FanOut(source, Codec.H264)
    with fan.attach(wire, reception()) as seat, fan.attach(plain, reception()):
        source.deliver(b"\0\0\1\x65" + b"x" * (PAYLOAD_BYTES - 1), key=True)
        source.deliver(b"\0\0\1\x61" + b"y" * 1400)
        source.deliver()
        await turns()
        seat.retransmit([header(wire.packets[1])[2]])
        await turns()
    large, first, second, after, again = wire.packets
    assert again == first
    for packet, extended in ((large, False), (first, True), (second, True), (after, False)):
        block = packet[12 : 16 + 4 * int.from_bytes(packet[14:16])]
        assert len(block) == (len(told.block) if extended else len(EXTENSIONS.block))
        assert unpack_header_extensions(0xBEDE, block[4:])[-1][0] == (6 if extended else 4)
    captured = int.from_bytes(first[12 + (told.captured_at or 0) :][:8])
    assert captured == int.from_bytes(second[12 + (told.captured_at or 0) :][:8])
    assert abs(captured - ntp_of(0)) < 1 << 32
    assert [len(packet) for packet in plain.packets] == [
        len(packet) - (20 if packet in (first, second) else 0) for packet in wire.packets[:4]
    ]


async def test_a_rendition_whose_keyframe_is_there_already_begins_with_it() -> None:
    first, second = Source(), Source()
    told: list[EncodedFrame] = []
    second.latest = [EncodedFrame(b"key", True, 1, 0, 0, 0)]
    with contextlib.closing(Feed([first.subscribe, second.subscribe], told.append)) as feed:
        first.deliver(key=True)
        assert feed.take() is told[0]
        feed.switch(SECOND)
        assert (feed.current, feed.take(), told[1]) == (SECOND, second.latest[0], second.latest[0])
        second.deliver()
        assert feed.take() is told[2]


async def test_what_was_sent_is_told_with_the_timestamp_on_the_wire() -> None:
    source, wire = Source(), Wire()
    fan, told = FanOut(source, Codec.H264), []
    with fan.attach(wire, reception()) as seat:
        seat.on_sent = lambda frame, timestamp: told.append((frame.timestamp, timestamp))
        source.deliver(key=True)
        await turns()
        wire.room = False
        source.deliver()
        await turns()
    assert told == [(1000, header(wire.packets[0])[3])]


async def test_a_full_buffer_drops_the_frame_and_asks_for_a_keyframe() -> None:
    source, wires = Source(), [Wire(), Wire()]
    fan = FanOut(source, Codec.H264)
    with fan.attach(wires[0], reception()) as full, fan.attach(wires[1], reception()) as other:
        source.deliver(key=True)
        await turns()
        wires[0].room = False
        source.deliver()
        await turns()
        assert (full.frames_sent, full.queue.dropped, source.keyframes_requested) == (1, 1, 1)
        wires[0].room = True
        source.deliver()
        source.deliver(key=True)
        await turns()
        assert (full.frames_sent, full.queue.dropped) == (2, 2)
        assert (other.frames_sent, other.queue.dropped) == (4, 0)


async def test_the_rest_of_a_keyframe_that_does_not_fit_comes_when_it_is_asked_for() -> None:
    source, wire = Source(), Wire(room=False)
    fan = FanOut(source, Codec.H264)
    with fan.attach(wire, reception()) as seat:
        source.deliver(b"\0\0\1\x65" + b"x" * 3000, key=True)
        await turns()
        assert not wire.packets
        wire.room = True
        source.deliver()
        await turns()
        (next_packet,) = wire.packets
        seat.retransmit([(header(next_packet)[2] - missing) & 0xFFFF for missing in (3, 2, 1)])
        await turns()
        assert [len(packet) for packet in wire.packets[1:]] == [1028, 1028, 1028]
        assert source.keyframes_requested == 0


async def test_a_viewer_that_cannot_be_served_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Wire):
        def path(self) -> Any:
            raise ValueError("bytes must be in range(0, 256)")

    source, wires = Source(), [Broken(), Wire()]
    fan = FanOut(source, Codec.H264)
    with fan.attach(wires[0], reception()) as broken, fan.attach(wires[1], reception()) as other:
        for _ in range(2):
            source.deliver(key=True)
            await turns()
        assert (broken.lost, other.frames_sent) == (True, 2)
    assert caplog.text.count("a viewer gets no more picture") == 1


async def test_a_viewer_whose_way_is_gone_holds_nobody_up() -> None:
    source, wires = Source(), [Wire(gone=True), Wire()]
    fan = FanOut(source, Codec.H264)
    with fan.attach(wires[0], reception()) as gone, fan.attach(wires[1], reception()) as other:
        for _ in range(2):
            source.deliver(key=True)
            await turns()
        assert (gone.frames_sent, gone.lost, other.frames_sent) == (0, True, 2)
        assert source.keyframes_requested == 0
        gone.retransmit([1])


async def test_many_viewers_leave_room_for_others_in_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "_TURN_S", 0)
    monkeypatch.setattr(FanOut, "_tick", lambda _: None)  # a pause of the machine would bring padding
    source, wires, between = Source(), [Wire() for _ in range(5)], []
    fan, loop = FanOut(source, Codec.H264), asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        seats = [stack.enter_context(fan.attach(wire, reception())) for wire in wires]
        source.deliver(key=True)

        def look() -> None:
            between.append(sum(seat.frames_sent for seat in seats))
            if between[-1] < len(seats) and len(between) < 50:
                loop.call_soon(look)

        loop.call_soon(look)
        while not between or between[-1] < len(seats):
            await asyncio.sleep(0)
    assert between == sorted(between)
    assert len(set(between)) >= 3
    assert [len(wire.packets) for wire in wires] == [1] * 5


async def test_a_lost_packet_comes_again_on_the_retransmission_stream() -> None:
    source, wire = Source(), Wire()
    fan = FanOut(source, Codec.H264)
    with fan.attach(wire, reception()) as seat:
        source.deliver(b"\0\0\1\x65" + b"x" * 3000, key=True)
        await turns()
        original = wire.packets[2]
        sequence = header(original)[2]
        seat.retransmit([sequence, sequence])
        await turns()
        (again,) = wire.packets[3:]
    assert header(again)[1] == 0x80 | 98
    assert header(again)[3:] == (header(original)[3], 8)
    assert again[12:17] == original[12:17]
    assert again[24:26] == sequence.to_bytes(2)
    assert again[26:] == original[24:]


async def test_without_a_retransmission_stream_the_very_same_bytes_come_again() -> None:
    source, wire = Source(), Wire(rtx_payload_type=None)
    fan = FanOut(source, Codec.H264)
    with fan.attach(wire, reception()) as seat:
        source.deliver(key=True)
        await turns()
        seat.retransmit([header(wire.packets[0])[2]])
        await turns()
    assert wire.packets[0] == wire.packets[1]


async def test_a_viewer_that_is_behind_still_finds_its_frames_packed_once() -> None:
    source, wire = Source(), Wire()
    fan, packed = FanOut(source, Codec.H264), []
    original = fan._packetize
    fan._packetize = lambda data: packed.append(data) or original(data)  # type: ignore[func-returns-value]
    with fan.attach(wire, reception()) as seat, fan.attach(Wire(), reception()):
        for number in range(12):
            source.deliver(b"\0\0\1\x65" + bytes([number]), key=True)
        await turns()
        assert seat.frames_sent + seat.queue.dropped == 12
        assert wire.packets[-1][-1] == 11
        assert len(packed) == seat.frames_sent, "once for both, and not what nobody got"
