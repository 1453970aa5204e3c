"""The AMS dialect as a service of the daemon: its own listener, since its /1.0 is not the gateway's."""

import asyncio
import contextlib
import hmac
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from appliance.ams.app import build
from appliance.ams.context import Context, Holding
from appliance.ams.routes_instances import InstanceRoutes
from appliance.ams.routes_machine import MachineRoutes
from appliance.ams.routes_operations import OperationRoutes
from appliance.bus.messages import Role
from appliance.config import Config
from appliance.errors import UnauthorizedError, UnavailableError
from appliance.gateway.addresses import authority
from appliance.gateway.doorway import IDLE_SECONDS, Doorway, more_files
from appliance.gateway.service import Gateway, ProtocolLog
from appliance.gateway.tls import Tls
from appliance.gateway.tokens import Principal
from appliance.instances.instance import Machine
from appliance.instances.manager import InstanceManager

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 1.0
_SHARE_OF_FILES = 8


class AmsServer:
    """The instance manager's own API, with the certificate and for the accounts of `gateway`.

    Who has `instances.token` is known as well, and alone where the gateway is elsewhere.
    """

    def __init__(
        self,
        config: Config,
        state_dir: Path,
        manager: InstanceManager,
        machine: Machine,
        gateway: Gateway | None,
    ) -> None:
        self._config = config
        self._gateway = gateway
        self._tls = gateway.tls if gateway else Tls(config.tls, state_dir, config.box.name)
        holding: Holding = gateway.holding if gateway else contextlib.nullcontext
        self._context = Context.of(config, manager, machine, holding)
        self.url = ""
        """Where it is, while it serves."""

    def reload(self, config: Config) -> None:
        """Take what can be taken live: [limits]."""
        self._config = config

    async def serve(self, started: asyncio.Event) -> None:
        """Listen until cancelled. Raises UnavailableError where the port is taken."""
        async with asyncio.TaskGroup() as group:
            if self._gateway is None:
                await self._tls.open()
                group.create_task(self._tls.keep())
            group.create_task(self._context.operations.run())
            async with self._listening():
                logger.info("instance manager serves %s", self.url)
                started.set()
                await asyncio.get_running_loop().create_future()

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        context = self._context
        app = build(
            lambda: self._config.limits.requests_per_second,
            self._authenticate,
            MachineRoutes(context).routes(),
            InstanceRoutes(context).routes(),
            OperationRoutes(context).routes(),
        )
        app.on_shutdown.append(self._dismiss)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=ProtocolLog(logger),
            keepalive_timeout=IDLE_SECONDS,
            shutdown_timeout=_CLOSE_SECONDS,
        )
        await runner.setup()
        host, port = self._config.instances.address
        try:
            doorway = Doorway(more_files() // _SHARE_OF_FILES, _refused)
            for each in await doorway.listen(host, port):
                await web.SockSite(runner, each, ssl_context=self._tls.context).start()
            scheme = "https" if self._tls.context else "http"
            self.url = f"{scheme}://{authority(host)}:{runner.addresses[0][1]}"
            yield
        except OSError as exc:
            why = f"cannot listen on {host}:{port}: {exc.strerror or exc}: set instances.listen"
            raise UnavailableError(f"instance manager: {why}") from exc
        finally:
            self.url = ""
            await runner.cleanup()

    async def _authenticate(self, token: str) -> Principal:
        """Raises UnauthorizedError."""
        known = self._config.instances.token
        if known and hmac.compare_digest(token.encode(errors="surrogateescape"), known.encode()):
            return Principal("box", "instances", "instances.token", Role.ADMIN)
        if self._gateway is None:
            raise UnauthorizedError("the API token is not known")
        return await self._gateway.authenticate(token)

    async def _dismiss(self, _: web.Application) -> None:
        self._context.events.dismiss_all()


def _refused() -> None:
    logger.debug("instance manager: a connection too many")
