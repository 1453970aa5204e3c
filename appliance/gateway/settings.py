"""What of the configuration may change while gateways run: `PATCH /1.0/config`, for all of them, for good."""

import asyncio
import logging
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from appliance.bus.connection import Bus
from appliance.bus.messages import Message, SettingsChanged
from appliance.bus.state import Bucket
from appliance.bus.subjects import GATEWAY_SETTINGS
from appliance.config import Config
from appliance.errors import FanlightError, NotFoundError
from appliance.gateway.shares import PER_SESSION

logger = logging.getLogger(__name__)

_KEY = "gateway"
_ENTRIES = 64
_RETRY_SECONDS = 2.0

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.*-]+$", max_length=128)]
Origin = Annotated[
    str, Field(pattern=r"^(\*|https?://[A-Za-z0-9.:_-]+|https?://\[[0-9a-fA-F:]+\](:[0-9]+)?)$")
]
Words = Annotated[list[Word], Field(max_length=_ENTRIES)]
Origins = Annotated[list[Origin], Field(max_length=_ENTRIES)]
Rate = Annotated[int, Field(ge=1, le=100_000)]
Bytes = Annotated[int, Field(ge=1024, le=1_000_000)]


class SettingsPatch(Message):
    """What differs from the configuration file; null: as the file says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_http_requests_per_second: Rate | None = None
    max_message_bytes: Bytes | None = None
    https_allowed_origin: Origins | None = None
    https_allowed_headers: Words | None = None
    https_allowed_methods: Words | None = None


class Settings(BaseModel):
    """What holds right now."""

    model_config = ConfigDict(frozen=True)

    max_http_requests_per_second: int = Field(description="of one address, and of one account; live")
    max_message_bytes: int = Field(description="of a signaling message, for sockets opened from now on; live")
    https_allowed_origin: list[str] = Field(description="pages that may call /1.0; live")
    https_allowed_headers: list[str] = Field(description="what they may send; live")
    https_allowed_methods: list[str] = Field(description="how they may call; live")
    max_viewers_per_session: int = Field(description="of the file only, for instances from now on")
    max_shares_per_session: int = Field(description="fixed")

    @classmethod
    def of(cls, config: Config) -> "Settings":
        """What the file says."""
        return cls(
            max_http_requests_per_second=config.limits.requests_per_second,
            max_message_bytes=config.limits.message_bytes,
            https_allowed_origin=config.gateway.allowed_origins,
            https_allowed_headers=config.gateway.allowed_headers,
            https_allowed_methods=config.gateway.allowed_methods,
            max_viewers_per_session=config.limits.viewers_per_session,
            max_shares_per_session=PER_SESSION,
        )


class LiveSettings:
    """The file's settings under what was patched, which is stored on the bus and followed by every node."""

    def __init__(self, config: Config, bucket: Bucket[SettingsPatch], bus: Bus) -> None:
        self._file = Settings.of(config)
        self._bucket = bucket
        self._bus = bus
        self._patch = SettingsPatch()
        self._reading = asyncio.Lock()
        self.now = self._file

    def reload(self, config: Config) -> None:
        """Take what another file says under what was patched."""
        self._file = Settings.of(config)
        self._apply(self._patch)

    async def follow(self) -> None:
        """Keep `now` up to date until cancelled, also over outages of the bus."""
        async with (
            self._bus.subscribe(GATEWAY_SETTINGS, SettingsChanged) as news,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._keep_up())
            async for _ in news:
                await self._catch_up()

    async def change(self, patch: SettingsPatch) -> Settings:
        """Store `patch` over what was patched before, and tell all nodes. Raises ConflictError."""
        given = patch.model_dump(exclude_unset=True)
        try:
            await self._bucket.update(_KEY, lambda old: old.model_copy(update=given))
        except NotFoundError:
            await self._bucket.create(_KEY, patch)
        await self._bus.publish(GATEWAY_SETTINGS, SettingsChanged())
        await self._read()
        return self.now

    async def _keep_up(self) -> None:
        while True:
            epoch = self._bus.epoch
            await self._catch_up()
            await self._bus.reconnected(epoch)

    async def _catch_up(self) -> None:
        while True:
            try:
                await self._read()
            except FanlightError as exc:
                logger.warning("settings not read, those from before stay: %s", exc)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _read(self) -> None:
        async with self._reading:  # what was read earlier must not come later
            try:
                patch = await self._bucket.get(_KEY)
            except NotFoundError:
                patch = SettingsPatch()
            self._apply(patch)

    def _apply(self, patch: SettingsPatch) -> None:
        self._patch = patch
        now = self._file.model_copy(update=patch.model_dump(exclude_none=True))
        if now != self.now:
            logger.info("settings: %s", patch.model_dump_json(exclude_none=True))
        self.now = now
