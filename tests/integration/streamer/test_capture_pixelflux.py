"""pixelflux's own compositor in software, with a real Wayland client; and X11 through pixelflux."""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import pytest
from av.video.codeccontext import VideoCodecContext

from appliance.bus.messages import Screen
from appliance.bus.spec import EncoderChoice, StreamerSpec
from appliance.errors import UnavailableError
from appliance.processes import child
from appliance.streamer import subscription
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.capture.compositor import ensure_compositor, run_program
from appliance.streamer.capture.counter import read_counter
from appliance.streamer.capture.pixelflux import PixelfluxSource, is_keyframe
from appliance.streamer.capture.select import open_source
from appliance.streamer.frames import Codec, EncodedFrame, VideoSource
from tests.support.box import counter
from tests.support.x_server import served

pytestmark = pytest.mark.integration

NO_SUCH_GPU = EncoderChoice(
    name="vaapi", codec="H264", backend="pixelflux", hardware=True, render_node="/dev/dri/renderD199"
)
SOFTWARE = (
    EncoderChoice(name="x264", codec="H264", backend="pyav"),
    EncoderChoice(name="libvpx", codec="VP8", backend="pyav"),
)
CLIENT = Path(__file__).parents[2] / "support" / "wayland_client.py"


def spec(**fields: Any) -> StreamerSpec:
    defaults: dict[str, Any] = {
        "instance": "i", "session": None, "application": "a", "kind": "command",
        "screen": Screen(width=640, height=480, fps=60), "encoders": list(SOFTWARE), "bitrate_kbps": 4000,
    }  # fmt: skip
    return StreamerSpec(**(defaults | fields))


@asynccontextmanager
async def frames_of(source: VideoSource) -> AsyncIterator[asyncio.Queue[EncodedFrame]]:
    frames: asyncio.Queue[EncodedFrame] = asyncio.Queue()
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(source.run(frames.put_nowait, started))
        async with asyncio.timeout(20):
            await started.wait()
            yield frames
        task.cancel()


def decoder(codec: Codec) -> VideoCodecContext:
    context = av.CodecContext.create(codec.lower(), "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    return context


@pytest.fixture(autouse=True, scope="module")
def environment(compositor_environment: None) -> None:
    """The compositor lives as long as the process."""


@asynccontextmanager
async def program(what: StreamerSpec) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run_program(what))
        yield
        task.cancel()


@pytest.mark.parametrize("codec", Codec)
async def test_a_program_on_the_compositor_is_streamed(codec: Codec) -> None:
    what = spec(command=[sys.executable, str(CLIENT)])
    source, viewer = open_source(what, codec), decoder(codec)
    async with program(what), frames_of(source) as frames:
        first = await frames.get()
        assert first.keyframe
        numbers: list[int] = []
        latencies = []
        stamps = []
        frame = first
        while len(numbers) < 60 or numbers[-1] - numbers[0] <= 50:
            (picture,) = viewer.decode(av.Packet(frame.data))
            number = read_counter(picture.to_ndarray()[: picture.height])
            numbers += [] if number is None else [number]
            stamps.append(frame.timestamp)
            latencies.append((frame.encoded_ns - frame.captured_ns) / 1e6)
            assert frame.captured_ns <= frame.encode_start_ns <= frame.encoded_ns
            frame = await frames.get()
        assert numbers == sorted(numbers)
        assert stamps == sorted(set(stamps))
        print(f"\nWayland {codec}: captured to encoded {statistics.median(latencies):.1f} ms median")
        assert source.info.source == "Wayland 640x480 (readback)"
        assert source.info.encoder == {"H264": "x264", "VP8": "libvpx"}[codec]
        source.request_keyframe()
        while not frame.keyframe:
            frame = await frames.get()
        source.set_bitrate(1000)


async def test_both_codecs_at_once() -> None:
    what = spec(command=[sys.executable, str(CLIENT)])
    one, other = open_source(what, Codec.H264), open_source(what, Codec.VP8)
    async with program(what), frames_of(one) as h264, frames_of(other) as vp8:
        assert (await h264.get()).keyframe
        assert (await vp8.get()).keyframe
        for _ in range(20):
            await h264.get()
            await vp8.get()


async def test_a_hardware_encoder_that_is_not_there_falls_to_software_and_says_why() -> None:
    source = open_source(spec(encoders=[NO_SUCH_GPU, *SOFTWARE]), Codec.H264)
    async with frames_of(source) as frames:
        assert (await frames.get()).keyframe
        assert source.info.encoder == "x264"
        assert source.info.software_fallback
        assert source.info.reason.startswith("vaapi: ")


def test_nobody_takes_the_compositor_for_a_desktop(tmp_path: Path) -> None:
    script = (
        "import asyncio, os; from appliance.streamer.capture.compositor import ensure_compositor;"
        "from hw.displays import list_displays; socket = ensure_compositor(320, 240);"
        "found = asyncio.run(list_displays({'XDG_RUNTIME_DIR': os.environ['XDG_RUNTIME_DIR']}));"
        "print(socket.is_socket(), [each for each in found if each.kind == 'wayland'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "True []"
    assert not list(tmp_path.iterdir()), "it leaves nothing behind"


async def test_the_screen_of_another_compositor_is_streamed_and_no_other_appears(tmp_path: Path) -> None:
    there = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    host = "from tests.integration.streamer.test_capture_pixelflux import be_a_host; be_a_host()"
    guest = "from tests.integration.streamer.test_capture_pixelflux import be_a_guest; be_a_guest()"
    async with child([sys.executable, "-c", host], name="host", env=there) as compositor:
        async for line in compositor.lines():
            if line.startswith("socket "):
                break
        (tmp_path / "wayland-0").symlink_to(line.removeprefix("socket "))
        async with asyncio.timeout(20), child([sys.executable, "-c", guest], name="guest", env=there) as one:
            assert await one.wait() == 0, one.last_words
    assert one.last_words == "Wayland wayland-0 400x300 (readback) ['wayland-0']"


def be_a_host() -> None:
    """A compositor until the end of the process."""
    print("socket", ensure_compositor(400, 300), file=sys.stderr, flush=True)
    signal.pause()


def be_a_guest() -> None:
    """Capture the compositor `wayland-0`, and tell what it is and which ones are there meanwhile."""

    async def capture() -> None:
        source = open_source(spec(kind="wayland", display="wayland-0"), Codec.H264)
        async with frames_of(source) as frames:
            assert (await frames.get()).keyframe
            there = [each.name for each in Path(os.environ["XDG_RUNTIME_DIR"]).glob("wayland-*")]
            print(source.info.source, there, file=sys.stderr, flush=True)
            os._exit(0)

    asyncio.run(capture())


async def test_a_program_on_the_compositor_keeps_the_sockets_of_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ask = 'test -S "$WAYLAND_DISPLAY" && echo "$XDG_RUNTIME_DIR"'
    with pytest.raises(UnavailableError, match=f"sh ended with 0: {tmp_path}$"):
        await run_program(spec(command=["sh", "-c", ask]))


async def test_a_program_that_ends_says_so() -> None:
    with pytest.raises(UnavailableError, match="sh ended with 3: no luck"):
        await run_program(spec(command=["sh", "-c", "echo no luck >&2; exit 3"]))


async def test_a_missing_program_is_named() -> None:
    with pytest.raises(UnavailableError, match="no program 'fanlight-no-such-thing'"):
        await run_program(spec(command=["fanlight-no-such-thing"]))


@pytest.fixture
def display() -> Iterator[str]:
    with served(640, 480) as name:
        yield name


def x11_source(display: str) -> PixelfluxSource:
    step = EncoderChoice(name="x264", codec="H264", backend="pixelflux")
    return PixelfluxSource(spec(kind="x11", display=display), step)


async def test_an_x11_display_through_pixelflux(display: str) -> None:
    source = x11_source(display)
    async with frames_of(source) as frames:
        frame = await frames.get()
        assert frame.keyframe
        (picture,) = decoder(Codec.H264).decode(av.Packet(frame.data))
        assert (picture.width, picture.height) == (640, 480)
        assert source.info.source == f"X11 {display} 640x480 (XShm)"


@pytest.mark.parametrize("codec", Codec)
async def test_a_viewer_goes_on_after_a_loss_without_a_keyframe(
    display: str, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it decodes is what a decoder sees that lost nothing."""
    monkeypatch.setattr(subscription, "DEPTH", 1000)  # what is lost is lost by the test alone
    source = PixelfluxSource(
        spec(kind="x11", display=display), EncoderChoice(name="", codec=codec, backend="pixelflux")
    )
    everything, viewer = decoder(codec), decoder(codec)
    broadcast = Broadcast(lambda: source)
    async with asyncio.TaskGroup() as group, counter(display, fps="30", mode="motion", seconds="60"):
        task = group.create_task(broadcast.run())
        async with asyncio.timeout(20):
            with broadcast.subscribe() as complete, broadcast.subscribe() as lossy:
                lost, told, same, keyframes = 0, 0, 0, 0
                while same < 60:
                    frame = await complete.next()
                    (whole,) = everything.decode(av.Packet(frame.data))
                    if (got := lossy.take()) is None:
                        if told < lost:
                            told += 1
                            lossy.ask()
                        continue
                    assert got is frame
                    same += 1
                    if same % 20 == 10:
                        lost += 1
                        lossy.stumble(1)
                        continue
                    keyframes += frame.keyframe
                    (picture,) = viewer.decode(av.Packet(frame.data))
                    assert (picture.to_ndarray() == whole.to_ndarray()).all()
                assert (lost, told, keyframes) == (3, 3, 1)
                assert lossy.dropped >= 2 * lost, "what came before the encoder knew needed what was lost"
        task.cancel()


async def test_a_missing_x_server_is_named() -> None:
    with pytest.raises(UnavailableError, match="display :4711: no X server answers"):
        await x11_source(":4711").run(lambda _: None, asyncio.Event())


@pytest.mark.parametrize(
    ("codec", "data", "expected"),
    [
        (Codec.H264, b"\0\0\0\1\x67\x42", True),
        (Codec.H264, b"\0\0\0\1\x09\x10\0\0\0\1\x67\x42", True),
        (Codec.H264, b"\0\0\1\x06\x05\0\0\1\x65\x88", True),
        (Codec.H264, b"\0\0\0\1\x41\x9a", False),
        (Codec.H264, b"", False),
        (Codec.VP8, b"\x90\x29\x01\x9d", True),
        (Codec.VP8, b"\x91\x48\x00", False),
        (Codec.VP8, b"", False),
    ],
)
def test_keyframes_are_told_by_their_bits(codec: Codec, data: bytes, expected: bool) -> None:
    assert is_keyframe(codec, data) is expected
