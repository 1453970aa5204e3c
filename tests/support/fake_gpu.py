"""A GPU for a real udevd: run as root in fresh mount, network and pid namespaces; needs CAP_SYS_ADMIN.

A tmpfs tree is put over parts of /sys, and the kernel is asked to broadcast the uevents in this network
namespace (NETLINK_KOBJECT_UEVENT), so that udevd, its rules and libudev take the device for real.
Every process with libudev in it needs SYSTEMD_DEVICE_VERIFY_SYSFS=0.
"""

import os
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path

_UEVENT_PROTOCOL = 15
_REQUEST, _ACK = 1, 4
_BASE = Path("/run/fakesys")
_PCI = "/devices/virtual/fakepci/0000:01:00.0"
NODES = (("card0", 0), ("renderD128", 128))


def prepare() -> None:
    """A private /run, /dev and /sys, and a udevd that is ready."""
    _mount("-t", "tmpfs", "fanlight-test", "/run")
    for folder in ("udev", "dev/shm", "dev/pts"):
        Path("/run", folder).mkdir(parents=True)
    for node in ("null", "zero", "full", "random", "urandom", "tty"):
        status = Path("/dev", node).stat()
        os.mknod(f"/run/dev/{node}", status.st_mode, status.st_rdev)
    _mount("--bind", "/run/dev", "/dev")
    Path("/dev/fd").symlink_to("/proc/self/fd")
    _cover_sysfs()
    udevd = next(path for path in ("/lib/systemd/systemd-udevd", "/sbin/udevd") if Path(path).exists())
    subprocess.run([udevd, "--daemon", "--resolve-names=never"], check=True, timeout=10)
    while not Path("/run/udev/control").exists():
        time.sleep(0.01)


def _cover_sysfs() -> None:
    """Writable copies of /sys/class and /sys/devices/virtual that lead to the real entries."""
    for kind in Path("/sys/class").iterdir():
        copy = _BASE / "class" / kind.name
        copy.mkdir(parents=True)
        for entry in kind.iterdir():
            if entry.is_symlink():
                (copy / entry.name).symlink_to(entry.resolve())
    (_BASE / "class" / "drm").mkdir(exist_ok=True)
    for folder in Path("/sys/devices/virtual").iterdir():
        copy = _BASE / "virtual" / folder.name
        copy.mkdir(parents=True)
        _mount("--bind", str(folder), str(copy))
    _mount("--bind", str(_BASE / "class"), "/sys/class")
    _mount("--rbind", str(_BASE / "virtual"), "/sys/devices/virtual")


def add() -> None:
    """Plug an AMD GPU in."""
    pci = Path("/sys" + _PCI)
    driver = _BASE / "drivers" / "amdgpu"
    driver.mkdir(parents=True, exist_ok=True)
    (pci / "drm").mkdir(parents=True)
    (pci / "uevent").write_text("DRIVER=amdgpu\nPCI_SLOT_NAME=0000:01:00.0\n")
    for name, value in (("vendor", "0x1002"), ("device", "0x744c"), ("class", "0x030000")):
        (pci / name).write_text(value + "\n")
    (pci / "subsystem").symlink_to("/sys/bus/pci")
    (pci / "driver").symlink_to(driver)
    _uevent("add", _PCI, SUBSYSTEM="pci", DRIVER="amdgpu", PCI_SLOT_NAME="0000:01:00.0")
    Path("/dev/dri").mkdir(exist_ok=True)
    for name, minor in NODES:
        node = pci / "drm" / name
        node.mkdir()
        (node / "uevent").write_text(f"MAJOR=226\nMINOR={minor}\nDEVNAME=dri/{name}\nDEVTYPE=drm_minor\n")
        (node / "dev").write_text(f"226:{minor}\n")
        (node / "subsystem").symlink_to("/sys/class/drm")
        (node / "device").symlink_to(pci)
        Path("/sys/class/drm", name).symlink_to(node)
        os.mknod(f"/dev/dri/{name}", 0o20660, os.makedev(226, minor))
        _uevent("add", f"{_PCI}/drm/{name}", **_drm(name, minor))


def remove() -> None:
    """Pull it out again."""
    pci = Path("/sys" + _PCI)
    for name, minor in NODES:
        shutil.rmtree(pci / "drm" / name)
        Path("/sys/class/drm", name).unlink()
        Path("/dev/dri", name).unlink(missing_ok=True)
        _uevent("remove", f"{_PCI}/drm/{name}", **_drm(name, minor))
    shutil.rmtree(pci)
    _uevent("remove", _PCI, SUBSYSTEM="pci")


def _drm(name: str, minor: int) -> dict[str, str]:
    return {
        "SUBSYSTEM": "drm",
        "MAJOR": "226",
        "MINOR": str(minor),
        "DEVNAME": f"dri/{name}",
        "DEVTYPE": "drm_minor",
    }


def _uevent(action: str, path: str, **properties: str) -> None:
    """Ask the kernel to send one uevent; raises OSError where it refuses (netlink(7))."""
    fields = {"ACTION": action, "DEVPATH": path, **properties}
    payload = f"{action}@{path}\0".encode() + b"".join(f"{k}={v}\0".encode() for k, v in fields.items())
    header = struct.pack("=IHHII", 16 + len(payload), 0x10, _REQUEST | _ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _UEVENT_PROTOCOL) as kernel:
        kernel.bind((0, 0))
        kernel.sendto(header + payload, (0, 0))
        (code,) = struct.unpack_from("=i", kernel.recv(4096), 16)
    if code:
        raise OSError(-code, os.strerror(-code))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, timeout=10)
