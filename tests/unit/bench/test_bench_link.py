"""The emulated link, on a clock of the test's own."""

import dataclasses

import pytest

from bench.link import Emulator, Shape, Told, mean_kbps, queue_p95

pytestmark = pytest.mark.unit

PACKET = bytes(1000)  # a millisecond at 8000 kb/s
DOWN, UP = 101, 102


def arrivals(shape: Shape, at: list[float]) -> tuple[list[float], Emulator]:
    """When packets that enter at these seconds arrive."""
    emulator = Emulator(DOWN, UP, shape)
    for now in at:
        emulator.enter(now, PACKET)
    return [when for when, *_ in sorted(emulator.flying)], emulator


def test_half_the_round_trip_is_the_delay() -> None:
    found, _ = arrivals(Shape(rtt_ms=50), [1.0, 1.001])
    assert found == pytest.approx([1.025, 1.026])


def test_packets_leave_at_the_rate() -> None:
    found, _ = arrivals(Shape(kbps=8000, rtt_ms=0), [1.0] * 4)
    assert found == pytest.approx([1.001, 1.002, 1.003, 1.004])


def test_an_idle_link_saves_nothing_up() -> None:
    found, _ = arrivals(Shape(kbps=8000, rtt_ms=0), [1.0, 2.0, 2.0])
    assert found == pytest.approx([1.001, 2.001, 2.002])


def test_a_full_queue_drops_its_tail() -> None:
    found, emulator = arrivals(Shape(kbps=8000, rtt_ms=0, queue_ms=10), [1.0] * 30)
    assert len(found) in (11, 12)
    assert emulator.dropped == 30 - len(found)


def test_jitter_delays_and_keeps_the_order() -> None:
    at = [1 + number / 1000 for number in range(5000)]
    emulator = Emulator(DOWN, UP, Shape(rtt_ms=0, jitter_ms=100))
    for now in at:
        emulator.enter(now, PACKET)
    flying = sorted(emulator.flying)
    delays = [when - now for (when, *_), now in zip(flying, at, strict=True)]
    assert [number for _, number, *_ in flying] == sorted(number for _, number, *_ in flying)
    assert 0 <= min(delays) < 0.02
    assert 0.08 < max(delays) <= 0.101


def test_figures_are_over_all_packets() -> None:
    told = [Told(0, 1000, [1.0] * 98, 0), Told(1, 2000, [50.0, 60.0], 0)]
    assert mean_kbps(told) == 1500
    assert queue_p95(told) == 1.0
    assert dataclasses.asdict(told[0])["dropped"] == 0
