"""An X server with a program on its screen, and a viewer's hands on its input."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import xcffib
from xcffib import xproto

from appliance.bus.messages import Role
from appliance.signaling.control import Key
from appliance.streamer.input.router import InputRouter

SIZE = (1280, 720)
PRESS, RELEASE, BUTTON_PRESS, BUTTON_RELEASE, MOTION = 2, 3, 4, 5, 6


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


def press(router: InputRouter, code: int, key: str = "", *, viewer: str = "ada") -> None:
    router.handle(viewer, Role.CONTROL, Key(code, key, True))


def release(router: InputRouter, code: int, key: str = "", *, viewer: str = "ada") -> None:
    router.handle(viewer, Role.CONTROL, Key(code, key, False))


def tap(router: InputRouter, code: int, key: str = "") -> None:
    press(router, code, key)
    release(router, code, key)
