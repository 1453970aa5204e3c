"""What a streamer is told at birth."""

from appliance.bus.spec import EncoderChoice, Kind, StreamerSpec

__all__ = ["EncoderChoice", "Kind", "StreamerSpec"]
