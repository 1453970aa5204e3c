"""The composition root of a gateway that stands alone: a door, a bus, and nothing that captures."""

import asyncio
import logging
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from appliance import foreground, lifecycle, logs, paths
from appliance.bus.connection import BusAddress
from appliance.bus.external import external
from appliance.bus.link import BusLink
from appliance.bus.server import EmbeddedServer, Listen
from appliance.config import Config
from appliance.control.server import ControlServer
from appliance.control.snapshot import Part, Problem
from appliance.discovery.advertise import Advertiser
from appliance.gateway.service import Gateway
from appliance.gateway.tls import Tls, load_pair
from appliance.gateway_controller import GatewayController
from appliance.live_config import LiveConfig
from appliance.storage import remembered

logger = logging.getLogger(__name__)

_LIVE = {"ice", "limits"}
_OF_BOXES = {"application", "video", "audio", "input", "instances", "recording"}


class GatewayDaemon:
    """One gateway node. Any number of them share a bus, and with it all that they know."""

    def __init__(
        self, file: Path | None, config: Config, state_dir: Path, runtime_dir: Path, records: logs.RingBuffer
    ) -> None:
        self._config = config
        self._settings = LiveConfig(file, config, live=_LIVE | _OF_BOXES, unit="fanlight-gateway")
        node = remembered(state_dir / "box-id", os.urandom(8).hex())
        self._tls = Tls(config.tls, state_dir, config.box.name)
        embedded = config.bus.mode == "embedded"
        self._server = EmbeddedServer(state_dir, _listen(config, state_dir)) if embedded else None
        self._bus = BusLink(self._bus_address, f"gateway {config.box.name}", patient=not embedded)
        self._gateway = Gateway(config, state_dir, self._bus, self._server)
        # A gateway is found by its name in DNS: only who says so has it found by mDNS as well.
        self._advertised = config.discovery.enabled and "enabled" in config.discovery.model_fields_set
        self._advertiser = Advertiser(config.gateway.address[1], lambda: self._texts(node))
        self._controller = GatewayController(
            node=node,
            name=config.box.name,
            region=config.box.region,
            location=config.box.location,
            bus=self._bus,
            gateway=self._gateway,
            state_dir=state_dir,
            parts=self._parts,
            problems=self._problems,
            records=records,
        )
        self._control = ControlServer(self._controller, paths.control_socket(runtime_dir))

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; raises an ExceptionGroup with the cause where a part cannot serve."""
        await self._tls.open()  # the bus shows the same certificate
        services: list[lifecycle.Service] = [
            lifecycle.Watchdog(),
            *([self._server] if self._server else []),
            self._bus,
            self._gateway,
            *([self._advertiser] if self._advertised else []),
            self._controller,
            self._control,
            foreground.Ready(lambda: self._gateway.url),
        ]
        await lifecycle.run(services, stop=stop)

    def reload(self) -> None:
        """SIGHUP: take what can be taken live; a broken file changes nothing."""
        lifecycle.notify("RELOADING=1")
        if self._settings.reload():
            self._gateway.reload(self._settings.now)
            logger.info("[ice] and [limits] reloaded")
        self._controller.changed.set()
        lifecycle.notify("READY=1")

    def _bus_address(self) -> BusAddress:
        return self._server.address if self._server else external(self._config.bus)

    def _texts(self, node: str) -> dict[str, str]:
        return {
            "v": "1",
            "id": node,
            "name": self._config.box.name,
            "fp": self._gateway.fingerprint,
            "gpu": "",
            "enc": "",
            "state": "live" if self._gateway.agents() else "idle",
            "region": self._config.box.region,
            "path": "/",
        }

    def _parts(self) -> Sequence[Part]:
        detail = str(self._bus_address()) if self._bus.connected else "connection lost, trying again"
        boxes = f"{len(self._gateway.agents())} answer"
        return [
            Part(name="bus", ok=self._bus.connected, detail=detail),
            Part(name="gateway", ok=self._gateway.serving, detail=self._gateway.url),
            Part(name="boxes", ok=True, detail=boxes),
            *([self._advertiser_part()] if self._advertised else []),
        ]

    def _advertiser_part(self) -> Part:
        problem = self._advertiser.problem
        return Part(name="discovery", ok=not problem, detail=problem or "_fanlight._tcp")

    def _problems(self) -> Sequence[Problem]:
        found = self._settings.problems()
        if not self._bus.connected:
            what = "the bus does not answer: streams go on, nobody can join"
            found.append(Problem(severity="error", what=what))
        return found


def _listen(config: Config, state_dir: Path) -> Listen | None:
    """Where boxes reach the bus. Raises ConfigError for files that are not right."""
    if not config.bus.listen:
        return None
    host, port = config.bus.address
    tls = state_dir / "tls"
    match config.tls.mode:
        case "off":
            return Listen(host, port)
        case "files":
            cert, key = Path(config.tls.cert), Path(config.tls.key)
            load_pair(
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), cert, key
            )  # what nats-server says is no ConfigError
            return Listen(host, port, cert, key)
        case "auto":
            return Listen(host, port, tls / "cert.pem", tls / "key.pem")


def run(file: Path | None, state_dir: Path, runtime_dir: Path) -> int:
    """`fanlight gateway`: its exit code."""

    def make(config: Config, records: logs.RingBuffer) -> GatewayDaemon:
        return GatewayDaemon(file, config, state_dir, runtime_dir, records)

    return foreground.run(file, state_dir, runtime_dir, make)
