"""What travels on the bus. Unknown fields are ignored, so nodes of different age get along."""

import math
from enum import StrEnum
from fractions import Fraction
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    """Base of all messages: immutable, tolerant of fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Role(StrEnum):
    """What a viewer may do: watch, drive, or also disconnect others."""

    VIEW = "view"
    CONTROL = "control"
    ADMIN = "admin"

    @property
    def controls(self) -> bool:
        """Whether input of this role reaches the screen."""
        return self is not Role.VIEW


class SessionStatus(StrEnum):
    """States of a session, in the words of the Anbox gateway API."""

    CREATED = "created"
    ACTIVE = "active"
    TERMINATING = "terminating"
    TERMINATED = "terminated"
    ERROR = "error"


class InstanceState(StrEnum):
    """States of an instance (Anbox AMS status codes 2, 3, 4, 5, -1)."""

    PREPARED = "prepared"
    STARTED = "started"
    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"


class Screen(Message):
    """Size in pixels, rate in Hz, density in dpi."""

    width: int = Field(1280, ge=1)
    height: int = Field(720, ge=1)
    fps: int = Field(60, ge=1)
    density: int = Field(240, ge=72)
    """What was asked for: programs of X follow none."""

    def within(self, largest: "Screen") -> "Screen":
        """In the same shape no larger than `largest`, which may lie or stand; of even size, and no faster."""
        longer, shorter = max(largest.width, largest.height), min(largest.width, largest.height)
        width, height = (longer, shorter) if self.width >= self.height else (shorter, longer)
        scale = min(Fraction(1), Fraction(width, self.width), Fraction(height, self.height))
        size = {"width": _even(self.width * scale), "height": _even(self.height * scale)}
        return self.model_copy(update={**size, "fps": min(self.fps, largest.fps)})


class ScreenWish(Message):
    """What a client would like of a screen; None stays as it is."""

    width: int | None = Field(None, ge=1, le=3840)
    height: int | None = Field(None, ge=1, le=2160)
    fps: int | None = Field(None, ge=1)
    density: int | None = Field(None, ge=72)

    def of(self, screen: Screen) -> Screen:
        """`screen`, with what is wished for."""
        return screen.model_copy(update=self.model_dump(exclude_none=True))


def _even(side: Fraction) -> int:
    """Rounded up: encoders halve the colours."""
    return 2 * math.ceil(side / 2)


class IceServer(Message):
    """One entry of RTCConfiguration.iceServers."""

    urls: list[str]
    username: str = ""
    password: str = ""


class Done(Message):
    """The answer where there is nothing to say."""


class SettingsChanged(Message):
    """What `PATCH /1.0/config` has changed so far, which is stored, is to be read again."""


class Opened(Message):
    """The answer to who opens a peer."""

    known: bool = False
    """It was there already, with all that it was told."""


class ApplicationInfo(Message):
    """An application that an agent can launch."""

    name: str
    kind: str
    autostart: bool = False


class InstanceInfo(Message):
    """An instance as its agent announces it."""

    id: str
    application: str
    state: InstanceState
    session: str | None = None
    screen: Screen = Screen()
    viewers: int = 0
    detail: str = ""


DRAINING = "this box is being drained: it takes nobody new"


class AgentAnnounce(Message):
    """Heartbeat of an agent; it is gone when none came for 3 periods or `leaving` is set."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """One word of a subject: requests are sent there."""
    name: str
    region: str = ""
    applications: list[ApplicationInfo] = []
    instances: list[InstanceInfo] = []
    slots_free: int = 0
    slots_total: int = 0
    encoders_free: int = 0
    """Slots of hardware encoders; 0 where there is no such encoder."""
    load: float = 0.0
    draining: bool = False
    """It goes on with who is there, and takes nobody new."""
    leaving: bool = False


class SessionRequest(Message):
    """A stream-enabled instance asks for its session; `session` resumes an earlier one of this agent."""

    agent: str
    application: str
    region: str = ""
    session: str | None = None
    screen: Screen = Screen()
    joinable: bool = True
    ephemeral: bool = False
    idle_time_min: int = 0


class SessionGrant(Message):
    """The session that a stream-enabled instance got."""

    session: str


class LaunchRequest(Message):
    """Launch `application` for a session that exists already (session first)."""

    session: str
    application: str
    screen: ScreenWish | None = None
    joinable: bool = False
    ephemeral: bool = True
    idle_time_min: int | None = None
    version: int | None = None
    extra_data: Any = None
    channel: str | None = None
    """The ARN of the channel whose master is shown; `application` is its name then."""
    record: bool = False
    """Also where the application is not configured to be recorded."""


class LaunchReply(Message):
    """The instance that was admitted; it may still be starting."""

    instance: str


class StopRequest(Message):
    """Stop the instance of a session (or by its own id)."""

    session: str | None = None
    instance: str | None = None
    reason: str = ""
    anew: bool = False
    """Nobody wished its application to end: what starts by itself does so again, with another session."""


class Publication(Message):
    """Where the stream of an instance is published as well, by WHIP; an empty URL: nowhere."""

    url: str = ""
    token: str = Field("", repr=False)


class RecordOrder(Message):
    """Record an instance from now on, or not any more."""

    on: bool


class Recorded(Message):
    """The names of the newest files of a recording that has ended."""

    files: list[str] = []


class ScreenshotOrder(Message):
    """Show what the instance shows now."""


class Picture(Message):
    """A keyframe: what the instance shows now, encoded."""

    codec: str
    """Its name in SDP."""
    data: str
    """In base64."""


class PeerEvent(Message):
    """Something that happened to one signaling peer of a session."""

    kind: Literal["open", "message", "close", "kick", "keyframe", "notice"]
    """`keyframe` and `notice` may be of no peer: the box wants one, or has something to say to all."""
    peer: str = ""
    text: str = ""
    dialect: Literal["anbox", "kinesis", "whep"] = "anbox"
    role: Role = Role.VIEW
    exclusive: bool = False
    """Takes over from other exclusive peers, as a client of the Anbox dialect does."""
    page: bool = False
    """Our own page: it knows the `fanlight::` messages."""
    resumed: bool = False
    """Opened again after the streamer restarted: the client believes it is connected."""
    label: str = ""
    """Who it is, for people: device or account name."""
    address: str = ""
    screen: ScreenWish | None = None
    ice_servers: list[IceServer] = []
    source: bool = False
    """It is no viewer: at its other end is the master whose picture the instance shows."""

    @property
    def fluent(self) -> bool:
        """Whether it knows our own messages; SDKs of the Anbox dialect hand them to whoever uses them."""
        return self.page or self.dialect != "anbox"


class PeerReply(Message):
    """What the streamer says to one signaling peer; without text it only looks whether anybody listens."""

    kind: Literal["message", "close"]
    text: str = ""


class Revocation(Message):
    """A principal may not watch any more; `tag` is what ids of its viewers begin with."""

    tag: str
    reason: str


class StreamerHello(Message):
    """A streamer that serves a session from now on."""

    instance: str
    resumed: bool = False


class SessionState(Message):
    """A session changed."""

    session: str
    status: SessionStatus
    message: str = ""
    instance: str | None = None


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


class ChannelMail(Message):
    """What one client of a channel sent to another, kept until that is there, for `ttl_s` at most."""

    id: str
    action: Literal["SDP_OFFER", "SDP_ANSWER", "ICE_CANDIDATE", "ARRIVAL"]
    """The last one is sent by the recipient itself: from here on `id` is the connection that it reads on."""
    payload: str = ""
    ttl_s: float = 0.0
    again: bool = False
    """An arrival after an outage of the bus, which takes over from nobody."""


class ChannelClient(Message):
    """A signaling connection to a channel; `client` is empty for the master."""

    connection: str
    client: str = ""
    label: str = ""
    """Who it is, for people: the name of its access key."""
    address: str = ""
    since: float


class ChannelJoin(Message):
    """The master, or this viewer, of a channel with media storage wants to be sent an offer."""

    client: str = ""


class ChannelDeleted(Message):
    """A channel is gone, and so is what its sockets were for."""


class ChannelPresence(Message):
    """Who is connected to a channel at one gateway node; it is gone when nothing came for 3 periods."""

    node: str
    channel: str
    clients: list[ChannelClient] = []
