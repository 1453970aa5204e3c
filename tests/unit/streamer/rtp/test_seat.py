"""What one viewer gets, and when: the seat, its stream and its pacer, with the clock in the test's hand."""

import contextlib
from collections.abc import Iterator

import pytest

from appliance.errors import UnavailableError
from appliance.streamer.frames import EncodedFrame
from appliance.streamer.rtp.layout import PackedFrame
from appliance.streamer.rtp.packetizer import h264
from appliance.streamer.rtp.probing import Probe
from appliance.streamer.rtp.reception import Reception
from appliance.streamer.rtp.seat import Seat
from appliance.streamer.rtp.sender import ViewerStream
from appliance.streamer.rtp.transport_feedback import Feedback
from appliance.streamer.subscription import Subscription
from tests.support.repair import recover
from tests.support.wire import Wire, header, transport_sequence

pytestmark = pytest.mark.unit


class Stage:
    """A viewer that said what it can be sent, and what is encoded for it."""

    def __init__(self, bps: int | None) -> None:
        self.now = 1000.0
        self.keyframes_requested = 0
        self.wire = Wire()
        self.reception = Reception(8_000_000, 300_000, clock=lambda: self.now)
        if bps:
            self.reception.remb(bps)
        self.queue = Subscription(self._request, lambda frame: self.seat.admit(frame, self.now))
        self.stream = ViewerStream(self.wire, self.reception.estimator)
        self.seat = Seat(self.queue, self.stream, self.reception, lambda _: None)
        self._timestamp = 0

    def _request(self) -> None:
        self.keyframes_requested += 1

    def deliver(self, octets: int, *, key: bool = False) -> None:
        self._timestamp += 3000
        data = b"\0\0\1\x65" + bytes([1]) * octets
        self.queue.offer(EncodedFrame(data, key, self._timestamp, 0, 0, 0))

    def serve(self) -> float | None:
        return self.seat.serve(self.packed, self.now)

    @staticmethod
    def packed(frame: EncodedFrame) -> PackedFrame:
        return PackedFrame(h264(frame.data), frame.timestamp)

    def run(self, seconds: float) -> Iterator[int]:
        """Serve whenever the pacer says so; yields the packets of each burst."""
        until = self.now + seconds
        while True:
            before = len(self.wire.packets)
            pause = self.serve()
            if len(self.wire.packets) > before:
                yield len(self.wire.packets) - before
            assert pause is None or pause > 0 or len(self.wire.packets) > before, "would spin"
            if pause is None or self.now + pause > until:
                self.now = until
                return
            self.now += pause


def test_on_a_wide_way_a_frame_leaves_at_once_whatever_it_weighs() -> None:
    stage = Stage(20_000_000)
    stage.deliver(300_000, key=True)
    assert stage.serve() is None
    assert len(stage.wire.packets) == 260
    assert stage.seat.frames_sent == 1


def test_a_keyframe_on_a_slow_way_leaves_in_bursts_under_consecutive_numbers() -> None:
    stage = Stage(2_000_000)
    stage.deliver(60_000, key=True)
    bursts = list(stage.run(0.2))
    assert bursts[0] == 8
    assert set(bursts[1:-1]) <= {1, 2, 3}
    heads = [header(packet) for packet in stage.wire.packets]
    assert [head[2] - heads[0][2] for head in heads] == list(range(52))
    assert [head[1] >> 7 for head in heads] == [0] * 51 + [1]
    assert len({head[3] for head in heads}) == 1
    numbers = [transport_sequence(packet) for packet in stage.wire.packets]
    assert [number - numbers[0] for number in numbers] == list(range(52))
    assert sum(octets for _, octets in stage.wire.counted) == 60_001 + 52 * 2 - 1
    assert stage.seat.frames_sent == 1


def test_a_packet_of_any_burst_comes_again() -> None:
    stage = Stage(2_000_000)
    stage.deliver(60_000, key=True)
    list(stage.run(0.2))
    original = stage.wire.packets[30]
    stage.seat.retransmit([header(original)[2]])
    list(stage.run(0.1))
    (again,) = stage.wire.packets[52:]
    assert header(again)[4] == stage.wire.rtx_ssrc
    assert again[24:] == header(original)[2].to_bytes(2) + original[24:]
    assert transport_sequence(again) == transport_sequence(stage.wire.packets[51]) + 1


@pytest.mark.parametrize(("arrivals", "repeated"), [((), 1), ((1000, 1000, None), 1), ((1000,) * 3, 0)])
def test_before_a_pause_the_last_packet_comes_again_to_who_has_not_told_that_it_has_all(
    arrivals: tuple[int | None, ...], repeated: int
) -> None:
    stage = Stage(20_000_000)
    stage.deliver(3000, key=True)
    stage.serve()
    assert len(stage.wire.packets) == 3
    if arrivals:
        stage.reception.take(Feedback(0, transport_sequence(stage.wire.packets[0]) or 0, arrivals))
    stage.now += 0.1
    stage.seat.tick(stage.now)
    assert len(stage.wire.packets) == 3 + repeated
    stage.now += 0.1
    stage.seat.tick(stage.now)
    assert len(stage.wire.packets) == 3 + repeated


@pytest.mark.parametrize("rtx", [98, None])
def test_without_a_stream_for_it_nothing_is_sent_again_that_srtp_would_refuse(rtx: int | None) -> None:
    stage = Stage(20_000_000)
    stage.wire.rtx_payload_type = rtx
    stage.deliver(1_200_000, key=True)
    stage.serve()
    numbers = [header(packet)[2] for packet in stage.wire.packets]
    stage.now += 0.1
    stage.seat.retransmit([numbers[-1000], numbers[-999], numbers[-1]])
    stage.serve()
    assert len(numbers) > 1024
    assert len(stage.wire.packets) - len(numbers) == (3 if rtx else 2)


def test_a_packet_that_cannot_be_sent_again_does_not_end_the_picture() -> None:
    stage = Stage(20_000_000)
    stage.deliver(5000, key=True)
    stage.serve()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.wire, "protect", refuse)
        stage.seat.retransmit([header(stage.wire.packets[0])[2]])
        stage.serve()
        stage.now += 1.0
        stage.seat.tick(stage.now)
    assert not stage.seat.lost
    stage.deliver(100)
    stage.serve()
    assert stage.seat.frames_sent == 2


def refuse(data: object, packets: object) -> None:
    raise UnavailableError("srtp: refused with status 10")


def test_packets_that_are_sent_again_keep_to_the_pace_and_go_before_the_picture() -> None:
    stage = Stage(1_000_000)
    stage.deliver(40_000, key=True)
    list(stage.run(0.3))
    sent = len(stage.wire.packets)
    stage.seat.retransmit([header(packet)[2] for packet in stage.wire.packets[:20]])
    stage.deliver(5000)
    bursts = list(stage.run(0.05))
    assert len(bursts) > 2
    again = stage.wire.packets[sent:]
    kinds = [header(packet)[4] for packet in again]
    assert kinds == sorted(kinds, reverse=True)
    assert kinds.count(stage.wire.rtx_ssrc) > 5


def test_a_viewer_that_falls_behind_skips_to_a_keyframe_and_asks_once_it_has_caught_up() -> None:
    stage = Stage(1_000_000)
    stage.deliver(10_000, key=True)
    list(stage.run(0.01))
    delivered = 1
    while not stage.queue.dropped and delivered < 20:
        stage.deliver(20_000)
        list(stage.run(1 / 30))
        delivered += 1
    assert 2 < delivered < 6
    packets = len(stage.wire.packets)
    stage.deliver(20_000)
    list(stage.run(0.01))
    assert len(stage.wire.packets) <= packets + 20
    assert stage.keyframes_requested == 0
    for _ in range(10):
        list(stage.run(0.1))
        stage.seat.tick(stage.now)
    assert stage.keyframes_requested == 2
    before = stage.seat.frames_sent
    stage.deliver(10_000, key=True)
    stage.deliver(1000)
    list(stage.run(0.5))
    assert stage.seat.frames_sent == before + 2
    stage.seat.tick(stage.now)
    assert stage.keyframes_requested == 2


def test_a_probe_is_padding_that_leaves_evenly_and_is_reported() -> None:
    stage = Stage(2_000_000)
    reported: list[tuple[int, int | None]] = []
    estimator = stage.reception.estimator
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimator, "probe_due", lambda _: Probe(7, 4_000_000, 7500))
        patch.setattr(estimator, "sent", lambda _, octets, __, probe: reported.append((octets, probe)))
        assert stage.seat.tick(stage.now)
        began = stage.now
        bursts = list(stage.run(1))
    assert len(bursts) > 2
    assert stage.now - began >= 0.01
    assert all(header(packet)[0] & 0x20 for packet in stage.wire.packets)
    assert {packet[-1] for packet in stage.wire.packets} == {255}
    assert {header(packet)[4] for packet in stage.wire.packets} == {stage.wire.rtx_ssrc}
    assert 7000 < sum(map(len, stage.wire.packets)) < 8500
    assert reported == [(len(packet), 7) for packet in stage.wire.packets]


def test_without_retransmission_or_numbers_nothing_is_probed() -> None:
    stage = Stage(2_000_000)
    stage.wire.rtx_payload_type = None
    assert not stage.seat.tick(stage.now)
    with contextlib.suppress(StopIteration):
        next(stage.run(0.1))
    assert not stage.wire.packets


def test_who_stumbles_over_what_follows_a_keyframe_that_is_still_leaving_asks_for_another() -> None:
    stage = Stage(1_000_000)
    stage.deliver(60_000, key=True)
    list(stage.run(0.02))
    stage.deliver(10_000)
    assert stage.queue.dropped == 1
    list(stage.run(1.0))
    assert stage.seat.frames_sent == 1
    stage.seat.tick(stage.now)
    assert stage.keyframes_requested == 1


def test_a_keyframe_that_is_sooner_there_replaces_what_is_still_leaving() -> None:
    stage = Stage(1_000_000)
    stage.deliver(90_000, key=True)
    list(stage.run(0.02))
    unfinished = len(stage.wire.packets)
    stage.deliver(5_000, key=True)
    list(stage.run(0.1))
    heads = [header(packet) for packet in stage.wire.packets]
    assert [head[1] >> 7 for head in heads] == [0] * (len(heads) - 1) + [1]
    assert len({head[3] for head in heads[:unfinished]}) == 1
    assert [head[2] - heads[0][2] for head in heads] == list(range(unfinished + 5))


def of_stream(stage: Stage, ssrc: int) -> list[bytes]:
    return [packet for packet in stage.wire.packets if header(packet)[4] == ssrc]


def as_sent(packet: bytes) -> bytes:
    """Without the time and the transport-wide number, which count as zero."""
    return packet[:17] + bytes(3) + packet[20:21] + bytes(2) + packet[23:]


def test_what_is_lost_comes_back_from_the_repair_packets_behind_a_frame() -> None:
    stage = Stage(20_000_000)
    stage.reception.protection.repairs = 3
    stage.deliver(40_000, key=True)
    stage.serve()
    media, repairs = of_stream(stage, stage.wire.ssrc), of_stream(stage, stage.wire.fec_ssrc)
    assert stage.wire.packets == media + repairs
    assert (len(media), len(repairs)) == (35, 9)
    assert {header(packet)[0:2] + header(packet)[3:4] for packet in repairs} == {
        (0x90, stage.wire.fec_payload_type, header(media[0])[3])
    }
    numbers = [header(packet)[2] for packet in repairs]
    assert [number - numbers[0] for number in numbers] == list(range(9))
    sent = {header(packet)[2]: as_sent(packet) for packet in media}
    for lost in sent:
        received = {sequence: packet for sequence, packet in sent.items() if sequence != lost}
        assert recover(received, [packet[20:] for packet in repairs]) == sent


def test_timestamps_rise_where_the_other_rendition_is_as_far_or_behind() -> None:
    stage, told = Stage(20_000_000), []
    stage.seat.on_sent = lambda _, timestamp: told.append(timestamp)
    stage.reception.protection.repairs = 1
    for behind in (0, 3000, 9000):
        stage._timestamp -= behind
        stage.deliver(4000, key=True)
        stage.serve()
    media = [header(packet)[3] for packet in of_stream(stage, stage.wire.ssrc)]
    assert [timestamp - told[0] & 0xFFFFFFFF for timestamp in media] == [0] * 4 + [1] * 4 + [2] * 4
    assert told == media[::4]
    assert [header(packet)[3] for packet in of_stream(stage, stage.wire.fec_ssrc)] == told


def test_repair_packets_are_counted_like_all_others() -> None:
    stage = Stage(20_000_000)
    stage.reception.protection.repairs = 1
    reported: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        estimator = stage.reception.estimator
        patch.setattr(estimator, "sent", lambda n, octets, *_: reported.append((n, octets)))
        patch.setattr(estimator, "sent_together", lambda n, sizes, *_: reported.extend(enumerate(sizes, n)))
        stage.deliver(1150 * 4, key=True)
        stage.serve()
    (repair,) = of_stream(stage, stage.wire.fec_ssrc)
    assert [octets for _, octets in reported] == [len(packet) for packet in stage.wire.packets]
    assert int.from_bytes(repair[17:19]) == reported[-1][0] & 0xFFFF == (reported[-2][0] + 1) & 0xFFFF
    assert stage.reception.protection.share > 0


def test_repair_packets_use_up_the_pace_and_are_taken_from_the_picture() -> None:
    stage = Stage(2_000_000)
    stage.reception.protection.repairs = 2
    for _ in range(30):
        stage.deliver(9000, key=True)
        list(stage.run(1 / 20))
    assert len(of_stream(stage, stage.wire.fec_ssrc)) == 30 * 2
    assert stage.reception.protection.share == pytest.approx(0.2, abs=0.02)
    assert stage.reception.target_bps == pytest.approx(1_600_000, rel=0.03)
    assert stage.reception.pacing_bps == 2_000_000


def test_on_a_narrow_way_small_frames_go_without() -> None:
    stage = Stage(1_000_000)
    stage.reception.protection.repairs = 3
    stage.deliver(2000, key=True)
    stage.serve()
    assert stage.stream.repairs
    assert not of_stream(stage, stage.wire.fec_ssrc)


def test_loss_at_random_turns_repair_on_where_it_was_agreed_on() -> None:
    stage = Stage(8_000_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(stage.reception.estimator), "random_loss", 0.05)
        for _ in range(50):
            stage.seat.tick(stage.now)
        assert stage.reception.protection.repairs == 3
        stage.wire.fec_payload_type = None
        stage.reception.protection.repairs = 0
        stage.seat.tick(stage.now)
        assert stage.reception.protection.repairs == 0
