"""The box's representative: announces what it has, launches and stops what gateways ask for."""

import asyncio
import logging
import os
import random
from collections.abc import Callable
from typing import Protocol

from appliance.bus.beat import until_beat
from appliance.bus.connection import Bus
from appliance.bus.messages import (
    AgentAnnounce,
    ApplicationInfo,
    Done,
    InstanceInfo,
    LaunchReply,
    LaunchRequest,
    StopRequest,
)
from appliance.bus.subjects import announce, launch, stop
from appliance.errors import FanlightError, InvalidInputError

logger = logging.getLogger(__name__)

_JITTER_SECONDS = 0.5


class Instances(Protocol):
    """What the agent speaks for."""

    def applications(self) -> list[ApplicationInfo]:
        """What can be launched."""

    def infos(self) -> list[InstanceInfo]:
        """What runs."""

    def slots(self) -> tuple[int, int]:
        """Free and all."""

    def encoders_free(self) -> int:
        """Slots of hardware encoders."""

    @property
    def draining(self) -> bool:
        """Whether nothing new is launched."""

    async def launch_for(self, request: LaunchRequest) -> str:
        """Launch for a session that exists; returns the instance's id."""

    async def stop(self, instance_id: str, reason: str, *, anew: bool = False) -> None:
        """`anew`: what starts by itself does so again. Raises NotFoundError."""


class Agent:
    """Heartbeat on the bus, and the hands of remote gateways on this box."""

    def __init__(
        self, agent: str, name: str, region: str, bus: Callable[[], Bus], instances: Instances
    ) -> None:
        self._id = agent
        self._name = name
        self._region = region
        self._bus = bus
        self._instances = instances
        self._changed = asyncio.Event()
        self._launching: dict[str, StopRequest | None] = {}
        """Sessions, with what came too early to stop their instances."""

    def changed(self) -> None:
        """Announce soon, not only at the next heartbeat."""
        self._changed.set()

    async def serve(self, started: asyncio.Event) -> None:
        """Announce until cancelled, then say goodbye."""
        bus = self._bus()
        try:
            async with asyncio.TaskGroup() as group:
                serving = (asyncio.Event(), asyncio.Event())
                group.create_task(
                    bus.serve(launch(self._id), LaunchRequest, self._launch, started=serving[0])
                )
                group.create_task(bus.serve(stop(self._id), StopRequest, self._stop, started=serving[1]))
                for each in serving:
                    await each.wait()
                await self._announce()
                started.set()
                group.create_task(self._announce_again(bus))
                while True:
                    await self._pause()
                    await self._announce()
        finally:
            await self._announce(leaving=True)

    async def _announce_again(self, bus: Bus) -> None:
        """As soon as the bus is back, but not all boxes at once."""
        epoch = bus.epoch
        while True:
            epoch = await bus.reconnected(epoch)
            await asyncio.sleep(random.uniform(0, _JITTER_SECONDS))  # noqa: S311
            self._changed.set()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(until_beat()):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self._changed.clear()

    async def _announce(self, *, leaving: bool = False) -> None:
        free, total = self._instances.slots()
        message = AgentAnnounce(
            id=self._id,
            name=self._name,
            region=self._region,
            applications=self._instances.applications(),
            instances=self._instances.infos(),
            slots_free=free,
            slots_total=total,
            encoders_free=self._instances.encoders_free(),
            load=os.getloadavg()[0],
            draining=self._instances.draining,
            leaving=leaving,
        )
        try:
            await self._bus().publish(announce(self._id), message)
        except FanlightError as exc:
            logger.debug("not announced: %s", exc)

    async def _launch(self, request: LaunchRequest) -> LaunchReply:
        self._launching[request.session] = None
        try:
            instance = await self._instances.launch_for(request)
        finally:
            early = self._launching.pop(request.session, None)
        if early:
            await self._stop(early)
        return LaunchReply(instance=instance)

    async def _stop(self, request: StopRequest) -> Done:
        which = request.instance or request.session
        if not which:
            raise InvalidInputError("stop names neither session nor instance")
        if which in self._launching:
            self._launching[which] = request
        else:
            reason = request.reason or "stopped by the gateway"
            await self._instances.stop(which, reason, anew=request.anew)
        return Done()
