"""The uplink: the box as master of a channel in the cloud. Faults are told and tried again, never raised."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from dataclasses import replace

from appliance.bus.connection import Bus
from appliance.bus.messages import Role
from appliance.config import KinesisUplinkSection
from appliance.errors import InvalidInputError
from appliance.signaling import kinesis
from appliance.signaling.kinesis import Delivery, GoAway, ReconnectIceServer, Refused, Request
from appliance.uplink.audience import Audience
from appliance.uplink.cloud import Cloud, CloudError
from appliance.uplink.connection import Outbox, client, converse
from appliance.uplink.ice import IceServers
from appliance.uplink.pace import Backoff

logger = logging.getLogger(__name__)


class Uplink:
    """Hands what viewers in the cloud say to the session of an instance, and its answers back.

    `find` gives that session, where there is one now; `closed` tells whether nobody new comes in.
    """

    def __init__(
        self,
        box: str,
        section: KinesisUplinkSection,
        bus: Callable[[], Bus],
        *,
        find: Callable[[], str | None],
        closed: Callable[[], bool],
    ) -> None:
        self._section = section
        self._cloud = Cloud(section)
        self._ice = IceServers(self._cloud.ice_servers)
        self._outbox = Outbox()
        self._numbers = itertools.count(1)
        self._audience = Audience(
            box,
            bus,
            Role(section.role),
            find=find,
            closed=closed,
            ice_servers=self._ice.current,
            say=self._say,
        )
        self.connected = False
        self.fault = ""
        self.fix = ""

    @property
    def detail(self) -> str:
        """How it goes, for people."""
        channel = f"{self._section.channel} in {self._section.region}"
        if not self.connected:
            return f"{channel}: {self.fault or 'connecting'}"
        viewers = self._audience.connected
        counted = "1 viewer" if viewers == 1 else f"{viewers} viewers"
        if not self._audience.streaming:
            counted = "its application does not run"
        return f"connected as master of {channel}; {self.fault or counted}"

    def changed(self) -> None:
        """Instances came, went or changed."""
        self._audience.changed()

    async def serve(self, started: asyncio.Event) -> None:
        """Be the master until cancelled."""
        started.set()
        backoff = Backoff()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._audience.run())
            while True:
                backoff.begin()
                await self._attempt()
                self.connected = False
                await asyncio.sleep(backoff.pause())

    async def _attempt(self) -> None:
        """One connection, from the credentials to its end."""
        try:
            url = await self._cloud.socket_url()
            async with client(self._section.ca) as http:
                ended = await converse(http, url, self._outbox, opened=self._opened, hear=self._hear)
            logger.info("uplink: the connection to %s is %s", self._section.channel, ended)
        except CloudError as exc:
            self._failed(str(exc), exc.fix)
        except Exception:
            logger.exception("uplink: failed")
            self._failed("internal error", "fanlight logs")

    def _opened(self) -> None:
        logger.info("uplink: master of %s in %s", self._section.channel, self._section.region)
        self.connected, self.fault, self.fix = True, "", ""

    def _failed(self, what: str, fix: str) -> None:
        if what != self.fault:
            logger.warning("uplink: %s", what)
        self.fault, self.fix = what, fix

    def _hear(self, text: str) -> bool:
        """False where this connection is about to end."""
        try:
            event = kinesis.read_event(text)
        except InvalidInputError as exc:
            logger.debug("uplink: %s", exc)
            return True
        match event:
            case Delivery():
                self._audience.receive(event)
            case Refused(description, correlation, kind):
                recipient = correlation.partition(".")[2] or "nobody"
                self._failed(f"the answer to {recipient} was refused: {kind}: {description}", "")
            case ReconnectIceServer():
                self._ice.forget()
            case GoAway():
                return False
        return True

    def _say(self, request: Request) -> None:
        size = len(request.payload)
        if size > kinesis.QUOTA_CHARACTERS:
            most = kinesis.QUOTA_CHARACTERS
            self._failed(f"the answer to {request.recipient} has {size} characters, AWS takes {most}", "")
        correlation = f"{next(self._numbers)}.{request.recipient}"[:256]
        self._outbox.put(replace(request, correlation_id=correlation))
