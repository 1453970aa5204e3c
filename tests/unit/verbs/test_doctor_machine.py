"""What the doctor says of a machine, and the command that mends it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.config import AudioSection, InputSection
from appliance.verbs import doctor_machine as machine
from appliance.verbs.proof import Check, within
from hw.displays import Display
from hw.encoders import SESSIONS_TAKEN, EncoderProbe
from hw.gpus import Gpu
from hw.inventory import NOT_TRIED

pytestmark = pytest.mark.unit

NVIDIA = Gpu("NVIDIA 2684", "NVIDIA", "nvidia", "0000:01:00.0", "/dev/dri/card0", "/nowhere/renderD128")
X264 = EncoderProbe("x264", "H264", "pyav", hardware=False, works=True, detail="4.0 ms")
BROKEN = EncoderProbe(
    "nvenc", "H264", "pixelflux", True, works=False, detail="no libcuda", render_node=NVIDIA.render_node
)


def test_software_encoding_is_no_fault_of_a_machine_without_a_gpu() -> None:
    checks = machine.encoders([], [X264])
    assert [(check.name, check.ok) for check in checks] == [
        ("encoder x264 H264 (pyav)", True),
        ("hardware encoding", None),
    ]


def test_a_gpu_whose_encoder_fails_is_a_fault_with_a_fix() -> None:
    nvenc, _, whole = machine.encoders([NVIDIA], [BROKEN, X264])
    assert (nvenc.ok, nvenc.detail) == (False, "no libcuda")
    assert whole.ok is False
    assert "nvidia-driver" in nvenc.fix
    assert nvenc.fix == whole.fix


def test_an_encoder_that_is_merely_busy_needs_no_driver() -> None:
    busy, _, _ = machine.encoders(
        [NVIDIA], [replace(BROKEN, detail=f"the device has {SESSIONS_TAKEN}"), X264]
    )
    assert busy.fix.startswith("stop an instance")
    untried, _ = machine.encoders([], [replace(X264, works=False, detail=f"{NOT_TRIED}: no space left")])
    assert untried.fix == ""


def test_a_render_node_that_may_not_be_opened_names_the_groups() -> None:
    closed = machine.render_nodes([NVIDIA])
    assert closed.ok is False
    assert "usermod -aG render,video" in closed.fix
    assert machine.render_nodes([]).ok is None


def test_displays_refused_open_and_left_over() -> None:
    refused, reached, left_over = machine.displays(
        [
            Display(":0", "x11", reachable=False, detail="no authority: Authorization required"),
            Display(":1", "x11", reachable=True, detail="800x600"),
            Display(":2", "x11", reachable=False, detail="no server", served=False),
        ]
    )
    assert (refused.ok, reached.ok, left_over.ok) == (False, True, None)
    assert "xhost" in refused.fix
    assert machine.displays([])[0].ok is None


def test_a_clock_before_our_own_files_is_wrong() -> None:
    check = machine.clock(0.0)
    assert check.ok is False
    assert "1970" in check.detail
    assert machine.clock().ok


def test_disk_is_measured_where_the_state_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.disk(tmp_path / "not" / "yet").ok
    monkeypatch.setattr(machine, "_FREE_BYTES", 1 << 60)
    full = machine.disk(tmp_path)
    assert full.ok is False
    assert full.fix


async def test_what_is_switched_off_does_not_apply() -> None:
    for section, detail in (
        (InputSection(enabled=False), "input is off"),
        (InputSection(gamepads=False), "gamepads are off"),
    ):
        assert await machine.uinput(section) == Check("uinput", None, detail)
    assert (await machine.audio(AudioSection(enabled=False))).ok is None


async def test_a_missing_uinput_is_no_fault_and_names_the_module(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "_UINPUT", tmp_path / "uinput")
    check = await machine.uinput(InputSection())
    assert (check.ok, check.fix) == (None, "sudo modprobe uinput")
    assert "gamepads are not passed on" in check.detail


async def test_a_proof_that_breaks_or_hangs_is_a_failed_check() -> None:
    async def breaks() -> Check:
        raise RuntimeError("odd")

    async def hangs() -> Check:
        await asyncio.Event().wait()
        raise AssertionError

    assert await within(1, "leg", breaks) == Check("leg", False, "RuntimeError: odd")
    assert await within(0.01, "leg", hangs) == Check("leg", False, "no result within 0 s")


async def test_screens_of_our_own_have_sound_without_a_server_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere")
    assert (await machine.audio(AudioSection())).ok
    assert (await machine.audio(AudioSection(source="a.monitor"))).ok is None
    monkeypatch.setenv("PATH", "/nowhere")
    assert (await machine.audio(AudioSection())).fix == "sudo apt-get install pulseaudio"
