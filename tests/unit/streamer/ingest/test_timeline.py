"""Timestamps of senders on our line of time."""

import pytest

from appliance.streamer.ingest.timeline import Timeline

pytestmark = pytest.mark.unit

SECOND = 1_000_000_000


def test_it_begins_with_our_clock_and_goes_on_with_theirs_past_the_wrap() -> None:
    timeline = Timeline(90_000)
    assert timeline.place(0xFFFFFFFF - 2999, 10 * SECOND) == 900_000
    assert timeline.place(0, 11 * SECOND) == 903_000
    assert timeline.place(0, 11 * SECOND) == 903_001, "strictly rising"
    assert timeline.place(3_000, 11 * SECOND) == 906_001


def test_another_sender_goes_on_where_our_clock_is() -> None:
    timeline = Timeline(90_000)
    timeline.place(77, 10 * SECOND)
    timeline.restart()
    assert timeline.place(5, 20 * SECOND) == 1_800_000
    assert timeline.place(2_000_000_000, 30 * SECOND) == 2_700_000, "so does one that jumps"
    timeline.restart()
    assert timeline.place(9, 3 * SECOND) == 2_700_001
