"""Where a recording is cut, and when it asks for a keyframe."""

import pytest

from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.recording.cuts import Cuts

pytestmark = pytest.mark.unit

SMALL, LARGE = (b"\0\0\0\1\x67" + size + b"\0\0\1\x68\xce\0\0\1\x65slice" for size in (b"small", b"large"))


def frame(seconds: float, data: bytes = b"\0\0\1\x41delta", *, key: bool = False) -> EncodedFrame:
    at = int(seconds * 1e9)
    return EncodedFrame(data, key, at, at, at, at)


def begins(cuts: Cuts, seconds: float, data: bytes = SMALL, codec: Codec = Codec.H264) -> bool:
    return cuts.begins(frame(seconds, data, key=True), codec)


def test_a_file_begins_with_the_first_keyframe_and_where_the_picture_changes_its_size() -> None:
    cuts = Cuts()
    assert begins(cuts, 100)
    assert not cuts.begins(frame(101), Codec.H264)
    assert not begins(cuts, 102)
    assert begins(cuts, 103, LARGE)
    assert not begins(cuts, 104, LARGE)
    assert begins(cuts, 105, b"\x10\0\0\x9d\x01\x2a\x40\x01\xf0\0rest", Codec.VP8)
    assert not begins(cuts, 106, b"\x10\0\0\x9d\x01\x2a\x40\x01\xf0\0other", Codec.VP8)
    assert begins(cuts, 107, b"\x10\0\0\x9d\x01\x2a\x80\x02\xf0\0rest", Codec.VP8)


def test_a_full_file_ends_at_the_next_keyframe_which_is_asked_for_once() -> None:
    cuts = Cuts(segment_s=10)
    assert begins(cuts, 100)
    assert not cuts.begins(frame(109), Codec.H264)
    assert not cuts.wants_keyframe()
    assert not cuts.begins(frame(110), Codec.H264)
    assert cuts.wants_keyframe()
    assert not cuts.wants_keyframe()
    assert begins(cuts, 111)
    assert not cuts.wants_keyframe()


def test_after_a_long_silence_another_file_begins() -> None:
    cuts = Cuts()
    assert begins(cuts, 100)
    assert not begins(cuts, 130)
    assert begins(cuts, 200)


def test_who_seeks_finds_a_keyframe_but_a_still_screen_gets_none_for_it() -> None:
    cuts = Cuts()
    assert begins(cuts, 100)
    for second in range(101, 140):
        cuts.begins(frame(second, b"x"), Codec.H264)
        assert not cuts.wants_keyframe()
    cuts.begins(frame(140, bytes(9 * len(SMALL))), Codec.H264)
    assert cuts.wants_keyframe()
