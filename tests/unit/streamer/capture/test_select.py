"""The encoder ladder."""

import asyncio
from collections.abc import Callable
from typing import Literal

import pytest

from appliance.bus.spec import EncoderChoice, StreamerSpec
from appliance.errors import UnavailableError
from appliance.streamer.capture.encoder import EncoderRefusedError
from appliance.streamer.capture.select import LadderSource, ladder
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo

pytestmark = pytest.mark.unit

NVENC = EncoderChoice(name="nvenc", codec="H264", backend="pixelflux", hardware=True)
VAAPI_VP8 = EncoderChoice(name="vaapi", codec="VP8", backend="pixelflux", hardware=True)
X264 = EncoderChoice(name="x264", codec="H264", backend="pyav", reason="no GPU")


def spec(kind: Literal["x11", "test-pattern"], *encoders: EncoderChoice) -> StreamerSpec:
    return StreamerSpec(instance="i", session=None, application="a", kind=kind, encoders=list(encoders))


class Step:
    """A source that does what its plan says."""

    def __init__(self, choice: EncoderChoice, plan: Exception | None) -> None:
        self.info = SourceInfo("screen", choice.name, choice.reason, False, Codec.H264, 2, 2)
        self.plan = plan
        self.kbps = 0

    async def run(self, deliver: Callable[[EncodedFrame], None], started: asyncio.Event) -> None:
        if self.plan:
            raise self.plan
        started.set()
        await asyncio.Event().wait()

    def request_keyframe(self) -> None:
        pass

    def set_bitrate(self, kbps: int) -> None:
        self.kbps = kbps


def test_only_steps_that_fit_codec_and_source() -> None:
    assert ladder(spec("x11", NVENC, VAAPI_VP8, X264), Codec.H264) == [NVENC, X264]
    assert ladder(spec("test-pattern", NVENC, X264), Codec.H264) == [X264]


def test_software_is_always_the_last_step() -> None:
    assert [step.name for step in ladder(spec("x11"), Codec.VP8)] == ["libvpx"]
    assert [step.name for step in ladder(spec("x11", NVENC), Codec.H264)] == ["nvenc", "x264"]


async def test_a_refused_step_gives_way_and_its_cause_is_kept() -> None:
    plans: dict[str, Exception | None] = {
        "nvenc": EncoderRefusedError("nvenc: out of sessions"),
        "x264": None,
    }
    source = LadderSource([NVENC, X264], lambda choice: Step(choice, plans[choice.name]))
    source.set_bitrate(700)
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(source.run(lambda _: None, started))
        await started.wait()
        assert source.info.encoder == "x264"
        assert source.info.reason == "nvenc: out of sessions; no GPU"
        assert source.info.software_fallback
        assert source.info is source.info
        assert isinstance(source._current, Step)
        assert source._current.kbps == 700
        task.cancel()


@pytest.mark.parametrize(("kind", "expected"), [("x11", True), ("test-pattern", False)])
async def test_software_from_the_beginning_is_told_where_a_gpu_should_encode(
    kind: Literal["x11", "test-pattern"], expected: bool
) -> None:
    steps = ladder(spec(kind, X264.model_copy(update={"fallback": True})), Codec.H264)
    source = LadderSource(steps, lambda choice: Step(choice, None))
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(source.run(lambda _: None, started))
        await started.wait()
        assert source.info.software_fallback is expected
        task.cancel()


async def test_a_missing_display_is_no_reason_to_take_a_worse_encoder() -> None:
    source = LadderSource(
        [NVENC, X264], lambda choice: Step(choice, UnavailableError(f"display gone {choice.name}"))
    )
    with pytest.raises(UnavailableError, match="display gone nvenc"):
        await source.run(lambda _: None, asyncio.Event())


async def test_no_step_works() -> None:
    source = LadderSource(
        [NVENC, X264], lambda choice: Step(choice, EncoderRefusedError(f"{choice.name}: no"))
    )
    with pytest.raises(UnavailableError, match="nvenc: no; x264: no"):
        await source.run(lambda _: None, asyncio.Event())
