"""What a viewer and the box tell each other beside its media (docs/protocol.md, data channel `control`)."""

import asyncio
import logging
import time
from typing import Any, Protocol

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from appliance.bus.messages import Role
from appliance.errors import FanlightError
from appliance.signaling.control import (
    Disconnect,
    Ignored,
    Keyframe,
    Latency,
    Ping,
    Release,
    Timing,
    build_control,
    parse_control,
)
from appliance.streamer import aiortc_adapter
from appliance.streamer.channels import NamedChannels
from appliance.streamer.frames import AUDIO_CLOCK
from appliance.streamer.microphone import CHANNELS
from appliance.streamer.stage import Stage
from appliance.streamer.timing import FrameTimes, box_ms

logger = logging.getLogger(__name__)

LABELS = ("control", "kvsDataChannel")
"""Ours, and what viewers of the Kinesis dialect open."""
_BYTES_MAX = 1 << 20
_QUIET_S, _SILENT_S = 0.5, 1.5
"""The screen repeats a held key by itself, also of a viewer whose network is gone. Nothing is sent to it, nor
by it, while the screen stands still: who is quiet is sent something, which SCTP acknowledges."""
_UNASKED_S = 6.5
"""Who does not know ours is not asked; it reports every five seconds or more often (RFC 3550 section 6.2)."""
_UNPLUG_S = 3.5
"""After that. Its page comes back in another connection, whose gamepads should have the places of before."""
_TOO_LONG = "What was copied on the box is too long to come here."
_MICROPHONE = {"freq": AUDIO_CLOCK, "channels": CHANNELS, "samples": AUDIO_CLOCK // 100}


class Viewer(Protocol):
    """Whose channel it is."""

    id: str

    @property
    def role(self) -> Role:
        """What it may do."""

    @property
    def fluent(self) -> bool:
        """Whether it knows our own messages."""

    @property
    def ended(self) -> bool:
        """Whether it is on its way out."""

    @property
    def speaks(self) -> bool:
        """Whether its microphone was agreed on."""

    def request_keyframe(self) -> None:
        """It wants one."""

    def leave(self) -> None:
        """It said itself that it leaves."""


class ControlChannel:
    """Of one viewer, over all of its connections; `holder` is whose keys the input knows to be pressed."""

    def __init__(self, viewer: Viewer, holder: str, stage: Stage) -> None:
        self.latency_ms: float | None = None
        """From the box's screen to the page's, as the page makes it out."""
        self.refused = 0
        """Messages."""
        self.times = FrameTimes(lambda rows: self.tell("fanlight::frames", {"frames": rows}))
        self._viewer = viewer
        self._holder = holder
        self._stage = stage
        self._channel: RTCDataChannel | None = None
        self._named = NamedChannels(stage.channels, lambda: viewer.role.controls)
        self._told: dict[str, Any] = {}
        self._minding: asyncio.TimerHandle | None = None
        self._silent = False

    def use(self, channel: RTCDataChannel) -> None:
        """Take up a channel that the client made, this one or one with another name."""
        if channel.label in LABELS:
            self._channel, self._told = channel, {}
            channel.on("message", self._hear)
            self.tell_role()
            if self._viewer.speaks and self._viewer.role.controls and not self._viewer.fluent:
                self.tell("enable-microphone", _MICROPHONE)
            return
        try:
            self._named.open(channel)
        except FanlightError as exc:
            logger.info("viewer %s: %s", self._viewer.id, exc)

    def close(self) -> None:
        """The connection is gone, and with it all channels."""
        self._channel, self._told = None, {}
        self.release()
        self.times.stop()
        self.latency_ms = None
        self._named.close()

    def release(self) -> None:
        """Nothing that this viewer pressed stays pressed, or plugged in."""
        self._stage.input.release(self._holder)

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Send a message; skipped while the channel is not open or congested, or where it is too long."""
        try:
            self._send(kind, data)
        except ValueError as exc:
            logger.debug("viewer %s: %s was not sent: %s", self._viewer.id, kind, exc)

    def tell_clipboard(self, text: str) -> None:
        """The screen's clipboard changed; a client that takes no message of that size is told so."""
        if not self._viewer.fluent:
            return
        try:
            self._send("fanlight::clipboard", {"text": text})
        except ValueError:
            self.tell("fanlight::notice", {"text": _TOO_LONG})

    def announce(self, kind: str, data: dict[str, Any]) -> None:
        """Tell what was not asked for, to who knows what it is."""
        if self._viewer.fluent:
            self.tell(kind, data)

    def tell_role(self) -> None:
        """Who it is, what it may do and how large the picture is, where that is new."""
        width, height = self._stage.size()
        role = {"peer": self._viewer.id, "role": self._viewer.role.value, "width": width, "height": height}
        if role != self._told and self._channel:
            self._told = role
            self.announce("fanlight::role", role)

    def _mind(self) -> None:
        """Look after what it holds, for as long as it holds anything, or has a gamepad."""
        if self._minding is None and self._stage.input.holds(self._holder):
            self._minding = asyncio.get_running_loop().call_later(_QUIET_S, self._look)

    def _look(self) -> None:
        self._minding = None
        if self._channel is None or not self._stage.input.holds(self._holder):
            return
        quiet = time.monotonic() - aiortc_adapter.heard_at(self._channel)
        was_silent, limit = self._silent, _SILENT_S if self._viewer.fluent else _UNASKED_S
        self._silent = quiet > limit
        if quiet > limit + _UNPLUG_S:
            self.release()
        elif self._silent:
            if not was_silent:
                logger.info("viewer %s: nothing is heard of it; what it holds is let go", self._viewer.id)
            self._stage.input.handle(self._holder, self._viewer.role, Release())
        elif quiet > _QUIET_S:
            self.announce("fanlight::heed", {})
        self._mind()

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        """Raises ValueError where the client takes no message of that size."""
        channel = self._channel
        if channel and channel.readyState == "open" and channel.bufferedAmount < _BYTES_MAX:
            try:
                channel.send(build_control(kind, data))
            except InvalidStateError as exc:
                logger.debug("viewer %s: %s was not sent: %s", self._viewer.id, kind, exc)

    def _hear(self, text: str | bytes) -> None:
        if self._viewer.ended or self._channel is None:
            return
        try:
            match message := parse_control(text if isinstance(text, str) else text.decode()):
                case Ping(t):
                    self.tell("fanlight::pong", {"t": t, "box": box_ms()})
                case Timing(wanted):
                    self.times.wanted = wanted
                case Latency(ms):
                    self.latency_ms = ms
                case Keyframe():
                    self._viewer.request_keyframe()
                case Disconnect():
                    self._viewer.leave()
                case Ignored():
                    pass
                case _:
                    self._stage.input.handle(self._holder, self._viewer.role, message)
                    self._mind()
        except (FanlightError, UnicodeDecodeError) as exc:
            self.refused += 1
            logger.debug("viewer %s: %s", self._viewer.id, exc)
        except Exception:
            self.refused += 1
            logger.exception("viewer %s: a control message failed", self._viewer.id)
