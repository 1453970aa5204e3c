"""The bodies of the calls, in AWS's names and limits; a fault is told in AWS's words."""

import re
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from appliance.gateway.kinesis.errors import InvalidArgumentError, KinesisError, SerializationError

M = TypeVar("M", bound=BaseModel)

_NAME = r"^[a-zA-Z0-9_.-]+$"
_ARN = r"^arn:[a-z\d-]+:kinesisvideo:[a-z0-9-]+:[0-9]+:[a-z]+/[a-zA-Z0-9_.-]+/[0-9]+$"
_ARN_CHARACTERS = 1024
_TAG = r"^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$"
_SHOWN_CHARACTERS = 256
MOST_TAGS = 50

Name = Annotated[str, Field(min_length=1, max_length=256, pattern=_NAME)]
ResourceArn = Annotated[str, Field(min_length=1, max_length=_ARN_CHARACTERS, pattern=_ARN)]
Version = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9]+$")]
Token = Annotated[str, Field(max_length=1024, pattern=r"^[a-zA-Z0-9+/=]*$")]
TagKey = Annotated[str, Field(min_length=1, max_length=128, pattern=_TAG)]


class Kind(StrEnum):
    """The second is in the model only."""

    SINGLE_MASTER = "SINGLE_MASTER"
    FULL_MESH = "FULL_MESH"


class Protocol(StrEnum):
    """What an endpoint speaks."""

    WSS = "WSS"
    HTTPS = "HTTPS"
    WEBRTC = "WEBRTC"


class ChannelRole(StrEnum):
    """Which side of a channel."""

    MASTER = "MASTER"
    VIEWER = "VIEWER"


class Comparison(StrEnum):
    """How names are compared."""

    BEGINS_WITH = "BEGINS_WITH"


class StorageStatus(StrEnum):
    """Whether the gateway itself is the peer."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


class IceService(StrEnum):
    """What servers are asked for."""

    TURN = "TURN"


class Body(BaseModel):
    """Base of all bodies; what is not known is ignored, and null is what is not said."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _said(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {key: value for key, value in fields.items() if value is not None}


class SingleMaster(Body):
    """How long messages wait, in seconds."""

    MessageTtlSeconds: Annotated[int, Field(ge=5, le=120)] | None = None


class Tag(Body):
    """One tag."""

    Key: TagKey
    Value: str = Field(max_length=256, pattern=_TAG)


class CreateChannel(Body):
    """`CreateSignalingChannel`."""

    ChannelName: Name
    ChannelType: Kind = Kind.SINGLE_MASTER
    SingleMasterConfiguration: SingleMaster = SingleMaster()
    Tags: list[Tag] = []


class NamesChannel(Body):
    """`DescribeSignalingChannel`, `DescribeMediaStorageConfiguration`: by name or by ARN."""

    ChannelName: Name | None = None
    ChannelARN: ResourceArn | None = None


class NameCondition(Body):
    """Which channels to list."""

    ComparisonOperator: Comparison = Comparison.BEGINS_WITH
    ComparisonValue: Name | None = None


class ListChannels(Body):
    """`ListSignalingChannels`."""

    MaxResults: int = Field(500, ge=1, le=10_000)
    NextToken: Token | None = None
    ChannelNameCondition: NameCondition = NameCondition()


class UpdateChannel(Body):
    """`UpdateSignalingChannel`."""

    ChannelARN: ResourceArn
    CurrentVersion: Version
    SingleMasterConfiguration: SingleMaster = SingleMaster()


class DeleteChannel(Body):
    """`DeleteSignalingChannel`."""

    ChannelARN: ResourceArn
    CurrentVersion: Version | None = None


class EndpointConfiguration(Body):
    """What a client wants to speak, and as whom."""

    Protocols: list[Protocol] = Field([Protocol.WSS, Protocol.HTTPS], min_length=1, max_length=5)
    Role: ChannelRole = ChannelRole.VIEWER


class GetEndpoint(Body):
    """`GetSignalingChannelEndpoint`."""

    ChannelARN: ResourceArn
    SingleMasterChannelEndpointConfiguration: EndpointConfiguration = EndpointConfiguration()


class TagChannel(Body):
    """`TagResource`."""

    ResourceARN: ResourceArn
    Tags: list[Tag] = Field(min_length=1)


class UntagChannel(Body):
    """`UntagResource`."""

    ResourceARN: ResourceArn
    TagKeyList: list[TagKey] = Field(min_length=1, max_length=MOST_TAGS)


class ListTags(Body):
    """`ListTagsForResource`."""

    ResourceARN: ResourceArn


class MediaStorage(Body):
    """Whether, and into which stream."""

    Status: StorageStatus
    StreamARN: ResourceArn | None = None


class UpdateStorage(Body):
    """`UpdateMediaStorageConfiguration`."""

    ChannelARN: ResourceArn
    MediaStorageConfiguration: MediaStorage


class NamesStream(Body):
    """`DescribeMappedResourceConfiguration`: by name or by ARN."""

    StreamName: Name | None = None
    StreamARN: ResourceArn | None = None


class GetIceServers(Body):
    """`GetIceServerConfig`, of the signaling service."""

    ChannelARN: ResourceArn
    ClientId: Name | None = None
    Service: IceService = IceService.TURN
    Username: Name | None = None


class SendAlexaOffer(Body):
    """`SendAlexaOfferToMaster`, of the signaling service."""

    ChannelARN: ResourceArn
    SenderClientId: Name
    MessagePayload: str = Field(min_length=1, max_length=10_000, pattern=r"^[a-zA-Z0-9+/=]+$")


def is_arn(text: str) -> bool:
    """Whether `text` may be a ResourceArn, which a query has outside of any body."""
    return len(text) <= _ARN_CHARACTERS and bool(re.fullmatch(_ARN, text))


def read(model: type[M], raw: bytes) -> M:
    """Raises InvalidArgumentError or SerializationError, as AWS words them."""
    try:
        return model.model_validate_json(raw if raw.strip() else b"{}", strict=True)
    except ValidationError as exc:
        raise _fault(exc) from None


def _fault(exc: ValidationError) -> KinesisError:
    errors = exc.errors(include_url=False)
    told = []
    for each in errors:
        if each["type"] == "json_invalid":
            return SerializationError("The request body is not valid JSON.")
        where, constraint = _path(each["loc"]), _constraint(each["type"], each.get("ctx", {}))
        if not constraint:
            return SerializationError(f"The value at '{where}' is of another type: {each['msg']}.")
        value = "" if each["type"] == "missing" else f"'{str(each['input'])[:_SHOWN_CHARACTERS]}' "
        told.append(f"Value {value}at '{where}' failed to satisfy constraint: {constraint}")
    count = "1 validation error" if len(told) == 1 else f"{len(told)} validation errors"
    return InvalidArgumentError(f"{count} detected: {'; '.join(told)}")


def _path(location: tuple[int | str, ...]) -> str:
    """`tags.1.member.key`: in lower camel case, counted from one."""
    return ".".join(
        f"{each + 1}.member" if isinstance(each, int) else each[:1].lower() + each[1:] for each in location
    )


def _constraint(kind: str, limits: dict[str, Any]) -> str:
    if kind == "missing":
        return "Member must not be null"
    if kind == "string_pattern_mismatch":
        pattern = str(limits["pattern"]).removeprefix("^").removesuffix("$")
        return f"Member must satisfy regular expression pattern: {pattern}"
    if kind in ("string_too_short", "too_short"):
        return f"Member must have length greater than or equal to {limits['min_length']}"
    if kind in ("string_too_long", "too_long"):
        return f"Member must have length less than or equal to {limits['max_length']}"
    if kind == "greater_than_equal":
        return f"Member must have value greater than or equal to {limits['ge']}"
    if kind == "less_than_equal":
        return f"Member must have value less than or equal to {limits['le']}"
    if kind == "enum":
        values = ", ".join(re.findall(r"'([^']*)'", limits["expected"]))
        return f"Member must satisfy enum value set: [{values}]"
    return ""
