"""What travels on the bus. Unknown fields are ignored, so nodes of different age get along."""

import math
from enum import StrEnum
from fractions import Fraction
from typing import Any

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
