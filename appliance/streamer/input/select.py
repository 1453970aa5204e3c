"""Which sink the input of an instance goes to."""

from collections.abc import Callable

from appliance.bus.spec import StreamerSpec
from appliance.streamer.frames import VideoSource
from appliance.streamer.input.router import InputRouter
from appliance.streamer.input.sink import InputSink, NullSink
from appliance.streamer.input.x11 import X11Sink


def open_input(spec: StreamerSpec, source: Callable[[], VideoSource | None]) -> InputRouter:
    """The router for `spec`; `source` gives the video source that runs now, if one does."""
    return InputRouter(_sink(spec, source), clipboard=spec.clipboard)


def _sink(spec: StreamerSpec, source: Callable[[], VideoSource | None]) -> InputSink:
    if not spec.input:
        return NullSink("input is switched off in the configuration")
    # pixelflux is imported only where it is used; X11 at once, since xcffib must know its extensions early.
    match spec.kind:
        case "x11":
            return X11Sink(spec.display, spec.xauthority)
        case "wayland" | "command":
            from appliance.streamer.input.wayland import WaylandSink

            return WaylandSink(source, own=spec.kind == "command")
        case kind:
            return NullSink(f"a {kind} takes no input")
