"""Numbers as people read them, and durations as people write them."""

import pytest

from appliance.control import words

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (273_600, "3 d 4 h"),
        (86_405, "1 d"),
        (-3, "0 s"),
        (None, "n/a"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1h30m", 5400), ("7d", 604_800), ("5min", 300)]
)
def test_parse_duration(text: str, seconds: int) -> None:
    assert words.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "soon", "1x", "h", "-5s", "1h1h", "1.5h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        words.parse_duration(text)


@pytest.mark.parametrize("text", ["", "720p", "1280", "1280x", "x720", "1280x720x2", "99999x1"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        words.parse_size(text)


def test_not_known_is_not_zero() -> None:
    assert words.number(None, "ms") == words.bitrate(None) == words.size(None, 720) == "n/a"
    assert words.number(0.0, "ms") == "0.0 ms"
    assert words.bitrate(0) == "0 kb/s"
    assert words.bitrate_of(None, 8000) == "n/a of 8.0 Mb/s"
    assert words.rate_of(None, 60) == "n/a of 60"
