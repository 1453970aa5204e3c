"""What streamers say of themselves and of their viewers."""

from appliance.bus.messages import Message, Role, Screen


class ViewerStats(Message):
    """One connected viewer. None means not known, never zero."""

    id: str
    label: str = ""
    role: Role = Role.VIEW
    dialect: str = "anbox"
    address: str = ""
    codec: str = ""
    pair: str = ""
    """host, srflx, prflx or relay."""
    state: str = ""
    age_s: float = 0.0
    latency_ms: float | None = None
    """From the box's screen to the viewer's, as its page makes it out."""
    rtt_ms: float | None = None
    loss_percent: float | None = None
    jitter_ms: float | None = None
    bitrate_kbps: float | None = None
    target_kbps: int | None = None
    """What congestion control lets this viewer have."""
    queue_delay_ms: float | None = None
    """How long packets stand in the queue of the bottleneck on the way."""
    frames_sent: int = 0
    frames_dropped: int = 0
    bytes_sent: int = 0
    packets_sent: int = 0
    """Of the picture, since the beginning."""
    nacks: int = 0
    plis: int = 0
    firs: int = 0
    repeated_packets: int | None = None
    repeated_bytes: int | None = None
    """Sent again, and in those packets; headers do not count."""
    microphone_packets: int = 0
    """Heard from this viewer."""
    camera_frames: int = 0
    """Counted, and not shown anywhere."""


class InstanceStats(Message):
    """What a streamer says of itself once a second and when a viewer leaves.

    Rates are over the last second, latency over the last ten.
    """

    instance: str
    session: str | None = None
    pid: int = 0
    source: str = ""
    """Where the picture comes from, for people: `X11 :0 1920x1080`."""
    screen: Screen | None = None
    """What clients made of the one that it was told at birth."""
    encoder: str = ""
    """`x264`, `nvenc`... empty until one runs."""
    encoder_reason: str = ""
    """Why this encoder and not a better one."""
    software_fallback: bool = False
    codec: str = ""
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    target_fps: int | None = None
    bitrate_kbps: float | None = None
    target_kbps: int | None = None
    capture_to_encoded_p50_ms: float | None = None
    capture_to_encoded_p95_ms: float | None = None
    frames_encoded: int = 0
    frames_dropped: int = 0
    keyframes: int = 0
    encode_s: float = 0.0
    """Spent in encoders, over all frames."""
    keyframe_requests: int = 0
    audio: str = ""
    """`opus 48 kHz from <source>`, or why there is none."""
    microphone: str = ""
    """Where applications hear who speaks, or why they hear nobody."""
    microphone_problem: str = ""
    """Why who speaks is not heard, or nobody can be."""
    input: str = ""
    """What input goes to, or why it goes nowhere."""
    gamepads: str = ""
    """How many of viewers' are in use, or why none is passed on."""
    udp_port: int = 0
    """The one port of all media; 0: each viewer has ports of its own."""
    shards: list[int] = []
    """Processes that serve some of the viewers, where one core is not enough for all."""
    published: str = ""
    """How publishing to another server goes; empty where nothing is to be published."""
    recording: str = ""
    """The name of the file that is being recorded; empty where none is."""
    recording_problem: str = ""
    """Why nothing is recorded, where something should be."""
    problem: str = ""
    viewers: list[ViewerStats] = []
    viewers_max: int | None = None
    """How many it takes; who comes to control makes room where somebody only watches."""
    visits: int = 0
    """Viewers that were connected and left, however short they stayed."""
    farewells: int = 0
    """Clients of the Anbox dialect that said so when they left."""
    tasks: int = 0
    """Of the streamer's event loop: more and more of them are a leak."""
