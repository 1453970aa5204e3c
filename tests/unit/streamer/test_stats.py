from dataclasses import dataclass

import pytest

from appliance.bus.spec import StreamerSpec
from appliance.bus.stats import ViewerStats
from appliance.streamer import stats
from appliance.streamer.frames import Codec, SourceInfo

pytestmark = pytest.mark.unit

SPEC = StreamerSpec(instance="i", session="s", application="a", kind="test-pattern", bitrate_kbps=3000)


@dataclass
class Rendition:
    codec: Codec | None = None
    problem: str = ""
    frames_encoded: int = 0
    keyframes: int = 0
    encode_s: float = 0.0
    keyframe_requests: int = 0
    fps: float | None = None
    bitrate_kbps: float | None = None
    capture_to_encoded_ms: tuple[float, float] | None = None

    @property
    def info(self) -> SourceInfo | None:
        codec = self.codec
        return SourceInfo("X11 :0", "x264", "no GPU", True, codec, 640, 480) if codec else None


def viewer(codec: str, dropped: int = 0) -> ViewerStats:
    return ViewerStats(id="v", codec=codec, frames_dropped=dropped)


def measure(renditions: list[Rendition], viewers: list[ViewerStats]) -> stats.InstanceStats:
    return stats.instance_stats(SPEC, renditions, viewers, audio="none", input_="X11 :0")


def test_the_rendition_that_most_viewers_see_is_shown_and_all_are_counted() -> None:
    still = Rendition(Codec.H264, frames_encoded=7, keyframes=1, encode_s=0.5, fps=30.0, bitrate_kbps=1.0)
    seen = Rendition(
        Codec.VP8, frames_encoded=5, keyframes=2, encode_s=1.0, fps=1.0, capture_to_encoded_ms=(2.0, 3.0)
    )
    said = measure([still, seen], [viewer("VP8", 4), viewer("VP8", 1), viewer("H264")])
    assert (said.codec, said.fps, said.bitrate_kbps) == ("VP8", 1.0, None)
    assert (said.capture_to_encoded_p50_ms, said.capture_to_encoded_p95_ms) == (2.0, 3.0)
    assert (said.frames_encoded, said.keyframes, said.frames_dropped) == (12, 3, 5)
    assert said.encode_s == 1.5
    assert (said.width, said.height, said.software_fallback) == (640, 480, True)
    assert (said.audio, said.input, said.target_kbps) == ("none", "X11 :0", 3000)


def test_what_is_not_known_is_not_zero() -> None:
    said = measure([Rendition(problem="display :0 is gone"), Rendition()], [])
    assert (said.width, said.fps, said.capture_to_encoded_p50_ms) == (None, None, None)
    assert said.problem == "display :0 is gone"


def test_there_is_no_problem_while_one_rendition_runs() -> None:
    assert measure([Rendition(problem="no encoder"), Rendition(Codec.VP8)], []).problem == ""
