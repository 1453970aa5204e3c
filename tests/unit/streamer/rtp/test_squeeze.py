import pytest

from appliance.streamer.rtp.sent_packets import Received
from appliance.streamer.rtp.squeeze import Squeeze

pytestmark = pytest.mark.unit

PACKET = 1200
OFFSET_S = 500.0


def message(sent: float, arrival: float, count: int, sent_bps: float, carried_bps: float) -> Received:
    """Packets from these times on, sent at one rate and carried at another."""
    bits = PACKET * 8
    numbers = range(1, count + 1)
    return Received(
        [sent + number * bits / sent_bps for number in numbers],
        [OFFSET_S + arrival + number * bits / carried_bps for number in numbers],
        [PACKET] * count,
    )


def steady(squeeze: Squeeze, messages: int) -> None:
    """A message each 60 ms at 8 Mb/s, without a queue."""
    for number in range(messages):
        at = 0.06 * number
        assert squeeze.add(message(at, at, 50, 8e6, 8e6), OFFSET_S) is None


def test_what_gets_through_is_known_from_the_second_message_on() -> None:
    squeeze = Squeeze()
    steady(squeeze, 10)
    assert squeeze.add(message(0.6, 0.6, 10, 8e6, 1.5e6), OFFSET_S) is not None
    found = squeeze.add(message(0.612, 0.664, 10, 8e6, 1.5e6), OFFSET_S)
    assert found == pytest.approx(1.5e6, rel=0.02)


def test_a_longer_way_is_none() -> None:
    squeeze = Squeeze()
    steady(squeeze, 10)
    for number in range(10, 20):
        at = 0.06 * number
        assert squeeze.add(message(at, at + 0.1, 50, 8e6, 8e6), OFFSET_S) is None


def test_single_packets_that_come_late_tell_of_none() -> None:
    squeeze = Squeeze()
    steady(squeeze, 10)
    for sent, arrival in ((0.6, 0.6), (0.67, 0.67), (0.74, 0.84), (0.85, 0.95)):
        small = Received([sent], [OFFSET_S + arrival], [180])
        assert squeeze.add(small, OFFSET_S) is None


def frames(sent: float, arrivals: list[float], carried_bps: float) -> Received:
    """Frames of 25 packets that are sent at once, one each 33 ms, and begin to arrive at these times."""
    times = [sent + number / 30 for number in range(len(arrivals)) for _ in range(25)]
    came = [OFFSET_S + at + number * PACKET * 8 / carried_bps for at in arrivals for number in range(25)]
    return Received(times, came, [PACKET] * len(times))


@pytest.mark.parametrize("carried_bps", [50e6, 20e6])
def test_frames_that_come_late_and_fast_tell_of_none(carried_bps: float) -> None:
    squeeze = Squeeze()
    steady(squeeze, 10)
    assert squeeze.add(frames(0.6, [0.606, 0.67], carried_bps), OFFSET_S) is None
    assert squeeze.add(frames(0.667, [0.7, 0.745], carried_bps), OFFSET_S) is None


def test_frames_that_come_slowly_tell_what_gets_through() -> None:
    squeeze = Squeeze()
    steady(squeeze, 10)
    took = 25 * PACKET * 8 / 3e6
    found = squeeze.add(frames(0.6, [0.6, 0.6 + took], 3e6), OFFSET_S)
    assert found == pytest.approx(3e6, rel=0.1)


def test_a_delay_that_grows_that_much_all_the_time_is_none() -> None:
    squeeze = Squeeze()
    steady(squeeze, 10)
    sent = arrival = 0.6
    found = []
    for _ in range(10):
        for carried_bps, count in ((4e6, 50), (16e6, 100)):
            found.append(squeeze.add(message(sent, arrival, count, 8e6, carried_bps), OFFSET_S))
            sent += count * PACKET * 8 / 8e6
            arrival += count * PACKET * 8 / carried_bps
    assert found[0] is not None
    assert found[6:] == [None] * 14


def test_after_a_jump_of_the_clock_nothing_is_compared() -> None:
    squeeze = Squeeze()
    steady(squeeze, 10)
    squeeze.reset()
    assert squeeze.add(message(0.6, 0.7, 10, 8e6, 8e6), OFFSET_S) is None


def test_a_clock_that_runs_back_or_leaps_costs_nothing() -> None:
    squeeze = Squeeze()
    for number in range(1000):
        leap = -100.0 * number if number % 7 else 1e6
        squeeze.add(message(0.06 * number, leap, 10, 8e6, 8e6), OFFSET_S)
    assert len(squeeze._marks) <= 64
