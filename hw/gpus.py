"""GPUs as udev shows them: each card paired with its render node by the device that carries both."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import pyudev

logger = logging.getLogger(__name__)

_NODE = re.compile(r"^(card|renderD)\d+$")
_NUMBERS = re.compile(r"\d+")
_NOT_GPUS = frozenset({"vgem", "vkms", "simple-framebuffer"})
_DISPLAY_CLASS = "0x03"
"""PCI base class of display controllers (PCI Code and ID Assignment Specification)."""
_JETSON_DRIVERS = ("nvgpu", "gk20a")
"""Jetson's GPU is a platform device without a DRM node of its own."""
_VENDORS = {
    "0x10de": "NVIDIA",
    "0x1002": "AMD",
    "0x8086": "Intel",
    "0x1af4": "Virtio",
    "0x1234": "QEMU",
    "0x15ad": "VMware",
    "0x1a03": "ASPEED",
    "0x102b": "Matrox",
    "nvidia": "NVIDIA",
    "rockchip": "Rockchip",
    "arm": "Arm",
    "brcm": "Broadcom",
    "qcom": "Qualcomm",
    "fsl": "NXP",
    "mediatek": "MediaTek",
}
"""PCI vendor ids, and the prefixes of device-tree `compatible` strings."""


_ENCODING_VENDORS = frozenset({"NVIDIA", "AMD", "Intel"})


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; empty strings for what it does not have."""

    name: str
    vendor: str = ""
    driver: str = ""
    pci: str = ""
    """PCI slot, `0000:01:00.0`."""
    card: str = ""
    render_node: str = ""
    numa_node: int | None = None
    """None where the machine has none, or does not say."""

    @property
    def should_encode(self) -> bool:
        """Whether those of its make have encoders, so that somebody misses it where it does not work."""
        return self.vendor in _ENCODING_VENDORS

    def answers_to(self, wanted: str) -> bool:
        """Whether `wanted` (slot, node, `card0`, vendor, driver or name) means this GPU."""
        nodes = {Path(node).name for node in (self.card, self.render_node) if node}
        names = {self.pci, self.card, self.render_node, self.vendor, self.driver, self.name, *nodes}
        return wanted.lower() in {name.lower() for name in names if name}


def list_gpus() -> tuple[Gpu, ...]:
    """All GPUs, cards in order. A machine without DRM, libudev or udevd has none; never raises for that."""
    try:
        context = pyudev.Context()
        carriers = _carriers(context)
    except (ImportError, OSError, pyudev.DeviceNotFoundError) as exc:
        logger.debug("no GPUs: %s", exc)
        return ()
    gpus = [_gpu(carrier, nodes) for carrier, nodes in carriers]
    return tuple(sorted(gpus, key=lambda gpu: (not gpu.card, _number(gpu.card), gpu.pci)))


def _carriers(context: pyudev.Context) -> list[tuple[pyudev.Device, dict[str, str]]]:
    """The devices that are GPUs, each with its nodes by kind (`card`, `renderD`)."""
    carriers: dict[str, tuple[pyudev.Device, dict[str, str]]] = {}
    for device in context.list_devices(subsystem="drm"):
        found, parent = _NODE.match(device.sys_name), device.parent
        if not found or parent is None or parent.driver in _NOT_GPUS:
            continue
        _, nodes = carriers.setdefault(parent.sys_path, (parent, {}))
        nodes.setdefault(found[1], device.device_node or f"/dev/dri/{device.sys_name}")
    for device in context.list_devices(subsystem="pci"):
        if _attribute(device, "class").startswith(_DISPLAY_CLASS):
            carriers.setdefault(device.sys_path, (device, {}))
    for device in context.list_devices(subsystem="platform"):
        if device.driver in _JETSON_DRIVERS:
            carriers.setdefault(device.sys_path, (device, {}))
    return list(carriers.values())


def _gpu(device: pyudev.Device, nodes: dict[str, str]) -> Gpu:
    properties = device.properties
    pci = properties.get("PCI_SLOT_NAME", "")
    compatible = properties.get("OF_COMPATIBLE_0", "")
    vendor_id, device_id = _attribute(device, "vendor"), _attribute(device, "device")
    vendor = _VENDORS.get(vendor_id or compatible.partition(",")[0], "")
    model = (
        _nvidia_model(pci)
        or properties.get("ID_MODEL_FROM_DATABASE", "")
        or compatible
        or ":".join(part.removeprefix("0x") for part in (vendor_id, device_id) if part)
        or device.sys_name
    )
    return Gpu(
        name=model if model.upper().startswith(vendor.upper()) else f"{vendor} {model}",
        vendor=vendor,
        driver=device.driver or "",
        pci=pci,
        card=nodes.get("card", ""),
        render_node=nodes.get("renderD", ""),
        numa_node=_numa_node(device),
    )


def _numa_node(device: pyudev.Device) -> int | None:
    """The kernel says -1 for none."""
    text = _attribute(device, "numa_node")
    return int(text) if text.isdecimal() else None


def _attribute(device: pyudev.Device, name: str) -> str:
    """A sysfs attribute, empty where it is missing or the device has just gone."""
    try:
        value: bytes = device.attributes.get(name) or b""
    except OSError:
        return ""
    return value.decode(errors="replace").strip()


def _nvidia_model(pci: str) -> str:
    """The name that NVIDIA's driver gives; it needs no hardware database."""
    try:
        text = Path(f"/proc/driver/nvidia/gpus/{pci}/information").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"^Model:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _number(node: str) -> int:
    found = _NUMBERS.search(node)
    return int(found[0]) if found else 0
