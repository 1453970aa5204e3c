"""The composition root: the only module that sees everything."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from appliance import audit, lifecycle, logs, paths
from appliance import config as configuration
from appliance.agent.desk import SessionDesk
from appliance.agent.service import Agent
from appliance.ams.service import AmsServer
from appliance.bus.connection import BusAddress
from appliance.bus.link import BusLink
from appliance.bus.server import EmbeddedServer
from appliance.config import Config
from appliance.control.schema import Part, Problem
from appliance.control.server import ControlServer
from appliance.controller import BoxController
from appliance.discovery.advertise import Advertiser
from appliance.drain import Drain
from appliance.errors import ConfigError, FanlightError
from appliance.gateway.service import Gateway
from appliance.instances.manager import InstanceManager
from appliance.machine import Machine
from appliance.storage import remembered
from appliance.welcome import greet
from appliance.witness import Witness
from hw.inventory import HardwareMonitor, Inventory

logger = logging.getLogger(__name__)

_END_SECONDS = 4.5


class Daemon:
    """One box: builds its parts, wires them, runs them."""

    def __init__(
        self, file: Path | None, config: Config, state_dir: Path, runtime_dir: Path, records: logs.RingBuffer
    ) -> None:
        self._file = file
        self._config = config
        self._restart_needed: list[str] = []
        self._config_fault = ""
        self.box_id = remembered(state_dir / "box-id", os.urandom(8).hex())

        self._server = EmbeddedServer(state_dir) if config.bus.mode == "embedded" else None
        self._bus = BusLink(self._bus_address, f"fanlightd {config.box.name}")
        self._monitor = HardwareMonitor()
        self._machine = Machine(lambda: self._config, lambda: self._monitor.inventory)
        self._gateway = Gateway(config, state_dir, self._bus, draining=lambda: self._instances.draining)
        desk = SessionDesk(self.box_id, config.box.region, self._bus)
        self._instances = InstanceManager(
            lambda: self._config, state_dir, runtime_dir, self._bus, self._bus_address, desk, self._machine
        )
        self._drain = Drain(self._instances, self._bus)
        self._witness = Witness(self._instances, self._bus)
        self._ams = AmsServer(config, state_dir, self._instances, self._machine, self._gateway)
        self._agent = Agent(self.box_id, config.box.name, config.box.region, self._bus, self._instances)
        self._advertiser = Advertiser(config.gateway.address[1], self._texts)
        self._controller = BoxController(
            box_id=self.box_id,
            name=config.box.name,
            region=config.box.region,
            bus=self._bus,
            gateway=self._gateway,
            instances=self._instances,
            drain=self._drain,
            machine=self._machine,
            parts=self._parts,
            problems=self._problems,
            records=records,
            state_dir=state_dir,
        )
        self._control = ControlServer(self._controller, paths.control_socket(runtime_dir))

    def services(self) -> list[lifecycle.Service]:
        """In order of start: each one finds what it needs already there."""
        return [
            lifecycle.Watchdog(),
            *([self._server] if self._server else []),
            self._bus,
            self._monitor,
            self._gateway,
            self._witness,
            self._instances,
            self._drain,
            *([self._ams] if self._config.instances.listen else []),
            self._agent,
            *([self._advertiser] if self._config.discovery.enabled else []),
            self._controller,
            self._control,
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; raises an ExceptionGroup with the cause where a part cannot serve."""
        self._instances.listeners += [
            self._agent.changed,
            self._witness.changed,
            self._controller.changed.set,
            self._advertiser.changed,
        ]
        with self._monitor.subscribe(self._hardware_changed):
            await lifecycle.run([*self.services(), _Ready(self._gateway)], stop=stop)

    def reload(self) -> None:
        """SIGHUP: take what can be taken live; a broken file changes nothing."""
        lifecycle.notify("RELOADING=1")
        try:
            fresh = configuration.load(self._file)
        except ConfigError as exc:
            self._config_fault = str(exc)
            logger.error("configuration not reloaded, the last good one stays: %s", exc)  # noqa: TRY400
        else:
            self._config_fault = ""
            live = {"application", "video", "audio", "input", "limits"}
            self._restart_needed = [
                name
                for name in Config.model_fields
                if name not in live and getattr(fresh, name) != getattr(self._config, name)
            ]
            kept = {name: getattr(self._config, name) for name in self._restart_needed}
            self._config = fresh.model_copy(update=kept)
            logger.info("configuration reloaded; new instances use it")
        self._controller.changed.set()
        lifecycle.notify("READY=1")

    def _bus_address(self) -> BusAddress:
        if self._server:
            return self._server.address
        return BusAddress(self._config.bus.url, credentials=self._config.bus.credentials)

    def _texts(self) -> dict[str, str]:
        """The TXT record (interface of the box on the network)."""
        running = any(each.session for each in self._instances.instances.values())
        return {
            "v": "1",
            "id": self.box_id,
            "name": self._config.box.name,
            "fp": self._gateway.fingerprint,
            "gpu": self._machine.gpu_names(),
            "enc": self._machine.best_encoder(),
            "state": "live" if running else "idle",
            "region": self._config.box.region,
            "path": "/",
        }

    def _hardware_changed(self, _: Inventory) -> None:
        self._advertiser.changed()
        self._agent.changed()
        self._controller.changed.set()

    def _parts(self) -> Sequence[Part]:
        bus_detail = str(self._bus_address()) if self._bus.connected else "connection lost, trying again"
        return [
            Part(name="bus", ok=self._bus.connected, detail=bus_detail),
            Part(name="gateway", ok=self._gateway.serving, detail=self._gateway.url),
            *(
                [Part(name="instances", ok=bool(self._ams.url), detail=self._ams.url)]
                if self._config.instances.listen
                else []
            ),
            Part(name="agent", ok=self._bus.connected, detail=self.box_id),
            Part(
                name="discovery",
                ok=not self._advertiser.problem,
                detail=self._advertiser.problem or "_fanlight._tcp"
                if self._config.discovery.enabled
                else "off",
            ),
        ]

    def _problems(self) -> Sequence[Problem]:
        found = []
        if self._config_fault:
            found.append(
                Problem(
                    severity="error", what=f"configuration: {self._config_fault}", fix="fanlight check-config"
                )
            )
        if self._restart_needed:
            what = f"changed, but in force only after a restart: {', '.join(self._restart_needed)}"
            found.append(Problem(severity="warning", what=what, fix="systemctl restart fanlight"))
        if not self._bus.connected:
            found.append(
                Problem(severity="error", what="the bus does not answer: streams go on, nobody can join")
            )
        return found


class _Ready:
    """The last service: by then everything serves."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def serve(self, started: asyncio.Event) -> None:
        """Say so to systemd, on standard output, and to the person at the terminal."""
        lifecycle.notify(f"READY=1\nSTATUS=serving {self._gateway.url}")
        print(f"ready {self._gateway.url}", flush=True)  # noqa: T201
        await greet(self._gateway)
        started.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            lifecycle.notify("STOPPING=1")


def run(file: Path | None, state_dir: Path, runtime_dir: Path) -> int:
    """`fanlight run`: exit code 0 when it was asked to stop, 1 where a part failed, 2 for a bad file."""
    records = logs.setup()
    try:
        config = configuration.load(file)
        if config.log.format == "json":
            logs.write_json()
    except ConfigError as exc:
        print(exc, file=sys.stderr)  # noqa: T201
        return 2
    try:
        for directory in (state_dir, runtime_dir):
            directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        daemon = Daemon(file, config, state_dir, runtime_dir, records)
    except OSError as exc:
        print(f"the daemon's own files: {exc}", file=sys.stderr)  # noqa: T201
        return 1
    try:
        with audit.kept(state_dir):
            asyncio.run(_main(daemon))
    except BaseExceptionGroup as group:
        for cause in _causes(group):
            if isinstance(cause, FanlightError):
                logger.error("%s", cause)  # noqa: TRY400
            else:
                logger.exception("a part failed", exc_info=cause)
        return 1
    return 0


async def _main(daemon: Daemon) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, stop)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload)
    with contextlib.suppress(asyncio.CancelledError):
        await daemon.run(stop)


def _end(stop: asyncio.Event) -> None:
    """Stop, soon whatever hangs: children have a death signal, so none of them stays."""
    stop.set()
    timer = threading.Timer(_END_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _causes(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    flat: list[BaseException] = []
    for each in group.exceptions:
        flat += _causes(each) if isinstance(each, BaseExceptionGroup) else [each]
    return flat
