import time

import pytest

from appliance.streamer.rtp import clock

pytestmark = pytest.mark.unit

_NEXT_ERA = 2_085_978_496
"""7 February 2036, 06:28:16 UTC, where the 32 bits of its seconds begin anew."""


def test_the_clock_goes_on_from_zero_where_its_era_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: _NEXT_ERA - 1.0)
    assert clock.ntp_now() == 0xFFFFFFFF << 32
    monkeypatch.setattr(time, "time", lambda: _NEXT_ERA + 1.5)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5_000_000_000)
    assert clock.ntp_now() == 3 << 31
    assert clock.ntp_of(3_000_000_000) == (1 << 64) - (1 << 31), "the era before"
