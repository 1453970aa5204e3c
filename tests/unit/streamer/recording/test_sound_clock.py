"""Sound finds its place among the pictures."""

import pytest

from appliance.streamer.recording.sound_clock import SoundClock
from appliance.streamer.talkspurts import EncodedAudio

pytestmark = pytest.mark.unit

MS = 1_000_000


def heard(clock: SoundClock, timestamp_ms: float, arrived_ms: float) -> float:
    return clock.at_ns(EncodedAudio(b"", round(timestamp_ms * 48)), round(arrived_ms * MS)) / MS


def test_late_packets_are_placed_by_the_punctual_ones() -> None:
    clock = SoundClock()
    assert heard(clock, 0, 1000) == 1000
    assert heard(clock, 10, 1040) == pytest.approx(1010, abs=0.1)
    assert heard(clock, 20, 1040) == pytest.approx(1020, abs=0.1)


def test_a_punctual_packet_corrects_a_late_beginning() -> None:
    clock = SoundClock()
    assert heard(clock, 500, 1100) == 1100
    assert heard(clock, 510, 1030) == pytest.approx(1030)
    assert heard(clock, 520, 1060) == pytest.approx(1040, abs=0.1)


def test_a_pause_is_as_long_as_it_was() -> None:
    clock = SoundClock()
    heard(clock, 0, 1000)
    assert heard(clock, 60_000, 61_003) == pytest.approx(61_003, abs=1)


@pytest.mark.parametrize("timestamp", [90_000.0, 50.0])
def test_another_count_of_samples_begins_anew(timestamp: float) -> None:
    clock = SoundClock()
    heard(clock, 100, 1000)
    heard(clock, 110, 1010)
    assert heard(clock, timestamp, 5000) == pytest.approx(5000, abs=1)


def test_a_slow_count_is_followed() -> None:
    clock = SoundClock()
    for second in range(3600):
        at = heard(clock, second * 1000, 1000 + second * 1000.2)
        assert at == pytest.approx(1000 + second * 1000.2, abs=1)
