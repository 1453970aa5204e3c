"""A real kernel makes the gamepad, and a reader of its events finds an Xbox pad."""

import asyncio
import json
from pathlib import Path

import pytest
from evdev import ecodes

from tests.support import kernel

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

REPORT = [ecodes.EV_SYN, ecodes.SYN_REPORT, 0]
STICK, TRIGGER, HAT = [-32768, 32767], [0, 255], [-1, 1]


async def test_a_game_finds_a_pad_that_was_plugged_in() -> None:
    script = Path(__file__).with_name("gamepad_script.py")
    said = await asyncio.to_thread(kernel.boot, script, ("evdev", "uinput"))
    lines = [line.split(" ", 1)[1] for line in said.splitlines() if line.startswith("seen ")]
    assert lines, said
    seen = json.loads(lines[0])
    assert (seen["name"], seen["id"]) == ("Fanlight Gamepad 1", [ecodes.BUS_USB, 0x045E, 0x028E, 0x0114])
    assert seen["keys"] == [
        ecodes.BTN_A, ecodes.BTN_B, ecodes.BTN_X, ecodes.BTN_Y, ecodes.BTN_TL, ecodes.BTN_TR,
        ecodes.BTN_SELECT, ecodes.BTN_START, ecodes.BTN_MODE, ecodes.BTN_THUMBL, ecodes.BTN_THUMBR,
    ]  # fmt: skip
    assert seen["axes"] == {
        str(axis): limits
        for limits, axes in (
            (STICK, (ecodes.ABS_X, ecodes.ABS_Y, ecodes.ABS_RX, ecodes.ABS_RY)),
            (TRIGGER, (ecodes.ABS_Z, ecodes.ABS_RZ)),
            (HAT, (ecodes.ABS_HAT0X, ecodes.ABS_HAT0Y)),
        )
        for axis in axes
    }
    assert seen["held"], "what was pressed before the device was there"
    moments = [
        [ecodes.EV_KEY, ecodes.BTN_X, 1],
        [ecodes.EV_ABS, ecodes.ABS_RZ, 128],
        [ecodes.EV_ABS, ecodes.ABS_HAT0Y, -1],
        [ecodes.EV_ABS, ecodes.ABS_X, -32767],
        [ecodes.EV_KEY, ecodes.BTN_X, 0],
    ]
    assert seen["events"] == [event for moment in moments for event in (moment, REPORT)]
    assert seen["rest"] == [
        [ecodes.EV_KEY, ecodes.BTN_A, 0],
        [ecodes.EV_ABS, ecodes.ABS_RZ, 0],
        [ecodes.EV_ABS, ecodes.ABS_HAT0Y, 0],
        [ecodes.EV_ABS, ecodes.ABS_X, 0],
        REPORT,
    ]
    assert seen["refused"].startswith("not passed on: /dev/uinput: Permission denied")
