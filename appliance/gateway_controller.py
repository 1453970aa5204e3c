"""What control clients see of a gateway that stands alone, and may ask of it."""

import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance import __version__
from appliance.bus.connection import Bus
from appliance.bus.messages import ScreenWish
from appliance.bus.peer_messages import PeerEvent
from appliance.bus.subjects import up
from appliance.control.credentials import Share, ShareParams
from appliance.control.schema import (
    DrainParams,
    InstanceLogs,
    Launched,
    LaunchParams,
    Logs,
    Picture,
    PublishParams,
    Recordings,
)
from appliance.control.snapshot import Application, Box, Instance, Part, Problem, Snapshot
from appliance.doorkeeper import Doorkeeper
from appliance.errors import InvalidInputError, NotFoundError
from appliance.gateway.service import Gateway
from appliance.logs import RingBuffer

_DRAINING = Problem(
    severity="warning",
    what="this gateway is being drained: /readyz sends who is new to the others",
    fix="fanlight drain --off",
)


class GatewayController(Doorkeeper):
    """Implements the control API over a gateway: what it calls an instance is the session of one."""

    def __init__(
        self,
        *,
        node: str,
        name: str,
        region: str,
        location: str,
        bus: Callable[[], Bus],
        gateway: Gateway,
        state_dir: Path,
        parts: Callable[[], Sequence[Part]],
        problems: Callable[[], Sequence[Problem]],
        records: RingBuffer,
    ) -> None:
        super().__init__(gateway, state_dir)
        self._node = node
        self._name = name
        self._region = region
        self._location = location
        self._bus = bus
        self._parts = parts
        self._problems = problems
        self._records = records
        self._born = time.monotonic()

    def snapshot(self) -> Snapshot:
        """Everything, from memory."""
        problems = [*self._problems(), *([_DRAINING] if self._door.draining else [])]
        sessions = self.known_sessions()
        watched = any(each.viewers for each in sessions)
        names = {(known.name, known.kind) for agent in self._door.agents() for known in agent.applications}
        return Snapshot(
            box=Box(
                id=self._node,
                name=self._name,
                region=self._region,
                location=self._location,
                version=__version__,
                health="degraded" if problems else "live" if watched else "idle",
                uptime_s=time.monotonic() - self._born,
                urls=self.urls(),
                fingerprint=self.fingerprint,
                hostname=socket.gethostname(),
                draining=self._door.draining,
            ),
            parts=list(self._parts()),
            problems=problems,
            applications=[Application(name=name, kind=kind) for name, kind in sorted(names)] + self.cameras(),
            instances=self._instances(),
            sessions=sessions,
        )

    def _instances(self) -> list[Instance]:
        """Those of all boxes that answer."""
        said = {stats.instance: stats for stats in self._door.stats()}
        found = [
            Instance(
                id=each.id,
                application=each.application,
                state=each.state,
                session=each.session,
                detail=each.detail,
                box=agent.name,
                stats=said.get(each.id),
            )
            for agent in self._door.agents()
            for each in agent.instances
        ]
        return sorted(found, key=lambda each: (each.box, each.application, each.id))

    def logs(self, after: int) -> Logs:
        """Records after sequence number `after`."""
        return self._records.after(after)

    async def launch(self, params: LaunchParams) -> Launched:
        """Start an application on the best box."""
        if not params.streaming:
            raise InvalidInputError("without streaming an application is launched on its box")
        if bool(params.width) != bool(params.height):
            raise InvalidInputError("a size needs both width and height")
        screen = ScreenWish(width=params.width, height=params.height, fps=params.fps)
        made = await self._door.launch(params.application, screen)
        return Launched(instance=made.instance or "", session=made.id)

    async def stop(self, instance: str) -> None:
        """Stop an instance and its session, named by id, session or application."""
        await self._door.stop_session(await self._session_of(instance))

    async def kick(self, viewer: str) -> None:
        """Disconnect a viewer. Raises NotFoundError."""
        await self._door.kick(viewer)

    async def keyframe(self, instance: str) -> None:
        """Ask an instance's encoder for a keyframe."""
        await self._bus().publish(up(await self._session_of(instance)), PeerEvent(kind="keyframe"))

    async def instance_logs(self, instance: str, name: str) -> InstanceLogs:  # noqa: ARG002
        """They stay on the box of the instance."""
        raise InvalidInputError(f"what {instance} said is on its box: `fanlight instances logs` there")

    async def publish(self, params: PublishParams) -> None:
        """The box of the instance does it."""
        raise InvalidInputError(f"{params.instance} is published from its box: `fanlight publish` there")

    async def record_start(self, instance: str) -> None:
        """The box of the instance does it."""
        raise InvalidInputError(f"{instance} is recorded by its box: `fanlight record` there")

    async def record_stop(self, instance: str) -> Recordings:
        """The box of the instance does it."""
        raise InvalidInputError(f"{instance} is recorded by its box: `fanlight record` there")

    async def screenshot(self, instance: str) -> Picture:
        """The box of the instance does it."""
        raise InvalidInputError(f"{instance} is on its box: `fanlight screenshot` there")

    async def recordings(self) -> Recordings:
        """They stay on their boxes."""
        raise InvalidInputError("a gateway records nothing: `fanlight recordings` is for its boxes")

    async def drain(self, params: DrainParams) -> None:
        """Send whoever looks for a gateway to the others; streams need none."""
        if params.on and params.timeout_s is not None:
            raise InvalidInputError("nobody is watched by way of a gateway: a timeout is for boxes")
        self._door.drain(closed=params.on)

    async def share(self, params: ShareParams) -> Share:
        """A link into the named session, or the only one."""
        return await self.share_session(self._door, await self._session_of(params.instance), params)

    async def _session_of(self, wanted: str | None) -> str:
        records = [each for each in await self._door.sessions() if each.open]
        for each in records:
            if wanted in (each.id, each.instance):
                return each.id
        named = [each.id for each in records if wanted in (None, each.app)]
        if len(named) != 1:
            raise NotFoundError(f"{len(named)} sessions fit {wanted!r}: name one of `fanlight sessions`")
        return named[0]
