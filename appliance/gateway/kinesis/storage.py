"""Storage sessions: the box asks the master itself, records what it sends, and shows it to viewers."""

from typing import Any

from pydantic import Field

from appliance.bus.channel_messages import ChannelJoin
from appliance.bus.connection import Bus
from appliance.bus.subjects import join
from appliance.gateway.kinesis.authority import Authority
from appliance.gateway.kinesis.cameras import Cameras
from appliance.gateway.kinesis.channels import Channel
from appliance.gateway.kinesis.errors import ClientLimitError, ConnectDeniedError, InvalidArgumentError
from appliance.gateway.kinesis.operations import Call, Json, Operation
from appliance.gateway.kinesis.requests import Body, Name, ResourceArn
from appliance.gateway.limits import RateLimit

_JOINS_PER_S, _JOINS_AT_ONCE = 2.0, 8.0


class JoinStorage(Body):
    """`JoinStorageSession`."""

    channel: ResourceArn = Field(alias="channelArn")


class JoinStorageAsViewer(JoinStorage):
    """`JoinStorageSessionAsViewer`."""

    client: Name = Field(alias="clientId")


class StorageSessions:
    """The calls of `kinesis-video-webrtc-storage`."""

    def __init__(self, authority: Authority, cameras: Cameras, bus: Bus) -> None:
        self._authority = authority
        self._cameras = cameras
        self._bus = bus
        self._joins = RateLimit(_JOINS_PER_S, _JOINS_AT_ONCE)

    def all(self) -> list[Operation]:
        """Every call."""
        return [
            Operation("/joinStorageSession", JoinStorage, self.join),
            Operation("/joinStorageSessionAsViewer", JoinStorageAsViewer, self.join_as_viewer),
        ]

    async def join(self, call: Call[JoinStorage]) -> Json:
        """JoinStorageSession: from now on the master is sent offers."""
        channel = await self._admit(call, "JoinStorageSession")
        await self._cameras.join(channel)
        await self._bus.publish(join(channel.key), ChannelJoin())
        return {}

    async def join_as_viewer(self, call: Call[JoinStorageAsViewer]) -> Json:
        """JoinStorageSessionAsViewer: the viewer, which is connected, is sent an offer."""
        channel = await self._admit(call, "JoinStorageSessionAsViewer")
        await self._bus.publish(join(channel.key), ChannelJoin(client=call.body.client))
        return {}

    async def _admit(self, call: Call[Any], action: str) -> Channel:
        channel = await self._authority.admit(call.identity, action, call.body.channel, ConnectDeniedError)
        if not channel.storage:
            raise InvalidArgumentError("The media storage of this channel is DISABLED.")
        if not self._joins.allows(channel.key):
            raise ClientLimitError("Rate exceeded")
        return channel
