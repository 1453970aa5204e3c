"""Who calls in the Kinesis dialect, and whether that key's policy lets them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from appliance.bus.messages import Role
from appliance.gateway.kinesis.errors import AccessDeniedError, KinesisError, SignatureRefusedError
from appliance.gateway.kinesis.keys import AccessKey, AccessKeys
from appliance.gateway.kinesis.policies import CONTROL
from appliance.gateway.tokens import Principal
from appliance.signaling.sigv4 import Claim, Credentials, Request, SignatureError, unknown_key


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

    def __init__(self, keys: AccessKeys) -> None:
        self._keys = keys

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
        resource: str,
        denial: type[KinesisError] = AccessDeniedError,
    ) -> Identity:
        """Who signed `request`, if they may `action` (`ConnectAsViewer`) on `resource` (an ARN or `*`).

        Raises SignatureRefusedError, or `denial` where the policy says no: ConnectDeniedError (403) for
        sockets and storage.
        """
        identity = await self.identify(request)
        identity.require(action, resource, denial)
        return identity
