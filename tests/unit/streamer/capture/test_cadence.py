"""When the next frame of a screen is due."""

import pytest

from appliance.streamer.capture.cadence import (
    CLEANUP_FRAMES,
    CLEANUP_S,
    HEARTBEAT_S,
    QUIET_S,
    SETTLE_S,
    SHARP_BYTES,
    Cadence,
)

pytestmark = pytest.mark.unit


def still_since(now: float) -> Cadence:
    cadence = Cadence(60, now - 101)
    cadence.captured(now - 101, 100)
    while cadence.due <= now:
        cadence.captured(cadence.due, 100)
    return cadence


def test_the_first_frame_is_due_at_once() -> None:
    assert Cadence(60, 5.0).due == 5.0


def test_a_change_on_a_still_screen_is_captured_after_a_moment_of_quiet() -> None:
    cadence = still_since(50)
    assert not cadence.drawing
    cadence.damaged(50)
    assert cadence.drawing
    assert cadence.due == pytest.approx(50 + QUIET_S)


def test_more_changes_put_it_off_but_not_for_long() -> None:
    cadence, now = still_since(50), 50.0
    cadence.damaged(now)
    while now < cadence.due:
        now += QUIET_S / 2
        cadence.damaged(now)
    assert cadence.due == pytest.approx(50 + SETTLE_S)


def test_who_draws_faster_than_the_frame_rate_is_not_waited_for() -> None:
    cadence = Cadence(30, 0.0)
    cadence.captured(0.0, 100)
    cadence.damaged(0.005)
    due = cadence.due
    assert due > 0.015
    assert not cadence.drawing
    cadence.damaged(due)
    assert cadence.due == due


def test_what_is_forced_is_not_put_off_by_who_draws() -> None:
    cadence = still_since(50)
    cadence.damaged(50)
    cadence.forced(50)
    assert cadence.due == 50


def test_constant_change_is_captured_at_the_frame_rate() -> None:
    now, frames = 0.0, 0
    cadence = Cadence(30, now)
    while now < 10:
        cadence.captured(now, 100)
        frames += 1
        cadence.damaged(now)
        now = cadence.due
    assert 298 <= frames <= 300 * 1.05


def test_an_unsteady_application_at_the_frame_rate_is_captured_as_it_draws() -> None:
    cadence = Cadence(60, 0.0)
    cadence.captured(0.0, 100)
    delays = []
    for frame in range(1, 200):
        drawn = frame / 60 + (0.004 if frame % 2 else 0)
        cadence.damaged(drawn)
        delays.append(cadence.due - drawn)
        cadence.captured(cadence.due, 100)
    assert max(delays) == pytest.approx(QUIET_S)


def test_frames_for_those_who_join_make_the_later_ones_late_for_a_moment_only() -> None:
    cadence = Cadence(30, 0.0)
    cadence.captured(0.0, 100)
    delays = []
    for frame in range(1, 90):
        drawn = frame / 30
        if frame in (3, 4, 5):
            cadence.forced(drawn - 0.01)
            cadence.captured(drawn - 0.01, 100)
        cadence.damaged(drawn)
        delays.append(cadence.due - drawn)
        cadence.captured(cadence.due, 100)
    assert QUIET_S < max(delays) < 1 / 30
    assert delays[40:] == pytest.approx([QUIET_S] * 49)


def gaps_of(cadence: Cadence, sizes: list[int]) -> list[float]:
    gaps = []
    now = 0.0
    for size in sizes:
        cadence.captured(now, size)
        gaps.append(cadence.due - now)
        now = cadence.due
    return gaps


def test_a_still_picture_is_sharpened_until_there_is_nothing_left_to_sharpen() -> None:
    large, small = SHARP_BYTES + 1, SHARP_BYTES
    gaps = gaps_of(Cadence(60, 0.0), [large] * 6 + [small] * 3)
    assert gaps == pytest.approx([CLEANUP_S] * 6 + [HEARTBEAT_S] * 3)


def test_no_sharpening_is_endless_and_a_small_change_needs_none() -> None:
    assert gaps_of(Cadence(60, 0.0), [10] * 4) == pytest.approx([HEARTBEAT_S] * 4)
    endless = gaps_of(Cadence(60, 0.0), [SHARP_BYTES * 9] * 30)
    assert endless.count(pytest.approx(CLEANUP_S)) == CLEANUP_FRAMES


def test_a_forced_frame_is_due_now_and_is_sharpened() -> None:
    cadence = still_since(50)
    cadence.forced(50)
    assert cadence.due == 50
    cadence.captured(50, SHARP_BYTES + 1)
    assert cadence.due == 50 + CLEANUP_S
