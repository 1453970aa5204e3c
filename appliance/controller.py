"""What control clients see and may ask: the whole box in one snapshot, and a method for every verb."""

import contextlib
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from appliance import __version__
from appliance.bus.connection import Bus
from appliance.bus.messages import InstanceState, Publication, ScreenWish, SessionStatus
from appliance.bus.peer_messages import PeerEvent
from appliance.bus.subjects import up
from appliance.control import words
from appliance.control.credentials import Share, ShareParams
from appliance.control.schema import (
    DrainParams,
    InstanceLogs,
    Launched,
    LaunchParams,
    Logs,
    Picture,
    PublishParams,
    Recording,
    Recordings,
)
from appliance.control.snapshot import Application, Box, Health, Instance, Part, Problem, Session, Snapshot
from appliance.doorkeeper import Doorkeeper
from appliance.drain import Drain
from appliance.errors import InvalidInputError, NotFoundError, UnavailableError
from appliance.gateway.service import Gateway
from appliance.instances import footage
from appliance.instances.instance import Instance as RunningInstance
from appliance.instances.instance import Wish
from appliance.instances.manager import InstanceManager
from appliance.logs import RingBuffer
from appliance.machine import Machine
from appliance.recordings import Recording as KeptRecording
from appliance.retention import Retention
from hw.encoders import SESSIONS_TAKEN

logger = logging.getLogger(__name__)

_SOFTWARE = 'fanlight doctor; where that is meant, gpu = "software" for the application'
_FEWER = "set [instances] encoder_slots to as many sessions as the GPU has"


class BoxController(Doorkeeper):
    """Implements the control API over the parts of the daemon."""

    def __init__(
        self,
        *,
        box_id: str,
        name: str,
        region: str,
        location: str,
        bus: Callable[[], Bus],
        gateway: Gateway | None,
        elsewhere: str = "",
        instances: InstanceManager,
        drain: Drain,
        machine: Machine,
        retention: Retention,
        parts: Callable[[], Sequence[Part]],
        problems: Callable[[], Sequence[Problem]],
        records: RingBuffer,
        state_dir: Path,
    ) -> None:
        self._id = box_id
        self._name = name
        self._region = region
        self._location = location
        self._bus = bus
        super().__init__(gateway, state_dir, elsewhere)
        self._instances = instances
        self._drain = drain
        self._machine = machine
        self._retention = retention
        self._parts = parts
        self._problems = problems
        self._records = records
        self._born = time.monotonic()

    def snapshot(self) -> Snapshot:
        """Everything, from memory."""
        instances = [_instance(each) for each in self._instances.instances.values()]
        problems = [*self._problems(), *_drain_problems(self._drain), *_instance_problems(instances)]
        return Snapshot(
            box=Box(
                id=self._id,
                name=self._name,
                region=self._region,
                location=self._location,
                version=__version__,
                health=_health(instances, problems),
                uptime_s=time.monotonic() - self._born,
                urls=self.urls(),
                fingerprint=self.fingerprint,
                hostname=socket.gethostname(),
                draining=self._drain.active,
            ),
            parts=list(self._parts()),
            problems=problems,
            hardware=self._machine.hardware(),
            applications=[
                Application(name=each.name, kind=each.kind, autostart=each.autostart)
                for each in self._instances.applications()
            ]
            + self.cameras(),
            instances=instances,
            sessions=self.known_sessions(),
        )

    def logs(self, after: int) -> Logs:
        """Records after sequence number `after`."""
        return self._records.after(after)

    async def launch(self, params: LaunchParams) -> Launched:
        """Start an application; what is not said is as configured."""
        if any(each.name == params.application for each in self.cameras()):
            made = await self._door.launch(params.application, None)
            return Launched(instance=made.instance or "", session=made.id)
        if bool(params.width) != bool(params.height):
            raise InvalidInputError("a size needs both width and height")
        screen = ScreenWish(width=params.width, height=params.height, fps=params.fps)
        wish = Wish(screen=screen, streaming=params.streaming)
        instance = await self._instances.launch(params.application, wish)
        return Launched(instance=instance.id, session=instance.session)

    async def stop(self, instance: str) -> None:
        """Stop an instance, named by id, session or application."""
        await self._instances.stop(instance, "stopped on the box")

    async def instance_logs(self, instance: str, name: str) -> InstanceLogs:
        """What an instance said lately, in the log `name` or in all of them.

        It is named by id, session or application; by id also when it has ended.
        """
        with contextlib.suppress(NotFoundError):
            instance = self._instances.find(instance).id
        return InstanceLogs(instance=instance, lines=await self._instances.logbook.latest(instance, name))

    async def recordings(self) -> Recordings:
        """What was recorded on this box. Raises UnavailableError."""
        return await self._recorded(self._retention.found())

    async def record_start(self, instance: str) -> None:
        """Record an instance from now on, named by id, session or application."""
        await footage.record(self._bus(), self._instances.find(instance), on=True)

    async def record_stop(self, instance: str) -> Recordings:
        """Record it no more; returns the files since it was, as far as they are still kept."""
        names = await footage.record(self._bus(), self._instances.find(instance), on=False)
        return await self._recorded(self._retention.playable(names))

    async def screenshot(self, instance: str) -> Picture:
        """What an instance shows now, named by id, session or application."""
        return await footage.picture(self._bus(), self._instances.find(instance))

    async def _recorded(self, found: Awaitable[list[KeptRecording]]) -> Recordings:
        try:
            return Recordings(
                directory=str(self._retention.root), recordings=[_recording(each) for each in await found]
            )
        except OSError as exc:
            raise UnavailableError(f"recordings: {exc}") from exc

    async def kick(self, viewer: str) -> None:
        """Disconnect a viewer. Raises NotFoundError."""
        for each in self._instances.instances.values():
            if each.stats and each.session and any(peer.id == viewer for peer in each.stats.viewers):
                event = PeerEvent(kind="kick", peer=viewer, text="disconnected on the box")
                await self._bus().publish(up(each.session), event)
                return
        raise NotFoundError(f"no viewer {viewer!r} is connected")

    async def keyframe(self, instance: str) -> None:
        """Ask an instance's encoder for a keyframe, named by id, session or application."""
        session = self._session_of(instance)
        await self._bus().publish(up(session), PeerEvent(kind="keyframe"))

    async def publish(self, params: PublishParams) -> None:
        """Publish an instance, named by id, session or application, somewhere else as well, or nowhere."""
        await self._instances.publish(params.instance, Publication(url=params.url, token=params.token))

    async def share(self, params: ShareParams) -> Share:
        """A link into the named instance, or the only one."""
        return await self.share_session(self._door, self._session_of(params.instance), params)

    def _session_of(self, wanted: str | None) -> str:
        if wanted:
            instance = self._instances.find(wanted)
        else:
            streaming = [each for each in self._instances.instances.values() if each.session]
            if not streaming:
                raise NotFoundError("nothing is streamed: launch an application first")
            instance = streaming[0]
        if not instance.session:
            raise InvalidInputError(f"instance {instance.id} was launched without streaming")
        return instance.session

    async def _look(self) -> list[Session]:
        if self._gateway:
            return await super()._look()
        return [
            Session(
                id=each.session,
                application=each.application.name,
                status=SessionStatus.ACTIVE if each.state is InstanceState.RUNNING else SessionStatus.CREATED,
                instance=each.id,
                viewers=self._viewers(each.session),
            )
            for each in self._instances.instances.values()
            if each.session
        ]

    async def drain(self, params: DrainParams) -> None:
        """Take nobody new, or everybody again."""
        if params.on:
            await self._drain.begin(params.timeout_s)
        else:
            await self._drain.end()

    def _viewers(self, session: str) -> int:
        for each in self._instances.instances.values():
            if each.session == session and each.stats:
                return len(each.stats.viewers)
        return 0


def _instance(running: RunningInstance) -> Instance:
    return Instance(
        id=running.id,
        application=running.application.name,
        state=running.state,
        session=running.session,
        detail=running.detail,
        why=running.why,
        restarts=running.supervisor.restarts if running.supervisor else 0,
        uptime_s=time.monotonic() - running.since,
        stats=running.stats,
    )


def _recording(kept: KeptRecording) -> Recording:
    return Recording(
        name=kept.name,
        kind=kept.shelf,
        file=str(kept.file),
        began=int(kept.began),
        length_s=max(0.0, kept.ended - kept.began),
        size=kept.size,
        running=kept.running,
    )


def _drain_problems(drain: Drain) -> list[Problem]:
    if not drain.active:
        return []
    what = f"this box is being drained: nobody new, {words.one_or_many(drain.viewers, 'viewer')} left"
    return [Problem(severity="warning", what=what, fix="fanlight drain --off")]


def _instance_problems(instances: Sequence[Instance]) -> list[Problem]:
    found = []
    for each in instances:
        if each.state is InstanceState.STARTED and each.detail:
            found.append(Problem(severity="error", what=f"{each.application}: {each.detail}"))
        if each.stats and each.stats.problem:
            found.append(Problem(severity="error", what=f"{each.application}: {each.stats.problem}"))
        if each.stats and each.stats.recording_problem:
            what = f"{each.application} is not recorded: {each.stats.recording_problem}"
            found.append(Problem(severity="error", what=what))
        if each.stats and each.stats.software_fallback:
            what = f"{each.application} encodes in software: {each.stats.encoder_reason}"
            taken = SESSIONS_TAKEN in each.stats.encoder_reason
            found.append(Problem(severity="error", what=what, fix=_FEWER if taken else _SOFTWARE))
    return found


def _health(instances: Sequence[Instance], problems: Sequence[Problem]) -> Health:
    if any(each.severity == "error" for each in problems):
        return "degraded"
    watched = any(each.stats and each.stats.viewers for each in instances)
    return "live" if watched else "idle"
