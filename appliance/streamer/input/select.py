"""Which sink the input of an instance goes to, and whether gamepads do."""

from collections.abc import Callable

from appliance.bus.spec import StreamerSpec
from appliance.streamer.frames import VideoSource
from appliance.streamer.input.gamepad import Gamepads, NoGamepads
from appliance.streamer.input.router import InputRouter
from appliance.streamer.input.sink import InputSink, NullSink
from appliance.streamer.input.x11 import X11Sink

_OFF = "is switched off in the configuration"
_WITH_HANDS = ("x11", "wayland", "command")


def open_input(spec: StreamerSpec, source: Callable[[], VideoSource | None]) -> InputRouter:
    """The router for `spec`; `source` gives the video source that runs now, if one does."""
    return InputRouter(_sink(spec, source), _gamepads(spec), clipboard=spec.clipboard)


def _sink(spec: StreamerSpec, source: Callable[[], VideoSource | None]) -> InputSink:
    if not spec.input:
        return NullSink(f"input {_OFF}")
    # pixelflux is imported only where it is used; X11 at once, since xcffib must know its extensions early.
    match spec.kind:
        case "x11":
            return X11Sink(spec.display, spec.xauthority)
        case "wayland" | "command":
            from appliance.streamer.input.wayland import WaylandSink

            return WaylandSink(source, own=spec.kind == "command")
        case kind:
            return NullSink(f"a {kind} takes no input")


def _gamepads(spec: StreamerSpec) -> Gamepads | NoGamepads:
    if spec.kind not in _WITH_HANDS:
        return NoGamepads(f"a {spec.kind} takes none")
    if not spec.input:
        return NoGamepads(f"not passed on: input {_OFF}")
    if not spec.gamepads:
        return NoGamepads(f"not passed on: this {_OFF}")
    return Gamepads()
