"""Access keys of the Kinesis dialect. HMAC needs the secret itself, so that is kept in the bus."""

import base64
import hashlib
import secrets
import time

from pydantic import Field

from appliance.bus.messages import Message, Role
from appliance.bus.state import Bucket
from appliance.errors import ConflictError, NotFoundError
from appliance.gateway.kinesis.policies import EVERYTHING, Policy
from appliance.gateway.tokens import Principal


class AccessKey(Message):
    """A key as it is stored; `created_at` is unix time."""

    name: str
    access_key_id: str
    secret_access_key: str = Field(repr=False)
    created_at: int
    policy: Policy = EVERYTHING

    def principal(self, role: Role = Role.CONTROL) -> Principal:
        """Who holds this key."""
        return Principal("key", self.access_key_id, self.name, role)


class AccessKeys:
    """Creates, lists, deletes and finds keys, for all gateways of a bus."""

    def __init__(self, bucket: Bucket[AccessKey]) -> None:
        self._bucket = bucket

    async def create(self, name: str, policy: Policy = EVERYTHING) -> AccessKey:
        """Raises ConflictError where `name` exists."""
        key = AccessKey(
            name=name,
            access_key_id=_id_of(name),
            secret_access_key=secrets.token_urlsafe(30),
            created_at=int(time.time()),
            policy=policy,
        )
        try:
            await self._bucket.create(key.access_key_id, key)
        except ConflictError:
            raise ConflictError(f"key {name!r} exists already") from None
        return key

    async def list(self) -> list[AccessKey]:
        """All keys by name."""
        return sorted([key async for _, key in self._bucket.items()], key=lambda each: each.name)

    async def delete(self, name: str) -> AccessKey:
        """Forget a key; returns what it was. Raises NotFoundError."""
        try:
            key = await self._bucket.get(_id_of(name))
        except NotFoundError:
            raise NotFoundError(f"key {name!r} does not exist") from None
        await self._bucket.delete(key.access_key_id)
        return key

    async def find(self, access_key_id: str) -> AccessKey | None:
        """The key of this id, if there is one."""
        try:
            return await self._bucket.get(access_key_id)
        except NotFoundError:
            return None


def _id_of(name: str) -> str:
    """20 characters as AWS's ids have, made of the name: the bus keeps names unique and finds by id."""
    return "FANL" + base64.b32encode(hashlib.sha256(name.encode()).digest()[:10]).decode()
