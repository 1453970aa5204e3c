"""What a streamer is told at birth: one JSON object on its standard input, never on its command line."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from appliance.bus.messages import Publication, Screen
from appliance.config import IceSection

Kind = Literal["x11", "wayland", "command", "camera", "file", "test-pattern", "channel"]


class EncoderChoice(BaseModel):
    """One step of the encoder ladder, best first."""

    model_config = ConfigDict(frozen=True)

    name: str
    """`x264`, `libvpx`, `nvenc`, `vaapi`..."""
    codec: Literal["H264", "VP8"]
    backend: Literal["pyav", "pixelflux"]
    hardware: bool = False
    render_node: str = ""
    reason: str = ""
    fallback: bool = False
    """Software, in the place of a GPU that should encode."""


class StreamerSpec(BaseModel):
    """Everything that one streamer process needs."""

    model_config = ConfigDict(frozen=True)

    instance: str
    session: str | None
    application: str
    kind: Kind
    """`command` runs `command` in pixelflux's Wayland compositor inside the streamer; `channel` shows what a
    master sends, to which the gateway opens the way."""
    display: str = ""
    """`:0` for x11; the socket's name or path for wayland."""
    xauthority: str = ""
    command: list[str] = []
    within: list[str] = []
    """What goes before `command`, so that it keeps within its limits."""
    env: dict[str, str] = {}
    file: str = ""
    screen: Screen = Screen()
    largest: Screen = Screen()
    """What the screen may become when a client asks for another."""
    resizable: bool = False
    """Whether its size can change."""
    encoders: list[EncoderChoice] = []
    bitrate_kbps: int = Field(8000, ge=100)
    audio: bool = True
    audio_source: str = "auto"
    audio_frame_ms: Literal[5, 10, 20] = 20
    pulse_server: str = ""
    own_sound: bool = False
    """That server is the instance's own."""
    input: bool = True
    clipboard: bool = True
    gamepads: bool = True
    ice: IceSection = IceSection()
    """Viewers bring servers of their own; what is published goes by way of these."""
    udp_port: int = Field(0, ge=0, le=65535)
    """The first choice for the one port of all media; 0: each viewer gets ports of its own."""
    udp_ports: int = Field(1, ge=1)
    """So many ports, from `udp_port` on, may be tried: other streamers of the box have some of them."""
    external_address: str = ""
    publication: Publication = Publication()
    """Where the stream is published as well, at first."""
    record: bool = False
    """Whether it is recorded, at first."""
    recordings: str = ""
    """The directory that it is recorded in."""
    viewers_max: int = 100
    viewers_per_process: int = Field(0, ge=0)
    """More who only watch are served by further processes; 0: once the CPU of one gets short."""
    message_bytes: int = 1_000_000
    """Of a signaling message; no gateway can be told to let more through."""
    channels: str = ""
    """The directory of the unix sockets in which viewers' data channels end; empty: they have none."""
    bus_url: str = ""
    bus_user: str = ""
    bus_password: str = Field("", repr=False)
    bus_credentials: str = ""
    bus_seed: str = Field("", repr=False)
    bus_ca: str = ""
    bus_inbox: str = "_INBOX"
    resumed: bool = False
    """Started again after a crash: viewers wait to be offered once more."""
