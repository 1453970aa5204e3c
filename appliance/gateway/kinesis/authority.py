"""Who calls in the Kinesis dialect, and whether that key's policy lets them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from appliance.bus.messages import Role
from appliance.errors import InvalidInputError
from appliance.gateway.kinesis.channels import Channel, Channels
from appliance.gateway.kinesis.errors import (
    AccessDeniedError,
    BodyTooLargeError,
    ClientLimitError,
    KinesisError,
    ResourceNotFoundError,
    SerializationError,
    SignatureRefusedError,
)
from appliance.gateway.kinesis.keys import AccessKey, AccessKeys
from appliance.gateway.kinesis.policies import CONTROL
from appliance.gateway.limits import RateLimit, caller_of
from appliance.gateway.metrics import Metrics
from appliance.gateway.operations import body_of
from appliance.gateway.settings import LiveSettings
from appliance.gateway.tokens import Principal
from appliance.signaling.sigv4 import Credentials
from appliance.signaling.sigv4_claims import Claim, Request, SignatureError, unknown_key

_BURST_SECONDS = 4


@dataclass(frozen=True, slots=True)
class Identity:
    """The key that signed a request."""

    key: AccessKey

    def require(self, action: str, resource: str, denial: type[KinesisError] = AccessDeniedError) -> None:
        """`action` without its `kinesisvideo:`; `resource` is an ARN or `*`. Raises `denial`."""
        name = f"kinesisvideo:{action}"
        if not self.key.policy.allows(name, resource):
            raise denial(
                f"User: {self.key.name} is not authorized to perform: {name} on resource: {resource} "
                f"because no identity-based policy allows the {name} action"
            )

    def viewer(self, arn: str) -> Principal:
        """As a viewer of the channel `arn`: input reaches the screen where the policy allows `CONTROL`."""
        controls = self.key.policy.allows(CONTROL, arn)
        return self.key.principal(Role.CONTROL if controls else Role.VIEW)


class Authority:
    """Reads signatures, in the header or in the query, with the keys of the bus.

    What is signed well may come as often as it likes; what is not, from one address, so many times a second.
    """

    def __init__(
        self, keys: AccessKeys, channels: Channels, settings: LiveSettings, metrics: Metrics
    ) -> None:
        self._keys = keys
        self._channels = channels
        self._settings = settings
        self._metrics = metrics
        rate = settings.now.max_http_requests_per_second
        self._failures = RateLimit(rate, rate * _BURST_SECONDS)

    async def identify(self, request: web.Request) -> Identity:
        """Raises SignatureRefusedError (403), in AWS's words, unless a known key signed this very request.

        Raises ClientLimitError where too many from its address were not, SerializationError where its body is
        not what its headers say, BodyTooLargeError, HTTPRequestTimeout where it does not come.
        """
        rate, address = self._settings.now.max_http_requests_per_second, caller_of(request.remote)
        self._failures.adjust(rate, rate * _BURST_SECONDS)
        if self._failures.exhausted(address):
            self._metrics.refused.labels("rate").inc()
            raise ClientLimitError("Rate exceeded")
        try:
            return await self._identify(request)
        except SignatureRefusedError:
            self._failures.allows(address)
            raise

    async def _identify(self, request: web.Request) -> Identity:
        received = Request(
            method=request.method,
            target=request.raw_path,
            headers=tuple(request.headers.items()),
            body=await _body(request),
        )
        try:
            claim = Claim.of(received)
            key = await self._keys.find(claim.access_key_id)
            if key is None:
                raise unknown_key()
            claim.verify(Credentials(key.access_key_id, key.secret_access_key), datetime.now(UTC))
        except SignatureError as exc:
            raise SignatureRefusedError(exc.type, str(exc)) from None
        return Identity(key)

    async def admit(
        self,
        identity: Identity,
        action: str,
        arn: str,
        denial: type[KinesisError] = AccessDeniedError,
    ) -> Channel:
        """The channel `arn`, if the policy has `action` on it; who may not is not told whether it exists."""
        try:
            channel = await self._channels.get_by_arn(arn)
        except ResourceNotFoundError:
            identity.require(action, arn, denial)
            raise
        identity.require(action, channel.arn, denial)
        return channel


async def _body(request: web.Request) -> bytes:
    try:
        return await body_of(request)
    except InvalidInputError as exc:
        raise SerializationError(str(exc)) from None
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLargeError("The request body is larger than any call needs.") from None
