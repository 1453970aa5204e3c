"""What the control plane refuses: each error as boto3's typed exception, and hostile HTTP by hand."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError

from appliance.gateway.kinesis.policies import Policy
from appliance.signaling.sigv4 import Credentials, presign, sign
from tests.support.cloud import Caller, Cloud
from tests.support.gateway import settings, street

pytestmark = pytest.mark.integration

NOBODY = "arn:aws:kinesisvideo:us-east-1:000000000000:channel/nobody/1"
FOREIGN = "arn:aws:kinesisvideo:us-east-1:000000000000:stream/tape/1"


async def refused(call: Caller, error: str, operation: str, **arguments: Any) -> ClientError:
    """`error` is the name of a modelled exception."""
    with pytest.raises(getattr(call.client.exceptions, error)) as caught:
        await call(operation, **arguments)
    found: ClientError = caught.value
    return found


def text(error: ClientError) -> str:
    """What the gateway says."""
    return str(error.response["Error"]["Message"])


def status(error: ClientError) -> int:
    """Of HTTP."""
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


async def arn_of(video: Caller, name: str, **more: Any) -> str:
    """Of a new channel."""
    return str((await video("create_signaling_channel", ChannelName=name, **more))["ChannelARN"])


async def test_what_is_not_there_is_not_found(video: Caller) -> None:
    tags, storage = [{"Key": "a", "Value": "b"}], {"Status": "ENABLED"}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("describe_signaling_channel", {"ChannelARN": NOBODY}),
        ("describe_signaling_channel", {"ChannelARN": FOREIGN}),
        ("describe_signaling_channel", {"ChannelName": "nobody"}),
        ("update_signaling_channel", {"ChannelARN": NOBODY, "CurrentVersion": "1"}),
        ("delete_signaling_channel", {"ChannelARN": NOBODY}),
        ("get_signaling_channel_endpoint", {"ChannelARN": NOBODY}),
        ("tag_resource", {"ResourceARN": NOBODY, "Tags": tags}),
        ("untag_resource", {"ResourceARN": NOBODY, "TagKeyList": ["a"]}),
        ("list_tags_for_resource", {"ResourceARN": NOBODY}),
        ("describe_media_storage_configuration", {"ChannelName": "nobody"}),
        ("update_media_storage_configuration", {"ChannelARN": NOBODY, "MediaStorageConfiguration": storage}),
        ("describe_mapped_resource_configuration", {"StreamName": "nobody"}),
    ]
    for operation, arguments in calls:
        error = await refused(video, "ResourceNotFoundException", operation, **arguments)
        assert status(error) == 404
        assert text(error).endswith("is not found or not active."), operation


async def test_arguments_that_are_none(video: Caller) -> None:
    create, describe = "create_signaling_channel", "describe_signaling_channel"
    calls: list[tuple[str, dict[str, Any], str]] = [
        (create, {"ChannelName": "a b"}, "1 validation error detected: Value 'a b' at 'channelName'"),
        (create, {"ChannelName": "a", "ChannelType": "FULL_MESH"}, "SINGLE_MASTER is the only channel type"),
        (describe, {}, "Either ChannelName or ChannelARN must be specified."),
        ("list_signaling_channels", {"NextToken": "abc"}, "The NextToken is not valid."),
    ]
    for operation, arguments, words in calls:
        error = await refused(video, "InvalidArgumentException", operation, **arguments)
        assert status(error) == 400
        assert words in text(error)


async def test_states_that_do_not_allow_it(video: Caller) -> None:
    arn, other = await arn_of(video, "door"), await arn_of(video, "yard")
    assert "already exists" in text(
        await refused(video, "ResourceInUseException", "create_signaling_channel", ChannelName="door")
    )
    for operation in ("update_signaling_channel", "delete_signaling_channel"):
        error = await refused(
            video, "VersionMismatchException", operation, ChannelARN=arn, CurrentVersion="old"
        )
        assert "is not the latest version" in text(error)
    for wanted, at in ((arn, None), (other, "ResourceInUseException")):
        arguments = {
            "ChannelARN": wanted,
            "MediaStorageConfiguration": {"Status": "ENABLED", "StreamARN": FOREIGN},
        }
        if at:
            await refused(video, at, "update_media_storage_configuration", **arguments)
        else:
            await video("update_media_storage_configuration", **arguments)


async def test_limits(video: Caller) -> None:
    many = [{"Key": f"key{number}", "Value": ""} for number in range(50)]
    arn = await arn_of(video, "door", Tags=many)
    more = [{"Key": "one-more", "Value": ""}]
    for tags in (more, [*many, *more]):
        error = await refused(
            video, "TagsPerResourceExceededLimitException", "tag_resource", ResourceARN=arn, Tags=tags
        )
        assert status(error) == 400
    for name in ("b", "c", "d", "e"):
        await arn_of(video, name)
    await refused(video, "AccountChannelLimitExceededException", "create_signaling_channel", ChannelName="f")


async def test_a_gateway_that_keeps_nothing_has_no_media_storage(tmp_path: Path) -> None:
    async with street(tmp_path) as here:
        video = await Cloud(here).root()
        arn = await arn_of(video, "door")
        wish = {"ChannelARN": arn, "MediaStorageConfiguration": {"Status": "ENABLED"}}
        await refused(video, "NoDataRetentionException", "update_media_storage_configuration", **wish)


async def test_who_signs_well_may_come_often_and_who_does_not_is_soon_refused(tmp_path: Path) -> None:
    async with street(tmp_path, settings(limits={"requests_per_second": 1})) as here:
        cloud = Cloud(here)
        key = await cloud.key("root")
        calls = [cloud.client(key)("list_signaling_channels") for _ in range(20)]
        assert all("ChannelInfoList" in each for each in await asyncio.gather(*calls))
        guessing = cloud.client(key | {"aws_secret_access_key": "guess"})
        calls = [guessing("list_signaling_channels") for _ in range(20)]
        errors = {type(each).__name__ for each in await asyncio.gather(*calls, return_exceptions=True)}
        assert errors == {"ClientError", "ClientLimitExceededException"}


POLICY = Policy.read(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["kinesisvideo:Describe*", "kinesisvideo:ConnectAsViewer"],
                "Resource": "lobby-*",
            },
            {"Effect": "Deny", "Action": "*", "Resource": "lobby-7"},
        ],
    }
)


async def test_a_key_does_what_its_policy_says_and_no_more(cloud: Cloud, video: Caller) -> None:
    arns = {name: await arn_of(video, name) for name in ("lobby-1", "lobby-7", "yard")}
    key = await cloud.key("guard", POLICY)
    guard, signaling = cloud.client(key), cloud.client(key, "kinesis-video-signaling")
    await guard("describe_signaling_channel", ChannelName="lobby-1")
    await guard("describe_signaling_channel", ChannelARN=arns["lobby-1"])
    denied = "AccessDeniedException"
    for arguments in ({"ChannelName": "yard"}, {"ChannelName": "nobody"}, {"ChannelARN": arns["lobby-7"]}):
        error = await refused(guard, denied, "describe_signaling_channel", **arguments)
        assert status(error) == 401
    assert text(error) == (
        "User: guard is not authorized to perform: kinesisvideo:DescribeSignalingChannel on resource: "
        f"{arns['lobby-7']} because no identity-based policy allows the "
        "kinesisvideo:DescribeSignalingChannel action"
    )
    await refused(guard, denied, "delete_signaling_channel", ChannelARN=arns["lobby-1"])
    await refused(guard, denied, "create_signaling_channel", ChannelName="lobby-2")
    await refused(guard, denied, "list_signaling_channels")
    error = await refused(
        signaling, "NotAuthorizedException", "get_ice_server_config", ChannelARN=arns["lobby-1"]
    )
    assert status(error) == 401


async def test_the_signaling_service_has_errors_of_its_own(cloud: Cloud, video: Caller) -> None:
    arn = await arn_of(video, "door")
    signaling = cloud.client(await cloud.key("viewer"), "kinesis-video-signaling")
    operation = "get_ice_server_config"
    await refused(signaling, "ResourceNotFoundException", operation, ChannelARN=NOBODY)
    await refused(signaling, "InvalidArgumentException", operation, ChannelARN=arn, Service="STUN")
    await refused(signaling, "InvalidClientException", operation, ChannelARN=arn, ClientId="aws_me")


async def test_only_keys_that_are_known_sign(cloud: Cloud, video: Caller) -> None:
    key = await cloud.key("brief")
    brief = cloud.client(key)
    await brief("list_signaling_channels")
    wrong = cloud.client(key | {"aws_secret_access_key": "guess"})
    with_token = cloud.client(key | {"aws_session_token": "token"})
    await cloud.here.gateway.delete_key("brief")
    unknown = "The security token included in the request is invalid."
    for caller, code, words in (
        (brief, "UnrecognizedClientException", unknown),
        (with_token, "UnrecognizedClientException", unknown),
        (wrong, "UnrecognizedClientException", unknown),
    ):
        with pytest.raises(ClientError) as caught:
            await caller("list_signaling_channels")
        assert (status(caught.value), caught.value.response["Error"]["Code"]) == (403, code)
        assert text(caught.value) == words
    await cloud.here.gateway.create_key("brief", Policy.read(POLICY.model_dump()))
    with pytest.raises(ClientError, match="The request signature we calculated does not match"):
        await brief("describe_signaling_channel", ChannelName="lobby-1")


class Raw:
    """HTTP by hand, with a signature of our own."""

    def __init__(self, cloud: Cloud, key: dict[str, str], http: aiohttp.ClientSession) -> None:
        self._base, self._http = cloud.here.base, http
        self._credentials = Credentials(key["aws_access_key_id"], key["aws_secret_access_key"])

    async def post(
        self, body: bytes, *, path: str = "/listSignalingChannels", late_s: float = 0, **headers: str
    ) -> tuple[int, aiohttp.ClientResponse, dict[str, Any]]:
        url, now = self._base + path, datetime.now(UTC) - timedelta(seconds=late_s)
        signed = sign(self._credentials, "us-west-2", "POST", url, body, now=now) | headers
        async with self._http.post(url, data=body, headers=signed) as answer:
            return answer.status, answer, json.loads(await answer.read())

    def presigned(self, path: str) -> str:
        """A URL that anybody may use for a while."""
        return presign(self._credentials, "us-west-2", self._base + path, now=datetime.now(UTC))


@pytest.fixture
async def raw(cloud: Cloud) -> Any:
    """Calls that no SDK makes."""
    async with aiohttp.ClientSession() as http:
        yield Raw(cloud, await cloud.key("raw"), http)


async def test_bodies_that_are_none(raw: Raw) -> None:
    for body, code, at in (
        (b"{", "SerializationException", 400),
        (b"[]", "SerializationException", 400),
        (b'{"MaxResults": "1"}', "SerializationException", 400),
        (b'{"MaxResults": 0}', "InvalidArgumentException", 400),
        (b"\xff\xfe", "SerializationException", 400),
        (b" " * 70_000, "RequestEntityTooLargeException", 413),
    ):
        status_code, answer, told = await raw.post(body)
        assert (status_code, told["__type"], answer.headers["x-amzn-ErrorType"]) == (at, code, code), body[:9]
        assert told["message"] == told["Message"]
    assert (await raw.post(b""))[0] == 200


async def test_a_wrong_clock_is_told_together_with_ours(raw: Raw) -> None:
    for late_s, words in ((400, "Signature expired: "), (-400, "Signature not yet current: ")):
        code, answer, told = await raw.post(b"{}", late_s=late_s)
        assert (code, answer.headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")
        assert told["message"].startswith(words)
        assert answer.headers["Date"]


async def test_calls_that_are_not_there(cloud: Cloud, raw: Raw) -> None:
    for path in ("/createStream", "/UntagStream", "/describeEdgeConfiguration", "/v1/get-clip"):
        code, answer, told = await raw.post(b"{}", path=path, Origin="https://portal.example.org")
        assert (code, told["__type"]) == (404, "UnknownOperationException"), path
        assert answer.headers["x-amzn-ErrorType"] == "UnknownOperationException"
        assert len(answer.headers["x-amzn-RequestId"]) == 36
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    async with aiohttp.ClientSession() as http:
        for path in ("/index.html", "/healthz", "/1.0/nothing"):
            async with http.post(cloud.here.base + path) as answer:
                assert "x-amzn-ErrorType" not in answer.headers, path


async def test_answers_come_whole_and_with_a_request_id(raw: Raw) -> None:
    _, answer, _ = await raw.post(b"{}")
    assert answer.headers["Content-Type"] == "application/json"
    assert "Content-Length" in answer.headers
    assert len(answer.headers["x-amzn-RequestId"]) == 36


async def test_a_page_of_another_origin_may_call(cloud: Cloud, raw: Raw) -> None:
    headers = {
        "Origin": "https://portal.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-amz-date",
    }
    async with aiohttp.ClientSession() as http:
        async with http.options(f"{cloud.here.base}/createSignalingChannel", headers=headers) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            allowed = answer.headers["Access-Control-Allow-Headers"].split(",")
            assert {"authorization", "content-type", "x-amz-date", "x-amz-security-token"} <= set(allowed)
        async with http.post(f"{cloud.here.base}/createSignalingChannel", headers=headers) as answer:
            assert answer.status == 403
            assert answer.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert "x-amzn-errortype" in answer.headers["Access-Control-Expose-Headers"]
    code, answer, _ = await raw.post(b"{}", Origin="https://portal.example.org")
    assert (code, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")


async def test_a_presigned_url_of_one_call_is_not_one_of_another(raw: Raw) -> None:
    async with aiohttp.ClientSession() as http:
        url = raw.presigned("/describeSignalingChannel")
        for at in (url, url.replace("describe", "delete")):
            async with http.post(at, data=b"{}") as answer:
                assert answer.status == 403
                assert answer.headers["x-amzn-ErrorType"] == "InvalidSignatureException"


async def test_the_dialect_can_be_left_out(tmp_path: Path) -> None:
    async with (
        street(tmp_path, settings(kinesis={"enabled": False})) as here,
        aiohttp.ClientSession() as http,
        http.post(f"{here.base}/createSignalingChannel") as answer,
    ):
        assert answer.status == 405
        assert "x-amzn-ErrorType" not in answer.headers
