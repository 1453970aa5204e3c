"""GPUs of machines that we do not have, played by umockdev to the real libudev."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
LIST = (
    "import dataclasses, json; from hw.gpus import list_gpus;"
    "print(json.dumps([dataclasses.asdict(gpu) for gpu in list_gpus()]))"
)


def pci(slot: str, vendor: str, device: str, driver: str = "", model: str = "", numa: int = -1) -> str:
    lines = [
        f"P: /devices/pci0000:00/{slot}",
        f"E: PCI_SLOT_NAME={slot}",
        "E: SUBSYSTEM=pci",
        f"A: vendor={vendor}",
        f"A: device={device}",
        "A: class=0x030000",
        f"A: numa_node={numa}",
    ]
    if driver:
        lines += [f"E: DRIVER={driver}", f"L: driver=../../../bus/pci/drivers/{driver}"]
    if model:
        lines.append(f"E: ID_MODEL_FROM_DATABASE={model}")
    return "\n".join(lines) + "\n\n"


def platform(name: str, compatible: str, driver: str) -> str:
    return (
        f"P: /devices/platform/{name}\nE: SUBSYSTEM=platform\nE: DRIVER={driver}\n"
        f"E: OF_COMPATIBLE_0={compatible}\nL: driver=../../../bus/platform/drivers/{driver}\n\n"
    )


def drm(parent: str, name: str, minor: int) -> str:
    return (
        f"P: {parent}/drm/{name}\nN: dri/{name}\nE: DEVNAME=/dev/dri/{name}\nE: DEVTYPE=drm_minor\n"
        f"E: MAJOR=226\nE: MINOR={minor}\nE: SUBSYSTEM=drm\nA: dev=226:{minor}\n\n"
    )


def listed(tmp_path: Path, description: str) -> list[dict[str, Any]]:
    """What list_gpus() says on a machine of `description`."""
    executable = shutil.which("umockdev-run")
    assert executable, "apt-get install umockdev"
    file = tmp_path / "machine.umockdev"
    file.write_text(description)
    done = subprocess.run(
        [executable, f"--device={file}", "--", sys.executable, "-c", LIST],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return list(json.loads(done.stdout))


def test_each_card_is_paired_with_the_render_node_of_its_device(tmp_path: Path) -> None:
    nvidia, amd = "/devices/pci0000:00/0000:01:00.0", "/devices/pci0000:00/0000:03:00.0"
    # The numbers cross on purpose: neither order nor arithmetic pairs them.
    first, second = listed(
        tmp_path,
        pci("0000:01:00.0", "0x10de", "0x2684", "nvidia", "AD102 [GeForce RTX 4090]")
        + pci("0000:03:00.0", "0x1002", "0x744c", "amdgpu", numa=1)
        + drm(amd, "card0", 0)
        + drm(nvidia, "card1", 1)
        + drm(nvidia, "renderD128", 128)
        + drm(amd, "renderD129", 129),
    )
    assert first == {
        "name": "AMD 1002:744c",
        "vendor": "AMD",
        "driver": "amdgpu",
        "pci": "0000:03:00.0",
        "card": "/dev/dri/card0",
        "render_node": "/dev/dri/renderD129",
        "numa_node": 1,
    }
    assert second["name"] == "NVIDIA AD102 [GeForce RTX 4090]"
    assert (second["card"], second["render_node"]) == ("/dev/dri/card1", "/dev/dri/renderD128")
    assert second["numa_node"] is None


def test_a_gpu_without_a_driver_is_seen(tmp_path: Path) -> None:
    (gpu,) = listed(tmp_path, pci("0000:01:00.0", "0x10de", "0x2684"))
    assert (gpu["vendor"], gpu["driver"], gpu["card"], gpu["render_node"]) == ("NVIDIA", "", "", "")


def test_boards_with_platform_devices(tmp_path: Path) -> None:
    rockchip, jetson = listed(
        tmp_path,
        platform("fde60000.gpu", "rockchip,rk3568-mali", "panfrost")
        + drm("/devices/platform/fde60000.gpu", "card0", 0)
        + drm("/devices/platform/fde60000.gpu", "renderD128", 128)
        + platform("17000000.gpu", "nvidia,ga10b", "nvgpu"),
    )
    assert (rockchip["vendor"], rockchip["render_node"]) == ("Rockchip", "/dev/dri/renderD128")
    assert (jetson["vendor"], jetson["driver"], jetson["pci"]) == ("NVIDIA", "nvgpu", "")


def test_memory_devices_and_connectors_are_no_gpus(tmp_path: Path) -> None:
    parent = "/devices/pci0000:00/0000:03:00.0"
    (gpu,) = listed(
        tmp_path,
        platform("vgem", "", "vgem")
        + drm("/devices/platform/vgem", "card0", 0)
        + pci("0000:03:00.0", "0x1002", "0x744c", "amdgpu")
        + drm(parent, "card1", 1)
        + f"P: {parent}/drm/card1/card1-HDMI-A-1\nE: DEVTYPE=drm_connector\nE: SUBSYSTEM=drm\n\n",
    )
    assert gpu["card"] == "/dev/dri/card1"


def test_an_empty_machine(tmp_path: Path) -> None:
    assert listed(tmp_path, "P: /devices/virtual/mem/null\nE: SUBSYSTEM=mem\n\n") == []
