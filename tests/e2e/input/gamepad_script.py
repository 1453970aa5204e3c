"""Run in a machine of its own: a viewer's gamepad, seen as a game sees it. Prints one line of JSON."""

import asyncio
import fcntl
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.signaling.control import GamepadAxis, GamepadButton, parse_control
from appliance.streamer.input.gamepad import Gamepads

NOBODY = 65534
DONE = (
    ("input::gamepad-button", {"index": 2, "pressed": True}),
    ("input::gamepad-button", {"index": 7, "pressed": True, "value": 0.5}),
    ("input::gamepad-button", {"index": 12, "pressed": True}),
    ("input::gamepad-axes", {"index": 0, "value": -1.0}),
    ("input::gamepad-button", {"index": 2, "pressed": False}),
)


class Reader:
    """Of one event device (linux/input.h)."""

    def __init__(self, node: Path) -> None:
        self._file = os.open(node, os.O_RDONLY | os.O_NONBLOCK)

    def ask(self, number: int, size: int) -> bytes:
        """_IOR('E', number, size)."""
        return fcntl.ioctl(self._file, 2 << 30 | size << 16 | ord("E") << 8 | number, bytes(size))

    def described(self) -> dict[str, Any]:
        """What a game asks first."""
        keys, axes = (
            [bit for bit in range(768) if int.from_bytes(self.ask(0x20 + kind, 96), "little") >> bit & 1]
            for kind in (1, 3)
        )
        return {
            "name": self.ask(0x06, 80).rstrip(b"\0").decode(),
            "id": struct.unpack("4H", self.ask(0x02, 8)),
            "keys": keys,
            "axes": {axis: struct.unpack("6i", self.ask(0x40 + axis, 24))[1:3] for axis in axes},
        }

    def events(self) -> list[tuple[int, int, int]]:
        """Since the last call."""
        try:
            return [event[2:] for event in struct.iter_unpack("@llHHi", os.read(self._file, 24 * 64))]
        except BlockingIOError:
            return []

    def is_gone(self) -> bool:
        try:
            os.read(self._file, 24)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return False


def nodes() -> set[Path]:
    return set(Path("/dev/input").glob("event*"))


def said(kind: str, **data: Any) -> GamepadButton | GamepadAxis:
    message = parse_control(json.dumps({"type": kind, "data": {"id": 0, **data}}))
    assert isinstance(message, GamepadButton | GamepadAxis)
    return message


async def until(question: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not question():
            await asyncio.sleep(0.02)


async def play() -> dict[str, Any]:
    """Plug in, use, let go, unplug."""
    before, pads = nodes(), Gamepads()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pads.run())
        pads.take("ada", said("input::gamepad-button", index=0, pressed=True))
        await until(lambda: pads.description == "1 in use")
        (node,) = nodes() - before
        reader = Reader(node)
        seen = {**reader.described(), "held": reader.ask(0x18, 96)[0x130 // 8] & 1}
        for kind, data in DONE:
            pads.take("ada", said(kind, **data))
        seen["events"] = reader.events()
        pads.rest("ada")
        seen["rest"] = reader.events()
        pads.unplug("ada")
        await until(lambda: not node.exists() and reader.is_gone())
        pads.take("bob", said("input::gamepad-button", index=0, pressed=True))
        await until(lambda: pads.description == "1 in use")
        task.cancel()
    await until(lambda: nodes() == before)
    return seen


async def be_refused() -> str:
    """What it says to a user without the right."""
    os.setgroups([])
    os.setuid(NOBODY)
    pads = Gamepads()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pads.run())
        pads.take("ada", said("input::gamepad-button", index=0, pressed=True))
        await until(lambda: pads.description != "none in use")
        task.cancel()
    return pads.description


if __name__ == "__main__":
    print("seen", json.dumps({**asyncio.run(play()), "refused": asyncio.run(be_refused())}))
