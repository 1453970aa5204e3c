"""The composition of a streamer: everything that one instance is made of, in one task group."""

import asyncio
import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.bus import subjects
from appliance.bus.connection import BusAddress, connect
from appliance.bus.messages import IceServer, Picture, Publication, RecordOrder, ScreenshotOrder, ScreenWish
from appliance.bus.spec import StreamerSpec
from appliance.bus.stats import InstanceStats, ViewerStats
from appliance.errors import UnavailableError
from appliance.ice import ice_servers
from appliance.signaling.anbox import Settings
from appliance.streamer import stats
from appliance.streamer.aioice_adapter import host_addresses
from appliance.streamer.audio import AudioSource
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.capture.compositor import run_program
from appliance.streamer.capture.select import LadderSource, open_source
from appliance.streamer.channels import Channels
from appliance.streamer.connection import MediaConnection
from appliance.streamer.frames import Codec, VideoSource
from appliance.streamer.garbage import Garbage
from appliance.streamer.ingest.ingest import Ingest
from appliance.streamer.ingest.source import IngestSource
from appliance.streamer.input.select import open_input
from appliance.streamer.microphone import Microphone
from appliance.streamer.mux import Mux, media_port
from appliance.streamer.recording.deck import Deck
from appliance.streamer.resize import resized
from appliance.streamer.screenshot import screenshot
from appliance.streamer.session import Session
from appliance.streamer.shard.host import Shards
from appliance.streamer.sources import Sources
from appliance.streamer.stage import Stage
from appliance.streamer.tracks import SoundFan
from appliance.streamer.whip import Publishing

logger = logging.getLogger(__name__)

_NO_SOUND = "sound is switched off"
_A_CAMERA = "nothing listens to it beside a camera"
_SECOND_LINGER_S = 5.0


class Streamer:
    """One instance: its renditions, its sound, its input, and the session that they serve."""

    def __init__(self, spec: StreamerSpec) -> None:
        self._spec = spec
        self._renditions = {
            codec: Broadcast(functools.partial(self._open_source, codec)) for codec in _codecs(spec)
        }
        self._group: asyncio.TaskGroup | None = None
        self._seconds = {
            codec: Broadcast(functools.partial(self._open_second, codec), linger_s=_SECOND_LINGER_S)
            for codec in self._renditions
        }
        self._sound = SoundFan()
        self._ingest = (
            Ingest(self._add_rendition, self._sound.deliver, spec.bitrate_kbps)
            if spec.kind == "channel"
            else None
        )
        own_sound = spec.audio and self._ingest is None
        self._audio = (
            AudioSource(spec.audio_source, spec.pulse_server, spec.audio_frame_ms, exclusive=spec.own_sound)
            if own_sound
            else None
        )
        self._microphone = Microphone(spec.instance, spec.pulse_server) if own_sound else None
        self._dumb = _NO_SOUND if self._ingest is None else _A_CAMERA
        self._input = open_input(spec, self._source)
        self._mux: Mux | None = None
        self._shards: Shards | None = None
        self._publishing: Publishing | None = None
        self._deck = Deck(
            self._renditions,
            self._sound if spec.audio or self._ingest else None,
            Path(spec.recordings),
            spec.application,
            on=spec.record,
        )

    async def run(self) -> None:
        """Serve until cancelled. Raises UnavailableError where the bus does not answer at first."""
        async with asyncio.TaskGroup() as group:
            if self._spec.kind == "command":
                group.create_task(run_program(self._spec))
            if self._spec.session is None:
                logger.info("instance %s runs without a session", self._spec.instance)
                await asyncio.Event().wait()
            else:
                await self._serve(self._spec, self._spec.session)

    async def _serve(self, spec: StreamerSpec, session_id: str) -> None:
        address = BusAddress(
            spec.bus_url,
            spec.bus_user,
            spec.bus_password,
            spec.bus_credentials,
            seed=spec.bus_seed,
            ca=spec.bus_ca,
            inbox=spec.bus_inbox,
        )
        async with (
            connect(address, name=f"streamer {spec.instance}") as bus,
            media_port(spec, host_addresses()) as mux,
            asyncio.TaskGroup() as group,
        ):
            self._mux = mux
            channels = Channels(Path(spec.channels)) if spec.channels else None
            stage = Stage(
                spec=spec,
                sources=Sources(self._renditions, self._sound, seconds=self._seconds, kbps=spec.bitrate_kbps),
                input=self._input,
                size=self._size,
                fps=lambda: self._spec.screen.fps,
                problem=self._problem,
                resize=self._resize,
                microphone=self._microphone,
                mux=mux,
                settled=self._ingest.settled if self._ingest else None,
                channels=channels,
            )
            self._shards = Shards(spec, stage.sources)
            garbage = Garbage()
            session = Session(
                session_id,
                stage,
                bus,
                ready=self._first_frame,
                measure=self._measure,
                elsewhere=self._shards.place,
                ingest=self._ingest,
                garbage=garbage,
            )
            self._input.on_clipboard = session.tell_clipboard
            self._publishing = _publishing(stage)
            group.create_task(self._publishing.run())
            group.create_task(
                bus.serve(subjects.publication(session_id), Publication, self._publishing.publish)
            )
            group.create_task(bus.serve(subjects.recording(session_id), RecordOrder, self._deck.order))
            group.create_task(bus.serve(subjects.screenshot(session_id), ScreenshotOrder, self._screenshot))
            self._group = group
            if self._ingest:
                self._ingest.on_problem = session.notice
                group.create_task(self._ingest.run(mux))
            for rendition in (*self._renditions.values(), *self._seconds.values()):
                group.create_task(rendition.run())
            if self._microphone:
                group.create_task(self._microphone.run())
            if self._audio:
                group.create_task(self._audio.run(self._sound.deliver))
            if channels:
                group.create_task(channels.run())
            group.create_task(self._deck.run())
            group.create_task(self._input.run())
            group.create_task(self._shards.run())
            group.create_task(session.run())
            group.create_task(bus.refused())
            garbage.begin()
            logger.info("instance %s serves session %s", spec.instance, session_id)

    async def _first_frame(self) -> None:
        if self._ingest:
            await self._ingest.settled()
        rendition = next(iter(self._renditions.values()))
        with rendition.subscribe() as subscription:
            await subscription.next()

    def _measure(self, viewers: list[ViewerStats]) -> InstanceStats:
        return stats.instance_stats(
            self._spec,
            list(self._renditions.values()),
            viewers,
            audio=sound.description if (sound := self._audio or self._ingest) else _NO_SOUND,
            microphone=self._microphone.description if self._microphone else self._dumb,
            microphone_problem=self._microphone.problem if self._microphone else self._dumb,
            input_=self._input.description,
            gamepads=self._input.gamepads,
            udp_port=self._mux.port if self._mux else 0,
            shards=self._shards.pids if self._shards else (),
            published=self._publishing.status if self._publishing else "",
            recording=self._deck.file,
            recording_problem=self._deck.problem,
            problem=self._ingest.problem if self._ingest else "",
            tasks=len(asyncio.all_tasks()),
        )

    async def _screenshot(self, _: ScreenshotOrder) -> Picture:
        return await screenshot(self._renditions)

    def _open_source(self, codec: Codec) -> VideoSource:
        if self._ingest:
            return IngestSource(self._ingest, codec, self._spec.application)
        return open_source(self._spec, codec)

    def _add_rendition(self, codec: Codec) -> None:
        rendition = self._renditions[codec] = Broadcast(functools.partial(self._open_source, codec))
        if self._group:
            self._group.create_task(rendition.run())
            self._deck.begin()

    def _open_second(self, codec: Codec) -> VideoSource:
        first = self._renditions[codec].source
        if not isinstance(first, LadderSource):
            raise UnavailableError("the first rendition does not run")
        return first.second()

    async def _resize(self, wish: ScreenWish) -> None:
        before, self._spec = self._spec.screen, await resized(self._spec, wish)
        if (screen := self._spec.screen) != before:
            logger.info("the picture becomes %dx%d, %d Hz", screen.width, screen.height, screen.fps)
            for rendition in self._renditions.values():
                rendition.reopen()

    def _source(self) -> VideoSource | None:
        """The source whose screen takes the input."""
        return next((each.source for each in self._renditions.values() if each.source), None)

    def _size(self) -> tuple[int, int]:
        for rendition in self._renditions.values():
            if info := rendition.info:
                return info.width, info.height
        return self._spec.screen.width, self._spec.screen.height

    def _problem(self) -> str:
        if self._ingest and self._ingest.problem:
            return self._ingest.problem
        return stats.problem_of(self._renditions.values())


def _publishing(stage: Stage) -> Publishing:
    spec = stage.spec

    def connect(changed: Callable[[str], None], told: Sequence[IceServer]) -> MediaConnection:
        return MediaConnection(
            stage.sources,
            [*ice_servers(spec.ice, f"{spec.session}.publisher"), *told],
            changed=changed,
            channel=lambda _: None,
            controls=lambda: False,
            mux=stage.mux,
            for_many=True,
        )

    return Publishing(spec.publication, Settings(enable_speaker=spec.audio), connect)


def _codecs(spec: StreamerSpec) -> list[Codec]:
    """What can be encoded, in the order of the encoders; everything where the ladder is empty.

    What a master encodes is known once it answers.
    """
    if spec.kind == "channel":
        return []
    named = [Codec(choice.codec) for choice in spec.encoders]
    return list(dict.fromkeys(named or Codec))
