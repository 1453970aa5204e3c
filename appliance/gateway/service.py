"""The gateway as a service of the daemon, and what the control socket asks of it."""

import asyncio
import contextlib
import errno
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from appliance import lifecycle
from appliance.bus.connection import Bus
from appliance.bus.lease import Lease
from appliance.bus.messages import AgentAnnounce, LaunchRequest, Role, ScreenWish
from appliance.bus.server import EmbeddedServer
from appliance.bus.stats import InstanceStats
from appliance.config import Config
from appliance.errors import ConflictError, UnavailableError
from appliance.gateway.accounts import AccountRecord
from appliance.gateway.addresses import authority, hostname, is_wildcard
from appliance.gateway.app import build
from appliance.gateway.context import Context
from appliance.gateway.devices import DeviceRecord
from appliance.gateway.doorway import IDLE_SECONDS, Doorway, more_files
from appliance.gateway.enrolments import BoxRecord
from appliance.gateway.kinesis.bridge import Bridges
from appliance.gateway.kinesis.cameras import Camera
from appliance.gateway.kinesis.keys import AccessKey
from appliance.gateway.kinesis.policies import Policy
from appliance.gateway.kinesis.routes import KinesisRoutes
from appliance.gateway.kinesis.sockets import KinesisSockets
from appliance.gateway.routes_anbox import AnboxRoutes
from appliance.gateway.routes_enroll import EnrollRoutes
from appliance.gateway.routes_fanlight import FanlightRoutes
from appliance.gateway.routes_ops import OpsRoutes
from appliance.gateway.routes_shares import ShareRoutes
from appliance.gateway.routes_sockets import SocketRoutes
from appliance.gateway.routes_whep import WhepRoutes
from appliance.gateway.sessions import SessionRecord
from appliance.gateway.shares import ShareRecord
from appliance.gateway.static import StaticFiles
from appliance.gateway.tls import Tls
from appliance.gateway.tokens import Principal
from appliance.gateway.viewers import Socket
from appliance.gateway.watch import LOST_SECONDS, Watch

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 1.0
_AGAIN_SECONDS = 2.0


class ShareLink(NamedTuple):
    """A link into one session, and the unix time when it ends."""

    id: str
    url: str
    expires_at: int


class Gateway:
    """The door for clients. Every method may raise UnavailableError: before it serves, or without the bus."""

    def __init__(
        self,
        config: Config,
        state_dir: Path,
        bus: Callable[[], Bus],
        server: EmbeddedServer | None = None,
        *,
        lost_s: float = LOST_SECONDS,
    ) -> None:
        self._config = config
        self._draining = False
        self._kinesis: KinesisSockets | None = None
        self._bus = bus
        self._server = server
        self._lost_s = lost_s
        self.tls = Tls(config.tls, state_dir, config.box.name)
        """The box's certificate, for other listeners as well."""
        self._state: Context | None = None
        self._port = config.gateway.address[1]
        self._alone = config.bus.mode == "embedded" and not config.bus.listen
        """Nobody else can reach its bus: it need not ask whether it leads, and a still box stays still."""

    async def serve(self, started: asyncio.Event) -> None:
        """Open the door and keep it open. Raises UnavailableError where the port is taken."""
        bus = self._bus()
        await self.tls.open()
        self._state = context = await self._open(bus)
        lease = None if self._alone else Lease(bus, "watch")
        watch = Watch(
            context.sessions,
            context.shares,
            context.accounts,
            context.viewers,
            context.registry,
            bus,
            lost_s=self._lost_s,
            leads=lambda: lease is None or lease.held,
        )
        bridges = Bridges(
            context.sessions,
            context.channels,
            bus,
            context.bridge,
            leads=lambda: lease is None or lease.held,
        )
        answering = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(context.registry.follow(bus))
                group.create_task(context.viewers.follow())
                group.create_task(context.settings.follow())
                group.create_task(context.presence.serve())
                group.create_task(context.enrolments.follow())
                group.create_task(context.sessions.serve(answering))
                if lease:
                    group.create_task(lease.serve())
                group.create_task(watch.serve())
                if self._config.kinesis.enabled:
                    group.create_task(bridges.serve())
                group.create_task(self.tls.keep())
                await answering.wait()
                async with self._listening(context):
                    logger.info("gateway serves %s", self.url)
                    started.set()
                    await asyncio.get_running_loop().create_future()
        finally:
            self._state = None

    async def _open(self, bus: Bus) -> Context:
        """Somebody's cluster may keep no state yet: its servers start when they do."""
        while True:
            try:
                return await Context.open(self._config, bus, self._server)
            except UnavailableError as exc:
                if self._config.bus.mode == "embedded":
                    raise
                logger.warning("%s; trying again", exc)
            lifecycle.notify(lifecycle.WAITING_FOR_BUS)
            await asyncio.sleep(_AGAIN_SECONDS)

    @contextlib.asynccontextmanager
    async def _listening(self, context: Context) -> AsyncIterator[None]:
        kinesis = self._config.kinesis.enabled
        sockets = self._kinesis = KinesisSockets(context)
        files = await asyncio.to_thread(StaticFiles, sockets.either if kinesis else None)
        app = build(
            context,
            AnboxRoutes(context).routes(),
            ShareRoutes(context).routes(),
            SocketRoutes(context).routes(),
            FanlightRoutes(context).routes(),
            WhepRoutes(context).routes(),
            EnrollRoutes(context, lambda: self.tls.ca_pem).routes(),
            OpsRoutes(context, lambda: self.tls.ca_pem, lambda: self._draining).routes(),
            [*KinesisRoutes(context).routes(), *sockets.routes()] if kinesis else [],
            files.routes(),
        )
        app.on_shutdown.append(lambda _: _close_sockets(context))
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=ProtocolLog(logger),
            keepalive_timeout=IDLE_SECONDS,
            shutdown_timeout=_CLOSE_SECONDS,
        )
        await runner.setup()
        host, port = self._config.gateway.address
        try:
            doorway = Doorway(more_files() // 2, context.metrics.refused.labels("connections").inc)
            for each in await doorway.listen(host, port):
                await web.SockSite(runner, each, ssl_context=self.tls.context).start()
            self._port = runner.addresses[0][1]
            yield
        except OSError as exc:
            raise UnavailableError(_why_not(host, port, exc)) from exc
        finally:
            await runner.cleanup()

    @property
    def draining(self) -> bool:
        """Whether nobody new should come."""
        return self._draining

    def drain(self, *, closed: bool) -> None:
        """Say that nobody new should come, and send cameras and SDKs away; or take everybody again."""
        self._draining = closed
        if self._kinesis:
            self._kinesis.drain(closed=closed)

    def reload(self, config: Config) -> None:
        """Take what can be taken live: [ice] and [limits]."""
        self._config = config
        if self._state:
            self._state.settings.reload(config)
            if self._state.ice.change(config.ice) and self._kinesis:
                self._kinesis.change_relays()

    @property
    def _context(self) -> Context:
        if self._state is None:
            raise UnavailableError("the gateway does not serve yet")
        return self._state

    @property
    def serving(self) -> bool:
        """Whether clients are answered right now."""
        return self._state is not None

    @property
    def port(self) -> int:
        """The TCP port that is listened on."""
        return self._port

    @property
    def url(self) -> str:
        """The best address of the viewer page."""
        return self.urls()[0]

    def urls(self) -> list[str]:
        """All addresses of the viewer page, the best one first."""
        scheme = "http" if self._config.tls.mode == "off" else "https"
        host = self._config.gateway.address[0]
        hosts = [host]
        if is_wildcard(host):
            found = [each for each in self.tls.addresses if ":" in host or ":" not in each]
            hosts = [*found[:1], f"{hostname()}.local", *found[1:]]
        return [f"{scheme}://{authority(each)}:{self._port}/" for each in hosts]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, colon separated hex; empty without TLS."""
        return self.tls.fingerprint

    async def new_pin(self) -> tuple[str, int]:
        """A PIN that pairs one browser, and the unix time when it ends."""
        return await self._context.pins.new()

    async def share(self, session: str, role: Role, expires_s: int) -> ShareLink:
        """A new link into `session`. Raises NotFoundError, ConflictError."""
        record = await self._context.sessions.get(session)
        if not record.open:
            raise ConflictError(f"session {session} is {record.status}")
        shares = self._context.shares
        share = await shares.create(session, role=role, lasts_s=expires_s)
        return ShareLink(share.id, f"{self.url}#share={shares.token(share)}", share.expires_at)

    async def shares(self) -> list[ShareRecord]:
        """Shares that still hold, without their links."""
        return await self._context.shares.list()

    async def unshare(self, share: str) -> None:
        """Revoke a share and end whoever came in by it. Raises NotFoundError."""
        guest = await self._context.shares.remove(share)
        await self._context.viewers.revoke(guest, "the share was revoked")

    async def authenticate(self, token: str) -> Principal:
        """The account that an API token is of. Raises UnauthorizedError."""
        return await self._context.accounts.authenticate(token)

    @contextlib.contextmanager
    def holding(self, socket: Socket) -> Iterator[None]:
        """For as long, `socket` ends when who holds it is revoked."""
        sockets = self._context.viewers.sockets
        sockets.add(socket)
        try:
            yield
        finally:
            sockets.discard(socket)

    async def devices(self) -> list[DeviceRecord]:
        """Paired browsers."""
        return await self._context.devices.list()

    async def unpair(self, device: str) -> None:
        """Revoke a browser and end its viewers. Raises NotFoundError."""
        principal = await self._context.devices.remove(device)
        await self._context.viewers.revoke(principal, "this browser was unpaired")

    async def create_account(self, name: str, expires_s: int | None = None) -> str:
        """The API token of a new account, shown this once. Raises ConflictError."""
        return await self._context.accounts.create(name, expires_s)

    async def accounts(self) -> list[AccountRecord]:
        """API accounts without their tokens."""
        return await self._context.accounts.list()

    async def delete_account(self, name: str) -> None:
        """Revoke an account and end its viewers. Raises NotFoundError."""
        principal = await self._context.accounts.delete(name)
        await self._context.viewers.revoke(principal, "the account was deleted")

    async def create_code(self, name: str) -> tuple[str, int]:
        """A code that enrols one box, and the unix time when it ends. Raises ConflictError."""
        return await self._context.enrolments.create(name, self.fingerprint)

    async def boxes(self) -> list[BoxRecord]:
        """Enrolled boxes."""
        return await self._context.enrolments.list()

    async def delete_box(self, name: str) -> None:
        """Revoke a box; the bus cuts it off. Raises NotFoundError."""
        await self._context.enrolments.delete(name)

    def viewers_of(self, session: str) -> int:
        """How many watch `session`."""
        found = self._context.viewers.of(session)
        return len(found.viewers) if found else 0

    def agents(self) -> list[AgentAnnounce]:
        """What the boxes that answer said last."""
        return self._state.registry.agents() if self._state else []

    def stats(self) -> list[InstanceStats]:
        """What the streamers that run said last."""
        return self._state.viewers.stats() if self._state else []

    def cameras(self) -> list[Camera]:
        """Channels whose master is there."""
        return self._state.cameras.present() if self._state else []

    async def launch(self, application: str, screen: ScreenWish | None) -> SessionRecord:
        """A session on the best box. Raises NoCapacityError."""
        request = LaunchRequest(
            session="", application=application, screen=screen, joinable=True, ephemeral=False
        )
        return await self._context.cameras.launch(request)

    async def create_key(self, name: str, policy: Policy) -> AccessKey:
        """A new access key of the Kinesis dialect. Raises ConflictError."""
        return await self._context.access_keys.create(name, policy)

    async def keys(self) -> list[AccessKey]:
        """Access keys of the Kinesis dialect."""
        return await self._context.access_keys.list()

    async def delete_key(self, name: str) -> None:
        """Revoke an access key and end its viewers. Raises NotFoundError."""
        key = await self._context.access_keys.delete(name)
        await self._context.viewers.revoke(key.principal(), "the access key was deleted")

    async def sessions(self) -> list[SessionRecord]:
        """All sessions, with those that ended lately."""
        return await self._context.sessions.list()

    async def kick(self, peer: str) -> None:
        """Disconnect one viewer. Raises NotFoundError."""
        await self._context.viewers.kick(peer)

    async def stop_session(self, session: str) -> None:
        """End a session and its instance. Raises NotFoundError."""
        await self._context.sessions.end(session, reason="stopped on the box", sync=True)


class ProtocolLog(logging.LoggerAdapter[logging.Logger]):
    """aiohttp's words on clients that do not speak HTTP, without what they sent: it may hold a token."""

    def log(self, level: int, msg: object, *args: object, **_: object) -> None:
        """One line, and no traceback: no code of ours is involved."""
        self.logger.log(min(level, logging.INFO), msg, *args)


async def _close_sockets(context: Context) -> None:
    """Going away is not the end: clients come back by themselves."""
    async with asyncio.TaskGroup() as group:
        for socket in context.viewers.sockets:
            group.create_task(socket.close())


def _why_not(host: str, port: int, exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"gateway: port {port} on {host} is taken by another program: set gateway.listen"
    return f"gateway: cannot listen on {host}:{port}: {exc.strerror or exc}"
