import pytest

from appliance.streamer.rtp.bursts import Burst
from appliance.streamer.rtp.trains import Trains

pytestmark = pytest.mark.unit


def burst(sent: float, arrival: float, spread: float, packets: int = 4) -> Burst:
    return Burst(sent, sent, arrival, arrival + spread, packets, packets * 1200)


def test_a_train_comes_out_at_the_speed_of_the_link() -> None:
    trains = Trains()
    trains.add(burst(1.0, 5.0, 0.0144))  # four packets, 4.8 ms each: 2 Mb/s
    trains.add(burst(1.005, 5.0192, 0.0144))
    assert trains.speed_bps(1.1) is None
    trains.add(burst(1.033, 5.05, 0.0144))
    assert trains.speed_bps(1.1) == pytest.approx(2_000_000)


def test_a_few_packets_are_no_train() -> None:
    trains = Trains()
    for frame in range(10):
        trains.add(burst(frame / 30, frame / 30, 0.001, packets=3))
    assert trains.speed_bps(0.4) is None


def test_sending_without_a_pause_is_many_trains() -> None:
    trains = Trains()
    for number in range(40):
        trains.add(burst(number * 0.005, number * 0.005, 0.00375))
    assert trains.speed_bps(0.2) == pytest.approx(4 * 1200 * 8 / 0.005, rel=0.1)


def test_trains_of_more_than_a_second_ago_are_forgotten() -> None:
    trains = Trains()
    trains.add(burst(1.0, 5.0, 0.01))
    trains.add(burst(1.1, 5.1, 0.01))
    assert trains.speed_bps(1.5) is not None
    assert trains.speed_bps(2.1) is None


def test_packets_that_arrive_at_once_divide_by_nothing() -> None:
    trains = Trains()
    trains.add(burst(1.0, 5.0, 0.0))
    trains.add(burst(1.1, 5.0, 0.0))
    assert trains.speed_bps(1.2) == pytest.approx(3600 * 8 / 0.001)


def test_with_much_jitter_the_slower_ones_count() -> None:
    trains = Trains()
    for number, spread in enumerate((0.02, 0.02, 0.004, 0.004, 0.004)):
        trains.add(burst(1 + number / 30, 5 + number / 30, spread))
    assert trains.speed_bps(1.2, blurred=True) == pytest.approx(3600 * 8 / 0.02)
    assert trains.speed_bps(1.2) == pytest.approx(3600 * 8 * (1 / 0.02 + 1 / 0.004) / 2)
