"""boto3 as it is against a real gateway: every operation of the control plane, and GetIceServerConfig."""

import asyncio
import base64
import hashlib
import hmac
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from appliance.bus.state import Bucket
from appliance.gateway import sessions
from appliance.gateway.kinesis.channels import Channel
from appliance.gateway.kinesis.errors import ResourceNotFoundError
from appliance.gateway.service import Gateway
from tests.support.cloud import Caller, Cloud
from tests.support.gateway import FakeAgent, serving, settings, street

pytestmark = pytest.mark.integration


async def create(video: Caller, name: str, **more: Any) -> str:
    """The ARN of a new channel."""
    arn: str = (await video("create_signaling_channel", ChannelName=name, **more))["ChannelARN"]
    return arn


async def info(video: Caller, arn: str) -> dict[str, Any]:
    """What DescribeSignalingChannel tells."""
    found: dict[str, Any] = (await video("describe_signaling_channel", ChannelARN=arn))["ChannelInfo"]
    return found


async def test_a_channel_lives_from_create_to_delete(video: Caller) -> None:
    before = time.time()
    arn = await create(video, "door.front", SingleMasterConfiguration={"MessageTtlSeconds": 90})
    assert arn.startswith("arn:aws:kinesisvideo:us-east-1:000000000000:channel/door.front/")
    found = await info(video, arn)
    assert found == (await video("describe_signaling_channel", ChannelName="door.front"))["ChannelInfo"]
    assert (found["ChannelARN"], found["ChannelType"], found["ChannelStatus"]) == (
        arn,
        "SINGLE_MASTER",
        "ACTIVE",
    )
    assert found["SingleMasterConfiguration"] == {"MessageTtlSeconds": 90}
    assert before - 1 <= found["CreationTime"].timestamp() <= time.time() + 1
    fresh = {"MessageTtlSeconds": 5}
    await video(
        "update_signaling_channel",
        ChannelARN=arn,
        CurrentVersion=found["Version"],
        SingleMasterConfiguration=fresh,
    )
    changed = await info(video, arn)
    assert changed["SingleMasterConfiguration"] == fresh
    assert changed["Version"] != found["Version"]
    await video(
        "update_signaling_channel",
        ChannelARN=arn,
        CurrentVersion=changed["Version"],
        SingleMasterConfiguration={},
    )
    assert await info(video, arn) == changed
    await video("tag_resource", ResourceARN=arn, Tags=[{"Key": "floor", "Value": "0"}])
    storage = {"Status": "ENABLED"}
    await video("update_media_storage_configuration", ChannelARN=arn, MediaStorageConfiguration=storage)
    await video("delete_signaling_channel", ChannelARN=arn, CurrentVersion=changed["Version"])
    with pytest.raises(video.client.exceptions.ResourceNotFoundException) as refused:
        await info(video, arn)
    assert refused.value.response["Error"]["Message"] == "The requested channel is not found or not active."
    assert await create(video, "door.front") != arn


async def test_channels_are_listed_in_pages(video: Caller) -> None:
    for name in ("lobby-1", "lobby-2", "lobby-3", "yard"):
        await create(video, name)
    pages = video.client.get_paginator("list_signaling_channels")

    def names(**arguments: Any) -> list[list[str]]:
        return [
            [each["ChannelName"] for each in page["ChannelInfoList"]] for page in pages.paginate(**arguments)
        ]

    assert await asyncio.to_thread(names) == [["lobby-1", "lobby-2", "lobby-3", "yard"]]
    by_two = await asyncio.to_thread(names, PaginationConfig={"PageSize": 2})
    assert by_two == [["lobby-1", "lobby-2"], ["lobby-3", "yard"]]
    condition = {"ComparisonOperator": "BEGINS_WITH", "ComparisonValue": "lobby-"}
    some = await asyncio.to_thread(names, ChannelNameCondition=condition, PaginationConfig={"PageSize": 2})
    assert some == [["lobby-1", "lobby-2"], ["lobby-3"]]


async def test_tags_come_as_a_list_and_are_told_as_a_map(video: Caller) -> None:
    arn = await create(video, "door", Tags=[{"Key": "floor", "Value": "0"}, {"Key": "größe", "Value": ""}])
    await video("tag_resource", ResourceARN=arn, Tags=[{"Key": "floor", "Value": "1"}])
    tags = (await video("list_tags_for_resource", ResourceARN=arn))["Tags"]
    assert tags == {"floor": "1", "größe": ""}
    await video("untag_resource", ResourceARN=arn, TagKeyList=["floor", "nothing"])
    assert (await video("list_tags_for_resource", ResourceARN=arn))["Tags"] == {"größe": ""}


async def test_endpoints_are_on_the_address_that_the_caller_uses(cloud: Cloud, video: Caller) -> None:
    arn = await create(video, "door")

    async def endpoints(caller: Caller, role: str) -> dict[str, str]:
        wish = {"Protocols": ["WSS", "HTTPS"], "Role": role}
        answer = await caller(
            "get_signaling_channel_endpoint", ChannelARN=arn, SingleMasterChannelEndpointConfiguration=wish
        )
        return {each["Protocol"]: each["ResourceEndpoint"] for each in answer["ResourceEndpointList"]}

    port = cloud.here.gateway.port
    assert await endpoints(video, "MASTER") == {
        "WSS": f"ws://127.0.0.1:{port}/signal/master",
        "HTTPS": f"http://127.0.0.1:{port}",
    }
    other = cloud.client(await cloud.key("other"), url=f"http://localhost:{port}")
    assert (await endpoints(other, "VIEWER"))["WSS"] == f"ws://localhost:{port}/signal/viewer"


async def test_media_storage_makes_a_webrtc_endpoint(cloud: Cloud, video: Caller) -> None:
    arn = await create(video, "door")

    async def storage() -> dict[str, Any]:
        answer = await video("describe_media_storage_configuration", ChannelName="door")
        found: dict[str, Any] = answer["MediaStorageConfiguration"]
        return found

    async def webrtc() -> str:
        wish = {"Protocols": ["WEBRTC"], "Role": "MASTER"}
        answer = await video(
            "get_signaling_channel_endpoint", ChannelARN=arn, SingleMasterChannelEndpointConfiguration=wish
        )
        url: str = answer["ResourceEndpointList"][0]["ResourceEndpoint"]
        return url

    assert (await storage())["Status"] == "DISABLED"
    with pytest.raises(video.client.exceptions.InvalidArgumentException):
        await webrtc()
    stream = "arn:aws:kinesisvideo:us-east-1:000000000000:stream/tape/1"
    wish = {"Status": "ENABLED", "StreamARN": stream}
    await video("update_media_storage_configuration", ChannelARN=arn, MediaStorageConfiguration=wish)
    assert await storage() == wish
    assert await webrtc() == cloud.here.base
    mapped = await video("describe_mapped_resource_configuration", StreamName="tape")
    assert mapped["MappedResourceConfigurationList"] == [{"Type": "SIGNALING_CHANNEL", "ARN": arn}]
    wish = {"Status": "DISABLED"}
    await video("update_media_storage_configuration", ChannelARN=arn, MediaStorageConfiguration=wish)
    assert (await storage())["Status"] == "DISABLED"
    with pytest.raises(video.client.exceptions.ResourceNotFoundException):
        await video("describe_mapped_resource_configuration", StreamARN=stream)


async def test_ice_servers_are_coturn_credentials(cloud: Cloud, video: Caller) -> None:
    arn = await create(video, "door")
    signaling = cloud.client(await cloud.key("viewer"), "kinesis-video-signaling")
    answer = await signaling("get_ice_server_config", ChannelARN=arn, ClientId="tablet", Service="TURN")
    (server,) = answer["IceServerList"]
    assert server["Uris"] == ["turn:turn.example.org:3478?transport=udp"]
    expires_at, _, who = server["Username"].partition(":")
    assert who == "tablet"
    assert 30 <= server["Ttl"] <= 86400
    assert abs(int(expires_at) - time.time() - server["Ttl"]) < 5
    genuine = hmac.new(b"secret", server["Username"].encode(), hashlib.sha1).digest()
    assert base64.b64decode(server["Password"]) == genuine


async def test_without_turn_the_list_of_ice_servers_is_empty(tmp_path: Path) -> None:
    async with street(tmp_path, settings(ice={"stun": ["stun:stun.example.org:3478"]})) as here:
        cloud = Cloud(here)
        key = await cloud.key("root")
        arn = await create(cloud.client(key), "door")
        signaling = cloud.client(key, "kinesis-video-signaling")
        assert (await signaling("get_ice_server_config", ChannelARN=arn))["IceServerList"] == []


async def test_every_streaming_instance_is_a_channel_that_stays_as_it_is(cloud: Cloud, video: Caller) -> None:
    agent = FakeAgent(cloud.here.bus)
    async with serving(agent):
        first = await agent.ask_for_session(application="desktop")
        second = await agent.ask_for_session(application="desktop")
        listed = (await video("list_signaling_channels"))["ChannelInfoList"]
        assert [each["ChannelName"] for each in listed] == ["desktop", f"desktop-{second}"]
        one = (await video("describe_signaling_channel", ChannelName="desktop"))["ChannelInfo"]
        assert one == listed[0]
        assert one == await info(video, one["ChannelARN"])
        by_id = await video("describe_signaling_channel", ChannelName=f"desktop-{first}")
        assert by_id["ChannelInfo"] == one
        in_use, invalid = (
            video.client.exceptions.ResourceInUseException,
            video.client.exceptions.InvalidArgumentException,
        )
        arn = one["ChannelARN"]
        for refused, operation, arguments in (
            (in_use, "create_signaling_channel", {"ChannelName": "desktop"}),
            (in_use, "delete_signaling_channel", {"ChannelARN": arn}),
            (in_use, "update_signaling_channel", {"ChannelARN": arn, "CurrentVersion": one["Version"]}),
            (invalid, "tag_resource", {"ResourceARN": arn, "Tags": [{"Key": "a", "Value": "b"}]}),
        ):
            with pytest.raises(refused):
                await video(operation, **arguments)
        await cloud.here.gateway.stop_session(first)
        left = (await video("list_signaling_channels"))["ChannelInfoList"]
        assert [each["ChannelName"] for each in left] == ["desktop"]
        other = await info(video, listed[1]["ChannelARN"])
        assert other["ChannelName"] == "desktop"
        with pytest.raises(video.client.exceptions.ResourceNotFoundException):
            await info(video, arn)


async def test_sessions_of_one_moment_are_channels_of_their_own(
    cloud: Cloud, video: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(sessions, "time", SimpleNamespace(time=lambda: now))
    agent = FakeAgent(cloud.here.bus)
    async with serving(agent):
        for _ in range(3):
            await agent.ask_for_session(application="desktop")
        listed = (await video("list_signaling_channels"))["ChannelInfoList"]
    assert len({each["ChannelARN"].rpartition("/")[2] for each in listed}) == 3


async def test_keys_and_channels_of_one_node_count_at_another(
    cloud: Cloud, video: Caller, tmp_path: Path
) -> None:
    arn = await create(video, "door")
    key = await cloud.key("camera")
    second = Gateway(settings(), tmp_path / "second", lambda: cloud.here.bus)
    async with serving(second):
        there = cloud.client(key, url=second.url)
        assert (await info(there, arn))["ChannelName"] == "door"
        await there("delete_signaling_channel", ChannelARN=arn)
        assert (await video("list_signaling_channels"))["ChannelInfoList"] == []
        await cloud.here.gateway.delete_key("camera")
        with pytest.raises(ClientError, match="security token included in the request is invalid"):
            await there("list_signaling_channels")


async def test_a_channel_that_was_made_again_meanwhile_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = Bucket.delete
    async with street(tmp_path) as here:
        channels = here.gateway._context.channels
        old = await channels.create("cam", ttl_s=60, tags={})

        async def late(bucket: Bucket[Channel], key: str, *, only: Channel | None = None) -> bool:
            monkeypatch.setattr(Bucket, "delete", delete)
            await channels.delete(old.arn)
            await channels.create("cam", ttl_s=60, tags={})
            return await delete(bucket, key, only=only)

        monkeypatch.setattr(Bucket, "delete", late)
        with pytest.raises(ResourceNotFoundError):
            await channels.delete(old.arn)
        assert (await channels.get_by_name("cam")).arn != old.arn
