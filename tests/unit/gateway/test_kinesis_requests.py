"""The bodies of the Kinesis dialect: what is wrong with one is told as AWS tells it."""

import json
from typing import Any

import pytest

from appliance.gateway.kinesis.errors import InvalidArgumentError, SerializationError
from appliance.gateway.kinesis.requests import (
    Body,
    ChannelRole,
    CreateChannel,
    DeleteChannel,
    GetEndpoint,
    Kind,
    ListChannels,
    Protocol,
    TagChannel,
    read,
)

pytestmark = pytest.mark.unit

ARN = "arn:aws:kinesisvideo:us-east-1:000000000000:channel/lobby/1"
PROTOCOLS = "singleMasterChannelEndpointConfiguration.protocols"


def test_what_is_not_said_is_as_aws_has_it() -> None:
    found = read(CreateChannel, b'{"ChannelName": "lobby", "Unknown": 1}')
    assert (found.ChannelType, found.SingleMasterConfiguration.MessageTtlSeconds) == (
        Kind.SINGLE_MASTER,
        None,
    )
    assert read(ListChannels, b"").MaxResults == 500


def test_null_is_what_is_not_said() -> None:
    said = {"ChannelName": "lobby", "ChannelType": None, "SingleMasterConfiguration": None, "Tags": None}
    assert read(CreateChannel, json.dumps(said).encode()) == CreateChannel(ChannelName="lobby")
    wish = {"Protocols": ["WSS"], "Role": None}
    asked = {"ChannelARN": ARN, "SingleMasterChannelEndpointConfiguration": wish}
    found = read(GetEndpoint, json.dumps(asked).encode()).SingleMasterChannelEndpointConfiguration
    assert (found.Protocols, found.Role) == ([Protocol.WSS], ChannelRole.VIEWER)


@pytest.mark.parametrize(
    ("model", "body", "where", "constraint"),
    [
        (CreateChannel, {}, "Value at 'channelName'", "Member must not be null"),
        (CreateChannel, {"ChannelName": None}, "Value at 'channelName'", "Member must not be null"),
        (
            CreateChannel,
            {"ChannelName": "a b"},
            "Value 'a b' at 'channelName'",
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        ),
        (
            CreateChannel,
            {"ChannelName": ""},
            "Value '' at 'channelName'",
            "Member must have length greater than or equal to 1",
        ),
        (
            CreateChannel,
            {"ChannelName": "x" * 257},
            f"Value '{'x' * 256}' at 'channelName'",
            "Member must have length less than or equal to 256",
        ),
        (
            CreateChannel,
            {"ChannelName": "a", "ChannelType": "RING"},
            "Value 'RING' at 'channelType'",
            "Member must satisfy enum value set: [SINGLE_MASTER, FULL_MESH]",
        ),
        (
            CreateChannel,
            {"ChannelName": "a", "SingleMasterConfiguration": {"MessageTtlSeconds": 4}},
            "Value '4' at 'singleMasterConfiguration.messageTtlSeconds'",
            "Member must have value greater than or equal to 5",
        ),
        (
            ListChannels,
            {"MaxResults": 10_001},
            "Value '10001' at 'maxResults'",
            "Member must have value less than or equal to 10000",
        ),
        (
            TagChannel,
            {"ResourceARN": ARN, "Tags": [{"Key": "ä é", "Value": ""}, {"Key": "<", "Value": ""}]},
            "Value '<' at 'tags.2.member.key'",
            r"Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*",
        ),
        (
            GetEndpoint,
            {"ChannelARN": ARN, "SingleMasterChannelEndpointConfiguration": {"Protocols": []}},
            f"Value '[]' at '{PROTOCOLS}'",
            "Member must have length greater than or equal to 1",
        ),
    ],
)
def test_constraints(model: type[Body], body: dict[str, Any], where: str, constraint: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read(model, json.dumps(body).encode())
    words = f"1 validation error detected: {where} failed to satisfy constraint: {constraint}"
    assert str(caught.value) == words


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^2 validation errors detected: .*; .*'currentVersion'"):
        read(DeleteChannel, b'{"ChannelARN": "arn:aws:s3", "CurrentVersion": "!"}')


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b'"a"', b"\xff", b'{"ChannelName": 1}', b'{"ChannelName": {}}']
)
def test_what_is_of_another_type(body: bytes) -> None:
    with pytest.raises(SerializationError):
        read(CreateChannel, body)
