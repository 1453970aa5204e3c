"""The distribution's kernel in a virtual machine, for what the kernel of this machine may not have."""

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.support.machine import CACHE, REPOSITORY

_METAPACKAGE = {"debian": "linux-image-amd64"}.get(
    platform.freedesktop_os_release()["ID"], "linux-image-generic"
)
_FIRST = Path(__file__).with_name("first_process.py")
_PROGRAM = Path(sys.executable).resolve()
_LEFT_OUT = {"test", "idlelib", "lib2to3", "ensurepip", "dist-packages", "site-packages", "__pycache__"}
_BOOT = "console=ttyS0 quiet mitigations=off panic=-1"


def boot(script: Path, modules: tuple[str, ...], seconds: float = 300) -> str:
    """What `script` says, run by this Python in a machine of its own, which has this repository."""
    folder = _kernel()
    drivers = [found for name in modules for found in folder.glob(f"**/{name}.ko")]
    files = {
        **{str(each): each for each in _python()},
        **{str(each): each for each in REPOSITORY.glob("appliance/**/*.py")},
        **{f"/modules/{number} {each.name}": each for number, each in enumerate(drivers)},
        "/first.py": _FIRST,
        "/script.py": script,
    }
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "initramfs"
        with archive.open("wb") as out:
            out.writelines(_newc(files))
        command = f"rdinit={_PROGRAM} {_BOOT} PYTHONHOME={sys.base_prefix} PYTHONPATH={REPOSITORY}"
        machine = subprocess.run(
            [
                # with RDRAND, or Python waits for the machine to be random
                *("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "Nehalem,+rdrand"),
                *("-smp", "2", "-m", "1024", "-no-reboot"),
                *("-nic", "none", "-vga", "none", "-display", "none"),
                *("-serial", "stdio", "-monitor", "none"),
                *("-kernel", next(folder.glob("vmlinuz*")), "-initrd", archive),
                *("-append", f"{command} {_libraries(files)} -- -P /first.py"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=True,
        )
    return machine.stdout


def _kernel() -> Path:
    """The folder with kernel and modules, fetched once."""
    depends = subprocess.run(
        ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", _METAPACKAGE],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    packages = sorted(set(re.findall(r"^(linux-(?:image|modules)-\d\S+)", depends, re.MULTILINE)))
    CACHE.mkdir(exist_ok=True)
    folder = CACHE / "-".join(packages)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            fetch = ["apt-get", "-o", "APT::Sandbox::User=root", "--quiet", "download", *packages]
            subprocess.run(fetch, cwd=scratch, check=True, timeout=300)
            part = Path(scratch) / "part"
            part.mkdir()
            for package in Path(scratch).glob("*.deb"):
                unpack = (
                    'dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" --wildcards "./boot/vmlinuz*" "*/input/*"'
                )
                subprocess.run(["sh", "-c", unpack, package, part], check=False, timeout=120)
            next(part.glob("boot/vmlinuz*")).rename(part / "vmlinuz")
            shutil.move(part, folder)
    return folder


def _python() -> Iterator[Path]:
    """This Python, its library, and what these are linked with; at the places where they are here."""
    yield _PROGRAM
    modules = []
    for folder, below, names in os.walk(sysconfig.get_path("stdlib")):
        below[:] = [name for name in below if name not in _LEFT_OUT]
        found = [Path(folder, name) for name in names if name.endswith((".py", ".so"))]
        modules += [each for each in found if each.suffix == ".so"]
        yield from found
    linked = subprocess.run(
        ["ldd", _PROGRAM, *modules], capture_output=True, text=True, check=False, timeout=60
    ).stdout
    yield from {Path(name) for name in re.findall(r"(/\S+) \(0x", linked)}


def _libraries(files: Iterable[str]) -> str:
    folders = {str(Path(name).parent) for name in files if re.search(r"/lib[^/]*\.so[^/]*$", name)}
    return f"LD_LIBRARY_PATH={':'.join(sorted(folders))}"


def _newc(files: dict[str, Path]) -> Iterator[bytes]:
    """An initramfs, as the kernel's buffer-format.rst has it, with a folder for each file."""
    folders = {str(folder) for name in files for folder in Path(name).parents if str(folder) != "/"}
    for number, folder in enumerate(sorted({*folders, "/dev", "/proc"}), 1):
        yield _entry(number, folder, 0o40755, b"")
    for number, (name, file) in enumerate(files.items(), len(folders) + 3):
        yield _entry(number, name, 0o100755, file.read_bytes())
    yield _entry(0, "/TRAILER!!!", 0, b"")


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    path = name.removeprefix("/").encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % each for each in fields) + path
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
