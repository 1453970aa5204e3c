"""What each call of the control plane, and GetIceServerConfig, does; a call is a body in and a body out."""

import base64
import binascii
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from appliance.config import Config
from appliance.gateway.kinesis import requests
from appliance.gateway.kinesis.authority import Authority, Identity
from appliance.gateway.kinesis.channels import DEFAULT_TTL_SECONDS, Channel, Channels
from appliance.gateway.kinesis.errors import (
    InvalidArgumentError,
    InvalidClientError,
    NoDataRetentionError,
    NotAuthorizedError,
    ResourceInUseError,
    ResourceNotFoundError,
    TagLimitError,
)
from appliance.ice import IceSettings, credentials

Json = dict[str, Any]
B = TypeVar("B", bound=BaseModel)

_NO_CHANNEL = "*"
_RESERVED = "AWS_"
_ICE_SECONDS = 3600
_ICE_URIS = 3
"""As many as clients with fixed tables take."""
_ICE_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Call(Generic[B]):
    """Who calls, from what origin, with what."""

    identity: Identity
    origin: str
    body: B


@dataclass(frozen=True, slots=True)
class Operation:
    """One path, POSTed to; paths are case-sensitive."""

    path: str
    body: type[BaseModel]
    perform: Callable[[Call[Any]], Awaitable[Json]]


class Operations:
    """The calls over the channels of the bus."""

    def __init__(self, authority: Authority, channels: Channels, config: Config, ice: IceSettings) -> None:
        self._authority = authority
        self._channels = channels
        self._config = config
        self._ice = ice

    def all(self) -> list[Operation]:
        """Every call."""
        return [
            Operation("/createSignalingChannel", requests.CreateChannel, self.create),
            Operation("/describeSignalingChannel", requests.NamesChannel, self.describe),
            Operation("/listSignalingChannels", requests.ListChannels, self.list_channels),
            Operation("/updateSignalingChannel", requests.UpdateChannel, self.update),
            Operation("/deleteSignalingChannel", requests.DeleteChannel, self.delete),
            Operation("/getSignalingChannelEndpoint", requests.GetEndpoint, self.get_endpoint),
            Operation("/TagResource", requests.TagChannel, self.tag),
            Operation("/UntagResource", requests.UntagChannel, self.untag),
            Operation("/ListTagsForResource", requests.ListTags, self.list_tags),
            Operation("/describeMediaStorageConfiguration", requests.NamesChannel, self.describe_storage),
            Operation("/updateMediaStorageConfiguration", requests.UpdateStorage, self.update_storage),
            Operation("/describeMappedResourceConfiguration", requests.NamesStream, self.describe_mapped),
            Operation("/v1/get-ice-server-config", requests.GetIceServers, self.get_ice_servers),
        ]

    async def create(self, call: Call[requests.CreateChannel]) -> Json:
        """CreateSignalingChannel."""
        body = call.body
        call.identity.require("CreateSignalingChannel", self._channels.arn(body.ChannelName, time.time()))
        if body.ChannelType is not requests.Kind.SINGLE_MASTER:
            raise InvalidArgumentError("FULL_MESH is not supported: SINGLE_MASTER is the only channel type.")
        tags = _merged({}, body.Tags)
        ttl_s = body.SingleMasterConfiguration.MessageTtlSeconds or DEFAULT_TTL_SECONDS
        return {"ChannelARN": (await self._channels.create(body.ChannelName, ttl_s=ttl_s, tags=tags)).arn}

    async def describe(self, call: Call[requests.NamesChannel]) -> Json:
        """DescribeSignalingChannel."""
        return {"ChannelInfo": _info(await self._named(call, "DescribeSignalingChannel"))}

    async def list_channels(self, call: Call[requests.ListChannels]) -> Json:
        """ListSignalingChannels; the token names the last channel of the page before."""
        call.identity.require("ListSignalingChannels", _NO_CHANNEL)
        start, after = call.body.ChannelNameCondition.ComparisonValue or "", _read_token(call.body.NextToken)
        rest = [
            each
            for each in await self._channels.list()
            if each.name.startswith(start) and (after is None or each.name > after)
        ]
        page = rest[: call.body.MaxResults]
        answer: Json = {"ChannelInfoList": [_info(each) for each in page]}
        if len(rest) > len(page):
            answer["NextToken"] = base64.b64encode(page[-1].name.encode()).decode()
        return answer

    async def update(self, call: Call[requests.UpdateChannel]) -> Json:
        """UpdateSignalingChannel: how long messages sent from now on wait."""
        channel = await self._authority.admit(call.identity, "UpdateSignalingChannel", call.body.ChannelARN)
        ttl_s = call.body.SingleMasterConfiguration.MessageTtlSeconds
        await self._channels.update(
            channel.arn,
            lambda old: old.model_copy(update={"ttl_s": ttl_s or old.ttl_s}),
            version=call.body.CurrentVersion,
        )
        return {}

    async def delete(self, call: Call[requests.DeleteChannel]) -> Json:
        """DeleteSignalingChannel."""
        channel = await self._authority.admit(call.identity, "DeleteSignalingChannel", call.body.ChannelARN)
        await self._channels.delete(channel.arn, version=call.body.CurrentVersion)
        return {}

    async def get_endpoint(self, call: Call[requests.GetEndpoint]) -> Json:
        """GetSignalingChannelEndpoint: on the address that the caller itself uses."""
        channel = await self._authority.admit(
            call.identity, "GetSignalingChannelEndpoint", call.body.ChannelARN
        )
        wish = call.body.SingleMasterChannelEndpointConfiguration
        if requests.Protocol.WEBRTC in wish.Protocols and not channel.storage:
            raise InvalidArgumentError("WEBRTC endpoints are for channels with media storage ENABLED only.")
        endpoints = {
            requests.Protocol.WSS: f"{call.origin.replace('http', 'ws', 1)}/signal/{wish.Role.lower()}",
            requests.Protocol.HTTPS: call.origin,
            requests.Protocol.WEBRTC: call.origin,
        }
        return {
            "ResourceEndpointList": [
                {"Protocol": each, "ResourceEndpoint": endpoints[each]}
                for each in dict.fromkeys(wish.Protocols)
            ]
        }

    async def tag(self, call: Call[requests.TagChannel]) -> Json:
        """TagResource."""
        channel = await self._changeable(call.identity, "TagResource", call.body.ResourceARN)
        await self._channels.update(
            channel.arn, lambda old: old.model_copy(update={"tags": _merged(old.tags, call.body.Tags)})
        )
        return {}

    async def untag(self, call: Call[requests.UntagChannel]) -> Json:
        """UntagResource; keys that are not there are no fault."""
        channel = await self._changeable(call.identity, "UntagResource", call.body.ResourceARN)
        gone = set(call.body.TagKeyList)

        def without(old: Channel) -> Channel:
            return old.model_copy(update={"tags": {k: v for k, v in old.tags.items() if k not in gone}})

        await self._channels.update(channel.arn, without)
        return {}

    async def list_tags(self, call: Call[requests.ListTags]) -> Json:
        """ListTagsForResource: a map, where other calls have lists."""
        return {
            "Tags": (
                await self._authority.admit(call.identity, "ListTagsForResource", call.body.ResourceARN)
            ).tags
        }

    async def describe_storage(self, call: Call[requests.NamesChannel]) -> Json:
        """DescribeMediaStorageConfiguration."""
        channel = await self._named(call, "DescribeMediaStorageConfiguration")
        status = requests.StorageStatus.ENABLED if channel.storage else requests.StorageStatus.DISABLED
        return {"MediaStorageConfiguration": {"Status": status, "StreamARN": channel.stream_arn}}

    async def update_storage(self, call: Call[requests.UpdateStorage]) -> Json:
        """UpdateMediaStorageConfiguration; a stream that is not named gets the channel's name."""
        channel = await self._authority.admit(
            call.identity, "UpdateMediaStorageConfiguration", call.body.ChannelARN
        )
        wish = call.body.MediaStorageConfiguration
        enabled = wish.Status is requests.StorageStatus.ENABLED
        stream = (wish.StreamARN or channel.arn.replace(":channel/", ":stream/", 1)) if enabled else None
        if enabled and not self._config.kinesis.retention_hours:
            raise NoDataRetentionError("The data retention period of this gateway is 0 hours.")
        if stream and any(
            each.stream_arn == stream for each in await self._channels.list() if each.arn != channel.arn
        ):
            raise ResourceInUseError("The stream is already mapped to a different signaling channel.")
        await self._channels.update(
            channel.arn, lambda old: old.model_copy(update={"storage": enabled, "stream_arn": stream})
        )
        return {}

    async def describe_mapped(self, call: Call[requests.NamesStream]) -> Json:
        """DescribeMappedResourceConfiguration: the channel that records into a stream."""
        arn, name = _either(call.body.StreamARN, call.body.StreamName, "Stream")
        for each in await self._channels.list():
            if each.stream_arn and (each.stream_arn == arn or each.stream_arn.split("/")[1] == name):
                call.identity.require("DescribeMappedResourceConfiguration", each.arn)
                return {"MappedResourceConfigurationList": [{"Type": "SIGNALING_CHANNEL", "ARN": each.arn}]}
        call.identity.require("DescribeMappedResourceConfiguration", _NO_CHANNEL)
        raise ResourceNotFoundError("The requested stream is not found or not active.")

    async def get_ice_servers(self, call: Call[requests.GetIceServers]) -> Json:
        """GetIceServerConfig: coturn credentials; without TURN the list is empty."""
        await self._authority.admit(
            call.identity, "GetIceServerConfig", call.body.ChannelARN, NotAuthorizedError
        )
        if (call.body.ClientId or "").upper().startswith(_RESERVED):
            raise InvalidClientError("The specified client is invalid.")
        ice = self._ice.section
        if not (ice.turn and ice.turn_secret):
            return {"IceServerList": []}
        who = (call.body.ClientId or call.identity.key.name)[:_ICE_NAME_CHARACTERS]
        username, password = credentials(ice.turn_secret, who, int(time.time()) + _ICE_SECONDS)
        server = {
            "Uris": ice.turn[:_ICE_URIS],
            "Username": username,
            "Password": password,
            "Ttl": _ICE_SECONDS,
        }
        return {"IceServerList": [server]}

    async def _named(self, call: Call[requests.NamesChannel], action: str) -> Channel:
        arn, name = _either(call.body.ChannelARN, call.body.ChannelName, "Channel")
        if arn:
            return await self._authority.admit(call.identity, action, arn)
        try:
            channel = await self._channels.get_by_name(name)
        except ResourceNotFoundError:
            call.identity.require(action, self._channels.arn(name, time.time()))
            raise
        call.identity.require(action, channel.arn)
        return channel

    async def _changeable(self, identity: Identity, action: str, arn: str) -> Channel:
        channel = await self._authority.admit(identity, action, arn)
        if channel.session:
            raise InvalidArgumentError("This channel is that of a running instance, which has no tags.")
        return channel


def _info(channel: Channel) -> Json:
    return {
        "ChannelName": channel.name,
        "ChannelARN": channel.arn,
        "ChannelType": requests.Kind.SINGLE_MASTER,
        "ChannelStatus": "ACTIVE",
        "CreationTime": channel.created_at,
        "SingleMasterConfiguration": {"MessageTtlSeconds": channel.ttl_s},
        "Version": channel.version,
    }


def _merged(old: dict[str, str], tags: list[requests.Tag]) -> dict[str, str]:
    fresh = old | {each.Key: each.Value for each in tags}
    if len(fresh) > requests.MOST_TAGS:
        raise TagLimitError(f"A channel can have {requests.MOST_TAGS} tags at most.")
    return fresh


def _either(arn: str | None, name: str | None, what: str) -> tuple[str, str]:
    """One of the two, the other one empty; AWS takes the ARN where both are there."""
    if not (arn or name):
        raise InvalidArgumentError(f"Either {what}Name or {what}ARN must be specified.")
    return (arn, "") if arn else ("", name or "")


def _read_token(token: str | None) -> str | None:
    try:
        return base64.b64decode(token, validate=True).decode() if token else None
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidArgumentError("The NextToken is not valid.") from None
