"""Gamepads of viewers, each as a device of its own on the box."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from appliance.signaling.control import GamepadAxis, GamepadButton
from appliance.streamer.input import uinput
from appliance.streamer.input.uinput import EV_ABS, EV_KEY, STICK_MOST, TRIGGER_MOST, Event, UInput

logger = logging.getLogger(__name__)

MOST = 4
_NONE = "none in use"
_DOCTOR = "`fanlight doctor` tells what helps"

# From the indices of https://w3c.github.io/gamepad/#remapping to the codes of the kernel's xpad.c.
_BUTTONS = {
    0: uinput.BTN_SOUTH,
    1: uinput.BTN_EAST,
    2: uinput.BTN_X,
    3: uinput.BTN_Y,
    4: uinput.BTN_TL,
    5: uinput.BTN_TR,
    8: uinput.BTN_SELECT,
    9: uinput.BTN_START,
    10: uinput.BTN_THUMBL,
    11: uinput.BTN_THUMBR,
    16: uinput.BTN_MODE,
}
_TRIGGERS = {6: uinput.ABS_Z, 7: uinput.ABS_RZ}
_DIRECTIONS = {
    12: (uinput.ABS_HAT0Y, -1),
    13: (uinput.ABS_HAT0Y, 1),
    14: (uinput.ABS_HAT0X, -1),
    15: (uinput.ABS_HAT0X, 1),
}
_STICKS = {0: uinput.ABS_X, 1: uinput.ABS_Y, 2: uinput.ABS_RX, 3: uinput.ABS_RY}


class Device(Protocol):
    """What programs see of a pad."""

    def emit(self, events: Iterable[Event]) -> None:
        """Does not wait. Raises OSError where it is gone."""

    def close(self) -> None:
        """Waits."""


class Pad:
    """One gamepad of one viewer: what is pressed and tilted, and the device that shows it, if any."""

    def __init__(self) -> None:
        self.device: Device | None = None
        self._values: dict[tuple[int, int], int] = {}
        self._directions: set[int] = set()

    def take(self, message: GamepadButton | GamepadAxis) -> None:
        """Show what the viewer did, if it is new."""
        match message:
            case GamepadButton(_, index, pressed) if index in _BUTTONS:
                self._set(EV_KEY, _BUTTONS[index], int(pressed))
            case GamepadButton(_, index, pressed, value) if index in _TRIGGERS:
                depth = float(pressed) if value is None else value
                self._set(EV_ABS, _TRIGGERS[index], round(depth * TRIGGER_MOST))
            case GamepadButton(_, index, pressed) if index in _DIRECTIONS:
                (self._directions.add if pressed else self._directions.discard)(index)
                axis, _ = _DIRECTIONS[index]
                ways = (_DIRECTIONS[each] for each in self._directions)
                self._set(EV_ABS, axis, sum(way for along, way in ways if along == axis))
            case GamepadAxis(_, index, value) if index in _STICKS:
                self._set(EV_ABS, _STICKS[index], round(value * STICK_MOST))

    def rest(self) -> None:
        """Let go of everything."""
        events = [(*control, 0) for control, value in self._values.items() if value]
        self._values.clear()
        self._directions.clear()
        if events and self.device:
            self.device.emit(events)

    def show(self, device: Device) -> None:
        """From now on on this device, which is at rest."""
        self.device = device
        if events := [(*control, value) for control, value in self._values.items() if value]:
            device.emit(events)

    def _set(self, kind: int, code: int, value: int) -> None:
        if self._values.get((kind, code), 0) != value:
            self._values[kind, code] = value
            if self.device:
                self.device.emit([(kind, code, value)])


class Gamepads:
    """Of all viewers; the first `MOST` have devices, which come and go while this runs.

    Where there can be none `description` says why, and it is tried again with the next pad.
    """

    def __init__(self, make: Callable[[str], Device] = UInput) -> None:
        self.description = _NONE
        self._make = make
        self._pads: dict[tuple[str, int], Pad] = {}
        self._shown: dict[int, Pad] = {}
        """By the number in the device's name."""
        self._unplugged: list[Device] = []
        self._changed = asyncio.Event()
        self._logged = ""

    def take(self, viewer: str, message: GamepadButton | GamepadAxis) -> None:
        """What `viewer` did with one of its pads; the first time plugs it in."""
        key = viewer, message.gamepad
        if (pad := self._pads.get(key)) is None:
            pad = self._pads[key] = Pad()
            self._changed.set()
        with self._enduring(pad):
            pad.take(message)

    def has(self, viewer: str) -> bool:
        """Whether `viewer` has any."""
        return any(owner == viewer for owner, _ in self._pads)

    def rest(self, viewer: str) -> None:
        """Let go of everything; its pads stay plugged in."""
        for (owner, _), pad in list(self._pads.items()):
            if owner == viewer:
                with self._enduring(pad):
                    pad.rest()

    def unplug(self, viewer: str, gamepad: int | None = None) -> None:
        """Take away one pad of `viewer`, or all."""
        for owner, index in list(self._pads):
            if owner == viewer and gamepad in (None, index):
                pad = self._pads.pop((owner, index))
                with self._enduring(pad):
                    pad.rest()
                self._hide(pad)

    async def run(self) -> None:
        """Plug in and unplug until cancelled, and unplug all then."""
        try:
            while True:
                self._changed.clear()
                await self._settle()
                await self._changed.wait()
        finally:
            for device in (*self._unplugged, *(pad.device for pad in self._shown.values())):
                if device:
                    device.close()

    async def _settle(self) -> None:
        while self._unplugged:
            await asyncio.to_thread(self._unplugged.pop().close)
        try:
            while (waiting := self._waiting()) and len(self._shown) < MOST:
                await self._plug_in(*waiting)
        except OSError as exc:
            self._fail(exc)
        else:
            more = f", and no more than {MOST} can be" if waiting else ""
            self.description = f"{len(self._shown)} in use{more}" if self._shown else _NONE

    def _waiting(self) -> tuple[str, Pad] | None:
        shown = self._shown.values()
        return next(((owner, pad) for (owner, _), pad in self._pads.items() if pad not in shown), None)

    async def _plug_in(self, owner: str, pad: Pad) -> None:
        number = next(each for each in range(1, MOST + 1) if each not in self._shown)
        device = await asyncio.to_thread(self._make, f"Fanlight Gamepad {number}")
        if pad not in self._pads.values():
            self._unplugged.append(device)
            self._changed.set()
            return
        self._shown[number], self._logged = pad, ""
        logger.info("gamepad %d is one of viewer %s", number, owner)
        with self._enduring(pad):
            pad.show(device)

    def _hide(self, pad: Pad) -> None:
        for number in [number for number, each in self._shown.items() if each is pad]:
            logger.info("gamepad %d is gone", number)
            del self._shown[number]
        if pad.device:
            self._unplugged.append(pad.device)
            pad.device = None
        self._changed.set()

    @contextlib.contextmanager
    def _enduring(self, pad: Pad) -> Iterator[None]:
        """A device that fails goes, and its pad is given another when it is used next."""
        try:
            yield
        except OSError as exc:
            self._fail(exc)
            self._pads = {key: each for key, each in self._pads.items() if each is not pad}
            self._hide(pad)

    def _fail(self, error: OSError) -> None:
        self.description = f"not passed on: {uinput.UINPUT}: {error.strerror}; {_DOCTOR}"
        if self.description != self._logged:
            self._logged = self.description
            logger.warning("gamepads: %s", self.description)


class NoGamepads:
    """Takes none and says why."""

    def __init__(self, reason: str) -> None:
        self.description = reason

    def take(self, viewer: str, message: GamepadButton | GamepadAxis) -> None: ...

    def has(self, viewer: str) -> bool:  # noqa: ARG002
        """It has none."""
        return False

    def rest(self, viewer: str) -> None: ...

    def unplug(self, viewer: str, gamepad: int | None = None) -> None: ...

    async def run(self) -> None:
        """Nothing to look after."""
