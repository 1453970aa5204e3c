"""What the daemon tells of itself: the box, its machine, and what runs there."""

from typing import Literal

from appliance.bus.messages import InstanceState as InstanceState
from appliance.bus.messages import SessionStatus as SessionStatus
from appliance.bus.stats import InstanceStats as InstanceStats
from appliance.bus.stats import ViewerStats as ViewerStats
from appliance.control.schema import API_VERSION, Model

Health = Literal["live", "idle", "degraded", "down"]


class Part(Model):
    """One part of the daemon: gateway, bus, agent, discovery..."""

    name: str
    ok: bool
    detail: str = ""


class Problem(Model):
    """Something that wants a person: what it is, and the command or step that mends it."""

    severity: Literal["warning", "error"]
    what: str
    fix: str = ""


class Box(Model):
    """The machine. `urls` are all addresses of the viewer page, the best one first."""

    id: str
    name: str
    region: str = ""
    location: str = ""
    version: str
    health: Health
    uptime_s: float
    urls: list[str] = []
    fingerprint: str = ""
    """SHA-256 of the certificate, colon separated hex."""
    hostname: str = ""
    draining: bool = False
    """Whether it takes nobody new."""


class Gpu(Model):
    """One GPU as udev shows it."""

    name: str
    vendor: str = ""
    driver: str = ""
    pci: str = ""
    card: str = ""
    render_node: str = ""


class Encoder(Model):
    """One encoder; present only when it has encoded a frame."""

    name: str
    codec: str
    hardware: bool
    works: bool
    detail: str = ""
    """Time for the frame, or why it does not work."""


class Display(Model):
    """A screen that could be streamed."""

    name: str
    kind: Literal["x11", "wayland"]
    reachable: bool
    detail: str = ""


class Hardware(Model):
    """What hw/ found."""

    gpus: list[Gpu] = []
    encoders: list[Encoder] = []
    displays: list[Display] = []
    reason: str = ""
    """Why things are as they are: `no GPU: encoding in software`."""


class Application(Model):
    """Something that can be launched."""

    name: str
    kind: str
    autostart: bool = False
    viewers: int = 0
    """Of a channel whose master is there: those of the master itself."""


class Instance(Model):
    """A running application with what its streamer last said."""

    id: str
    application: str
    state: InstanceState
    session: str | None = None
    detail: str = ""
    box: str = ""
    """The name of the box that it runs on, where that is another."""
    why: str = ""
    """Why this is its screen: `found on this machine`; empty where there was nothing to choose."""
    restarts: int | None = None
    uptime_s: float | None = None
    stats: InstanceStats | None = None


class Session(Model):
    """A session as the gateway stores it."""

    id: str
    application: str
    status: SessionStatus
    message: str = ""
    instance: str | None = None
    viewers: int = 0


class Snapshot(Model):
    """The whole state, sent whole each time: a reconnect is just another first frame."""

    api: int = API_VERSION
    box: Box
    parts: list[Part] = []
    problems: list[Problem] = []
    hardware: Hardware = Hardware()
    applications: list[Application] = []
    instances: list[Instance] = []
    sessions: list[Session] = []
