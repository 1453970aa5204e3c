"""What who joins now is given instead of a keyframe of its own."""

import pytest

from appliance.streamer.frames import EncodedFrame
from appliance.streamer.recent import RecentFrames

pytestmark = pytest.mark.unit

SECOND = 1_000_000_000
CLOCK = 90_000


def frame(at_s: float, size: int = 10, *, key: bool = False) -> EncodedFrame:
    at_ns = int(at_s * SECOND)
    return EncodedFrame(bytes(size), key, int(at_s * CLOCK), at_ns, at_ns, at_ns)


def recent(*frames: EncodedFrame) -> RecentFrames:
    made = RecentFrames(fresh_s=0.25)
    for each in frames:
        made.add(each)
    return made


def test_there_is_nothing_before_the_first_keyframe() -> None:
    known = recent(frame(0), frame(1))
    assert not known.enough
    assert known.again(SECOND) == []


def test_soon_after_a_keyframe_all_share_the_very_frames() -> None:
    frames = [frame(10, key=True), frame(10.1)]
    given = recent(*frames).again(int(10.2 * SECOND))
    assert all(one is other for one, other in zip(given, frames, strict=True))


def test_later_they_are_stamped_as_if_they_were_captured_just_before() -> None:
    given = recent(frame(10, 50, key=True), frame(11), frame(12)).again(20 * SECOND)
    assert [len(each.data) for each in given] == [50, 10, 10]
    assert [each.keyframe for each in given] == [True, False, False]
    just_before = int(19.75 * CLOCK)
    assert [each.timestamp for each in given] == [just_before - 2, just_before - 1, just_before]
    assert {each.captured_ns for each in given} == {int(19.75 * SECOND)}
    assert {each.encoded_ns for each in given} == {20 * SECOND}


def test_a_frame_that_is_in_the_encoder_meanwhile_comes_after_them() -> None:
    given = recent(frame(10, 50, key=True), frame(20)).again(int(20.1 * SECOND))
    assert given[0].timestamp < given[1].timestamp == 20 * CLOCK


def test_more_than_two_keyframes_of_what_followed_is_too_much() -> None:
    known = recent(frame(10, 50, key=True), *(frame(11 + number) for number in range(10)))
    assert known.enough
    known.add(frame(30, 1))
    assert not known.enough
    known.add(frame(31, 1))
    assert not known.enough


def test_so_are_too_many_frames() -> None:
    known = recent(frame(10, 5000, key=True), *(frame(11 + number, 1) for number in range(31)))
    assert known.enough
    known.add(frame(50, 1))
    assert not known.enough


def test_a_keyframe_begins_anew_and_the_end_of_the_source_ends_it() -> None:
    known = recent(frame(10, 50, key=True), frame(11, 200))
    assert not known.enough
    known.add(frame(12, key=True))
    assert known.enough
    known.forget()
    assert not known.enough
