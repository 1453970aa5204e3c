"""Machines for tests: a bare Debian root, a network of its own, and one program or a whole boot inside."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from playwright.async_api import Browser

REPOSITORY = Path(__file__).parents[2]
CACHE = REPOSITORY / "tests" / ".cache"
APT = Path("/etc/apt")
AUTHORITIES = Path("/usr/local/share/ca-certificates")
BARE = ("git", "python3", "ca-certificates")
BOOTABLE = (*BARE, "systemd-sysv", "dbus", "udev", "iproute2")
REGISTRY_SETTINGS = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "PIP_DEFAULT_TIMEOUT",
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "CI": "true",
    **{name: os.environ[name] for name in REGISTRY_SETTINGS if name in os.environ},
}
# A cgroup for each machine: several run at once, and PID 1 out here need not be systemd.
IN_OWN_CGROUP = """set -e
mount --make-rprivate /
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$0"
echo $$ >"/sys/fs/cgroup/$0/cgroup.procs"
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
exec "$@"
"""


def bare_root(packages: tuple[str, ...]) -> Path:
    """A tar of minimal Debian with `packages`, made once."""
    CACHE.mkdir(exist_ok=True)
    sources = [file for file in (APT / "sources.list", *sorted(APT.glob("sources.list.d/*"))) if _lists(file)]
    contents = b"".join(file.read_bytes() for file in sources)
    key = hashlib.sha256(contents + " ".join(packages).encode()).hexdigest()[:12]
    tar = CACHE / f"root-{key}.tar"
    with (CACHE / f"root-{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if tar.exists():
            return tar
        options = ["Acquire::Check-Valid-Until false", "Acquire::Check-Date false"]
        hooks = [f"copy-in {AUTHORITIES} /usr/local/share", 'chroot "$1" update-ca-certificates']
        part = tar.with_name(f"part-{tar.name}")
        subprocess.run(
            [
                *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"),
                *(f"--aptopt={option}" for option in options),
                *(f"--customize-hook={hook}" for hook in hooks if AUTHORITIES.is_dir()),
                *(f"--include={','.join(packages)}", platform.freedesktop_os_release()["VERSION_CODENAME"]),
                *(part, *sources),
            ],
            check=True,
            timeout=600,
        )
        part.rename(tar)
    return tar


def _lists(file: Path) -> bool:
    return file.suffix in (".list", ".sources") and file.is_file()


def unpack(tar: Path, root: Path) -> None:
    """Make `root` from `tar`, with this machine's registry settings."""
    root.mkdir(parents=True)
    subprocess.run(["tar", "-xf", tar, "-C", root, "--numeric-owner"], check=True, timeout=120)
    resolver = root / "etc" / "resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.write_text("nameserver 10.0.2.3\n")
    if Path("/etc/pip.conf").exists():
        shutil.copy("/etc/pip.conf", root / "etc" / "pip.conf")


def copy_working_tree(root: Path) -> None:
    """Lay this working tree into `root`, without its history."""
    checkout = root / "root" / "fanlight"
    checkout.mkdir()
    copy = (
        "git ls-files -z --cached --others --exclude-standard"
        ' | tar -c --null --files-from=- --ignore-failed-read | tar -x -C "$0"'
    )
    subprocess.run(["bash", "-o", "pipefail", "-c", copy, checkout], cwd=REPOSITORY, check=True, timeout=60)


@dataclass(frozen=True)
class Network:
    """A network namespace, held open by a process."""

    holder: int

    @property
    def path(self) -> str:
        """The file that names it."""
        return f"/proc/{self.holder}/ns/net"

    def inside(self, *command: str) -> list[str]:
        """`command`, in this network."""
        return ["nsenter", f"--net={self.path}", "--", *command]


@contextlib.contextmanager
def _process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def namespace() -> Iterator[Network]:
    """A new network with nothing but loopback."""
    up = "ip link set lo up && echo up && exec sleep infinity"
    with _process("unshare", "--net", "sh", "-c", up) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"up\n"
        yield Network(holder.pid)


@contextlib.contextmanager
def user_mode_nat(network: Network) -> Iterator[None]:
    """Let `network` reach what this machine reaches (the package registries), but not this machine."""
    ready, written = os.pipe()
    with subprocess.Popen(
        [
            *("slirp4netns", "--configure", "--mtu=1500", "--disable-host-loopback"),
            *(f"--ready-fd={written}", str(network.holder), "tap0"),
        ],
        pass_fds=[written],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as nat:
        os.close(written)
        try:
            assert os.read(ready, 1) == b"1"
            yield
        finally:
            nat.terminate()
            os.close(ready)


def wire(one: Network, other: Network) -> None:
    """One wire between two networks: 10.77.0.1 and 10.77.0.2."""
    add = ("ip", "link", "add", "lan", "type", "veth", "peer", "lan", "netns", str(other.holder))
    subprocess.run(one.inside(*add), check=True, timeout=10)
    for end, address in ((one, "10.77.0.1/24"), (other, "10.77.0.2/24")):
        subprocess.run(end.inside("ip", "address", "add", address, "dev", "lan"), check=True, timeout=10)
        subprocess.run(end.inside("ip", "link", "set", "lan", "up"), check=True, timeout=10)


class Machine:
    """A Debian root in which one program runs, or which boots."""

    def __init__(self, root: Path, network: Network) -> None:
        self.root = root
        self._log = root.with_suffix(".log")
        self._name = f"fanlight-{os.getpid()}-{root.name}"
        self._network = network
        self._nspawn: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        """The end of what was said on stderr."""
        return self._log.read_text(errors="replace")[-4000:]

    async def start(self, *command: str) -> asyncio.subprocess.Process:
        """Run `command` in the root, its stdout a pipe, its stderr in `log`."""
        with self._log.open("wb") as log:
            self._nspawn = await self._spawn(
                "--console=pipe", "--as-pid2", *command, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        return self._nspawn

    async def _spawn(self, *command: str, stdout: int, stderr: int | IO[bytes]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *("unshare", "--mount", "bash", "-c", IN_OWN_CGROUP, self._name),
            *("systemd-nspawn", "--quiet", f"--directory={self.root}", "--register=no", "--keep-unit"),
            *(f"--machine={self._name}", "--resolv-conf=off", "--link-journal=no"),
            f"--network-namespace-path={self._network.path}",
            *(f"--setenv={name}={value}" for name, value in ENVIRONMENT.items()),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    async def boot(self) -> None:
        """Boot, and wait until systemd says that it is done."""
        nothing = asyncio.subprocess.DEVNULL
        self._nspawn = await self._spawn("--boot", stdout=nothing, stderr=nothing)
        async with asyncio.timeout(60):
            while True:
                if self._leader():
                    _, state = await self.run("systemctl", "is-system-running")
                    if state.strip() in ("running", "degraded"):
                        return
                await asyncio.sleep(0.1)

    async def run(self, *command: str, limit: float = 60) -> tuple[int, str]:
        """Exit status and output of `command` inside the booted machine."""
        process = await asyncio.create_subprocess_exec(
            *("nsenter", "--all", f"--target={self._leader()}", "--", "env", "--ignore-environment"),
            *(f"{name}={value}" for name, value in ENVIRONMENT.items()),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(limit):
            output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def share(self, fanlight: str = "fanlight") -> str:
        """A link into the first instance, as soon as one runs."""
        async with asyncio.timeout(60):
            while True:
                status, output = await self.run(fanlight, "share")
                if status == 0:
                    return output.splitlines()[-1]
                await asyncio.sleep(0.5)

    async def cut_power(self) -> None:
        """End everything inside at once, as a pulled plug does."""
        if self._nspawn and self._nspawn.returncode is None:
            if leader := self._leader():
                os.kill(leader, signal.SIGKILL)
            else:
                self._nspawn.kill()
            await self._nspawn.wait()
        for folder in sorted(Path("/sys/fs/cgroup").glob(f"*/{self._name}"), reverse=True):
            for child in sorted(folder.rglob("*/"), reverse=True):
                child.rmdir()
            folder.rmdir()

    def _leader(self) -> int | None:
        if self._nspawn is None or self._nspawn.returncode is not None:
            raise AssertionError("systemd-nspawn ended by itself")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        return next((int(each) for each in children if _is_first(each)), None)


def _is_first(process: str) -> bool:
    """Whether it is process 1 of a machine; before it come helpers, which see the systemd out here."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{process}/status").read_text()
        return re.search(r"^NSpid:(\t\d+)+\t1$", status, re.MULTILINE) is not None
    return False


PICTURE = """() => {
  const video = document.querySelector('video'), canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [320, 180];
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 320, 180);
  return (window.pictures ??= new Set()).add(canvas.toDataURL()).size;
}"""


async def plays(browser: Browser, link: str) -> None:
    """Open `link` of a machine over the wire; returns once ten different pictures were shown."""
    context = await browser.new_context(ignore_https_errors=True)
    try:
        page = await context.new_page()
        await page.goto(urlsplit(link)._replace(netloc="10.77.0.1:8443").geturl())
        await page.wait_for_function("() => document.querySelector('video')?.videoWidth > 0", timeout=30_000)
        await page.wait_for_function(f"() => ({PICTURE})() >= 10", timeout=30_000, polling=100)
    finally:
        await context.close()
