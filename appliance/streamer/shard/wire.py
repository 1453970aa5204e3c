"""What travels between a streamer and its shards: frames, sound and messages over one stream socket.

Each item is its length and kind (`!IB`) and then its bytes; messages are JSON.
"""

import asyncio
import socket
import struct
from enum import IntEnum
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from appliance.bus.messages import Message
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.bus.spec import StreamerSpec
from appliance.bus.stats import ViewerStats
from appliance.errors import InvalidInputError, UnavailableError
from appliance.streamer.frames import Codec, EncodedFrame, SourceInfo
from appliance.streamer.talkspurts import EncodedAudio

_HEAD = struct.Struct("!IB")
_FRAME = struct.Struct("!BBQQQQ")
_SOUND = struct.Struct("!Q")
_LONGEST = 64 << 20
_READ_AHEAD = 4 << 20
_FULL = 1 << 20
"""So many bytes wait for a shard that does not read: sound for it is lost."""
_CODECS = tuple(Codec)


class _Kind(IntEnum):
    MESSAGE = 0
    FRAME = 1
    SOUND = 2


class RenditionName(NamedTuple):
    """Which encoding of the picture."""

    codec: Codec
    second: bool


class Birth(Message):
    """To a shard, first: what it serves."""

    kind: Literal["birth"] = "birth"
    spec: StreamerSpec
    codecs: list[Codec]


class Happened(Message):
    """To a shard: news of one of its viewers."""

    kind: Literal["happened"] = "happened"
    event: PeerEvent


class Drop(Message):
    """To a shard: this viewer is served elsewhere, or not at all; it need not be told."""

    kind: Literal["drop"] = "drop"
    peer: str


class Tick(Message):
    """To a shard: the statistics of the instance, for its viewers."""

    kind: Literal["tick"] = "tick"
    stats: dict[str, Any]


class Started(Message):
    """To a shard: what the frames of this rendition are from now on."""

    kind: Literal["started"] = "started"
    rendition: RenditionName
    info: SourceInfo


class Failed(Message):
    """To a shard: why there are no frames."""

    kind: Literal["failed"] = "failed"
    rendition: RenditionName
    problem: str


class Watch(Message):
    """From a shard: whether it wants the frames of this rendition."""

    kind: Literal["watch"] = "watch"
    rendition: RenditionName
    wanted: bool


class FrameWanted(Message):
    """From a shard: one more, whether anything changes or not."""

    kind: Literal["frame"] = "frame"
    rendition: RenditionName
    keyframe: bool


class BitrateWanted(Message):
    """From a shard: what its viewers would have the encoder give."""

    kind: Literal["bitrate"] = "bitrate"
    rendition: RenditionName
    kbps: int


class Said(Message):
    """From a shard: for the signaling socket of a viewer."""

    kind: Literal["said"] = "said"
    peer: str
    reply: PeerReply


class Gone(Message):
    """From a shard: this viewer has ended. `visited`: it was connected once."""

    kind: Literal["gone"] = "gone"
    peer: str
    visited: bool


class Report(Message):
    """From a shard, once a second. `busy`: it is short of CPU."""

    kind: Literal["report"] = "report"
    viewers: list[ViewerStats]
    busy: bool


ToShard: TypeAlias = Birth | Happened | Drop | Tick | Started | Failed
FromShard: TypeAlias = Watch | FrameWanted | BitrateWanted | Said | Gone | Report
AnyMessage: TypeAlias = ToShard | FromShard


class Frame(NamedTuple):
    """To a shard: a frame of this rendition."""

    rendition: RenditionName
    frame: EncodedFrame


Item: TypeAlias = AnyMessage | Frame | EncodedAudio

_MESSAGES: TypeAdapter[AnyMessage] = TypeAdapter(Annotated[AnyMessage, Field(discriminator="kind")])


class Link:
    """One end of the socket; items arrive in the order in which they were sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, stream: socket.socket) -> "Link":
        """Take over a connected Unix socket."""
        stream.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=stream, limit=_READ_AHEAD))

    @property
    def full(self) -> bool:
        """Whether the other side has not read for so long that sound would come too late."""
        return self._writer.transport.get_write_buffer_size() > _FULL

    def send(self, item: Item) -> None:
        """Send it; never waits."""
        if not self._writer.is_closing():
            self._writer.writelines(encode(item))

    async def drain(self) -> None:
        """Wait until the other side has read most of it. Raises UnavailableError."""
        try:
            await self._writer.drain()
        except OSError as exc:
            raise UnavailableError(f"the other side is gone: {exc}") from exc

    async def receive(self) -> Item:
        """The next item. Raises UnavailableError once the other side is gone, InvalidInputError."""
        try:
            length, kind = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
            if length > _LONGEST:
                raise InvalidInputError(f"item: {length} bytes")
            body = await self._reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as exc:
            raise UnavailableError("the other side is gone") from exc
        return decode(kind, body)

    def close(self) -> None:
        """Close it; what was not sent is lost."""
        self._writer.transport.abort()


def encode(item: Item) -> list[bytes]:
    """The bytes of `item`, in pieces."""
    match item:
        case Frame(name, frame):
            times = frame.captured_ns, frame.encode_start_ns, frame.encoded_ns
            number = _CODECS.index(name.codec) << 1 | name.second
            head = _FRAME.pack(number, frame.keyframe, frame.timestamp, *times)
            return [_HEAD.pack(len(head) + len(frame.data), _Kind.FRAME), head, frame.data]
        case EncodedAudio(data, timestamp):
            return [_HEAD.pack(_SOUND.size + len(data), _Kind.SOUND), _SOUND.pack(timestamp), data]
        case _:
            text = item.model_dump_json().encode()
            return [_HEAD.pack(len(text), _Kind.MESSAGE), text]


def decode(kind: int, body: bytes) -> Item:
    """The item in `body`. Raises InvalidInputError."""
    try:
        match kind:
            case _Kind.MESSAGE:
                return _MESSAGES.validate_json(body)
            case _Kind.FRAME:
                number, keyframe, *times = _FRAME.unpack_from(body)
                name = RenditionName(_CODECS[number >> 1], bool(number & 1))
                return Frame(name, EncodedFrame(body[_FRAME.size :], bool(keyframe), *times))
            case _Kind.SOUND:
                return EncodedAudio(body[_SOUND.size :], *_SOUND.unpack_from(body))
    except (ValidationError, struct.error, IndexError) as exc:
        raise InvalidInputError(f"item of kind {kind}: {exc}") from exc
    raise InvalidInputError(f"item of kind {kind}: not known")
