"""When the next frame of a screen is due."""

import pytest

from appliance.streamer.capture.cadence import CLEANUP_S, HEARTBEAT_S, SETTLE_S, Cadence

pytestmark = pytest.mark.unit


def still_since(now: float) -> Cadence:
    cadence = Cadence(60, now - 100)
    cadence.captured(now - 100)
    while cadence.due <= now:
        cadence.captured(cadence.due)
    return cadence


def test_the_first_frame_is_due_at_once() -> None:
    assert Cadence(60, 5.0).due == 5.0


def test_a_change_on_a_still_screen_is_captured_after_it_settled() -> None:
    cadence = still_since(50)
    cadence.damaged(50)
    assert cadence.due == pytest.approx(50 + SETTLE_S)


def test_more_changes_do_not_put_it_off() -> None:
    cadence = still_since(50)
    cadence.damaged(50)
    cadence.damaged(50.0009)
    assert cadence.due == pytest.approx(50 + SETTLE_S)


def test_constant_change_is_captured_at_the_frame_rate() -> None:
    now, frames = 0.0, 0
    cadence = Cadence(30, now)
    while now < 10:
        cadence.captured(now)
        frames += 1
        cadence.damaged(now)
        now = cadence.due
    assert frames == pytest.approx(300, abs=2)


def test_an_unsteady_application_at_the_frame_rate_is_captured_as_it_draws() -> None:
    cadence = Cadence(60, 0.0)
    cadence.captured(0.0)
    delays = []
    for frame in range(1, 200):
        drawn = frame / 60 + (0.004 if frame % 2 else 0)
        cadence.damaged(drawn)
        delays.append(cadence.due - drawn)
        cadence.captured(cadence.due)
    assert max(delays) == pytest.approx(SETTLE_S)


def test_after_the_last_change_come_cleanups_then_heartbeats() -> None:
    cadence = Cadence(60, 0.0)
    gaps = []
    now = 0.0
    for _ in range(7):
        cadence.captured(now)
        gaps.append(cadence.due - now)
        now = cadence.due
    assert gaps == pytest.approx([*CLEANUP_S, HEARTBEAT_S, HEARTBEAT_S, HEARTBEAT_S])
    assert len(CLEANUP_S) == 4
    assert sum(CLEANUP_S) == pytest.approx(1)


def test_a_forced_frame_is_due_now_and_starts_no_cleanup() -> None:
    cadence = still_since(50)
    cadence.forced(50)
    assert cadence.due == 50
    cadence.captured(50)
    assert cadence.due == 50 + HEARTBEAT_S
