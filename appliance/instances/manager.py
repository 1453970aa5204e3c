"""The instance manager: applications, and the instances that run of them."""

import asyncio
import contextlib
import functools
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from appliance.about import about
from appliance.bus.connection import Bus, BusAddress
from appliance.bus.messages import (
    DRAINING,
    ApplicationInfo,
    Done,
    InstanceInfo,
    InstanceState,
    LaunchRequest,
    Publication,
    SessionStatus,
)
from appliance.bus.spec import EncoderChoice
from appliance.bus.stats import InstanceStats
from appliance.bus.subjects import id_of, publication, stats_of
from appliance.config import Config
from appliance.errors import FanlightError, InvalidInputError, NotFoundError, UnavailableError
from appliance.instances.admission import Admission
from appliance.instances.autostart import Autostart
from appliance.instances.idle import IdlePolicy
from appliance.instances.instance import AS_CONFIGURED, Instance, Machine, Sessions, Wish
from appliance.instances.logbook import APPLICATION, INSTANCE, STREAMER, Logbook
from appliance.instances.outfit import Outfitter
from appliance.instances.plan import (
    Plan,
    channel_application,
    find_application,
    largest_screen,
    make_plan,
    screen_for,
)
from appliance.instances.screens import ScreenHandle
from appliance.instances.specification import specification
from appliance.instances.standby import Standby
from appliance.instances.supervisor import Supervisor
from appliance.recordings import root_of

logger = logging.getLogger(__name__)


class InstanceManager:
    """Admits, starts, watches and stops instances."""

    def __init__(
        self,
        agent: str,
        config: Callable[[], Config],
        state_dir: Path,
        runtime_dir: Path,
        bus: Callable[[], Bus],
        bus_address: Callable[[], BusAddress],
        sessions: Sessions,
        machine: Machine,
    ) -> None:
        self._agent = agent
        self._config = config
        self._state_dir = state_dir / "instances"
        self._runtime_dir = runtime_dir
        self._recordings = root_of(config().recording.directory, state_dir)
        self._bus = bus
        self._bus_address = bus_address
        self._sessions = sessions
        self._machine = machine
        self._group: asyncio.TaskGroup | None = None
        self.instances: dict[str, Instance] = {}
        self.listeners: list[Callable[[], None]] = []
        launch = functools.partial(self.launch, wish=Wish(streaming=self._watchable))
        self._autostart = Autostart(self._state_dir, launch)
        self._standby = Standby()
        self._outfitter = Outfitter(runtime_dir / "instances")
        self.logbook = Logbook(self._state_dir / "logs", self.instances)
        self.admission = Admission(config, machine.encoding_gpus)

    async def serve(self, started: asyncio.Event) -> None:
        """Run instances until cancelled; those that start by themselves are kept running."""
        try:
            async with self._outfitter.belongings.claimed(), asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._follow_stats())
                group.create_task(self._standby.run())
                group.create_task(self.logbook.run())
                self.reload()
                started.set()
        finally:
            await self.logbook.flush()  # instances say why they end

    def reload(self) -> None:
        """Take from the configuration what starts by itself now."""
        if self._group:
            self._autostart.update(self._config().application, self._group)

    def applications(self) -> list[ApplicationInfo]:
        """What can be launched."""
        return [
            ApplicationInfo(name=each.name, kind=each.kind, autostart=each.autostart)
            for each in self._config().application
        ]

    def infos(self) -> list[InstanceInfo]:
        """The instances, as an agent announces them."""
        return [
            InstanceInfo(
                id=each.id,
                application=each.application.name,
                state=each.state,
                session=each.session,
                screen=each.screen,
                viewers=len(each.stats.viewers) if each.stats else 0,
                detail=each.detail,
            )
            for each in self.instances.values()
        ]

    def new_id(self) -> str:
        """An id that no instance has had."""
        return id_of(self._agent, secrets.token_hex(4))

    async def launch(
        self,
        name: str,
        wish: Wish = AS_CONFIGURED,
        *,
        instance_id: str | None = None,
        session: str | None = None,
        idle: IdlePolicy | None = None,
        resume: str | None = None,
    ) -> Instance:
        """Start application `name`; `session`: one that exists already, else it gets one if `wish.streaming`.

        Raises NotFoundError, NoCapacityError, UnavailableError (no gateway to give a session, disk full).
        """
        if not self._group:
            raise NotFoundError("the instance manager does not run")
        application = channel_application(name) if wish.channel else find_application(self._config(), name)
        if wish.streaming and not self._watchable:
            why = '[gateway] mode = "off": nobody could watch it'
            raise UnavailableError(f"{name}: {why}; without streaming (--no-streaming) it runs")
        instance = Instance(
            instance_id or self.new_id(),
            application,
            screen_for(application, self._config(), wish.screen),
            session,
            idle or IdlePolicy(application.idle_minutes),
            wish,
            publication=Publication(url=application.whip_url, token=application.whip_token),
            record=application.record or wish.record,
        )
        if not (session or wish.streaming):  # nobody can watch it, so nobody is missed
            instance.idle = IdlePolicy()
        video = wish.video or application.gpu
        seat = self.admission.admit(
            instance.id, video=video, gpu_slots=wish.gpu_slots, among=self._gpus_of(wish.gpu_vendor)
        )
        try:
            if wish.streaming and session is None:
                instance.session = await self._sessions.grant(
                    name, instance.screen, resume=resume, idle_time_min=instance.idle.minutes
                )
            plan = replace(
                make_plan(application, instance.screen, self._machine.displays(), wayland=True),
                largest=largest_screen(application, self._config()),
            )
            ladder = self._machine.encoders(video, render_node=seat.gpu)
            audio = self._config().audio
            await self._outfitter.equip(instance, plan, sound=audio.enabled and audio.source == "auto")
        except BaseException:
            self.admission.release(instance.id)
            await self._outfitter.take_back(instance)
            raise
        if instance.session is None:  # its streamer has nobody to tell
            instance.state = InstanceState.RUNNING
        instance.why = plan.why
        self.instances[instance.id] = instance
        instance.supervisor = self._supervisor(instance, plan, ladder)
        with about(session=instance.session, instance=instance.id):
            self._group.create_task(self._run(instance))
            self._changed()
            logger.info("instance %s of %s starts (%s)", instance.id, name, plan.why or plan.source)
        self._note(instance, f"{name} starts ({plan.why or plan.source})")
        if instance.limited:
            self._note(instance, f"its limits are {instance.limited}")
        return instance

    @property
    def _watchable(self) -> bool:
        return self._config().gateway.mode != "off"

    def _gpus_of(self, vendor: str) -> list[str]:
        """Those that can encode, of `vendor`, or of any where it is empty."""
        fitting = [each.render_node for each in self._machine.gpus() if each.vendor.lower() == vendor]
        return [each for each in self._machine.encoding_gpus() if not vendor or each in fitting]

    async def launch_for(self, request: LaunchRequest) -> str:
        """Launch for a session that exists already (session first); returns the instance's id."""
        minutes = request.idle_time_min or 0
        idle = IdlePolicy(minutes, ephemeral=request.ephemeral and not request.joinable)
        wish = Wish(
            screen=request.screen,
            version=request.version,
            extra_data=request.extra_data,
            channel=request.channel is not None,
            record=request.record,
        )
        instance = await self.launch(request.application, wish, session=request.session, idle=idle)
        return instance.id

    @property
    def draining(self) -> bool:
        """Whether nothing new is launched."""
        return bool(self.admission.closed)

    def drain(self, *, closed: bool) -> None:
        """Launch nothing any more, or again."""
        self.admission.closed = DRAINING if closed else ""
        self._changed()

    def slots(self) -> tuple[int, int]:
        """Free and all."""
        return self.admission.free, self.admission.total

    def encoders_free(self) -> int:
        """Slots of hardware encoders; 0 where there is no such encoder."""
        return self.admission.free_encoders

    async def stop(self, instance_id: str, reason: str, *, anew: bool = False) -> None:
        """Stop an instance and its session; `anew`: what starts by itself does so again.

        Raises NotFoundError.
        """
        instance = self.find(instance_id)
        if not instance.stopping.is_set():
            instance.stop_reason, instance.anew = reason, anew
            instance.stopping.set()

    async def publish(self, instance_id: str, wanted: Publication) -> None:
        """Publish the stream of an instance there as well, or nowhere any more, for as long as it runs.

        Raises NotFoundError, InvalidInputError where it does not stream, UnavailableError.
        """
        instance = self.find(instance_id)
        if not instance.session:
            raise InvalidInputError(f"instance {instance.id} was launched without streaming")
        instance.publication = wanted
        await self._bus().request(publication(instance.session), wanted, Done)

    def find(self, instance_id: str) -> Instance:
        """By id, by session, or by the application's name where one runs. Raises NotFoundError."""
        for instance in self.instances.values():
            if instance_id in (instance.id, instance.session):
                return instance
        named = [each for each in self.instances.values() if each.application.name == instance_id]
        if len(named) == 1:
            return named[0]
        raise NotFoundError(f"no instance {instance_id!r} runs here")

    def _supervisor(self, instance: Instance, plan: Plan, ladder: list[EncoderChoice]) -> Supervisor:
        def make(screen: ScreenHandle, resumed: bool) -> str:
            return specification(
                self._config(), self._bus_address(), instance, plan, screen, ladder,
                channels=self._outfitter.belongings.sockets(instance.id), recordings=self._recordings,
                resumed=resumed,
            ).model_dump_json()  # fmt: skip

        def report(state: InstanceState, detail: str) -> None:
            instance.state, instance.detail, instance.stats = state, detail, None
            self._note(instance, f"{state}: {detail}")
            self._changed()

        return Supervisor(
            f"{instance.application.name}/{instance.id}",
            plan,
            env=instance.env,
            within=instance.within,
            directory=self._runtime_dir / "screens",
            size=lambda: instance.screen,
            specification=make,
            report=report,
            standby=self._standby,
            note_streamer=self.logbook.into(instance.id, STREAMER),
            note_program=self.logbook.into(instance.id, APPLICATION),
        )

    async def _run(self, instance: Instance) -> None:
        status, message = SessionStatus.TERMINATED, "the application ended"
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    group.create_task(self._supervise(instance)),
                    group.create_task(instance.stopping.wait()),
                    group.create_task(instance.idle.expired()),
                }
                if instance.sound:
                    tasks.add(group.create_task(instance.sound.run()))
                done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in rest:
                    task.cancel()
            if instance.stopping.is_set():
                message = instance.stop_reason
            elif any(task.result() == "idle" for task in done):
                message = "nobody was watching"
        except* FanlightError as failure:
            status, message = SessionStatus.ERROR, str(failure.exceptions[0])
        except* Exception as failure:
            logger.exception("instance %s failed", instance.id, exc_info=failure)
            status, message = SessionStatus.ERROR, "internal error"
        finally:
            self.admission.release(instance.id)
            self.instances.pop(instance.id, None)
            if limit := await self._outfitter.take_back(instance):
                status, message = SessionStatus.ERROR, limit
            failed = status is SessionStatus.ERROR
            instance.state = InstanceState.ERROR if failed else InstanceState.STOPPED
            instance.detail = message
            self._note(instance, f"{instance.state}: {message}")
            instance.ended.set()
            self._changed()
        logger.info("instance %s of %s ended: %s", instance.id, instance.application.name, message)
        if instance.session:
            with contextlib.suppress(FanlightError):
                await self._sessions.report(instance.session, status, message, instance.id)

    async def _supervise(self, instance: Instance) -> str:
        if instance.supervisor:
            await instance.supervisor.run()
        return "ended"

    async def _follow_stats(self) -> None:
        async with self._bus().subscribe(stats_of(self._agent), InstanceStats) as messages:
            async for _, stats in messages:
                instance = self.instances.get(stats.instance)
                if not instance:
                    continue
                instance.stats = stats
                instance.screen = stats.screen or instance.screen
                instance.note_recording()
                viewers = len(stats.viewers) + instance.stored
                instance.idle.watched_by(viewers, visits=stats.visits, farewells=stats.farewells)
                if instance.state is not InstanceState.RUNNING:
                    instance.state, instance.detail = InstanceState.RUNNING, ""
                    self._note(instance, InstanceState.RUNNING)
                    self._changed()

    def _note(self, instance: Instance, text: str) -> None:
        self.logbook.into(instance.id, INSTANCE)(text)

    def _changed(self) -> None:
        for listener in self.listeners:
            listener()
