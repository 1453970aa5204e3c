"""The stream handed to a server that fans it out further (an SFU), by WHIP (RFC 9725)."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

from appliance.bus.messages import Done, IceServer, Publication
from appliance.errors import FanlightError, UnavailableError
from appliance.signaling.anbox import Settings
from appliance.streamer.connection import MediaConnection
from appliance.streamer.whip_client import Resource, ask_ice_servers

logger = logging.getLogger(__name__)

_CONNECT_SECONDS = 15.0
_RETRY_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)
_STABLE_SECONDS = 30.0

Connect: TypeAlias = Callable[[Callable[[str], None], Sequence[IceServer]], MediaConnection]
"""Makes a connection that tells its states to the function it is given, by way of these ICE servers too."""


class Publishing:
    """Publishes to where it was told to last, which may be nowhere."""

    def __init__(self, first: Publication, settings: Settings, connect: Connect) -> None:
        self._wanted = first
        self._settings = settings
        self._connect = connect
        self._changed = asyncio.Event()
        self._publisher: Publisher | None = None

    @property
    def status(self) -> str:
        """For people; empty where nothing is to be published."""
        return self._publisher.status if self._publisher else ""

    async def publish(self, wanted: Publication) -> Done:
        """From now on publish there, or nowhere."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()
        return Done()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            self._changed.clear()
            wanted = self._wanted
            self._publisher = Publisher(wanted, self._settings, self._connect) if wanted.url else None
            async with asyncio.TaskGroup() as group:
                publishing = group.create_task(self._publisher.run()) if self._publisher else None
                await self._changed.wait()
                if publishing:
                    publishing.cancel()


class Publisher:
    """Keeps one stream at a server, and begins again, ever more slowly, whenever it breaks."""

    def __init__(self, publication: Publication, settings: Settings, connect: Connect) -> None:
        self.status = "not connected yet"
        """For people."""
        self._url = publication.url
        self._token = publication.token
        self._settings = settings
        self._connect = connect
        self._host = urlsplit(self._url).hostname or self._url
        self._told: list[IceServer] = []

    async def run(self) -> None:
        """Publish until cancelled."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._publish()
            except FanlightError as exc:
                self._say(f"{self._host}: {exc}", logging.WARNING)
            except Exception:
                logger.exception("publishing: %s", self._host)
                self._say(f"{self._host}: it told something that makes no sense", logging.WARNING)
            if loop.time() - began > _STABLE_SECONDS:
                failures = 0
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
            failures += 1

    async def _publish(self) -> None:
        """One stream, for as long as it lasts. Raises UnavailableError, InvalidInputError."""
        connected, over = asyncio.Event(), asyncio.Event()

        def changed(state: str) -> None:
            if state == "connected":
                connected.set()
            elif state in ("failed", "closed"):
                connected.set()
                over.set()

        # Most servers tell theirs only with the answer, when we have gathered: the next attempt has them.
        told = await asyncio.to_thread(ask_ice_servers, self._url, self._token) or self._told
        connection = self._connect(changed, told)
        resource = Resource(self._url, self._token)
        try:
            offer = await connection.offer(self._settings, channel=False)
            answer = await asyncio.to_thread(resource.post, offer)
            self._told = answer.ice_servers
            for candidate in await connection.take_answer(answer.sdp):
                await connection.add_candidate(candidate)
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await connected.wait()
            except TimeoutError:
                raise UnavailableError(
                    "no media could reach it: the network in between lets none through"
                ) from None
            if connection.connected:
                self._say(f"{self._host}: connected", logging.INFO)
            await over.wait()
            raise UnavailableError("the connection is gone")
        finally:
            await connection.close()
            await asyncio.to_thread(resource.delete)

    def _say(self, status: str, level: int) -> None:
        if status != self.status:
            self.status = status
            logger.log(level, "publishing: %s", status)
