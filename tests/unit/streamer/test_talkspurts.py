import asyncio
from collections.abc import Callable

import pytest

from appliance.streamer.talkspurts import EncodedAudio, Talkspurts, no_sound

pytestmark = pytest.mark.unit

SOUND = b"\xf4sound"
SILENCE = no_sound(10)


class Scene:
    """Talkspurts with a loop and a clock that run when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, asyncio.TimerHandle]] = []
        self.heard: list[EncodedAudio] = []
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(self._loop, "call_later", self._call_later)
        self.talkspurts = Talkspurts(self.heard.append, 10, lambda: self.now)

    def _call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(self.now + delay, callback, (), self._loop)
        self.timers.append((self.now + delay, timer))
        return timer

    def run(self, seconds: float) -> None:
        """Let time go by."""
        end = self.now + seconds
        while due := min((each for each in self.timers if not each[1].cancelled()), default=None):
            if due[0] > end:
                break
            self.now = due[0]
            self.timers.remove(due)
            due[1]._run()
        self.now = end

    def sound(self, pts: int, *, ends: bool = False) -> None:
        self.talkspurts.sound(SOUND, pts, ends=ends)

    @property
    def timestamps(self) -> list[int]:
        return [each.timestamp for each in self.heard]


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


async def test_sound_keeps_the_steps_of_its_capture(scene: Scene) -> None:
    for pts in (7000, 7480, 7960):
        scene.sound(pts)
    first = scene.timestamps[0]
    assert scene.timestamps == [first, first + 480, first + 960]
    assert {each.data for each in scene.heard} == {SOUND}


async def test_a_pause_is_told_when_it_begins_and_then_now_and_then(scene: Scene) -> None:
    scene.sound(0, ends=True)
    began = scene.timestamps[0]
    scene.run(1)
    assert [each.data for each in scene.heard] == [SOUND, *[SILENCE] * 3]
    assert scene.timestamps == [began, began + 480, began + 41 * 480, began + 81 * 480]
    scene.sound(48_000)
    scene.run(0.5)
    assert [each.data for each in scene.heard[4:]] == [SOUND]


async def test_a_capture_that_begins_in_silence_tells_so(scene: Scene) -> None:
    scene.talkspurts.start()
    scene.run(0.5)
    assert [each.data for each in scene.heard] == [SILENCE] * 2


async def test_sound_after_a_pause_lasts_from_where_its_capture_says(scene: Scene) -> None:
    scene.sound(0, ends=True)
    scene.run(0.625)
    scene.sound(30_720)
    assert scene.timestamps[-1] - scene.timestamps[0] == 30_720


async def test_sound_that_comes_a_little_early_after_a_pause_never_goes_back_in_time(scene: Scene) -> None:
    scene.sound(0, ends=True)
    scene.run(0.41)  # the second word of silence has just gone out
    scene.sound(19_200)
    scene.sound(19_680)
    steps = [b - a for a, b in zip(scene.timestamps, scene.timestamps[1:], strict=False)]
    assert steps == [480, 40 * 480, 480, 480]


async def test_another_capture_goes_on_in_time_whatever_it_counts(scene: Scene) -> None:
    scene.sound(1_000_000)
    scene.talkspurts.stop()
    scene.run(2)
    assert len(scene.heard) == 1
    scene.talkspurts.start()
    scene.run(0.1)
    scene.sound(0)
    first, silence, sound = scene.timestamps
    assert silence - first == 2 * 48_000
    assert sound - silence == 4800


@pytest.mark.parametrize(("frame_ms", "toc"), [(5, 0xEC), (10, 0xF4), (20, 0xFC)])
def test_no_sound_is_a_packet_of_fullband_stereo_with_an_empty_frame(frame_ms: int, toc: int) -> None:
    assert no_sound(frame_ms) == bytes([toc])
