"""Signaling channels: those that clients created, and one for every instance that streams."""

import builtins
import logging
import re
import time
from collections.abc import Callable
from typing import NamedTuple

from pydantic import Field

from appliance.bus.channel_messages import ChannelDeleted, ChannelMail
from appliance.bus.connection import Bus
from appliance.bus.mail import Mail
from appliance.bus.messages import Message
from appliance.bus.state import Bucket
from appliance.bus.subjects import deleted, mail_of, unword, word
from appliance.config import KinesisSection
from appliance.errors import ConflictError, NotFoundError, UnavailableError
from appliance.gateway.kinesis.errors import (
    ChannelLimitError,
    ResourceInUseError,
    ResourceNotFoundError,
    VersionMismatchError,
)
from appliance.gateway.sessions import SessionRecord, Sessions
from appliance.gateway.tokens import new_id

logger = logging.getLogger(__name__)

DEFAULT_TTL_SECONDS = 60
_ARN = re.compile(r"arn:aws:kinesisvideo:([a-z0-9-]+):([0-9]+):channel/([a-zA-Z0-9_.-]{1,256})/([0-9]+)")
_INSTANCE_VERSION = "1"
_CREATED_KEY = re.compile(r"([\w=-]+)[^\w=-][0-9]+")


class Channel(Message):
    """A signaling channel as it stands; `created_at` is unix time."""

    name: str
    arn: str
    created_at: float
    version: str
    ttl_s: int = DEFAULT_TTL_SECONDS
    """How long a message waits for its recipient."""
    tags: dict[str, str] = Field(default_factory=dict)
    storage: bool = False
    """Whether the gateway itself is the peer of whoever joins, and records."""
    stream_arn: str | None = None
    session: str | None = None
    """Of the instance whose channel this is: the box is its master, and it cannot be changed or deleted."""

    @property
    def key(self) -> str:
        """One word of a subject, the same whichever of its names it was found by."""
        return self.session or f"{word(self.name)}~{self.arn.rpartition('/')[2]}"


class Arn(NamedTuple):
    """The parts of a channel's ARN; `created_ms` tells it from earlier channels of this name."""

    region: str
    account: str
    name: str
    created_ms: int

    @classmethod
    def parse(cls, text: str) -> "Arn | None":
        """None where `text` names no channel."""
        found = _ARN.fullmatch(text)
        return cls(found[1], found[2], found[3], int(found[4])) if found else None

    def __str__(self) -> str:
        return f"arn:aws:kinesisvideo:{self.region}:{self.account}:channel/{self.name}/{self.created_ms}"


class Channels:
    """Those that were created live in a bucket of the bus; those of instances are made of the sessions.

    An instance's channel has the name of its application; where several run, that is the oldest one's, and
    each can be named `<application>-<session>`. Its ARN stays valid whichever of the names is shown.
    """

    def __init__(
        self,
        bucket: Bucket[Channel],
        sessions: Sessions,
        section: KinesisSection,
        bus: Bus,
        mail: Mail[ChannelMail],
    ) -> None:
        self._bucket = bucket
        self._bus = bus
        self._mail = mail
        self._sessions = sessions
        self._section = section

    async def get_by_name(self, name: str) -> Channel:
        """Raises ResourceNotFoundError."""
        if created := await self._created(name):
            return created
        for session, channel in await self._of_instances():
            if name in (channel.name, *_names(session)[1:]):
                return channel
        raise ResourceNotFoundError

    async def get_by_arn(self, arn: str) -> Channel:
        """Raises ResourceNotFoundError."""
        if (parsed := Arn.parse(arn)) is None:
            raise ResourceNotFoundError
        created = await self._created(parsed.name)
        if created and created.arn == arn:
            return created
        for session, channel in await self._of_instances():
            if arn in (self.arn(name, session.created_at) for name in _names(session)):
                return channel
        raise ResourceNotFoundError

    async def list(self) -> list[Channel]:
        """All channels by name."""
        instances = [channel for _, channel in await self._of_instances()]
        return sorted([*await self._all_created(), *instances], key=lambda each: each.name)

    async def create(self, name: str, *, ttl_s: int, tags: dict[str, str]) -> Channel:
        """Raises ResourceInUseError where `name` is taken, ChannelLimitError."""
        present = await self.list()
        if any(each.name == name for each in present):
            raise ResourceInUseError(f"The channel with the name {name} already exists.")
        if sum(each.session is None for each in present) >= self._section.max_channels:
            raise ChannelLimitError(
                f"You have reached the maximum limit of {self._section.max_channels} signaling channels."
            )
        now = time.time()
        channel = Channel(
            name=name,
            arn=self.arn(name, now),
            created_at=now,
            version=new_id(),
            ttl_s=ttl_s,
            tags=tags,
        )
        try:
            await self._bucket.create(_key(name), channel)
        except ConflictError:
            raise ResourceInUseError(f"The channel with the name {name} already exists.") from None
        return channel

    async def update(
        self, arn: str, change: Callable[[Channel], Channel], *, version: str | None = None
    ) -> Channel:
        """Who names the `version` that is changed makes the next one; other changes leave it as it is.

        Raises ResourceNotFoundError, ResourceInUseError for an instance's, VersionMismatchError.
        """
        if (parsed := Arn.parse(arn)) is None:
            raise ResourceNotFoundError

        def step(old: Channel) -> Channel:
            if old.arn != arn:
                raise NotFoundError(arn)
            if version not in (None, old.version):
                raise VersionMismatchError
            new = change(old)
            return new if new == old or version is None else new.model_copy(update={"version": new_id()})

        try:
            return await self._bucket.update(_key(parsed.name), step)
        except NotFoundError:
            await self.get_by_arn(arn)
            raise ResourceInUseError(
                "This channel is that of a running instance and stays as it is."
            ) from None
        except ConflictError as exc:
            raise ResourceInUseError(str(exc)) from exc

    async def delete(self, arn: str, *, version: str | None = None) -> None:
        """And end its sockets. Raises ResourceNotFoundError, ResourceInUseError, VersionMismatchError."""
        while True:
            checked = await self.update(arn, lambda old: old, version=version)
            if await self._bucket.delete(_key(checked.name), only=checked):
                break
        await self._bus.publish(deleted(checked.key), ChannelDeleted())
        try:  # who makes channels again and again would fill the bus with what nobody reads
            await self._mail.drop(mail_of(checked.key))
        except UnavailableError as exc:
            logger.debug("channel %s: its mail stays until it is too old: %s", checked.name, exc)

    def arn(self, name: str, created_at: float) -> str:
        """The ARN of a channel of this gateway."""
        return str(Arn(self._section.region, self._section.account_id, name, int(created_at * 1000)))

    async def _created(self, name: str) -> Channel | None:
        try:
            return await self._bucket.get(_key(name))
        except NotFoundError:
            return None

    async def _all_created(self) -> builtins.list[Channel]:
        return [each async for _, each in self._bucket.items()]

    async def _of_instances(self) -> builtins.list[tuple[SessionRecord, Channel]]:
        """The oldest session of an application first: it has the shorter name."""
        taken = {each.name for each in await self._all_created()}
        found = []
        for session in await self._sessions.list():
            if session.open:
                name = next((each for each in _names(session) if each not in taken), session.id)
                taken.add(name)
                found.append((session, self._shown(session, name)))
        return found

    def _shown(self, session: SessionRecord, name: str) -> Channel:
        return Channel(
            name=name,
            arn=self.arn(name, session.created_at),
            created_at=session.created_at,
            version=_INSTANCE_VERSION,
            session=session.id,
        )


def created_name(key: str) -> str | None:
    """The name of the channel with this key, where a client created it; None for an instance's."""
    found = _CREATED_KEY.fullmatch(key)
    return unword(found[1]) if found else None


def _names(session: SessionRecord) -> tuple[str, str]:
    return session.app, f"{session.app}-{session.id}"


def _key(name: str) -> str:
    """Words of the bus must not be empty, names of channels may be `..`; `=` is in none of them."""
    return word(name)
