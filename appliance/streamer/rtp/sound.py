"""Sound to all viewers in the turn of the loop that brought it: it waits for no picture and for no viewer."""

import asyncio
import contextlib
import logging
import secrets
import struct
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from appliance.errors import UnavailableError
from appliance.streamer.rtp.clock import ntp_now
from appliance.streamer.rtp.layout import HEADER_BYTES, Shape, first_bytes
from appliance.streamer.rtp.link import Link
from appliance.streamer.rtp.red import LEVELS, SoundPacket, redundant

logger = logging.getLogger(__name__)

_AGAIN_S = 0.005
"""After which a packet goes again to a viewer that knows redundancy. Sooner it would be lost with the first;
a browser that gets it only with the next keeps that much more in hand from then on."""
_LOSSY = 0.02
"""Share of packets that are lost all the same from which on each repeats those before it instead."""
_LOOK_PACKETS = 50


class SoundLink(Link, Protocol):
    """The negotiated side of a sound stream."""

    red_payload_type: int | None
    """Of RFC 2198; None where the viewer does not know it."""

    @property
    def loss(self) -> float:
        """Share of packets that got lost of late, 0 to 1."""


class Form(NamedTuple):
    """What the packets of viewers must have in common to share a template."""

    shape: Shape
    red_payload_type: int | None
    """Where it repeats those before it."""


class Template(NamedTuple):
    """A packet with room for the tag of SRTP; what is the viewer's own is written before it is copied."""

    data: bytearray
    packets: tuple[tuple[int, int]]
    """Offset and length before SRTP: the same object for all viewers, so that what follows from it is too."""


class SharedPacket:
    """One packet, and the ones before it, for everybody."""

    def __init__(self, packet: SoundPacket, earlier: list[SoundPacket]) -> None:
        self.timestamp = packet.timestamp
        self.ntp = ntp_now()
        self._packet = packet
        self._earlier = earlier
        self._templates: dict[Form, Template] = {}

    def template(self, form: Form) -> Template:
        """Header, payload, room for the tag of SRTP; made for the first viewer of this form."""
        found = self._templates.get(form)
        if found is None:
            data = self._lay_out(form)
            found = self._templates[form] = Template(data, ((0, len(data) - form.shape.tag_bytes),))
        return found

    def _lay_out(self, form: Form) -> bytearray:
        shape, red = form
        payload = self._packet.data
        if red is not None:
            payload = redundant(self._packet, self._earlier, shape.payload_type)
        head = first_bytes(shape, shape.payload_type if red is None else red, marker=False)
        gap = bytes(HEADER_BYTES + shape.extension_bytes - len(head))
        return bytearray().join((head, gap, payload, bytes(shape.tag_bytes)))


class SoundStream:
    """Sends shared packets to one viewer, under its own sequence numbers, clock and key."""

    def __init__(self, link: SoundLink) -> None:
        self.lost = False
        """Whether the way to the viewer is gone; the connection will notice."""
        self._link = link
        # In the lower half, so that SRTP does not meet a wrap at once when the first packets are lost.
        self._sequence = secrets.randbelow(1 << 15)
        self._origin = secrets.randbits(32)
        self._extension = link.extensions.block
        self._patch = struct.Struct(f"!HLL{len(self._extension)}s").pack_into
        self._overhead = HEADER_BYTES + len(self._extension) + link.shape.tag_bytes
        self._form = Form(link.shape, None)

    def send(self, packet: SharedPacket) -> bytes:
        """Send it now or never: what there is no room for is lost like what the network loses.

        What is to be sent again comes back; nothing where that is not wanted.
        """
        with self._alone():
            return self._send(packet)
        return b""

    def repeat(self, data: bytes) -> None:
        """Send again what `send` returned; who has it already drops it as a replay (RFC 3711, 3.3.2)."""
        with self._alone():
            self._link.path().send_one(memoryview(data))

    def close(self) -> None:
        """Let go of the connection."""
        self._link.close()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            yield
        except UnavailableError as exc:
            logger.info("a viewer gets no more sound: %s", exc)
            self.lost = True
        except Exception:  # the others are to hear it all the same
            logger.exception("a viewer gets no more sound")
            self.lost = True

    def _send(self, packet: SharedPacket) -> bytes:
        link = self._link
        path = link.path()
        red = link.red_payload_type
        if self._sequence % _LOOK_PACKETS == 0:
            self._form = Form(link.shape, red if link.loss >= _LOSSY else None)
        template, packets = packet.template(self._form)
        timestamp = (self._origin + packet.timestamp) & 0xFFFFFFFF
        self._patch(template, 2, self._sequence & 0xFFFF, timestamp, link.ssrc, self._extension)
        view = link.protect(template, packets)
        self._sequence += 1
        link.sent(1, len(template) - self._overhead, packet.ntp, timestamp)
        path.send_one(view)
        return b"" if red is None or self._form.red_payload_type is not None else bytes(view)


class SoundFanOut:
    """Sends every packet to every viewer."""

    def __init__(self) -> None:
        self._streams: dict[SoundStream, None] = {}
        self._recent: deque[SoundPacket] = deque(maxlen=LEVELS)

    @contextlib.contextmanager
    def attach(self, link: SoundLink) -> Iterator[SoundStream]:
        """Send to this viewer from the next packet on."""
        stream = SoundStream(link)
        self._streams[stream] = None
        try:
            yield stream
        finally:
            del self._streams[stream]
            stream.close()

    def deliver(self, packet: SoundPacket) -> None:
        """Never waits; to be called in the event loop."""
        shared = SharedPacket(packet, list(self._recent))
        self._recent.append(packet)
        here = [stream for stream in self._streams if not stream.lost]
        again = [(stream, copy) for stream in here if (copy := stream.send(shared))]
        if again:
            asyncio.get_running_loop().call_later(_AGAIN_S, self._repeat, again)

    def _repeat(self, again: list[tuple[SoundStream, bytes]]) -> None:
        for stream, copy in again:
            if stream in self._streams and not stream.lost:
                stream.repeat(copy)
