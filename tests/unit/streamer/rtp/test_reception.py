import math

import pytest

from appliance.streamer.capture.cadence import HEARTBEAT_S
from appliance.streamer.rtp.reception import Reception

pytestmark = pytest.mark.unit


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reception(clock: Clock) -> Reception:
    return Reception(8_000_000, 300_000, clock=clock)


def test_nothing_is_known_of_a_viewer_that_never_said_anything() -> None:
    found = reception(Clock())
    assert (found.target_bps, found.pacing_bps) == (None, math.inf)


def test_what_it_says_counts_until_it_has_been_silent_for_long() -> None:
    clock = Clock()
    found = reception(clock)
    heard: list[Reception] = []
    found.changed = heard.append
    found.remb(2_000_000)
    assert (found.target_bps, found.pacing_bps, heard) == (2_000_000, 2_000_000, [found])
    clock.now = HEARTBEAT_S + 1
    assert found.target_bps == 2_000_000, "a still screen is no reason to be told of anything"
    clock.now = HEARTBEAT_S + 6
    assert (found.target_bps, found.pacing_bps) == (None, 2_000_000)


def test_a_way_that_carries_more_than_is_ever_sent_needs_no_pacing() -> None:
    found = reception(Clock())
    found.remb(12_000_000)
    assert found.pacing_bps == math.inf


def test_malformed_feedback_is_passed_over() -> None:
    found = reception(Clock())
    found.transport_feedback(b"\0\1")
    assert found.target_bps is None
