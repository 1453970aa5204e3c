"""A camera behind a bottleneck is held back; one behind a wide and unsteady link is not."""

import random

import pytest

from appliance.streamer.ingest.brake import Brake

pytestmark = pytest.mark.unit

PACKET = 1200
WISHED = 8_000_000


def film(
    capacity_bps: float, *, seconds: float, sends_bps: float, jitter_s: float = 0.0
) -> tuple[float, float]:
    """What it sends in the end, and the longest queue of the last quarter, in seconds; obeys at once."""
    brake, chance = Brake(), random.Random(3)  # noqa: S311
    clock, free_at, reported_at, longest = 60.0, 0.0, 0.0, 0.0
    limit = float(WISHED)
    end = clock + seconds
    while clock < end:
        rate = min(limit, sends_bps)
        for _ in range(max(1, round(rate / 30 / 8 / PACKET))):
            free_at = max(free_at, clock) + PACKET * 8 / capacity_bps
            braked = brake.add(
                int(clock * (1 << 18)) % (1 << 24), PACKET, free_at + chance.random() * jitter_s
            )
            if braked or clock - reported_at > 1:
                reported_at = clock
                limit = brake.allowed_bps(WISHED, free_at)
        if end - clock < seconds / 4:
            longest = max(longest, free_at - clock)
        clock += 1 / 30
    return min(limit, sends_bps), longest


def test_a_narrow_way_is_filled_without_a_queue_that_stands() -> None:
    sends, queue = film(1_000_000, seconds=40, sends_bps=4_000_000)
    assert 400_000 < sends < 1_150_000
    assert queue < 0.4


def test_a_wide_way_is_left_alone_whatever_its_jitter() -> None:
    sends, _ = film(50_000_000, seconds=20, sends_bps=4_000_000, jitter_s=0.004)
    assert sends == 4_000_000
