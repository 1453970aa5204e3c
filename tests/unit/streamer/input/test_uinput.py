"""What the kernel is asked for, and told, byte by byte; tests/e2e/input has a kernel answer."""

import errno
import os
import struct
from pathlib import Path

import pytest
from evdev import ecodes

from appliance.streamer.input.uinput import UInput

pytestmark = pytest.mark.unit

INT, SETUP, AXIS = 4, 92, 28
"""Sizes of an int, struct uinput_setup and struct uinput_abs_setup."""


def ioctl_write(number: int, size: int) -> int:
    """_IOW('U', number, ...) of linux/ioctl.h."""
    return 1 << 30 | size << 16 | ord("U") << 8 | number


class Kernel:
    """Notes what it is asked for; from the `refuses`th question on it says no."""

    def __init__(self, refuses: int = 1000) -> None:
        self.asked: list[tuple[int, int | bytes]] = []
        self._refuses = refuses

    def __call__(self, file: int, request: int, argument: int | bytes) -> None:
        os.fstat(file)
        if len(self.asked) >= self._refuses:
            raise OSError(errno.EINVAL, "Invalid argument")
        self.asked.append((request, argument))


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "uinput"
    path.touch()
    return path


def test_the_kernel_is_asked_for_what_an_xbox_pad_has(node: Path) -> None:
    kernel = Kernel()
    UInput("Fanlight Gamepad 1", node, kernel).close()
    *asked, named, created = kernel.asked
    assert asked[:2] == [(ioctl_write(100, INT), ecodes.EV_KEY), (ioctl_write(100, INT), ecodes.EV_ABS)]
    keys = {argument for request, argument in asked if request == ioctl_write(101, INT)}
    assert keys == {
        ecodes.BTN_A, ecodes.BTN_B, ecodes.BTN_X, ecodes.BTN_Y, ecodes.BTN_TL, ecodes.BTN_TR,
        ecodes.BTN_SELECT, ecodes.BTN_START, ecodes.BTN_MODE, ecodes.BTN_THUMBL, ecodes.BTN_THUMBR,
    }  # fmt: skip
    axes = [argument for request, argument in asked if request == ioctl_write(4, AXIS)]
    limits = {struct.unpack("=H2x6i", axis)[0]: struct.unpack("=H2x6i", axis)[2:4] for axis in axes}  # type: ignore[arg-type]
    stick, trigger, hat = (-32768, 32767), (0, 255), (-1, 1)
    assert limits == {
        ecodes.ABS_X: stick, ecodes.ABS_Y: stick, ecodes.ABS_RX: stick, ecodes.ABS_RY: stick,
        ecodes.ABS_Z: trigger, ecodes.ABS_RZ: trigger, ecodes.ABS_HAT0X: hat, ecodes.ABS_HAT0Y: hat,
    }  # fmt: skip
    request, setup = named
    assert request == ioctl_write(3, SETUP)
    assert struct.unpack("=4H80sI", setup) == (  # type: ignore[arg-type]
        ecodes.BUS_USB, 0x045E, 0x028E, 0x0114, b"Fanlight Gamepad 1".ljust(80, b"\0"), 0,
    )  # fmt: skip
    assert created == (ord("U") << 8 | 1, 0)


def test_events_of_one_moment_are_one_write_and_end_with_a_report(node: Path) -> None:
    device = UInput("Fanlight Gamepad 1", node, Kernel())
    device.emit([(ecodes.EV_KEY, ecodes.BTN_A, 1), (ecodes.EV_ABS, ecodes.ABS_X, -32767)])
    device.close()
    assert list(struct.iter_unpack("@llHHi", node.read_bytes())) == [
        (0, 0, ecodes.EV_KEY, ecodes.BTN_A, 1),
        (0, 0, ecodes.EV_ABS, ecodes.ABS_X, -32767),
        (0, 0, ecodes.EV_SYN, ecodes.SYN_REPORT, 0),
    ]


@pytest.mark.parametrize("refuses", [0, 5, 20])
def test_what_the_kernel_refuses_leaves_no_file_open(node: Path, refuses: int) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    with pytest.raises(OSError, match="Invalid argument"):
        UInput("Fanlight Gamepad 1", node, Kernel(refuses))
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_a_file_that_is_no_uinput_is_an_error(node: Path) -> None:
    with pytest.raises(OSError, match="ioctl"):
        UInput("Fanlight Gamepad 1", node)
