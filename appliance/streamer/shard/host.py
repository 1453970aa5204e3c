"""The streamer's side of its shards: starts them, places viewers in them, notices when one dies."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any

from appliance.bus.beat import until_beat
from appliance.bus.messages import Publication
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.spec import StreamerSpec
from appliance.config import IceSection
from appliance.errors import FanlightError, UnavailableError
from appliance.processes import Child, child, our_module
from appliance.streamer.shard.placement import Home, Load, choose
from appliance.streamer.shard.relay import Relay
from appliance.streamer.shard.remote_peer import RemotePeer
from appliance.streamer.shard.wire import (
    Birth,
    BitrateWanted,
    Drop,
    FrameWanted,
    Gone,
    Item,
    Link,
    RenditionName,
    Report,
    Said,
    Tick,
    ToShard,
    Watch,
)
from appliance.streamer.sources import Sources
from appliance.streamer.talkspurts import EncodedAudio

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
_LINGER_S = 30.0
_SILENCE_S = 30.0
"""A shard reports every second; one that has said nothing for so long hangs."""
_DISTRUST_S = 10.0
"""So long after the failure of a shard none is started."""
_SECRETS = {
    "bus_url": "",
    "bus_user": "",
    "bus_password": "",
    "bus_credentials": "",
    "bus_seed": "",
    "publication": Publication(),
    "ice": IceSection(),
}


class Shard:
    """One shard, from its first viewer until it has had none for a while."""

    def __init__(self, name: str, spec: StreamerSpec, sources: Sources) -> None:
        self.name = name
        self.peers: dict[str, RemotePeer] = {}
        self.busy = False
        self.pid = 0
        self._spec = spec
        self._sources = sources
        self._orders: asyncio.Queue[ToShard] = asyncio.Queue()
        self._awake = asyncio.Event()
        self._told: dict[str, Any] | None = None
        self._last_used = time.monotonic()
        self._unused = asyncio.Event()
        self._relays = {
            RenditionName(codec, second): Relay(RenditionName(codec, second), sources, self._awake.set)
            for second, renditions in ((False, sources.renditions), (True, sources.seconds))
            for codec in renditions
        }

    @property
    def viewers(self) -> int:
        """How many it serves."""
        return len(self.peers)

    def order(self, message: ToShard) -> None:
        """Send to it, as soon as it runs."""
        self._orders.put_nowait(message)

    def tick(self, stats: dict[str, Any]) -> None:
        """See remote_peer.Shard."""
        if stats is not self._told:
            self._told = stats
            self.order(Tick(stats=stats))

    def leave(self, peer: str) -> None:
        """See remote_peer.Shard."""
        del self.peers[peer]
        self.order(Drop(peer=peer))

    def look(self) -> None:
        """Once a second: whether anybody needs it."""
        now = time.monotonic()
        if self.peers:
            self._last_used = now
        elif now - self._last_used > _LINGER_S:
            self._unused.set()

    async def run(self) -> None:
        """Serve until nobody has needed it for a while. Raises UnavailableError where it fails."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            command = [*our_module("appliance.streamer.shard"), str(theirs.fileno())]
            async with child(
                command, name=self.name, pass_fds=(theirs.fileno(),), log_level=logging.INFO
            ) as process:
                theirs.close()
                self.pid = process.pid
                link = await Link.over(ours)
                try:
                    link.send(Birth(spec=self._spec, codecs=list(self._sources.renditions)))
                    await self._serve(process, link)
                finally:
                    link.close()
                    for relay in self._relays.values():
                        relay.close()

    async def _serve(self, process: Child, link: Link) -> None:
        failure: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(work)
                    for work in (
                        _outlive(process),
                        self._listen(link),
                        self._carry_orders(link),
                        self._carry_frames(link),
                        self._carry_sound(link),
                    )
                ]
                await self._unused.wait()
                for task in tasks:
                    task.cancel()
        except* FanlightError as failures:
            failure = failures.exceptions[0]  # what is raised here would be a group again
        if failure:
            raise UnavailableError(f"{self.name}: {failure}") from failure

    async def _listen(self, link: Link) -> None:
        while True:
            try:
                async with asyncio.timeout(_SILENCE_S):
                    item = await link.receive()
            except TimeoutError:
                raise UnavailableError(f"it has said nothing for {_SILENCE_S:.0f} s") from None
            self._take(item)

    def _take(self, item: Item) -> None:
        match item:
            case Watch(rendition=name, wanted=wanted):
                self._relays[name].watch(wanted)
            case FrameWanted(rendition=name, keyframe=keyframe):
                self._relays[name].request_frame(keyframe=keyframe)
            case BitrateWanted(rendition=name, kbps=kbps):
                self._relays[name].steer(kbps)
            case Said(peer=id_, reply=reply) if peer := self.peers.get(id_):
                peer.said(reply)
            case Gone(peer=id_, visited=visited) if peer := self.peers.get(id_):
                peer.left(visited=visited)
            case Report(viewers=viewers, busy=busy):
                self.busy = busy
                for each in viewers:
                    if peer := self.peers.get(each.id):
                        peer.measured(each)

    async def _carry_orders(self, link: Link) -> None:
        while True:
            order = await self._orders.get()
            link.send(order)
            if isinstance(order, Tick):
                for relay in self._relays.values():
                    relay.check(link)

    async def _carry_frames(self, link: Link) -> None:
        """While the shard does not read, frames wait in its subscriptions, where the newest ones win."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            for relay in self._relays.values():
                relay.pump(link)
            await link.drain()

    async def _carry_sound(self, link: Link) -> None:
        with self._sources.sound.subscribe() as packets:
            while True:
                packet = await packets.get()
                if not link.full:
                    link.send(EncodedAudio(packet.data, packet.timestamp))


class Shards:
    """The shards of one instance; those who control are never served there, since their input goes here."""

    def __init__(self, spec: StreamerSpec, sources: Sources, cores: int | None = None) -> None:
        self._spec = spec.model_copy(update=_SECRETS)
        self._sources = sources
        self._most = (cores or len(os.sched_getaffinity(0))) - 1
        self._shards: list[Shard] = []
        self._started = 0
        self._trusted_at = float("-inf")
        self._load = Load()
        self._group: asyncio.TaskGroup | None = None

    @property
    def pids(self) -> list[int]:
        """Of those that run."""
        return [shard.pid for shard in self._shards if shard.pid]

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            while True:
                await asyncio.sleep(until_beat(_LOOK_S))
                self._load.look()
                for shard in self._shards:
                    shard.look()

    def place(
        self, event: PeerEvent, here: int, reply: Callable[[str, PeerReply], None]
    ) -> RemotePeer | None:
        """A place in a shard for who opens; None where the streamer itself, which serves `here`, should."""
        if event.role.controls or event.exclusive or not self._sources.renditions:
            return None
        home = Home(here, self._load.busy)
        shard = choose(home, self._shards, self._spec.viewers_per_process, self._start)
        if shard is None:
            return None
        peer = shard.peers[event.peer] = RemotePeer(event, shard, reply)
        return peer

    def _start(self) -> Shard | None:
        allowed = bool(self._spec.viewers_per_process) or len(self._shards) < self._most
        if self._group is None or not allowed or time.monotonic() < self._trusted_at:
            return None
        self._started += 1
        shard = Shard(f"shard {self._started}", self._spec, self._sources)
        self._shards.append(shard)
        self._group.create_task(self._host(shard), name=shard.name)
        return shard

    async def _host(self, shard: Shard) -> None:
        try:
            await shard.run()
            logger.info("%s: nobody needs it any more", shard.name)
        except UnavailableError as exc:
            logger.warning("%s", exc)
            self._trusted_at = time.monotonic() + _DISTRUST_S
        finally:
            self._shards.remove(shard)
            for peer in list(shard.peers.values()):
                peer.move()


async def _outlive(process: Child) -> None:
    code = await process.wait()
    raise UnavailableError(f"it ended with code {code}: {process.last_words}")
