"""A common beat, so that a quiet machine wakes once for all periodic work of all its processes.

CLOCK_MONOTONIC is one for all of them. A bus at rest costs by the burst, not by the message.
"""

import time

BEAT_SECONDS = 3.0


def until_beat(seconds: float = BEAT_SECONDS) -> float:
    """How long until the clock shows the next multiple of `seconds`."""
    pause = seconds - time.monotonic() % seconds
    # A timer that fired a hair early must not fire twice.
    return pause if pause > seconds / 100 else pause + seconds


def on_beat(seconds: float = BEAT_SECONDS) -> bool:
    """Whether a multiple of `seconds` has just passed, for one who wakes each second."""
    return time.monotonic() % seconds < 0.5
