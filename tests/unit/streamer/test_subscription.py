"""How a viewer goes on after a loss where the encoder tracks its references, and where it does not."""

import pytest

from appliance.streamer.frames import EncodedFrame
from appliance.streamer.subscription import DEPTH, Subscription

pytestmark = pytest.mark.unit


class Place:
    """A subscription, and what it asks for."""

    def __init__(self) -> None:
        self.keyframes_requested = 0
        self.forgotten: list[int] = []
        self.subscription = Subscription(self._request, forget=self.forgotten.append)

    def _request(self) -> None:
        self.keyframes_requested += 1

    def get(self, number: int | None, reference: int | None = None) -> bool:
        """Whether a frame of this number is handed on; without a reference it is a keyframe."""
        self.subscription.offer(frame(number, reference))
        return self.subscription.take() is not None


def frame(number: int | None, reference: int | None = None) -> EncodedFrame:
    return EncodedFrame(b"", number is not None and reference is None, 0, 0, 0, 0, number, reference)


def after_a_loss() -> Place:
    """Frames 7 and 8 arrived, 9 was taken and lost, 10 needs it."""
    place = Place()
    assert all([place.get(7), place.get(8, 7), place.get(9, 8)])
    place.subscription.stumble(1)
    assert not place.get(10, 9)
    return place


def test_it_goes_on_with_the_first_frame_that_needs_nothing_lost() -> None:
    place = after_a_loss()
    place.subscription.ask()
    assert (place.forgotten, place.keyframes_requested) == ([9], 0)
    assert [place.get(11, 10), place.get(12, 8), place.get(13, 12)] == [False, True, True]


def test_nothing_is_handed_on_before_the_encoder_knows_of_the_loss() -> None:
    place = after_a_loss()
    assert not place.get(11, 8), "the one after it may need what was lost"


def test_who_asks_again_gets_a_keyframe() -> None:
    place = after_a_loss()
    place.subscription.ask()
    place.subscription.ask()
    assert (place.forgotten, place.keyframes_requested) == ([9], 1)
    assert place.get(12)


def test_what_waited_too_long_is_forgotten_too() -> None:
    place = Place()
    assert place.get(0)
    for number in range(1, DEPTH + 2):
        place.subscription.offer(frame(number, number - 1))
    assert (place.forgotten, place.keyframes_requested, place.subscription.dropped) == ([1], 0, DEPTH + 1)
    assert place.get(DEPTH + 2, 0)


def test_another_source_numbers_its_frames_anew() -> None:
    place = after_a_loss()
    place.subscription.offer(frame(0))
    place.subscription.stumble()
    place.subscription.ask()
    assert (place.forgotten, place.keyframes_requested) == ([], 1)
    assert not place.get(2, 1)


def test_without_tracked_references_it_goes_on_with_a_keyframe() -> None:
    place = Place()
    place.subscription.offer(EncodedFrame(b"", True, 0, 0, 0, 0))
    assert place.subscription.take()
    assert place.get(None)
    place.subscription.stumble(1)
    place.subscription.ask()
    assert (place.forgotten, place.keyframes_requested) == ([], 1)
    assert not place.get(None)
