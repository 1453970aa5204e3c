"""The clipboard of a real X server, shared with a viewer and with real X clients."""

import asyncio
import contextlib
from typing import Any

import pytest
from evdev import ecodes
from xcffib import xproto

from appliance.bus.messages import Role
from appliance.signaling.control import Clipboard
from appliance.streamer.input.router import InputRouter
from appliance.streamer.input.x11 import X11Sink
from tests.support.x_desk import PRESS, SIZE, Client, press, running, until
from tests.support.x_server import start_server

pytestmark = pytest.mark.integration


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


async def test_the_clipboard_outlives_the_server() -> None:
    server = start_server(*SIZE)
    display = server.display
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
        server.end()
        await until(lambda: not sink.size)
        server = start_server(*SIZE, display)
        with contextlib.closing(Client(display)) as client:
            assert await pasted(client) == "from the screen"
    server.end()
