"""Input into a real X server, seen by real X clients."""

import asyncio
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import xcffib
from evdev import ecodes

from appliance.bus.messages import Role
from appliance.signaling.control import ImeText, MouseButton, MouseMove, Release, Wheel
from appliance.streamer.input import x11_layout
from appliance.streamer.input.router import InputRouter
from appliance.streamer.input.x11 import X11Sink
from tests.support.x_desk import (
    BUTTON_PRESS,
    BUTTON_RELEASE,
    MOTION,
    PRESS,
    RELEASE,
    SIZE,
    Client,
    press,
    release,
    running,
    tap,
    until,
)
from tests.support.x_server import start_server

pytestmark = pytest.mark.integration


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


async def test_a_lost_server_is_told_and_found_again() -> None:
    server = start_server(*SIZE)
    display = server.display
    router = InputRouter(X11Sink(display))
    async with running(router):
        await until(lambda: router.description == f"X11 {display}: XTEST")
        server.end()
        await until(lambda: "ended the connection" in router.description)
        press(router, ecodes.KEY_A)
        release(router, ecodes.KEY_A)
        await until(lambda: "no X server answers" in router.description)
        server = start_server(*SIZE, display)
        await until(lambda: router.description == f"X11 {display}: XTEST")
        server.end()


async def test_a_server_that_stalls_holds_nobody_up() -> None:
    server = start_server(*SIZE)
    display = server.display
    router = InputRouter(X11Sink(display))
    async with running(router):
        await until(lambda: router.description == f"X11 {display}: XTEST")
        server.process.send_signal(signal.SIGSTOP)
        before = time.perf_counter()
        for _ in range(1500):
            tap(router, ecodes.KEY_A, "a")
        router.handle("ada", Role.CONTROL, Release())
        assert time.perf_counter() - before < 5
        await until(lambda: router.description != f"X11 {display}: XTEST")
        before = time.perf_counter()
    assert time.perf_counter() - before < 10
    server.process.send_signal(signal.SIGCONT)
    server.end()
