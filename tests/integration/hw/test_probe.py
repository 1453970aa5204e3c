"""Real encoders in a real probe process, and probes that go wrong."""

import asyncio
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from hw import encoders, inventory
from hw.encoders import Candidate, EncoderProbe, probe_encoders
from hw.inventory import HardwareMonitor, take_inventory

pytestmark = pytest.mark.integration

X264 = Candidate("x264", "H264", "pyav")
CRASHING = Candidate("crash", "H264", "pyav", hardware=True)


async def test_software_encoders_encode_a_frame() -> None:
    probes = await probe_encoders([X264, Candidate("libvpx", "VP8", "pyav")])
    assert [(probe.name, probe.works) for probe in probes] == [("x264", True), ("libvpx", True)]
    assert all(probe.milliseconds and probe.milliseconds > 0 for probe in probes)


async def test_nothing_is_run_of_the_folder_that_one_happens_to_be_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("hw.py", "av.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    (x264,) = await probe_encoders([X264])
    assert x264.works, x264.detail


async def test_hardware_that_is_not_there_does_not_count_as_present() -> None:
    missing = "/dev/dri/renderD190"
    nvenc, vaapi = await probe_encoders(
        [
            Candidate("nvenc", "H264", "pyav", hardware=True),
            Candidate("vaapi", "H264", "pixelflux", hardware=True, render_node=missing),
        ]
    )
    assert not nvenc.works
    assert "h264_nvenc" in nvenc.detail
    # pixelflux encodes in software by itself then; that must not pass for hardware.
    assert not vaapi.works
    assert vaapi.detail


@pytest.fixture
def probe_that_misbehaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hw.probe` as it is, but a candidate named `crash` or `hang` does that."""
    shutil.copytree(Path(encoders.__file__).parent, tmp_path / "hw")
    file = tmp_path / "hw" / "probe.py"
    misbehave = (
        "    if candidate.name == 'crash':\n        os.kill(os.getpid(), 11)\n"
        "    if candidate.name == 'hang':\n        threading.Event().wait()\n"
    )
    marker = "    try:\n        milliseconds ="
    text = file.read_text()
    assert text.count(marker) == 1
    file.write_text(text.replace(marker, misbehave + marker))
    monkeypatch.setattr(encoders, "_ROOT", tmp_path)


@pytest.mark.usefixtures("probe_that_misbehaves")
async def test_a_crashing_driver_takes_only_its_own_probe_down() -> None:
    crashed, x264 = await probe_encoders([CRASHING, X264])
    assert (crashed.works, crashed.detail) == (False, "the probe crashed: SIGSEGV")
    assert x264.works


@pytest.mark.usefixtures("probe_that_misbehaves")
async def test_a_hanging_driver_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_SECONDS_PER_CANDIDATE", 5)
    x264, hung = await probe_encoders([X264, Candidate("hang", "H264", "pyav")])
    assert x264.works
    assert (hung.works, hung.detail) == (False, "no frame within 5 s")


async def test_a_missing_interpreter_module_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_ROOT", tmp_path)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (x264,) = await probe_encoders([X264])
    assert x264.detail == "the probe ended with 1"


async def test_the_inventory_of_this_machine_says_why() -> None:
    found = await take_inventory()
    assert found.reason
    assert any(probe.works for probe in found.encoders)


async def test_a_full_disk_stops_nothing_and_encoders_are_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = asyncio.Event()

    async def probe(tries: list[Candidate]) -> tuple[EncoderProbe, ...]:
        if not free.is_set():
            raise OSError(28, "No space left on device")
        return tuple(EncoderProbe(**asdict(each), works=True) for each in tries)

    monkeypatch.setattr(inventory, "probe_encoders", probe)
    monkeypatch.setattr(inventory, "_RETRY_SECONDS", 0)
    monkeypatch.setattr(inventory, "list_gpus", lambda: ())
    monitor, started, changed = HardwareMonitor(), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(monitor.serve(started))
        async with asyncio.timeout(10):
            await started.wait()
            assert {probe.detail for probe in monitor.inventory.encoders} == {
                "it could not be tried: [Errno 28] No space left on device"
            }
            with monitor.subscribe(lambda _: changed.set()):
                free.set()
                await changed.wait()
        assert all(each.works for each in monitor.inventory.encoders)
        task.cancel()
