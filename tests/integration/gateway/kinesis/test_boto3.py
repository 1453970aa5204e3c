"""boto3 over HTTP, and over HTTPS with our CA: all that its models know of channels, answered and refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from appliance.gateway.kinesis.policies import Policy, Statement
from tests.support.cloud import Caller, Cloud
from tests.support.gateway import settings, street

pytestmark = pytest.mark.integration

ABOUT_CHANNELS = (
    "Channel", "TagResource", "UntagResource", "ListTagsForResource", "MediaStorage", "MappedResource",
)  # fmt: skip
"""The operations of `kinesisvideo` that are of signaling have this in their names; others are of streams."""
NOT_HERE = {"SessionExpiredException"}
"""Of GetIceServerConfig: nothing here ends after 45 minutes."""
LISTS = Policy(Statement=[Statement(Effect="Allow", Action=["kinesisvideo:List*"], Resource=["*"])])
WRONG = {"aws_secret_access_key": "guess"}
NOBODY = "arn:aws:kinesisvideo:us-east-1:000000000000:channel/nobody/1"


def operations(video: Caller) -> set[str]:
    """Names in the model of `kinesisvideo`."""
    names = video.client.meta.service_model.operation_names
    return {each for each in names if any(part in each for part in ABOUT_CHANNELS)}


def errors(caller: Caller, names: set[str]) -> set[str]:
    """What these operations may raise, by the model."""
    model = caller.client.meta.service_model
    return {each.name for name in names for each in model.operation_model(name).error_shapes}


class Recorder:
    """Calls by the names of the model, and notes what was called and, in `raised`, which errors came."""

    def __init__(self, caller: Caller, raised: set[str]) -> None:
        self._caller = caller
        self._methods = {name: each for each, name in caller.client.meta.method_to_api_mapping.items()}
        self._raised = raised
        self.called: set[str] = set()

    async def __call__(self, operation: str, **arguments: Any) -> dict[str, Any]:
        self.called.add(operation)
        return await self._caller(self._methods[operation], **arguments)

    async def refused(self, error: str, operation: str, **arguments: Any) -> None:
        with pytest.raises(getattr(self._caller.client.exceptions, error)):
            await self(operation, **arguments)
        self._raised.add(error)

    async def limited(self, operation: str, **arguments: Any) -> None:
        """Call it, with a secret that is wrong, until it is once too often."""
        error = "ClientLimitExceededException"
        while error not in self._raised:
            try:
                await self(operation, **arguments)
            except getattr(self._caller.client.exceptions, error):
                self._raised.add(error)
            except ClientError as exc:
                if exc.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
                    raise


@pytest.fixture(params=["http", "https"])
async def doors(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Cloud]]:
    """A generous gateway, and one that keeps no media and bears one wrong signature a second."""
    tls = {"mode": "auto" if request.param == "https" else "off"}
    ice = {"turn": ["turn:turn.example.org:3478?transport=udp"], "turn_secret": "secret"}
    generous = settings(tls=tls, ice=ice, kinesis={"max_channels": 2, "retention_hours": 1})
    mean = settings(tls=tls, limits={"requests_per_second": 1})
    async with street(tmp_path / "generous", generous) as here, street(tmp_path / "mean", mean) as there:
        found = []
        for each in (here, there):
            ca = tmp_path / f"ca-{each.gateway.port}.pem"
            async with each.http.get(f"{each.base}/ca.pem", ssl=False) as answer:
                ca.write_bytes(await answer.read())
            assert each.base.startswith(f"{request.param}:")
            found.append(Cloud(each, verify=str(ca)))
        yield found


async def test_every_operation_answers(doors: list[Cloud]) -> None:
    cloud, _ = doors
    key = await cloud.key("root")
    caller = cloud.client(key)
    video, ice = Recorder(caller, set()), cloud.client(key, "kinesis-video-signaling")
    tags = [{"Key": "floor", "Value": "0"}]
    arn = (await video("CreateSignalingChannel", ChannelName="door", Tags=tags))["ChannelARN"]
    await video("CreateSignalingChannel", ChannelName="yard")
    info = (await video("DescribeSignalingChannel", ChannelName="door"))["ChannelInfo"]
    change = {"ChannelARN": arn, "SingleMasterConfiguration": {"MessageTtlSeconds": 30}}
    await video("UpdateSignalingChannel", **change, CurrentVersion=info["Version"])
    await video("TagResource", ResourceARN=arn, Tags=[{"Key": "side", "Value": "north"}])
    await video("UntagResource", ResourceARN=arn, TagKeyList=["floor"])
    assert (await video("ListTagsForResource", ResourceARN=arn))["Tags"] == {"side": "north"}
    wish = {"Status": "ENABLED"}
    await video("UpdateMediaStorageConfiguration", ChannelARN=arn, MediaStorageConfiguration=wish)
    kept = await video("DescribeMediaStorageConfiguration", ChannelARN=arn)
    stream = kept["MediaStorageConfiguration"]["StreamARN"]
    mapped = await video("DescribeMappedResourceConfiguration", StreamARN=stream)
    assert [each["ARN"] for each in mapped["MappedResourceConfigurationList"]] == [arn]
    wished = {"Protocols": ["WSS", "HTTPS", "WEBRTC"], "Role": "VIEWER"}
    found = await video(
        "GetSignalingChannelEndpoint", ChannelARN=arn, SingleMasterChannelEndpointConfiguration=wished
    )
    endpoints = {each["Protocol"]: each["ResourceEndpoint"] for each in found["ResourceEndpointList"]}
    assert endpoints == {
        "WSS": f"{cloud.here.base.replace('http', 'ws', 1)}/signal/viewer",
        "HTTPS": cloud.here.base,
        "WEBRTC": cloud.here.base,
    }
    assert len((await ice("get_ice_server_config", ChannelARN=arn))["IceServerList"]) == 1
    await video("ListSignalingChannels")
    pages = caller.client.get_paginator("list_signaling_channels").paginate(PaginationConfig={"PageSize": 1})
    listed = await asyncio.to_thread(list, pages)
    names = [[each["ChannelName"] for each in page["ChannelInfoList"]] for page in listed]
    assert names == [["door"], ["yard"]]
    await video("DeleteSignalingChannel", ChannelARN=arn)
    assert video.called == operations(caller)


async def test_every_modelled_error_is_its_typed_exception(doors: list[Cloud]) -> None:
    cloud, mean = doors
    raised: set[str] = set()
    caller = await cloud.root()
    video = Recorder(caller, raised)
    tags = [{"Key": f"key{number}", "Value": ""} for number in range(50)]
    arn = (await video("CreateSignalingChannel", ChannelName="door", Tags=tags))["ChannelARN"]
    await video("CreateSignalingChannel", ChannelName="yard")
    await video.refused("InvalidArgumentException", "DescribeSignalingChannel")
    await video.refused("ResourceNotFoundException", "DescribeSignalingChannel", ChannelARN=NOBODY)
    await video.refused("ResourceInUseException", "CreateSignalingChannel", ChannelName="door")
    await video.refused("AccountChannelLimitExceededException", "CreateSignalingChannel", ChannelName="new")
    stale = {"ChannelARN": arn, "CurrentVersion": "0"}
    await video.refused("VersionMismatchException", "DeleteSignalingChannel", **stale)
    more = [{"Key": "one-more", "Value": ""}]
    await video.refused("TagsPerResourceExceededLimitException", "TagResource", ResourceARN=arn, Tags=more)
    guard = Recorder(cloud.client(await cloud.key("guard", LISTS)), raised)
    await guard.refused("AccessDeniedException", "DescribeSignalingChannel", ChannelARN=arn)
    key = await mean.key("root")
    poor = Recorder(mean.client(key), raised)
    there = (await poor("CreateSignalingChannel", ChannelName="door"))["ChannelARN"]
    wish = {"ChannelARN": there, "MediaStorageConfiguration": {"Status": "ENABLED"}}
    await poor.refused("NoDataRetentionException", "UpdateMediaStorageConfiguration", **wish)
    guessing = Recorder(mean.client(key | WRONG), raised)
    await guessing.limited("ListSignalingChannels")
    assert raised == errors(caller, operations(caller))


async def test_every_modelled_error_of_the_signaling_service_is_its_typed_exception(
    doors: list[Cloud],
) -> None:
    cloud, mean = doors
    raised: set[str] = set()
    key, service = await cloud.key("root"), "kinesis-video-signaling"
    arn = (await cloud.client(key)("create_signaling_channel", ChannelName="door"))["ChannelARN"]
    caller = cloud.client(key, service)
    ice = Recorder(caller, raised)
    await ice.refused("ResourceNotFoundException", "GetIceServerConfig", ChannelARN=NOBODY)
    await ice.refused("InvalidArgumentException", "GetIceServerConfig", ChannelARN=arn, Service="STUN")
    await ice.refused("InvalidClientException", "GetIceServerConfig", ChannelARN=arn, ClientId="AWS_me")
    guard = Recorder(cloud.client(await cloud.key("guard", LISTS), service), raised)
    await guard.refused("NotAuthorizedException", "GetIceServerConfig", ChannelARN=arn)
    key = await mean.key("root")
    there = (await mean.client(key)("create_signaling_channel", ChannelName="door"))["ChannelARN"]
    guessing = Recorder(mean.client(key | WRONG, service), raised)
    await guessing.limited("GetIceServerConfig", ChannelARN=there)
    assert raised == errors(caller, {"GetIceServerConfig"}) - NOT_HERE
