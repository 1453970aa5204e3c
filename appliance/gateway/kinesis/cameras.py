"""Channels whose master is a client, as something to watch: listed, and shown by one instance each."""

import asyncio
import logging
import weakref
from typing import NamedTuple

from appliance.bus.messages import LaunchRequest
from appliance.gateway.kinesis.channels import Channel, Channels, created_name
from appliance.gateway.kinesis.errors import ResourceNotFoundError
from appliance.gateway.kinesis.presence import Presence
from appliance.gateway.registry import Registry
from appliance.gateway.sessions import SessionRecord, Sessions

logger = logging.getLogger(__name__)

_IDLE_MINUTES, _STORED_IDLE_MINUTES = 5, 3


class Camera(NamedTuple):
    """The master of a channel, and how many viewers it has; the box is one of them while it shows it."""

    name: str
    viewers: int


class Cameras:
    """Beside applications, whose names win. A camera is asked for its picture once, by one session."""

    def __init__(
        self, channels: Channels, presence: Presence, sessions: Sessions, registry: Registry
    ) -> None:
        self._channels = channels
        self._presence = presence
        self._sessions = sessions
        self._registry = registry
        self._launching: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        """By channel, while it is launched: a box that does not answer holds up one camera."""

    def present(self) -> list[Camera]:
        """Those whose master is there."""
        found = []
        for key, clients in self._presence.everywhere().items():
            viewers = sum(bool(each.client) for each in clients)
            if viewers < len(clients) and (name := created_name(key)):
                found.append(Camera(name, viewers))
        applications = self._registry.applications()
        return sorted(each for each in found if each.name not in applications)

    def launchable(self) -> list[str]:
        """Names of applications and cameras."""
        return sorted([*self._registry.applications(), *(each.name for each in self.present())])

    async def launch(self, request: LaunchRequest, region: str = "") -> SessionRecord:
        """A session of an application, or the one of a camera. Raises NoCapacityError."""
        if request.application in self._registry.applications():
            return await self._sessions.create(request, region)
        try:
            channel = await self._channels.get_by_name(request.application)
        except ResourceNotFoundError:
            channel = None
        if channel is None or channel.session:
            return await self._sessions.create(request, region)
        return await self.show(channel, request, region)

    async def show(
        self, channel: Channel, request: LaunchRequest | None = None, region: str = ""
    ) -> SessionRecord:
        """The session of a camera, which records what it sends where it has media storage.

        Raises NoCapacityError.
        """
        async with self._launching.setdefault(channel.arn, asyncio.Lock()):
            for record in await self._sessions.list():
                shown = record.open and record.channel == channel.arn
                if shown and record.recorded == channel.storage:
                    return record
            wanted = request or LaunchRequest(session="", application=channel.name)
            minutes = _STORED_IDLE_MINUTES if channel.storage else _IDLE_MINUTES
            wish = {
                "channel": channel.arn,
                "record": channel.storage,
                "joinable": True,
                "ephemeral": False,
                "idle_time_min": wanted.idle_time_min or minutes,
            }
            return await self._sessions.create(wanted.model_copy(update=wish), region)

    async def join(self, channel: Channel) -> None:
        """The master of a channel with media storage wants to be asked. Raises NoCapacityError."""
        record = await self.show(channel)
        if not record.joined:
            await self._sessions.join(record.id)
