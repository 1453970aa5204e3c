"""The errors of the Kinesis dialect: each has AWS's name, status and words."""

from typing import ClassVar

from appliance.errors import FanlightError, LimitExceededError, NotFoundError


class KinesisError(FanlightError):
    """What a client of the dialect is told; SDKs make an exception of `type`."""

    type: str = "InternalFailure"
    status: ClassVar[int] = 500


class UnknownOperationError(KinesisError):
    """There is no such call."""

    code = "not_found"
    type, status = "UnknownOperationException", 404

    def __init__(self) -> None:
        super().__init__("The requested operation is not known here.")


class UpgradeNeededError(KinesisError):
    """Plain HTTP came to a socket (RFC 9110, 15.5.22)."""

    code = "invalid"
    type, status = "UpgradeRequiredException", 426

    def __init__(self) -> None:
        super().__init__("This is a WebSocket.")


class InvalidArgumentError(KinesisError):
    """The value of an argument is not valid."""

    code = "invalid"
    type, status = "InvalidArgumentException", 400


class SerializationError(KinesisError):
    """The body is no JSON object."""

    code = "invalid"
    type, status = "SerializationException", 400


class BodyTooLargeError(KinesisError):
    """The body is larger than any call needs."""

    code = "invalid"
    type, status = "RequestEntityTooLargeException", 413


class SignatureRefusedError(KinesisError):
    """Who calls is not known."""

    code = "unauthorized"
    status = 403

    def __init__(self, type_: str, text: str) -> None:
        super().__init__(text)
        self.type = type_


class AccessDeniedError(KinesisError):
    """The key's policy does not allow the action (control plane)."""

    code = "refused"
    type, status = "AccessDeniedException", 401


class ConnectDeniedError(KinesisError):
    """The key's policy does not allow the action (signaling sockets and storage)."""

    code = "refused"
    type, status = "AccessDeniedException", 403


class NotAuthorizedError(KinesisError):
    """The key's policy does not allow the action (the signaling service's own calls)."""

    code = "refused"
    type, status = "NotAuthorizedException", 401


class InvalidClientError(KinesisError):
    """The id of the client is one that no client may have."""

    code = "invalid"
    type, status = "InvalidClientException", 400


class ResourceNotFoundError(KinesisError):
    """There is no such channel."""

    code = "not_found"
    type, status = "ResourceNotFoundException", 404

    def __init__(self, text: str = "The requested channel is not found or not active.") -> None:
        super().__init__(text)


class ResourceInUseError(KinesisError):
    """The channel is there already, or is not in a state for this."""

    code = "conflict"
    type, status = "ResourceInUseException", 400


class VersionMismatchError(KinesisError):
    """Somebody else changed the channel in between."""

    code = "conflict"
    type, status = "VersionMismatchException", 400

    def __init__(self) -> None:
        super().__init__(
            "The channel version that you specified is not the latest version. "
            "To get the latest version, use the DescribeSignalingChannel API."
        )


class ChannelLimitError(KinesisError):
    """There are as many channels as there may be."""

    code = "limit_exceeded"
    type, status = "AccountChannelLimitExceededException", 400


class ClientLimitError(KinesisError):
    """Too many calls, or too many viewers."""

    code = "limit_exceeded"
    type, status = "ClientLimitExceededException", 400


class TagLimitError(KinesisError):
    """A channel would have more than 50 tags."""

    code = "limit_exceeded"
    type, status = "TagsPerResourceExceededLimitException", 400


class NoDataRetentionError(KinesisError):
    """Nothing may be recorded here."""

    code = "conflict"
    type, status = "NoDataRetentionException", 400


class InternalError(KinesisError):
    """A fault of ours; the log has more."""

    type, status = "InternalFailure", 500

    def __init__(self) -> None:
        super().__init__("The request failed because of an internal error.")


class UnavailableServiceError(KinesisError):
    """A part that is needed does not answer; SDKs try again."""

    code = "unavailable"
    type, status = "ServiceUnavailableException", 503


def told_of(error: FanlightError) -> KinesisError:
    """What a client of the dialect is told of an error, which may be none of its own."""
    match error:
        case KinesisError():
            return error
        case NotFoundError():
            return ResourceNotFoundError()
        case LimitExceededError():
            return ClientLimitError(str(error))
    return UnavailableServiceError("The service is not available. Try again later.")
