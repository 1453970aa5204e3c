"""The AMS dialect as a service of the daemon: its own listener, since its /1.0 is not the gateway's."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from aiohttp import web

from appliance.ams.app import Authenticate, build
from appliance.ams.context import Context
from appliance.ams.routes_instances import InstanceRoutes
from appliance.ams.routes_machine import MachineRoutes
from appliance.ams.routes_operations import OperationRoutes
from appliance.config import Config
from appliance.errors import UnavailableError
from appliance.gateway.addresses import authority
from appliance.gateway.doorway import Doorway, more_files
from appliance.gateway.tls import Tls
from appliance.instances.instance import Machine
from appliance.instances.manager import InstanceManager

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 1.0
_SHARE_OF_FILES = 8


class AmsServer:
    """The instance manager's own API. `tls` is kept by the gateway, whose accounts hold here too."""

    def __init__(
        self,
        config: Config,
        manager: InstanceManager,
        machine: Machine,
        tls: Tls,
        authenticate: Authenticate,
    ) -> None:
        self._config = config
        self._tls = tls
        self._authenticate = authenticate
        self._context = Context.of(config, manager, machine)
        self.url = ""
        """Where it is, once it serves."""

    async def serve(self, started: asyncio.Event) -> None:
        """Listen until cancelled. Raises UnavailableError where the port is taken."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._context.operations.run())
            async with self._listening():
                logger.info("instance manager serves %s", self.url)
                started.set()
                await asyncio.get_running_loop().create_future()

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        context = self._context
        app = build(
            self._config.limits.requests_per_second,
            self._authenticate,
            MachineRoutes(context).routes(),
            InstanceRoutes(context).routes(),
            OperationRoutes(context).routes(),
        )
        app.on_shutdown.append(self._dismiss)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_SECONDS)
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
            await runner.cleanup()

    async def _dismiss(self, _: web.Application) -> None:
        self._context.events.dismiss_all()


def _refused() -> None:
    logger.debug("instance manager: a connection too many")
