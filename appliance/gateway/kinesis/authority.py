"""Who calls in the Kinesis dialect, and whether that key's policy lets them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from appliance.bus.messages import Role
from appliance.gateway.kinesis.channels import Channel, Channels
from appliance.gateway.kinesis.errors import (
    AccessDeniedError,
    ConnectDeniedError,
    KinesisError,
    ResourceNotFoundError,
    SignatureRefusedError,
)
from appliance.gateway.kinesis.keys import AccessKey, AccessKeys
from appliance.gateway.kinesis.policies import CONTROL
from appliance.gateway.tokens import Principal
from appliance.signaling.sigv4 import Credentials
from appliance.signaling.sigv4_claims import Claim, Request, SignatureError, unknown_key


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
    """Reads signatures, in the header or in the query, with the keys of the bus."""

    def __init__(self, keys: AccessKeys, channels: Channels) -> None:
        self._keys = keys
        self._channels = channels

    async def identify(self, request: web.Request) -> Identity:
        """Raises SignatureRefusedError (403), in AWS's words, unless a known key signed this very request."""
        received = Request(
            method=request.method,
            target=request.raw_path,
            headers=tuple(request.headers.items()),
            body=await request.read(),
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

    async def authorize(
        self,
        request: web.Request,
        action: str,
        arn: str,
        denial: type[KinesisError] = ConnectDeniedError,
    ) -> Identity:
        """Who signed `request`, if they may `action` (like `ConnectAsViewer`) on the channel `arn`.

        Raises SignatureRefusedError; `denial` where the policy says no; ResourceNotFoundError.
        """
        identity = await self.identify(request)
        await self.admit(identity, action, arn, denial)
        return identity

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
