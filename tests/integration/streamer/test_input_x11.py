"""Input into a real X server, seen by real X clients."""

import asyncio
import contextlib
import os
import signal
import statistics
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import xcffib
from evdev import ecodes
from xcffib import xproto

from appliance.bus.messages import Role
from appliance.signaling.control import Clipboard, ImeText, Key, MouseButton, MouseMove, Release, Wheel
from appliance.streamer.input import x11_layout
from appliance.streamer.input.router import InputRouter
from appliance.streamer.input.x11 import X11Sink

pytestmark = pytest.mark.integration

SIZE = (1280, 720)
PRESS, RELEASE, BUTTON_PRESS, BUTTON_RELEASE, MOTION = 2, 3, 4, 5, 6


def start_server(*arguments: str) -> tuple[subprocess.Popen[bytes], str]:
    readable, writable = os.pipe()
    command = ["Xvfb", *arguments, "-displayfd", str(writable), "-nolisten", "tcp", "-noreset"]
    command += ["-screen", "0", "x".join(map(str, (*SIZE, 24)))]
    process = subprocess.Popen(command, pass_fds=(writable,), stderr=subprocess.DEVNULL)
    os.close(writable)
    with os.fdopen(readable) as answer:
        number = answer.readline().strip()
    assert number, "Xvfb did not start"
    return process, f":{number}"


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)


@pytest.fixture
def display() -> Iterator[str]:
    process, name = start_server()
    yield name
    end(process)


class Client:
    """A program on the screen: a window with the focus that notes the events it gets, and when."""

    def __init__(self, display: str) -> None:
        self.x = xcffib.connect(display)
        self.core: Any = self.x.core
        setup: Any = self.x.setup
        self.root = setup.roots[0].root
        self.window = self.x.generate_id()
        kinds = xproto.EventMask
        mask = kinds.KeyPress | kinds.KeyRelease | kinds.ButtonPress | kinds.ButtonRelease
        mask |= kinds.PointerMotion | kinds.PropertyChange
        self.core.CreateWindow(
            0, self.window, self.root, 0, 0, *SIZE, 0, xproto.WindowClass.InputOutput, 0,
            xproto.CW.OverrideRedirect | xproto.CW.EventMask, [1, mask],
        )  # fmt: skip
        self.core.MapWindow(self.window)
        self.core.SetInputFocus(0, self.window, xproto.Time.CurrentTime)
        self.core.GetInputFocus().reply()
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self.x.get_file_descriptor(), self.read)

    def read(self) -> None:
        now = time.perf_counter()
        with contextlib.suppress(xcffib.ConnectionException):
            while event := self.x.poll_for_event():
                event.at = now
                self.events.put_nowait(event)

    async def next(self, *kinds: int) -> Any:
        async with asyncio.timeout(5):
            while True:
                event = await self.events.get()
                if event.response_type & 0x7F in kinds:
                    return event

    async def keys(self, count: int) -> list[tuple[int, bool]]:
        """The next key events, as evdev code and pressed."""
        events = [await self.next(PRESS, RELEASE) for _ in range(count)]
        return [(event.detail - 8, event.response_type & 0x7F == PRESS) for event in events]

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.x.get_file_descriptor())
        self.x.disconnect()


@contextlib.asynccontextmanager
async def running(router: InputRouter) -> AsyncIterator[InputRouter]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(router.run())
        try:
            yield router
        finally:
            task.cancel()


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def router(display: str) -> AsyncIterator[InputRouter]:
    async with running(InputRouter(X11Sink(display))) as router:
        await until(lambda: router.description == f"X11 {display}: XTEST")
        yield router


@pytest.fixture
async def client(display: str, router: InputRouter) -> AsyncIterator[Client]:
    client = Client(display)
    yield client
    client.close()


def press(router: InputRouter, code: int, key: str = "", *, viewer: str = "ada") -> None:
    router.handle(viewer, Role.CONTROL, Key(code, key, True))


def release(router: InputRouter, code: int, key: str = "", *, viewer: str = "ada") -> None:
    router.handle(viewer, Role.CONTROL, Key(code, key, False))


def tap(router: InputRouter, code: int, key: str = "") -> None:
    press(router, code, key)
    release(router, code, key)


async def set_layout(display: str, layout: str) -> None:
    process = await asyncio.create_subprocess_exec("setxkbmap", "-display", display, layout)
    assert await process.wait() == 0


async def test_keys_arrive_as_pressed(router: InputRouter, client: Client) -> None:
    press(router, ecodes.KEY_A, "a")
    release(router, ecodes.KEY_A, "a")
    tap(router, ecodes.KEY_F5, "F5")
    assert await client.keys(4) == [(30, True), (30, False), (63, True), (63, False)]


async def test_moves_are_absolute_relative_and_stay_on_the_screen(
    router: InputRouter, client: Client
) -> None:
    for x, y in ((147.84, 20.2), (-50, 1e5)):
        router.handle("ada", Role.CONTROL, MouseMove(x, y, 0, 0))
    router.handle("ada", Role.CONTROL, MouseMove(None, None, 10.5, -20))
    router.handle("ada", Role.CONTROL, MouseMove(None, None, 0.5, 0))
    events = [await client.next(MOTION) for _ in range(4)]
    assert [(event.root_x, event.root_y) for event in events] == [(147, 20), (0, 719), (10, 699), (11, 699)]


async def test_buttons_and_the_wheel_are_x_buttons(router: InputRouter, client: Client) -> None:
    router.handle("ada", Role.CONTROL, MouseMove(100, 100, 0, 0))
    for button in (ecodes.BTN_LEFT, ecodes.BTN_MIDDLE, ecodes.BTN_RIGHT, ecodes.BTN_SIDE, ecodes.BTN_EXTRA):
        router.handle("ada", Role.CONTROL, MouseButton(button, True))
        router.handle("ada", Role.CONTROL, MouseButton(button, False))
    for dx, dy in ((0, 1), (0, -1), (-1, 0), (1, 0), (0, 0.5), (0, 0.5)):
        router.handle("ada", Role.CONTROL, Wheel(dx, dy))
    pressed = [(await client.next(BUTTON_PRESS)).detail for _ in range(10)]
    assert pressed == [1, 2, 3, 8, 9, 5, 4, 6, 7, 5]


async def test_a_viewer_that_leaves_lets_go(router: InputRouter, client: Client) -> None:
    press(router, ecodes.KEY_LEFTSHIFT, "Shift")
    press(router, ecodes.KEY_W, "W")
    router.handle("ada", Role.CONTROL, MouseButton(ecodes.BTN_LEFT, True))
    router.release("ada")
    assert await client.keys(4) == [(42, True), (17, True), (17, False), (42, False)]
    assert (await client.next(BUTTON_RELEASE)).detail == 1


async def test_keys_left_down_by_a_killed_streamer_are_let_go(display: str) -> None:
    other = Client(display)
    xtest = other.x(xcffib.xtest.key)
    xtest.FakeInput(2, 42 + 8, 0, 0, 0, 0, 0)
    xtest.FakeInput(4, 1, 0, 0, 0, 0, 0)
    other.core.GetInputFocus().reply()
    async with running(InputRouter(X11Sink(display))):
        assert (await other.next(BUTTON_RELEASE)).detail == 1
    assert not any(other.core.QueryKeymap().reply().keys)
    other.close()


async def test_stopping_lets_go_and_gives_the_spare_keys_back(display: str) -> None:
    other = Client(display)
    before = list(other.core.GetKeyboardMapping(8, 248).reply().keysyms)
    router = InputRouter(X11Sink(display))
    async with running(router):
        await until(lambda: "XTEST" in router.description)
        press(router, ecodes.KEY_1, "☃")
        event = await other.next(PRESS)
        assert next(iter(other.core.GetKeyboardMapping(event.detail, 1).reply().keysyms)) == 0x1002603
    assert (await other.next(RELEASE)).detail == event.detail
    after = other.core.GetKeyboardMapping(8, 248).reply()
    rows = [list(after.keysyms)[n : n + 2] for n in range(0, len(after.keysyms), after.keysyms_per_keycode)]
    assert [0x1002603] * 2 not in rows
    assert set(before) >= {keysym for row in rows for keysym in row}
    other.close()


async def test_a_dead_key_that_the_viewer_did_not_compose_is_the_servers(
    display: str, router: InputRouter, client: Client
) -> None:
    await set_layout(display, "fr")
    tap(router, ecodes.KEY_LEFTBRACE, "Dead")
    tap(router, ecodes.KEY_E, "e")
    assert await client.keys(4) == [(26, True), (26, False), (18, True), (18, False)]


async def test_alt_gr_of_windows_is_no_control(router: InputRouter, client: Client) -> None:
    press(router, ecodes.KEY_LEFTCTRL, "Control")
    press(router, ecodes.KEY_RIGHTALT, "AltGraph")
    press(router, ecodes.KEY_Q, "@")
    events = [await client.next(PRESS, RELEASE) for _ in range(3)]
    assert [(event.detail - 8, event.state & 0xFF) for event in events[:2]] == [(29, 0), (29, 4)]
    keysyms = client.core.GetKeyboardMapping(events[2].detail, 1).reply().keysyms
    assert (keysyms[0], events[2].state) == (ord("@"), 0)


async def test_shortcuts_go_by_letter_and_by_position_where_the_alphabet_has_none(
    router: InputRouter, client: Client
) -> None:
    press(router, ecodes.KEY_LEFTCTRL, "Control")
    tap(router, ecodes.KEY_Q, "a")
    tap(router, ecodes.KEY_C, "с")  # noqa: RUF001 - Cyrillic
    assert [code for code, pressed in await client.keys(5) if pressed] == [29, ecodes.KEY_A, ecodes.KEY_C]


async def test_the_keypad_moves_the_cursor_if_it_does_at_the_viewer(
    router: InputRouter, client: Client
) -> None:
    tap(router, ecodes.KEY_KP7, "Home")
    assert await client.keys(2) == [(ecodes.KEY_HOME, True), (ecodes.KEY_HOME, False)]


TYPED = {
    "us": ([(30, "a"), (3, "2"), (-42, ""), (3, "@"), (41, "~"), (42, ""), (44, "z")], "a2@~z"),
    "french": (
        [
            *((16, "a"), (3, "é"), (-42, ""), (2, "1"), (16, "A"), (42, ""), (39, "m"), (50, ",")),
            *((-100, "AltGraph"), (11, "@"), (18, "€"), (100, ""), (26, "Dead"), (18, "ê"), (11, "à")),
        ],
        "aé1Am,@€êà",
    ),
    "german": (
        [
            *((21, "z"), (44, "y"), (12, "ß"), (39, "ö"), (-42, ""), (40, "Ä"), (42, "")),
            *((-100, "AltGraph"), (16, "@"), (18, "€"), (86, "|"), (100, ""), (13, "Dead"), (18, "é")),
        ],
        "zyßöÄ@€|é",
    ),
    "greek": ([(30, "α"), (31, "σ"), (17, "ς"), (-42, ""), (30, "Α"), (42, "")], "ασςΑ"),  # noqa: RUF001
}


@pytest.fixture
async def terminal(display: str, tmp_path: Path) -> AsyncIterator[Path]:
    """What an xterm that fills the screen gets typed."""
    typed, ready = tmp_path / "typed", tmp_path / "ready"
    os.mkfifo(ready)
    script = f"stty -icanon -echo; : > {typed}; echo > {ready}; exec cat >> {typed}"
    process = await asyncio.create_subprocess_exec(
        "xterm", "-u8", "-geometry", "250x80+0+0", "-e", "sh", "-c", script,
        env={**os.environ, "DISPLAY": display, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    async with asyncio.timeout(10):
        await asyncio.to_thread(ready.read_bytes)
    yield typed
    process.terminate()
    await process.wait()


@pytest.mark.parametrize("server", ["us", "fr", "de", "gr"])
@pytest.mark.parametrize("viewer", TYPED)
async def test_a_terminal_gets_what_the_viewer_typed_whatever_the_layouts(
    viewer: str, server: str, display: str, router: InputRouter, terminal: Path
) -> None:
    await set_layout(display, server)
    router.handle("ada", Role.CONTROL, MouseMove(300, 300, 0, 0))
    keys, expected = TYPED[viewer]
    for code, key in keys:  # a negative code is held until it comes again
        if code < 0:
            press(router, -code, key or "Shift")
        elif key:
            tap(router, code, key)
        else:
            release(router, code)
    await until(lambda: len(terminal.read_text().rstrip("\0")) >= len(expected))
    assert terminal.read_text() == expected


async def test_capital_letters_of_a_viewer_with_caps_lock(router: InputRouter, terminal: Path) -> None:
    router.handle("ada", Role.CONTROL, MouseMove(300, 300, 0, 0))
    tap(router, ecodes.KEY_A, "A")
    tap(router, ecodes.KEY_CAPSLOCK, "CapsLock")
    tap(router, ecodes.KEY_A, "A")
    tap(router, ecodes.KEY_A, "a")
    await until(lambda: len(terminal.read_text()) >= 3)
    assert terminal.read_text() == "AAa"


async def test_any_text_can_be_typed(
    router: InputRouter, terminal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(x11_layout, "_SETTLE_SECONDS", 2)  # for an xterm on a machine that stands still
    router.handle("ada", Role.CONTROL, MouseMove(300, 300, 0, 0))
    alphabet = "".join(map(chr, range(0x430, 0x450)))
    text = f"Grüße, 世界! ☃ {alphabet}{alphabet.upper()}\nЁ\t~"
    router.handle("ada", Role.CONTROL, ImeText(text))
    await until(lambda: len(terminal.read_text()) >= len(text))
    assert terminal.read_text() == text


async def test_input_arrives_at_once(
    router: InputRouter, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[float] = []
    for n in range(200):
        before = time.perf_counter()
        press(router, ecodes.KEY_A, "a") if n % 2 == 0 else release(router, ecodes.KEY_A, "a")
        event = await client.next(PRESS if n % 2 == 0 else RELEASE)
        taken.append((event.at - before) * 1000)
    median, worst = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
    with capsys.disabled():
        print(f"\nkey from router to X client: median {median:.2f} ms, p95 {worst:.2f} ms")
    assert median < 200


async def test_the_clipboard_goes_both_ways(display: str, router: InputRouter, client: Client) -> None:
    router.handle("ada", Role.CONTROL, Clipboard("from the viewer ☃" + "x" * 200_000))
    assert await pasted(client) == "from the viewer ☃" + "x" * 200_000

    got: asyncio.Queue[str] = asyncio.Queue()
    router.on_clipboard = got.put_nowait
    await copy(client, "from the screen ☃")
    async with asyncio.timeout(5):
        assert await got.get() == "from the screen ☃"


def atoms(client: Client, *names: str) -> list[int]:
    return [client.core.InternAtom(False, len(name), name).reply().atom for name in names]


async def pasted(client: Client) -> str:
    """What somebody has on the clipboard, once somebody has something."""
    clipboard, utf8, prop = atoms(client, "CLIPBOARD", "UTF8_STRING", "SOMETHING")
    await until(lambda: client.core.GetSelectionOwner(clipboard).reply().owner)
    client.core.ConvertSelection(client.window, clipboard, utf8, prop, 0)
    client.x.flush()
    assert (await client.next(31)).property == prop
    reply = client.core.GetProperty(True, client.window, prop, 0, 0, 100_000).reply()
    return bytes(reply.value.buf()).decode()


async def copy(client: Client, text: str) -> None:
    """Put it on the clipboard, and serve the first who asks for it."""
    clipboard, utf8 = atoms(client, "CLIPBOARD", "UTF8_STRING")
    client.core.SetSelectionOwner(client.window, clipboard, 0)
    client.x.flush()
    request = await client.next(30)
    data = text.encode()
    client.core.ChangeProperty(0, request.requestor, request.property, utf8, 8, len(data), data)
    await answer(client, request, request.property)


@pytest.mark.parametrize(("size", "arrives"), [(200_000, True), (300_000, False)])
async def test_a_large_clipboard_comes_in_pieces_up_to_a_limit(
    size: int, arrives: bool, router: InputRouter, client: Client
) -> None:
    got: asyncio.Queue[str] = asyncio.Queue()
    router.on_clipboard = got.put_nowait
    clipboard, utf8, incr = atoms(client, "CLIPBOARD", "UTF8_STRING", "INCR")
    client.core.SetSelectionOwner(client.window, clipboard, 0)
    client.x.flush()
    request = await client.next(30)
    watch = [xproto.EventMask.PropertyChange]
    client.core.ChangeWindowAttributes(request.requestor, xproto.CW.EventMask, watch)
    client.core.ChangeProperty(0, request.requestor, request.property, incr, 32, 1, [size])
    await answer(client, request, request.property)
    for chunk in [b"y" * 50_000] * (size // 50_000) + [b""]:
        while (await client.next(28)).state != xproto.Property.Delete:
            pass
        client.core.ChangeProperty(0, request.requestor, request.property, utf8, 8, len(chunk), chunk)
        client.x.flush()
    if arrives:
        async with asyncio.timeout(5):
            assert await got.get() == "y" * size
    else:
        while (await client.next(28)).state != xproto.Property.Delete:
            pass
        press(router, ecodes.KEY_A, "a")
        await client.next(PRESS)  # what was sent before is through
        assert got.empty()


async def answer(client: Client, request: Any, prop: int) -> None:
    event = xproto.SelectionNotifyEvent.synthetic(
        request.time, request.requestor, request.selection, request.target, prop
    )
    client.core.SendEvent(False, request.requestor, 0, event.pack())
    client.x.flush()


async def test_a_lost_server_is_told_and_found_again() -> None:
    process, display = start_server()
    router = InputRouter(X11Sink(display))
    async with running(router):
        await until(lambda: router.description == f"X11 {display}: XTEST")
        end(process)
        await until(lambda: "ended the connection" in router.description)
        press(router, ecodes.KEY_A)
        release(router, ecodes.KEY_A)
        await until(lambda: "no X server answers" in router.description)
        process, _ = start_server(display)
        await until(lambda: router.description == f"X11 {display}: XTEST")
        end(process)


async def test_the_clipboard_outlives_the_server() -> None:
    process, display = start_server()
    sink = X11Sink(display)
    router = InputRouter(sink)
    copied: asyncio.Queue[str] = asyncio.Queue()
    router.on_clipboard = copied.put_nowait
    async with running(router):
        await until(lambda: sink.size)
        with contextlib.closing(Client(display)) as client:
            await copy(client, "from the screen")
            async with asyncio.timeout(5):
                await copied.get()
        end(process)
        await until(lambda: not sink.size)
        process, _ = start_server(display)
        with contextlib.closing(Client(display)) as client:
            assert await pasted(client) == "from the screen"
    end(process)


async def test_a_server_that_stalls_holds_nobody_up() -> None:
    process, display = start_server()
    router = InputRouter(X11Sink(display))
    async with running(router):
        await until(lambda: router.description == f"X11 {display}: XTEST")
        process.send_signal(signal.SIGSTOP)
        before = time.perf_counter()
        for _ in range(1500):
            tap(router, ecodes.KEY_A, "a")
        router.handle("ada", Role.CONTROL, Release())
        assert time.perf_counter() - before < 5
        await until(lambda: router.description != f"X11 {display}: XTEST")
        before = time.perf_counter()
    assert time.perf_counter() - before < 10
    process.send_signal(signal.SIGCONT)
    end(process)
