"""The composition root of a box: the only module that sees everything."""

import asyncio
import functools
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from appliance import foreground, lifecycle, logs, paths
from appliance.agent import enrolment, newcomer
from appliance.agent.desk import SessionDesk
from appliance.agent.service import Agent
from appliance.ams.service import AmsServer
from appliance.bus.connection import BusAddress
from appliance.bus.external import external
from appliance.bus.link import BusLink
from appliance.bus.server import EmbeddedServer
from appliance.config import Config
from appliance.control.server import ControlServer
from appliance.control.snapshot import Part, Problem
from appliance.controller import BoxController
from appliance.discovery.advertise import Advertiser
from appliance.drain import Drain
from appliance.gateway.service import Gateway
from appliance.instances.manager import InstanceManager
from appliance.live_config import LiveConfig
from appliance.machine import Machine
from appliance.retention import Retention
from appliance.storage import remembered
from appliance.uplink.service import Uplink
from appliance.welcome import greet
from appliance.witness import Witness
from hw.inventory import HardwareMonitor, Inventory

logger = logging.getLogger(__name__)

_LIVE = {"application", "video", "audio", "input", "limits", "ice"}


class Daemon:
    """One box: builds its parts, wires them, runs them."""

    def __init__(
        self, file: Path | None, config: Config, state_dir: Path, runtime_dir: Path, records: logs.RingBuffer
    ) -> None:
        self._settings = LiveConfig(file, config, live=_LIVE, unit="fanlight")
        self.box_id = remembered(state_dir / "box-id", os.urandom(8).hex())

        mode = config.gateway.mode
        remote = mode == "remote"
        """Its gateway is elsewhere, and so is the bus: a box has one door, as a session has one home."""
        self._off = mode == "off"
        embedded = config.bus.mode == "embedded"
        self._enrols = remote and embedded
        self._enrolment = enrolment.load(state_dir, config.gateway) if self._enrols else None
        self._state_dir = state_dir
        self._server = EmbeddedServer(state_dir) if embedded and not remote else None
        self._bus = BusLink(self._bus_address, f"fanlightd {config.box.name}", patient=remote)
        self._monitor = HardwareMonitor()
        self._machine = Machine(lambda: self._config, lambda: self._monitor.inventory)
        self._gateway = Gateway(config, state_dir, self._bus) if mode == "embedded" else None
        elsewhere = config.gateway.url if remote else ""
        desk = SessionDesk(self.box_id, config.box.region, self._bus)
        self._instances = InstanceManager(
            self.box_id,
            lambda: self._config,
            state_dir,
            runtime_dir,
            self._bus,
            self._bus_address,
            desk,
            self._machine,
        )
        self._drain = Drain(self._instances, self._bus, self._gateway)
        self._retention = Retention(lambda: self._config, state_dir)
        self._witness = Witness(self.box_id, self._instances, self._bus)
        self._ams = AmsServer(config, state_dir, self._instances, self._machine, self._gateway)
        self._agent = Agent(self.box_id, config.box.name, config.box.region, self._bus, self._instances)
        self._uplink = self._make_uplink()
        self._advertiser = Advertiser(config.gateway.address[1], self._texts)
        self._controller = BoxController(
            box_id=self.box_id,
            name=config.box.name,
            region=config.box.region,
            location=config.box.location,
            bus=self._bus,
            gateway=self._gateway,
            elsewhere=self._enrolment.gateway if self._enrolment else elsewhere,
            instances=self._instances,
            drain=self._drain,
            machine=self._machine,
            retention=self._retention,
            parts=self._parts,
            problems=self._problems,
            records=records,
            state_dir=state_dir,
        )
        self._control_socket = paths.control_socket(runtime_dir)
        self._control = ControlServer(self._controller, self._control_socket)

    def services(self) -> list[lifecycle.Service]:
        """In order of start: each one finds what it needs already there."""
        return [
            lifecycle.Watchdog(),
            *([self._server] if self._server else []),
            self._bus,
            self._monitor,
            *([self._gateway] if self._gateway else []),
            self._witness,
            self._instances,
            self._drain,
            self._retention,
            *([self._ams] if self._config.instances.listen else []),
            *([] if self._off else [self._agent]),
            *([self._uplink] if self._uplink else []),
            *([self._advertiser] if self._discoverable else []),
            self._controller,
            self._control,
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; raises an ExceptionGroup with the cause where a part cannot serve.

        Raises ConfigError where the gateway that it is to enrol at does not take it.
        """
        if self._enrols and not self._enrolment:
            self._enrolment = await newcomer.join(
                self._config.gateway, self._state_dir, box=self.box_id, name=self._config.box.name, stop=stop
            )
        self._instances.listeners += [
            self._agent.changed,
            self._witness.changed,
            self._controller.changed.set,
            self._advertiser.changed,
            *([self._uplink.changed] if self._uplink else []),
        ]
        with self._monitor.subscribe(self._hardware_changed):
            greeting = functools.partial(greet, self._gateway) if self._gateway else None
            ready = foreground.Ready(self._where, greeting)
            await lifecycle.run([*self.services(), ready], stop=stop)

    def _where(self) -> str:
        """The viewer page, or what else answers."""
        return next(iter(self._controller.urls()), str(self._control_socket))

    def reload(self) -> None:
        """SIGHUP: take what can be taken live; a broken file changes nothing."""
        lifecycle.notify("RELOADING=1")
        if self._settings.reload():
            self._instances.reload()
            self._ams.reload(self._config)
            if self._gateway:
                self._gateway.reload(self._config)
            logger.info("configuration reloaded; new instances use it")
        self._controller.changed.set()
        lifecycle.notify("READY=1")

    @property
    def _config(self) -> Config:
        return self._settings.now

    def _bus_address(self) -> BusAddress:
        if self._server:
            return self._server.address
        if self._enrolment:
            return self._enrolment.address(self._state_dir, self.box_id)
        return external(self._config.bus)

    def _make_uplink(self) -> Uplink | None:
        section = self._config.kinesis.uplink
        if not section.channel:
            return None
        return Uplink(
            self.box_id,
            section,
            self._bus,
            find=self._uplinked,
            closed=lambda: self._instances.draining,
        )

    def _uplinked(self) -> str | None:
        """The session that viewers in the cloud are shown."""
        config = self._config
        first = next((each.name for each in config.application if each.autostart), "")
        wanted = config.kinesis.uplink.application or first
        sessions = (
            each.session
            for each in self._instances.instances.values()
            if each.application.name == wanted and each.session
        )
        return next(sessions, None)

    @property
    def _discoverable(self) -> bool:
        """Who is found has a door."""
        return self._config.discovery.enabled and self._gateway is not None

    def _texts(self) -> dict[str, str]:
        """The TXT record (interface of the box on the network)."""
        running = any(each.session for each in self._instances.instances.values())
        return {
            "v": "1",
            "id": self.box_id,
            "name": self._config.box.name,
            "fp": self._controller.fingerprint,
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
            self._door_part(),
            *(
                [Part(name="instances", ok=bool(self._ams.url), detail=self._ams.url)]
                if self._config.instances.listen
                else []
            ),
            *([] if self._off else [Part(name="agent", ok=self._bus.connected, detail=self.box_id)]),
            *(
                [Part(name="uplink", ok=self._uplink.connected, detail=self._uplink.detail)]
                if self._uplink
                else []
            ),
            Part(
                name="discovery",
                ok=not self._advertiser.problem,
                detail=self._advertiser.problem or "_fanlight._tcp" if self._discoverable else "off",
            ),
        ]

    def _door_part(self) -> Part:
        if self._off:
            return Part(name="gateway", ok=True, detail="off")
        ok = self._gateway.serving if self._gateway else self._bus.connected
        return Part(name="gateway", ok=ok, detail=next(iter(self._controller.urls()), ""))

    def _problems(self) -> Sequence[Problem]:
        found = self._settings.problems()
        if self._uplink and self._uplink.fault:
            what = f"uplink: {self._uplink.detail}"
            severity: Literal["warning", "error"] = "warning" if self._uplink.connected else "error"
            found.append(Problem(severity=severity, what=what, fix=self._uplink.fix))
        if self._retention.problem:
            what = f"recordings are not looked after: {self._retention.problem}"
            found.append(Problem(severity="error", what=what))
        if not self._bus.connected:
            found.append(
                Problem(severity="error", what="the bus does not answer: streams go on, nobody can join")
            )
        return found


def run(file: Path | None, state_dir: Path, runtime_dir: Path) -> int:
    """`fanlight run`: its exit code."""

    def make(config: Config, records: logs.RingBuffer) -> Daemon:
        return Daemon(file, config, state_dir, runtime_dir, records)

    return foreground.run(file, state_dir, runtime_dir, make)
