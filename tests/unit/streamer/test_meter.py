"""Rates and latency over sliding windows."""

import pytest

from appliance.streamer.frames import EncodedFrame
from appliance.streamer.meter import Meter

pytestmark = pytest.mark.unit

SECOND = 1_000_000_000


def frame(at_ns: int, *, size: int = 100, latency_ms: int = 5, key: bool = False) -> EncodedFrame:
    return EncodedFrame(b"x" * size, key, at_ns, at_ns - latency_ms * 1_000_000, at_ns, at_ns)


def test_rates_cover_two_seconds() -> None:
    meter = Meter()
    for index in range(40):
        meter.count(frame(index * SECOND // 10 + 1, size=125))
    assert meter.fps(4 * SECOND) == 10
    assert meter.kbps(4 * SECOND) == 10
    assert meter.fps(9 * SECOND) == 0


def test_latency_covers_ten_seconds() -> None:
    meter = Meter()
    assert meter.latency_ms(0) is None
    for latency in range(1, 101):
        meter.count(frame(SECOND, latency_ms=latency))
    assert meter.latency_ms(2 * SECOND) == (51, 96)
    assert meter.latency_ms(12 * SECOND) is None


def test_totals_survive_a_source() -> None:
    meter = Meter()
    meter.count(frame(SECOND, key=True))
    meter.forget_rates()
    meter.count(frame(SECOND))
    meter.count(EncodedFrame(b"x", False, 0, SECOND, 2 * SECOND, 5 * SECOND))
    assert (meter.frames, meter.keyframes, meter.encode_ns) == (3, 1, 3 * SECOND)
