"""When an uplink tries again."""

import pytest

from appliance.uplink.pace import Backoff

pytestmark = pytest.mark.unit


def test_pauses_grow_to_ten_seconds_and_begin_anew_after_a_connection_that_lasted() -> None:
    now = [0.0]
    backoff = Backoff(lambda: now[0])
    backoff.begin()
    pauses = [backoff.pause() for _ in range(12)]
    for pause, longest in zip(pauses, (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10, 10, 10), strict=True):
        assert longest / 2 <= pause <= longest
    now[0] = 31.0
    assert backoff.pause() <= 0.1
