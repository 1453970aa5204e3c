"""Input into pixelflux's own compositor, seen by a real Wayland client."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pixelflux
import pytest
from evdev import ecodes

from appliance.bus.messages import Role
from appliance.signaling.control import Clipboard, ImeText, Key, MouseButton, MouseMove, Wheel
from appliance.streamer.capture.compositor import ensure_compositor
from appliance.streamer.input.router import InputRouter
from appliance.streamer.input.wayland import WaylandSink

pytestmark = pytest.mark.integration

WIDTH, HEIGHT = 800, 600
PASTE = (ecodes.KEY_LEFTCTRL, ecodes.KEY_LEFTSHIFT)


@pytest.fixture(scope="module")
def socket(compositor_environment: None) -> Path:
    return ensure_compositor(WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def source(socket: Path) -> Iterator[Any]:
    settings = pixelflux.CaptureSettings()
    settings.use_wayland = settings.use_cpu = True
    settings.capture_width, settings.capture_height, settings.target_fps = WIDTH, HEIGHT, 10.0
    settings.codec, settings.video_fullframe, settings.omit_stripe_headers = "h264", True, True
    capture = pixelflux.ScreenCapture()
    capture.start_capture(lambda _: None, settings)
    yield SimpleNamespace(capture=capture, info=SimpleNamespace(width=WIDTH, height=HEIGHT))
    capture.stop_capture()


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def router(source: Any) -> AsyncIterator[InputRouter]:
    router = InputRouter(WaylandSink(lambda: source, own=True))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(router.run())
        yield router
        task.cancel()


@pytest.fixture
async def terminal(source: Any, socket: Path, tmp_path: Path) -> AsyncIterator[Path]:
    """What a terminal that has the focus gets typed."""
    typed, ready = tmp_path / "typed", tmp_path / "ready"
    os.mkfifo(ready)
    script = (
        f"stty -icanon -echo; printf 'copied\\033[?1006h'; : > {typed}; echo > {ready}; exec cat >> {typed}"
    )
    there = {"XDG_RUNTIME_DIR": str(tmp_path), "WAYLAND_DISPLAY": str(socket), "LC_ALL": "C.UTF-8"}
    process = await asyncio.create_subprocess_exec(
        "foot", "--maximized", "sh", "-c", script, stderr=asyncio.subprocess.DEVNULL, env=os.environ | there
    )
    descriptor = os.open(ready, os.O_RDWR | os.O_NONBLOCK)
    written = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, written.set)
    try:
        async with asyncio.timeout(10):
            await written.wait()
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
    await until(lambda: source.capture.list_windows())
    yield typed
    process.terminate()
    await process.wait()
    await until(lambda: not source.capture.list_windows())


def tap(router: InputRouter, code: int, key: str = "") -> None:
    router.handle("ada", Role.CONTROL, Key(code, key, True))
    router.handle("ada", Role.CONTROL, Key(code, key, False))


def hold(router: InputRouter, *codes: int, pressed: bool) -> None:
    for code in codes:
        router.handle("ada", Role.CONTROL, Key(code, "", pressed))


async def test_what_the_viewer_types_arrives_whatever_the_layout(router: InputRouter, terminal: Path) -> None:
    tap(router, ecodes.KEY_A, "a")
    tap(router, ecodes.KEY_Q, "a")
    hold(router, ecodes.KEY_LEFTSHIFT, pressed=True)
    tap(router, ecodes.KEY_1, "1")
    tap(router, ecodes.KEY_Z, "Y")
    hold(router, ecodes.KEY_LEFTSHIFT, pressed=False)
    tap(router, ecodes.KEY_2, "é")
    tap(router, ecodes.KEY_KP7, "7")
    router.handle("ada", Role.CONTROL, ImeText("Grüße, 世界! ☃ абвгдежзийклмнопрстуфх ~A"))
    expected = "aa1Yé7Grüße, 世界! ☃ абвгдежзийклмнопрстуфх ~A"
    await until(lambda: len(terminal.read_text()) >= len(expected))
    assert terminal.read_text() == expected


async def test_the_viewers_clipboard_is_pasted(router: InputRouter, terminal: Path) -> None:
    router.handle("ada", Role.CONTROL, Clipboard("from the viewer ☃"))
    hold(router, *PASTE, pressed=True)
    tap(router, ecodes.KEY_V)
    hold(router, *PASTE, pressed=False)
    await until(lambda: terminal.read_text() == "from the viewer ☃")


async def test_what_is_copied_on_the_screen_reaches_the_viewer(router: InputRouter, terminal: Path) -> None:
    got: asyncio.Queue[str] = asyncio.Queue()
    router.on_clipboard = got.put_nowait
    router.handle("ada", Role.CONTROL, MouseMove(4, 4, 0, 0))
    for _ in range(2):
        router.handle("ada", Role.CONTROL, MouseButton(ecodes.BTN_LEFT, True))
        router.handle("ada", Role.CONTROL, MouseButton(ecodes.BTN_LEFT, False))
    hold(router, *PASTE, pressed=True)
    tap(router, ecodes.KEY_C)
    hold(router, *PASTE, pressed=False)
    async with asyncio.timeout(5):
        assert await got.get() == "copied"


async def test_a_viewer_that_leaves_lets_go(source: Any, router: InputRouter) -> None:
    hold(router, ecodes.KEY_LEFTSHIFT, ecodes.KEY_W, pressed=True)
    await until(lambda: source.capture.get_keyboard_state()[0] in ([50, 25], [25, 50]))
    router.release("ada")
    await until(lambda: source.capture.get_keyboard_state() == ([], 0))


async def test_the_pointer_stays_on_the_screen(source: Any, router: InputRouter) -> None:
    router.handle("ada", Role.CONTROL, MouseMove(1e5, -5, 0, 0))
    await until(lambda: source.capture.pointer_location()[:2] == (WIDTH - 1, 0))
    router.handle("ada", Role.CONTROL, MouseMove(None, None, -10.5, 20))
    await until(lambda: source.capture.pointer_location()[:2] == (WIDTH - 11.5, 20))


async def test_no_source_means_no_input_and_no_error() -> None:
    router = InputRouter(WaylandSink(lambda: None, own=True))
    tap(router, ecodes.KEY_A, "a")
    for message in (MouseMove(1, 1, 0, 0), Wheel(0, 1), Clipboard("x"), ImeText("ü")):
        router.handle("ada", Role.CONTROL, message)
    assert router.description.endswith("not running")
