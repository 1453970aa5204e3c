import asyncio
import itertools
from collections.abc import Callable

import av
import pytest

from appliance.streamer.talkspurts import EncodedAudio, Talkspurts, silence

pytestmark = pytest.mark.unit

SOUND = b"\xf4sound"
SILENCE = silence(10)


class Scene:
    """Talkspurts with a loop and a clock that run when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, asyncio.TimerHandle]] = []
        self.heard: list[EncodedAudio] = []
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(self._loop, "call_later", self._call_later)
        self.talkspurts = Talkspurts(self.heard.append, 10, lambda: self.now)

    def _call_later(self, delay: float, callback: Callable[..., None], sent: int) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(self.now + delay, callback, (sent,), self._loop)
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


async def test_a_pause_begins_with_silence_and_has_some_now_and_then(scene: Scene) -> None:
    scene.sound(0, ends=True)
    scene.run(1)
    assert [each.data for each in scene.heard] == [SOUND, *[SILENCE] * 7]
    assert [(each - scene.timestamps[0]) // 480 for each in scene.timestamps] == [0, 1, 2, 3, 4, 5, 45, 85]
    scene.sound(48_000)
    scene.run(0.5)
    assert [each.data for each in scene.heard[8:]] == [SOUND]


async def test_a_long_pause_keeps_time_though_timers_are_late(scene: Scene) -> None:
    scene.sound(0, ends=True)
    for _ in range(100):
        scene.run(0.4)
        scene.now += 0.009
    assert scene.timestamps[-1] - scene.timestamps[0] == pytest.approx(40.9 * 48_000, abs=0.5 * 48_000)


async def test_silence_is_on_time_though_the_sound_before_it_was_late(scene: Scene) -> None:
    scene.sound(0)
    scene.run(0.061)
    scene.sound(480, ends=True)  # 50 ms late
    scene.run(0.05)
    assert [each - scene.timestamps[0] for each in scene.timestamps[2:]] == [n * 480 for n in range(7, 12)]


async def test_a_capture_begins_in_silence(scene: Scene) -> None:
    scene.talkspurts.start()
    scene.run(0.05)
    assert [each.data for each in scene.heard] == [SILENCE] * 5


async def test_sound_after_a_pause_lasts_from_where_its_capture_says(scene: Scene) -> None:
    scene.sound(0, ends=True)
    scene.run(0.625)
    scene.sound(30_720)
    assert scene.timestamps[-1] - scene.timestamps[0] == 30_720


async def test_sound_that_comes_a_little_early_after_a_pause_never_goes_back_in_time(scene: Scene) -> None:
    scene.sound(0, ends=True)
    scene.run(0.451)  # silence has just gone out
    scene.sound(45 * 480)
    scene.sound(46 * 480)
    steps = [later - earlier for earlier, later in itertools.pairwise(scene.timestamps)]
    assert steps == [480] * 5 + [40 * 480, 480, 480]


async def test_another_capture_goes_on_in_time_whatever_it_counts(scene: Scene) -> None:
    scene.sound(1_000_000)
    scene.talkspurts.stop()
    scene.run(2)
    assert len(scene.heard) == 1
    scene.talkspurts.start()
    scene.run(0.1)
    scene.sound(0)
    first, pause, *_, sound = scene.timestamps
    assert pause - first == 2 * 48_000
    assert sound - pause == 4800


@pytest.mark.parametrize("frame_ms", [5, 10, 20])
def test_silence_decodes_to_nothing_of_its_length(frame_ms: int) -> None:
    decoder = av.CodecContext.create("opus", "r")
    decoder.sample_rate, decoder.layout = 48000, "stereo"
    (frame,) = decoder.decode(av.Packet(silence(frame_ms)))
    assert frame.samples == frame_ms * 48
    assert not frame.to_ndarray().any()
