"""One viewer's place at the fan-out: which of the frames it gets, and when."""

import contextlib
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence

from appliance.errors import UnavailableError
from appliance.streamer.budget import Budget
from appliance.streamer.frames import EncodedFrame
from appliance.streamer.rtp.feed import Queue
from appliance.streamer.rtp.layout import PackedFrame
from appliance.streamer.rtp.pacer import BURST_S, MOST_AHEAD_S, Pacer
from appliance.streamer.rtp.packetizer import PAYLOAD_BYTES
from appliance.streamer.rtp.probing import Probe
from appliance.streamer.rtp.reception import Reception
from appliance.streamer.rtp.sender import ViewerStream

logger = logging.getLogger(__name__)

_PATIENCE_S = 0.2
"""A keyframe, which takes 0.1 s at most where the encoder follows, and two frames on top."""
_CAUGHT_UP_S = 0.06
"""Which has passed by the time that the keyframe is there: a capture and an encoding later."""
_KEYFRAMES_BURST, _KEYFRAME_SECONDS = 3, 4.0
"""All viewers of a rendition pay for a keyframe."""
_KEYFRAME_TAKES_S = 0.5
_ASKED_MOST = 512
_WORTH_REPAIRING = 3
"""Packets of a frame; with fewer, repair packets take more than a third on top."""
TAIL_S = 0.06
"""After a frame that none follows, its last packet is sent again, where the viewer has not told that it has
all: only from what comes later does it see that something is missing."""


class Seat:
    """Sends one viewer what its queue gives, as its pacer allows. `wake` has it served soon."""

    def __init__(
        self, queue: Queue, stream: ViewerStream, reception: Reception, wake: Callable[["Seat"], None]
    ) -> None:
        self.frames_sent = 0
        self.sent_at: float | None = None
        """When the last frame had left; None before the first."""
        self.stream = stream
        self.queue = queue
        self.on_sent: Callable[[EncodedFrame, int], None] | None = None
        """Called with every frame that has left, and its RTP timestamp."""
        self.lost = False
        """Whether the way to the viewer is gone; the connection will notice."""
        self._wake = wake
        self._reception = reception
        self._pacer = Pacer()
        self._followed = 0
        """The revision of the reception that the pacer knows."""
        self._keyframes = Budget(_KEYFRAMES_BURST, _KEYFRAME_SECONDS)
        self._current: tuple[EncodedFrame, PackedFrame] | None = None
        self._next = 0
        """The packet of the current frame that is sent next."""
        self._asked: deque[int] = deque(maxlen=_ASKED_MOST)
        self._stumbled = False
        """Whether it goes on from the next keyframe."""
        self._ask_at = 0.0
        self._tail_at = math.inf
        self._probe: Probe | None = None
        self._probed = 0
        self._probe_at = 0.0

    @property
    def at_rest(self) -> bool:
        """Whether nothing will happen here before the next frame."""
        busy = self._stumbled or self._probe or self._current or self._asked or self._tail_at < math.inf
        return self.lost or not busy

    def admit(self, frame: EncodedFrame, now: float) -> bool:
        """Whether `frame`, queued just now, has a chance; if not, it is dropped already."""
        if self.lost:
            return False
        if self._reception.revision != self._followed:
            self._follow(now)
        if self._pacer.open and self._current is None:
            return True
        unsent = self._unsent(self._current[1]) if self._current else 0
        if frame.keyframe and len(frame.data) < unsent:
            self._current, unsent = None, 0  # the new one is sooner there than the rest of the old one
        if self._pacer.ahead(unsent, now) > _PATIENCE_S:
            self._stumble(now)
            return False
        return True

    def serve(self, packed: Callable[[EncodedFrame], PackedFrame], now: float) -> float | None:
        """Send what may leave now; returns in how many seconds there is more, None when nothing waits."""
        try:
            if self._reception.revision != self._followed:
                self._follow(now)
            if self._asked and not self._repeat(now):
                return self._pacer.wait(len(self._asked) * PAYLOAD_BYTES, now)
            while current := self._current or self._take(packed):
                if not self._send(*current, now):
                    return self._pacer.wait(self._unsent(current[1]), now)
            return self._pad(self._probe, now) if self._probe else None
        except Exception as exc:  # noqa: BLE001 - the others of this turn are to be served all the same
            self._lose(exc)
            return None

    def retransmit(self, sequences: Sequence[int]) -> None:
        """Answer a NACK as soon as there is room."""
        self._asked.extend(sequences)
        self._wake(self)

    def tick(self, now: float) -> bool:
        """Some times a second; tells whether there is something to send."""
        if self.lost:
            return False
        self._reception.silence(now)
        if self.stream.repairs:
            self._reception.protection.look(self._reception.estimator.random_loss)
        if now >= self._tail_at:
            self._tail_at = math.inf
            if not self._reception.estimator.all_arrived:
                self._repeat_last(now)
        if self._stumbled:
            self._ask(now)
        if self._probe is None and self.stream.pads:
            self._probe = self._reception.estimator.probe_due(now)
            self._probed, self._probe_at = 0, now
        return self._probe is not None

    def _follow(self, now: float) -> None:
        """What the viewer told last."""
        reception = self._reception
        pacing_bps, self._followed = reception.pacing_bps, reception.revision
        if pacing_bps == math.inf:
            self._pacer.set_rate(pacing_bps, now)
        else:
            estimator = reception.estimator
            standing = estimator.standing_octets(MOST_AHEAD_S, now)
            self._pacer.set_rate(pacing_bps, now, carried_bps=estimator.carried_bps, standing=standing)

    def _repeat(self, now: float) -> bool:
        """Whether all that was asked for has been answered."""
        while self._asked:
            room = self._pacer.room(len(self._asked) * PAYLOAD_BYTES, now) // PAYLOAD_BYTES
            if not room:
                return False
            some = [self._asked.popleft() for _ in range(min(room, len(self._asked)))]
            with contextlib.suppress(UnavailableError):  # the next frame notices where the way is gone
                self._pacer.spent(self.stream.retransmit(some, now), now)
        return True

    def _take(self, packed: Callable[[EncodedFrame], PackedFrame]) -> tuple[EncodedFrame, PackedFrame] | None:
        """The next frame becomes the current one."""
        while frame := self.queue.take():
            found = packed(frame)
            if found.payloads:
                self._current, self._next, self._stumbled = (frame, found), 0, False
                return self._current
        return None

    def _send(self, frame: EncodedFrame, packed: PackedFrame, now: float) -> bool:
        """Send of the current frame what there is room for; whether that was the rest of it."""
        if self._pacer.open:
            stop = None
        else:
            unsent, count = self._unsent(packed), len(packed.payloads) - self._next
            room = self._pacer.room(unsent, now)
            if not room:
                return False
            part = count if room >= unsent else max(1, room * count // unsent)
            self._pacer.spent(unsent * part // count, now)
            stop = None if part == count else self._next + part
        # A keyframe larger than the buffer would be so again: its rest comes by retransmission.
        if not self.stream.send(packed, now, self._next, stop) and not frame.keyframe:
            self._current = None
            self._stumble(now, 1)
            return True
        if stop is None:
            if self._reception.protection.repairs:
                self._protect(packed, now)
            self._current = None
            self.sent_at = now
            self._tail_at = now + TAIL_S
            self.frames_sent += 1
            if self.on_sent:
                self.on_sent(frame, self.stream.wire_timestamp)
            return True
        self._next = stop
        return False

    def _protect(self, packed: PackedFrame, now: float) -> None:
        """Behind the frame that has left. On a narrow way small ones are not worth a packet each."""
        protection, spent = self._reception.protection, 0
        if self._pacer.open or len(packed.payloads) >= _WORTH_REPAIRING:
            spent = self.stream.repair(packed, protection.repairs, now)
            self._pacer.spent(spent, now)
        protection.spent(spent, self.stream.size(packed))

    def _unsent(self, packed: PackedFrame) -> int:
        """Bytes of the current frame that have not left, about."""
        count = len(packed.payloads)
        return self.stream.size(packed) * (count - self._next) // count

    def _pad(self, probe: Probe, now: float) -> float | None:
        """Go on with the probe that is under way."""
        if now >= self._probe_at:
            burst = min(probe.rate_bps / 8 * BURST_S, probe.octets - self._probed)
            sent = self.stream.pad(int(burst), now, probe.number)
            self._probed += sent
            self._probe_at += 8 * sent / probe.rate_bps
            if not sent or self._probed >= probe.octets:
                self._probe = None
                return None
        return max(0.0, self._probe_at - now)

    def _stumble(self, now: float, lost: int = 0) -> None:
        """What was lost before the keyframe that comes next is of no use any more."""
        self._stumbled = True
        self._asked.clear()
        self.stream.history.forget()
        self.queue.stumble(lost)
        self._ask(now)

    def _ask(self, now: float) -> None:
        """For a keyframe, once there is room for one."""
        caught_up = self._pacer.ahead(0, now) < _CAUGHT_UP_S
        if caught_up and now >= self._ask_at and self._keyframes.spend():
            self._ask_at = now + _KEYFRAME_TAKES_S
            self.queue.ask()

    def _repeat_last(self, now: float) -> None:
        try:
            self._pacer.spent(self.stream.repeat_last(now), now)
        except UnavailableError:  # see _repeat
            return
        except Exception as exc:  # noqa: BLE001 - the others tick all the same
            self._lose(exc)

    def _lose(self, exc: Exception) -> None:
        expected = isinstance(exc, UnavailableError)
        logger.log(
            logging.INFO if expected else logging.ERROR,
            "a viewer gets no more picture: %s",
            exc,
            exc_info=None if expected else exc,
        )
        self.lost = True
