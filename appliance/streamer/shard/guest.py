"""The process of a shard: viewers as in the streamer, fed with what that one encodes."""

import asyncio
import functools
import logging

from appliance.bus.messages import Role, ScreenWish
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.errors import InvalidInputError, UnavailableError
from appliance.signaling.control import ControlMessage
from appliance.streamer import stats
from appliance.streamer.aioice_adapter import host_addresses
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.garbage import Garbage
from appliance.streamer.mux import Mux, media_port
from appliance.streamer.peer import Peer
from appliance.streamer.shard.placement import Load
from appliance.streamer.shard.source import RemoteSource
from appliance.streamer.shard.wire import (
    Birth,
    Drop,
    Failed,
    Frame,
    Gone,
    Happened,
    Item,
    Link,
    RenditionName,
    Report,
    Said,
    Started,
    Tick,
)
from appliance.streamer.sources import Sources
from appliance.streamer.stage import Stage
from appliance.streamer.talkspurts import EncodedAudio
from appliance.streamer.tracks import SoundFan

logger = logging.getLogger(__name__)

_REPORT_SECONDS = 1.0


class NoInput:
    """Where the input of those who only watch goes."""

    def handle(self, viewer: str, role: Role, message: ControlMessage) -> None:
        """Nowhere."""

    def holds(self, viewer: str) -> bool:  # noqa: ARG002
        """It holds nothing."""
        return False

    def release(self, viewer: str) -> None:
        """It holds nothing."""


class Shard:
    """Serves viewers of `birth.spec` until the streamer at the other end of `link` is gone."""

    def __init__(self, birth: Birth, link: Link) -> None:
        self._spec = birth.spec
        self._link = link
        names = [RenditionName(codec, second) for codec in birth.codecs for second in (False, True)]
        self._incoming = {name: RemoteSource(name, link.send) for name in names}
        self._renditions = {
            name: Broadcast(functools.partial(self._incoming.__getitem__, name)) for name in names
        }
        self._first = {name.codec: each for name, each in self._renditions.items() if not name.second}
        self._sound = SoundFan()
        self._peers: dict[str, Peer] = {}
        self._load = Load()
        self._garbage = Garbage()

    async def run(self) -> None:
        """Raises UnavailableError once the streamer is gone, InvalidInputError where it makes no sense."""
        async with media_port(self._spec, host_addresses()) as mux, asyncio.TaskGroup() as group:
            for rendition in self._renditions.values():
                group.create_task(rendition.run())
            group.create_task(self._report())
            self._garbage.begin()
            logger.info("a shard of instance %s serves viewers", self._spec.instance)
            stage = self._stage(mux)
            while True:
                self._take(await self._link.receive(), stage, group)

    def _stage(self, mux: Mux | None) -> Stage:
        seconds = {name.codec: each for name, each in self._renditions.items() if name.second}
        sources = Sources(
            self._first, self._sound, seconds=seconds, kbps=self._spec.bitrate_kbps, in_company=True
        )
        return Stage(
            spec=self._spec,
            sources=sources,
            input=NoInput(),
            size=self._size,
            fps=lambda: self._spec.screen.fps,
            problem=lambda: stats.problem_of(self._first.values()),
            resize=_keep_size,
            mux=mux,
        )

    def _take(self, item: Item, stage: Stage, group: asyncio.TaskGroup) -> None:
        match item:
            case Frame(name, frame):
                self._incoming[name].arrive(frame)
            case EncodedAudio():
                self._sound.deliver(item)
            case Happened(event=event):
                self._happened(event, stage, group)
            case Tick(stats=told):
                for peer in list(self._peers.values()):
                    peer.tick(told)
            case Started(rendition=name, info=info):
                self._incoming[name].start(info)
            case Failed(rendition=name, problem=problem):
                self._incoming[name].fail(problem)
            case Drop(peer=moved):
                if leaving := self._peers.get(moved):
                    leaving.closed()
                    leaving.end("served elsewhere")
            case _:
                raise InvalidInputError(f"{type(item).__name__} is not for a shard")

    def _happened(self, event: PeerEvent, stage: Stage, group: asyncio.TaskGroup) -> None:
        peer = self._peers.get(event.peer)
        match event.kind:
            case "open" if peer and not peer.ended:
                peer.opened(event)
            case "open":
                newcomer = Peer(event, stage, reply=self._reply, adopt=lambda *_: False)
                self._peers[event.peer] = newcomer
                group.create_task(self._host(newcomer), name=f"viewer {event.peer}")
            case "message" if peer:
                peer.receive(event.text)
            case "close" if peer:
                peer.closed()
            case "kick" if peer:
                peer.end(event.text)
            case "notice" if peer:
                peer.notice(event.text)

    async def _host(self, peer: Peer) -> None:
        try:
            await peer.run()
        except Exception:
            logger.exception("viewer %s failed", peer.id)
        finally:
            if self._peers.get(peer.id) is peer:
                del self._peers[peer.id]
            self._link.send(Gone(peer=peer.id, visited=peer.visited))
            self._garbage.left(len(self._peers))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            self._load.look()
            viewers = [peer.stats() for peer in list(self._peers.values()) if not peer.ended]
            self._link.send(Report(viewers=viewers, busy=self._load.busy))

    def _reply(self, peer: str, reply: PeerReply) -> None:
        self._link.send(Said(peer=peer, reply=reply))

    def _size(self) -> tuple[int, int]:
        for rendition in self._first.values():
            if info := rendition.info:
                return info.width, info.height
        return self._spec.screen.width, self._spec.screen.height


async def _keep_size(_: ScreenWish) -> None:
    raise UnavailableError("only who takes over may change the size")
