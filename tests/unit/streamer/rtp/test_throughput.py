import pytest

from appliance.streamer.rtp.throughput import Throughput

pytestmark = pytest.mark.unit


def test_a_rate_is_over_the_shortest_stretch_that_is_long_enough() -> None:
    passing = Throughput()
    passing.begin(0.0)
    for tenth in range(1, 11):
        passing.add(tenth / 10, 1000 if tenth <= 5 else 2000)
    assert passing.rate_bps(0.2) == pytest.approx(160_000)
    assert passing.rate_bps(1.0) == pytest.approx(120_000)


def test_nothing_is_known_of_a_longer_stretch_than_was_seen() -> None:
    passing = Throughput()
    assert passing.rate_bps(0.1) is None
    passing.begin(0.0)
    passing.add(0.2, 1000)
    assert passing.rate_bps(0.3) is None


def test_rare_marks_count_with_their_whole_stretch() -> None:
    passing = Throughput()
    passing.begin(0.0)
    for second in range(2, 20, 2):
        passing.add(second, 1000)
    assert passing.rate_bps(0.5) == pytest.approx(4000)


def test_time_does_not_go_back() -> None:
    passing = Throughput()
    passing.begin(0.0)
    passing.add(1.0, 1000)
    passing.add(0.5, 1000)
    assert passing.rate_bps(1.0) == pytest.approx(16_000)


@pytest.mark.parametrize("step", [0.0, 0.0001, 0.0049])
def test_a_clock_that_hardly_moves_fills_no_memory(step: float) -> None:
    passing = Throughput()
    passing.begin(0.0)
    for number in range(10_000):
        passing.add(number * step, 100)
    assert len(passing._times) < 700


def test_a_mark_of_long_ago_counts_until_a_later_one_is_old_enough() -> None:
    passing = Throughput()
    passing.begin(0.0)
    for second in (0.1, 0.2, 9.9, 10.0):
        passing.add(second, 1000)
    assert passing.rate_bps(0.5) == pytest.approx(2000 * 8 / 9.8)
    passing.add(10.5, 1000)
    assert passing.rate_bps(0.5) == pytest.approx(16_000)


def test_marks_that_are_close_are_counted_to_the_last_of_them() -> None:
    passing = Throughput()
    passing.begin(0.0)
    for millisecond in range(0, 1000, 2):
        passing.add(millisecond / 1000, 500)
    assert passing.rate_bps(0.5) == pytest.approx(2_000_000, rel=0.02)
