"""What all viewers of an instance share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.bus.messages import Role, ScreenWish
from appliance.bus.spec import StreamerSpec
from appliance.signaling.control import ControlMessage
from appliance.streamer.channels import Channels
from appliance.streamer.microphone import Microphone
from appliance.streamer.mux import Mux
from appliance.streamer.sources import Sources


class InputSink(Protocol):
    """Where the viewers' input goes."""

    def handle(self, viewer: str, role: Role, message: ControlMessage) -> None:
        """Inject `message`, if `role` may."""

    def holds(self, viewer: str) -> bool:
        """Whether `viewer` holds a key or a button, or has a gamepad."""

    def release(self, viewer: str) -> None:
        """Let go of everything that `viewer` holds, and unplug its gamepads."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What all viewers of an instance share."""

    spec: StreamerSpec
    sources: Sources
    input: InputSink
    size: Callable[[], tuple[int, int]]
    fps: Callable[[], int]
    problem: Callable[[], str]
    resize: Callable[[ScreenWish], Awaitable[None]]
    """Called with what a client that takes the controls would like to see."""
    microphone: Microphone | None = None
    """Where the voice of who controls goes; None: nowhere."""
    mux: Mux | None = None
    """The port that all share; None: every viewer has ports of its own."""
    settled: Callable[[], Awaitable[None]] | None = None
    """Returns once it is known what can be offered; None: it always is."""
    channels: Channels | None = None
    """Where the data channels of who controls end; None: nowhere."""
