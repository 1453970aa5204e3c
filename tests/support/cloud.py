"""boto3's own clients, as they are, pointed at a gateway of ours."""

import asyncio
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from appliance.gateway.kinesis.policies import EVERYTHING, Policy
from tests.support.gateway import Street

_CONFIG = Config(retries={"total_max_attempts": 1}, parameter_validation=False, connect_timeout=5)


@dataclass
class Caller:
    """Makes the blocking calls of one client in threads: `await caller("list_signaling_channels", …)`."""

    client: Any

    async def __call__(self, operation: str, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = await asyncio.to_thread(getattr(self.client, operation), **arguments)
        return found


@dataclass
class Cloud:
    """What stands where Amazon's cloud would."""

    here: Street
    verify: str | bool = False

    def client(self, key: dict[str, str], service: str = "kinesisvideo", url: str = "") -> Caller:
        """Calls of `service`, signed by `key`."""
        made = boto3.session.Session().client(
            service,
            region_name="eu-north-1",
            config=_CONFIG,
            endpoint_url=url or self.here.base,
            verify=self.verify,
            **key,
        )
        return Caller(made)

    async def key(self, name: str, policy: Policy = EVERYTHING) -> dict[str, str]:
        """The credentials of a new access key, as boto3 takes them."""
        made = await self.here.gateway.create_key(name, policy)
        return {"aws_access_key_id": made.access_key_id, "aws_secret_access_key": made.secret_access_key}

    async def root(self) -> Caller:
        """The control plane, by a new key that may do everything."""
        return self.client(await self.key("root"))
