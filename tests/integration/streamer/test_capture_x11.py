"""X11 capture on a real X server, its stream decoded again."""

import asyncio
import itertools
import os
import resource
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import av
import numpy as np
import pytest
import xcffib
import xcffib.randr
import xcffib.xtest
from av.video.codeccontext import VideoCodecContext
from xcffib import xproto

from appliance.streamer.capture import cadence
from appliance.streamer.capture.counter import BITS, BLOCK, CELLS, read_counter
from appliance.streamer.capture.x11 import X11Source
from appliance.streamer.frames import Codec, EncodedFrame
from tests.support.x_server import Server, start_server

HEARTBEAT_S = 1.0
pytestmark = pytest.mark.integration

WHITE, BLACK, RED = 0xFFFFFF, 0, 0xFF0000


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    started = start_server(*getattr(request, "param", ()))
    yield started
    started.end()


class Painter:
    """An X client that draws rectangles on a window over the whole screen."""

    def __init__(self, display: str) -> None:
        self.x = xcffib.connect(display)
        screen = self.x.get_setup().roots[0]
        self.root, self.width, self.height = screen.root, screen.width_in_pixels, screen.height_in_pixels
        self.window = self.x.generate_id()
        self.x.core.CreateWindow(
            24, self.window, screen.root, 0, 0, self.width, self.height, 0, 1, screen.root_visual,
            xproto.CW.BackPixel | xproto.CW.OverrideRedirect, [BLACK, 1],
        )  # fmt: skip
        self.x.core.MapWindow(self.window)
        self.gc = self.x.generate_id()
        self.x.core.CreateGC(self.gc, self.window, 0, [])
        self.sync()

    def fill(self, colour: int, *boxes: tuple[int, int, int, int]) -> None:
        self.x.core.ChangeGC(self.gc, xproto.GC.Foreground, [colour])
        rectangles = [xproto.RECTANGLE.synthetic(*box) for box in boxes]
        self.x.core.PolyFillRectangle(self.window, self.gc, len(rectangles), rectangles)

    def count(self, number: int) -> None:
        gray = number ^ (number >> 1)
        lit = [bit for bit in range(BITS) if gray >> bit & 1] + [BITS, BITS + 2]
        self.fill(BLACK, (0, 0, BLOCK * CELLS, BLOCK))
        self.fill(WHITE, *((cell * BLOCK, 0, BLOCK, BLOCK) for cell in lit))
        self.sync()

    def sync(self) -> None:
        self.x.core.GetInputFocus().reply()


class Watcher:
    """Decodes a source's frames as they come."""

    def __init__(self, source: X11Source) -> None:
        self.source = source
        self.frames: list[EncodedFrame] = []
        self.started = asyncio.Event()
        self._news = asyncio.Event()
        context = av.CodecContext.create("h264", "r")
        assert isinstance(context, VideoCodecContext)
        context.thread_count = 1
        self._decoder = context
        self.picture = np.zeros((0, 0), np.uint8)

    def accept(self, frame: EncodedFrame) -> None:
        self.frames.append(frame)
        (picture,) = self._decoder.decode(av.Packet(frame.data))
        self.picture = picture.to_ndarray()
        self._news.set()

    async def next(self, seconds: float = 5) -> EncodedFrame:
        """The next frame that comes."""
        self._news.clear()
        async with asyncio.timeout(seconds):
            await self._news.wait()
        return self.frames[-1]

    async def still(self) -> None:
        """Until only heartbeats are left."""
        for _ in range(5):
            await self.next()


@pytest.fixture(autouse=True)
def lively(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cadence, "HEARTBEAT_S", HEARTBEAT_S)


@asynccontextmanager
async def watching(display: str, **options: int) -> AsyncIterator[Watcher]:
    settings = {"fps": 60, "kbps": 8000, **options}
    watcher = Watcher(X11Source(display, codec=Codec.H264, **settings))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watcher.source.run(watcher.accept, watcher.started))
        async with asyncio.timeout(5):
            await watcher.started.wait()
        yield watcher
        task.cancel()


@pytest.mark.parametrize("server", [(1280, 720), (1920, 1080)], indirect=True, ids=["720p", "1080p"])
async def test_what_is_drawn_is_in_the_stream_at_once(server: Server) -> None:
    painter = Painter(server.display)
    async with watching(server.display) as watcher:
        await watcher.still()
        latencies = []
        for number in range(1, 61):
            painter.fill(RED + number, (200, 200 + number, 300, 200))
            painter.count(number)
            drawn = time.monotonic_ns()
            while read_counter(watcher.picture) != number:
                await watcher.next()
            latencies.append((watcher.frames[-1].encoded_ns - drawn) / 1e6)
            await asyncio.sleep(0.02)
    latencies.sort()
    median, p95 = statistics.median(latencies), latencies[len(latencies) * 95 // 100]
    size = f"{painter.width}x{painter.height}"
    print(f"\n{size}: drawn to encoded {median:.1f} ms median, {p95:.1f} ms p95")
    assert median < 500
    stamps = [frame.timestamp for frame in watcher.frames]
    assert stamps == sorted(set(stamps))
    assert watcher.frames[0].keyframe
    assert all(f.captured_ns <= f.encode_start_ns <= f.encoded_ns for f in watcher.frames)


@pytest.mark.parametrize("server", [(1920, 1080)], indirect=True)
async def test_a_still_screen_costs_next_to_nothing(server: Server) -> None:
    async with watching(server.display) as watcher:
        await watcher.still()
        before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        seen = len(watcher.frames)
        await watcher.next()
        await watcher.next()
        after, elapsed = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - begun
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        bits = sum(len(frame.data) for frame in watcher.frames[seen:]) * 8
        print(
            f"\nstill 1080p: {100 * cpu / elapsed:.2f} % of a core (decoding too), {bits / elapsed:.0f} b/s"
        )
        assert -0.5 < elapsed - 2 * HEARTBEAT_S < 5
        assert cpu / elapsed < 0.1
        assert bits / elapsed < 20_000


async def test_constant_drawing_is_captured_at_the_frame_rate(server: Server) -> None:
    painter = Painter(server.display)
    async with watching(server.display, fps=30) as watcher:
        begun, seen = time.monotonic(), len(watcher.frames)
        number = 0
        while (elapsed := time.monotonic() - begun) < 1 or len(watcher.frames) < seen + 15:
            number += 1
            painter.count(number)
            await asyncio.sleep(0.005)
        taken = [frame.captured_ns / 1e9 for frame in watcher.frames[seen:]]
        assert len(taken) <= 33 * elapsed
        assert statistics.median(after - before for before, after in itertools.pairwise(taken)) < 1 / 8


async def test_the_pointer_is_seen_to_move_over_a_still_screen(server: Server) -> None:
    painter = Painter(server.display)
    painter.fill(0x808080, (0, 0, painter.width, painter.height))
    painter.sync()
    xtest = painter.x(xcffib.xtest.key)
    async with watching(server.display) as watcher:
        await watcher.still()

        async def seen_at(x: int, y: int) -> None:
            while watcher.picture[y - 10 : y + 10, x - 10 : x + 10].std() <= 10:
                await watcher.next()

        xtest.FakeInput(6, 0, 0, painter.root, 300, 300, 0)
        painter.x.flush()
        await seen_at(300, 300)
        painter.x.core.WarpPointer(0, painter.root, 0, 0, 0, 0, 700, 500)
        painter.x.flush()
        await seen_at(700, 500)
        assert float(watcher.picture[290:310, 290:310].std()) < 3, "nothing is left where it was"


async def test_the_pointer_stays_where_it_is_whatever_is_drawn(server: Server) -> None:
    painter = Painter(server.display)
    painter.fill(0x808080, (0, 0, painter.width, painter.height))
    painter.x.core.WarpPointer(0, painter.root, 0, 0, 0, 0, 300, 300)
    painter.sync()
    around = slice(290, 310), slice(290, 310)
    async with watching(server.display) as watcher:
        await watcher.still()
        assert float(watcher.picture[around].std()) > 10
        painter.fill(WHITE, (900, 600, 40, 40))
        painter.sync()
        while watcher.picture[620, 920] < 200:
            await watcher.next()
        assert float(watcher.picture[around].std()) > 10, "beside it"
        painter.fill(WHITE, (200, 200, 200, 200))
        painter.sync()
        while watcher.picture[220, 220] < 200:
            await watcher.next()
        assert float(watcher.picture[around].std()) > 10, "beneath it"


async def test_a_keyframe_comes_at_once_on_a_still_screen(server: Server) -> None:
    async with watching(server.display) as watcher:
        await watcher.still()
        asked = time.monotonic_ns()
        watcher.source.request_keyframe()
        frame = await watcher.next()
        assert frame.keyframe
        assert (frame.encoded_ns - asked) / 1e6 < 1000


async def test_a_resized_screen_is_followed(server: Server) -> None:
    painter = Painter(server.display)
    async with watching(server.display) as watcher:
        assert (watcher.source.info.width, watcher.source.info.height) == (1280, 720)
        await watcher.still()
        resize(painter, 801, 601)
        while watcher.picture.shape[1] != 800:
            await watcher.next()
        assert (watcher.source.info.width, watcher.source.info.height) == (800, 600)
        assert "800x600" in watcher.source.info.source
        painter.count(77)
        while read_counter(watcher.picture[:600]) != 77:
            await watcher.next()


def resize(painter: Painter, width: int, height: int) -> None:
    """As xrandr does it: a new mode, the CRTC off, the screen's size, the CRTC on."""
    randr = painter.x(xcffib.randr.key)
    randr.QueryVersion(1, 3).reply()
    resources = randr.GetScreenResources(painter.root).reply()
    (crtc,), (output,) = resources.crtcs, resources.outputs
    name = f"{width}x{height}"
    timing = xcffib.randr.ModeInfo.synthetic(
        0, width, height, 48_000_000, width, width, width, 0, height, height, height, len(name), 0
    )
    mode = randr.CreateMode(painter.root, timing, len(name), name).reply().mode
    randr.AddOutputMode(output, mode, is_checked=True).check()
    randr.SetCrtcConfig(crtc, 0, 0, 0, 0, 0, 1, 0, []).reply()
    randr.SetScreenSize(painter.root, width, height, 200, 150, is_checked=True).check()
    randr.SetCrtcConfig(crtc, 0, 0, 0, 0, mode, 1, 1, [output]).reply()


async def test_an_odd_screen_is_shown_without_its_last_row_and_column() -> None:
    started = start_server(641, 481)
    try:
        async with watching(started.display) as watcher:
            assert (watcher.source.info.width, watcher.source.info.height) == (640, 480)
            await watcher.still()
    finally:
        started.end()


async def test_an_x_server_of_another_user_shares_its_pixels() -> None:
    started = start_server(640, 480, user=65534 if os.geteuid() == 0 else None)
    try:
        async with watching(started.display) as watcher:
            Painter(started.display).count(4242)
            while read_counter(watcher.picture[:480]) != 4242:
                await watcher.next()
    finally:
        started.end()
