"""The way between a camera and the instance that shows it: to the camera the box is one more viewer."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable

from appliance.about import about
from appliance.bus.beat import until_beat
from appliance.bus.channel_messages import ChannelClient, ChannelJoin, ChannelMail
from appliance.bus.connection import Bus
from appliance.bus.mail import Mail
from appliance.bus.messages import Done, IceServer, StreamerHello
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.subjects import HELLO_ALL, JOIN_ALL, STORAGE, down, hello, up
from appliance.errors import FanlightError, UnavailableError
from appliance.gateway.kinesis.channels import Channel, Channels
from appliance.gateway.kinesis.errors import ClientLimitError, ResourceNotFoundError
from appliance.gateway.kinesis.mailbox import Mailbox
from appliance.gateway.kinesis.presence import Presence
from appliance.gateway.sessions import Sessions
from appliance.gateway.tokens import new_id
from appliance.signaling import kinesis
from appliance.signaling.kinesis import Delivery, Refused

logger = logging.getLogger(__name__)

_OPEN_SECONDS = 3.0
_FULL_SECONDS = 5.0
_ANEW_SECONDS = 6.0
"""Longer than a lease: where another node's bridge took over, that one leads by then."""


class Bridge:
    """Lives as long as the session, or until another node's bridge takes over.

    In a storage session the offer comes from nobody, and no place of a viewer is taken.

    Each connection of the master is a peer of its own to the streamer, which offers to it when it likes.
    `ice_servers` is asked whenever the streamer is told of one.
    """

    def __init__(
        self,
        session: str,
        channel: Channel,
        bus: Bus,
        mail: Mail[ChannelMail],
        presence: Presence,
        viewers: int,
        ice_servers: Callable[[str], list[IceServer]],
    ) -> None:
        self._session = session
        self._channel = channel
        self._bus = bus
        self._presence = presence
        self._viewers = viewers
        self._ice_servers = ice_servers
        self._me = ChannelClient(
            connection=new_id(), client=f"{kinesis.BOX}{session}", label="the box", since=time.time()
        )
        client = STORAGE if channel.storage else self._me.client
        self._mailbox = Mailbox(bus, mail, channel.key, client, self._me.connection)
        self._peer = ""
        """Of the master's connection; empty while it is away."""

    async def run(self) -> None:
        """Bridge until cancelled, or superseded."""
        if not self._channel.storage:
            await self._enter()
        try:
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(self._serve())
                await self._mailbox.receive(self._deliver)
                serving.cancel()
        finally:
            self._presence.leave(self._channel.key, self._me.connection)

    async def _enter(self) -> None:
        while True:
            try:
                return self._presence.enter(self._channel.key, self._me, viewers=self._viewers)
            except ClientLimitError as exc:
                logger.warning("channel %s is not shown: %s", self._channel.name, exc)
                await asyncio.sleep(_FULL_SECONDS)

    async def _serve(self) -> None:
        """One connection of the master after the other."""
        while True:
            master = await self._presence.master_other_than(self._channel.key, None)
            peer = self._peer = f"source-{secrets.token_hex(12)}"
            try:
                await self._serve_master(master, peer)
            finally:
                self._peer = ""
                with contextlib.suppress(UnavailableError):
                    await self._bus.publish(up(self._session), self._event("close", peer))

    async def _serve_master(self, master: str | None, peer: str) -> None:
        async with (
            self._bus.subscribe(down(self._session, peer), PeerReply) as replies,
            self._bus.subscribe(hello(self._session), StreamerHello) as hellos,
            asyncio.TaskGroup() as group,
        ):
            tasks = [
                group.create_task(each)
                for each in (
                    self._send(replies),
                    self._open_for_all(peer, hellos),
                    self._open_after_outages(peer),
                )
            ]
            await self._presence.master_other_than(self._channel.key, master)
            for task in tasks:
                task.cancel()

    async def _open_for_all(self, peer: str, hellos: AsyncIterator[tuple[str, StreamerHello]]) -> None:
        await self._open(peer)
        async for _ in hellos:
            await self._open(peer)

    async def _open_after_outages(self, peer: str) -> None:
        epoch = self._bus.epoch
        while True:
            epoch = await self._bus.reconnected(epoch)
            await self._open(peer)

    async def _open(self, peer: str) -> None:
        """A streamer that does not answer says hello once it can."""
        opening = self._event("open", peer).model_copy(update={"ice_servers": self._ice_servers(peer)})
        try:
            await self._bus.request(up(self._session), opening, Done, timeout_s=_OPEN_SECONDS)
        except FanlightError as exc:
            logger.info("session %s: no way to the camera for now: %s", self._session, exc)

    async def _send(self, replies: AsyncIterator[tuple[str, PeerReply]]) -> None:
        async for _, reply in replies:
            said = kinesis.parse(reply.text, master=False)
            if isinstance(said, Refused):
                logger.warning("session %s: the streamer said what no viewer may: %s", self._session, said)
                continue
            try:
                await self._mailbox.send(said, self._channel.ttl_s, new_id())
            except UnavailableError as exc:
                logger.info("channel %s: not sent: %s", self._channel.name, exc)

    async def _deliver(self, delivery: Delivery) -> None:
        if self._peer:
            event = self._event("message", self._peer).model_copy(update={"text": kinesis.deliver(delivery)})
            await self._bus.publish(up(self._session), event)

    def _event(self, kind: str, peer: str) -> PeerEvent:
        return PeerEvent.model_validate({"kind": kind, "peer": peer, "dialect": "kinesis", "source": True})


class Bridges:
    """One for each session that shows a camera, at the node that `leads`."""

    def __init__(
        self,
        sessions: Sessions,
        channels: Channels,
        bus: Bus,
        make: Callable[[str, Channel], Bridge],
        leads: Callable[[], bool],
    ) -> None:
        self._sessions = sessions
        self._channels = channels
        self._bus = bus
        self._make = make
        self._leads = leads
        self._running: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    async def serve(self) -> None:
        """Until cancelled."""
        async with (
            self._bus.subscribe(HELLO_ALL, StreamerHello) as hellos,
            self._bus.subscribe(JOIN_ALL, ChannelJoin) as joins,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._hear(hellos))
            group.create_task(self._hear(joins))
            led = False
            while True:
                leads = self._leads()
                if leads != led or self._running or self._wake.is_set():
                    self._wake.clear()
                    try:
                        await self._look(group, leads=leads)
                        led = leads
                    except FanlightError as exc:
                        logger.debug("cameras not looked after: %s", exc)
                        led = False
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(until_beat()):
                        await self._wake.wait()

    async def _hear(self, news: AsyncIterator[tuple[str, StreamerHello | ChannelJoin]]) -> None:
        async for _ in news:
            self._wake.set()

    async def _look(self, group: asyncio.TaskGroup, *, leads: bool) -> None:
        records = await self._sessions.list() if leads else []
        wanted = {each.id: each for each in records if each.open and each.channel}
        for session, task in list(self._running.items()):
            if session not in wanted:
                task.cancel()
        shown: set[tuple[str | None, bool]] = set()
        for session, record in wanted.items():  # the oldest first
            if (record.channel, record.recorded) in shown:  # two nodes launched it at the same time
                await self._sessions.end(session, reason="its camera is shown by another session")
                continue
            shown.add((record.channel, record.recorded))
            try:
                channel = await self._channels.get_by_arn(record.channel or "")
            except ResourceNotFoundError:
                await self._sessions.end(session, reason="its channel was deleted")
                continue
            if record.recorded != channel.storage:
                await self._sessions.end(session, reason="the media storage of its channel was changed")
            elif session not in self._running and record.joined == channel.storage:
                hosting = self._host(session, channel)
                self._running[session] = group.create_task(hosting, name=f"bridge {session}")

    async def _host(self, session: str, channel: Channel) -> None:
        try:
            with about(session=session):
                await self._bridge(session, channel)
            await asyncio.sleep(_ANEW_SECONDS)
        finally:
            del self._running[session]
            self._wake.set()

    async def _bridge(self, session: str, channel: Channel) -> None:
        try:
            await self._make(session, channel).run()
            logger.info("session %s: another one took over the way to its camera", session)
        except Exception:
            logger.exception("session %s: the way to its camera failed", session)
