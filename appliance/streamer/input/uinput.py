"""A gamepad that Linux shows to programs as one that was plugged in (Documentation/input/uinput.rst)."""

import fcntl
import os
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

UINPUT = Path("/dev/uinput")

EV_SYN, EV_KEY, EV_ABS = 0, 1, 3
BTN_SOUTH, BTN_EAST, BTN_X, BTN_Y = 0x130, 0x131, 0x133, 0x134
BTN_TL, BTN_TR, BTN_SELECT, BTN_START, BTN_MODE, BTN_THUMBL, BTN_THUMBR = (
    0x136, 0x137, 0x13A, 0x13B, 0x13C, 0x13D, 0x13E,
)  # fmt: skip
ABS_X, ABS_Y, ABS_Z, ABS_RX, ABS_RY, ABS_RZ, ABS_HAT0X, ABS_HAT0Y = 0, 1, 2, 3, 4, 5, 0x10, 0x11
STICK_MOST, TRIGGER_MOST = 32767, 255

# An Xbox 360 pad, with what drivers/input/joystick/xpad.c says of one: games and libraries know its layout.
_ID = struct.pack("=4H", 3, 0x045E, 0x028E, 0x0114)
_KEYS = (
    BTN_SOUTH, BTN_EAST, BTN_X, BTN_Y, BTN_TL, BTN_TR,
    BTN_SELECT, BTN_START, BTN_MODE, BTN_THUMBL, BTN_THUMBR,
)  # fmt: skip
_AXES = {
    **dict.fromkeys((ABS_X, ABS_Y, ABS_RX, ABS_RY), (-STICK_MOST - 1, STICK_MOST, 128)),
    **dict.fromkeys((ABS_Z, ABS_RZ), (0, TRIGGER_MOST, 0)),
    **dict.fromkeys((ABS_HAT0X, ABS_HAT0Y), (-1, 1, 0)),
}
"""Least, most, flat."""

# linux/uinput.h, with the numbers of asm-generic/ioctl.h
_DEV_CREATE = 0x5501
_DEV_SETUP, _DEV_SETUP_FORMAT = 0x405C5503, "=8s80sI"
_ABS_SETUP, _ABS_SETUP_FORMAT = 0x401C5504, "=H2x6i"
_SET_EVBIT, _SET_KEYBIT = 0x40045564, 0x40045565
_EVENT = struct.Struct("@llHHi")
"""The kernel gives the time."""

Event = tuple[int, int, int]
"""Type, code, value."""


class UInput:
    """One such device, until `close`. Making and closing it wait for the kernel: call them in a thread.

    Raises OSError where there can be none.
    """

    def __init__(self, name: str, path: Path = UINPUT, ioctl: Callable[..., object] = fcntl.ioctl) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        try:
            for kind in (EV_KEY, EV_ABS):
                ioctl(self._file, _SET_EVBIT, kind)
            for key in _KEYS:
                ioctl(self._file, _SET_KEYBIT, key)
            for axis, (least, most, flat) in _AXES.items():
                ioctl(
                    self._file, _ABS_SETUP, struct.pack(_ABS_SETUP_FORMAT, axis, 0, least, most, 0, flat, 0)
                )
            ioctl(self._file, _DEV_SETUP, struct.pack(_DEV_SETUP_FORMAT, _ID, name.encode(), 0))
            ioctl(self._file, _DEV_CREATE, 0)
        except BaseException:
            os.close(self._file)
            raise

    def emit(self, events: Iterable[Event]) -> None:
        """All at one moment."""
        batch = b"".join(_EVENT.pack(0, 0, *event) for event in (*events, (EV_SYN, 0, 0)))
        os.write(self._file, batch)

    def close(self) -> None:
        """Unplug it; programs see its buttons released."""
        os.close(self._file)
