"""Packetize once, send to everybody: what the viewers of one codec share on the way out."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence

from appliance.streamer.frames import Codec, EncodedFrame
from appliance.streamer.rtp.clock import ntp_of
from appliance.streamer.rtp.extensions import CAPTURE_TIME_BYTES
from appliance.streamer.rtp.feed import FIRST, Feed
from appliance.streamer.rtp.layout import PackedFrame
from appliance.streamer.rtp.link import Link
from appliance.streamer.rtp.packetizer import PAYLOAD_BYTES, packetizer
from appliance.streamer.rtp.reception import Reception
from appliance.streamer.rtp.renditions import Pair, Source
from appliance.streamer.rtp.seat import Seat
from appliance.streamer.rtp.sender import ViewerStream

_TURN_S = 0.002
_TICK_S = 0.1
_REST_S = 1.0
"""Feedback about the last packets comes within that time: after a lone frame nothing happens before."""
_LONE_S = 0.3
_TELL_S = 1.0
_SLACK_S = 0.001  # who is due that soon is served in the same turn
_RECENT = 16  # more than the frames of both renditions that wait for any viewer


class FanOut:
    """Sends every frame to all viewers that are ready for it, in one turn of the loop if that is short.

    With a `pair`, whose first rendition is `source`, viewers that cannot follow get the second. `in_company`:
    others watch it in other processes.
    """

    def __init__(
        self, source: Source, codec: Codec, pair: Pair | None = None, *, in_company: bool = False
    ) -> None:
        self._in_company = in_company
        self._source = source
        self._pair = pair
        self._packetize = packetizer(codec)
        self._recent: deque[tuple[EncodedFrame, PackedFrame]] = deque()
        self._tell_at = 0.0
        self._packed_at = 0.0
        self._lone = False
        """Whether the newest frame came long after the one before."""
        self._seats: dict[Seat, tuple[Feed, Reception]] = {}
        self._waiting: dict[Seat, None] = {}
        """Who is served in the coming turn."""
        self._later: dict[Seat, float] = {}
        """Who is served when, since its pacer has no room now."""
        self._turn: asyncio.Handle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._tick_at = 0.0

    @contextlib.contextmanager
    def attach(self, link: Link, reception: Reception) -> Iterator[Seat]:
        """Send to this viewer from the next keyframe on."""
        seat: Seat | None = None

        def ready(frame: EncodedFrame) -> None:
            if seat and seat.admit(frame, time.monotonic()):
                self._wake(seat)

        def may_ask() -> bool:
            pair = self._pair
            return not pair or pair.may_ask(reception, time.monotonic(), company=self._company)

        renditions = self._pair.subscriptions(reception) if self._pair else [self._source.subscribe]
        with (
            contextlib.closing(ViewerStream(link, reception.estimator)) as stream,
            contextlib.closing(Feed(renditions, ready, may_ask)) as feed,
        ):
            seat = Seat(feed, stream, reception, self._wake)
            self._seats[seat] = (feed, reception)
            self._wake(seat)  # there may be frames already
            try:
                yield seat
            finally:
                del self._seats[seat]
                self._waiting.pop(seat, None)
                self._later.pop(seat, None)

    @property
    def _company(self) -> bool:
        """Whether what one viewer asks for is at the cost of others."""
        return self._in_company or len(self._seats) > 1

    def _wake(self, seat: Seat) -> None:
        """Serve it in the coming turn."""
        self._later.pop(seat, None)
        self._waiting[seat] = None
        if self._turn is None:
            self._keep_ticking()
            self._turn = asyncio.get_running_loop().call_soon(self._send)

    def _pack(self, frame: EncodedFrame) -> PackedFrame:
        """Once for all viewers, for the first of them that gets it."""
        for known, packed in reversed(self._recent):
            if known is frame:
                return packed
        now = time.monotonic()
        self._lone = now - self._packed_at > _LONE_S
        self._packed_at = now
        payloads = self._packetize(frame.data)
        packed = PackedFrame(payloads, frame.timestamp, self._told_capture(frame, payloads))
        self._recent.append((frame, packed))
        if len(self._recent) > _RECENT:
            self._recent.popleft()[1].forget_layouts()
        return packed

    def _told_capture(self, frame: EncodedFrame, payloads: Sequence[bytes]) -> int:
        """Of a frame a second, one with room for it; viewers make out the others by their RTP timestamps."""
        now = time.monotonic()
        if now < self._tell_at or max(map(len, payloads), default=0) > PAYLOAD_BYTES - CAPTURE_TIME_BYTES:
            return 0
        self._tell_at = now + _TELL_S
        return ntp_of(frame.captured_ns)

    def _send(self) -> None:
        self._turn = None
        now = time.monotonic()
        until = now + _TURN_S
        while self._waiting:
            seat = next(iter(self._waiting))
            del self._waiting[seat]
            if not seat.lost and (pause := seat.serve(self._pack, now)) is not None:
                self._later[seat] = now + pause
            now = time.monotonic()
            if self._waiting and now > until:
                self._turn = asyncio.get_running_loop().call_soon(self._send)  # input and sound go first
                break
        self._set_alarm()

    def _set_alarm(self) -> None:
        """One timer for whoever waits for its pacer."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._later:
            pause = max(0.0, min(self._later.values()) - time.monotonic())
            self._alarm = asyncio.get_running_loop().call_later(pause, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now = time.monotonic()
        for seat in [seat for seat, due in self._later.items() if due <= now + _SLACK_S]:
            self._wake(seat)

    def _keep_ticking(self, pause: float = _TICK_S) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + pause
        if self._ticking is not None:
            if self._tick_at <= at:
                return
            self._ticking.cancel()
        self._tick_at, self._ticking = at, loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        now = time.monotonic()
        if self._pair:
            self._pair.look()
        for seat, (feed, reception) in self._seats.items():
            if self._pair:
                self._pair.choose(feed, reception, now, company=self._company)
            if seat.tick(now):
                self._wake(seat)
        if not all(map(self._at_rest, self._seats)):
            self._keep_ticking()
        elif (since := now - self._packed_at) < _REST_S:
            self._keep_ticking(_REST_S - since if self._lone else _TICK_S)

    def _at_rest(self, seat: Seat) -> bool:
        """A viewer of the second rendition may go back to the first at any time."""
        return seat.at_rest and self._seats[seat][0].current == FIRST
