"""The control API: JSON-RPC 2.0 over a unix socket, one object a line. None means not known, never zero.

Methods: `snapshot` -> Snapshot; `watch` -> Snapshot, then a notification `snapshot` at 2 Hz and on change;
`logs` LogsParams -> Logs; `launch` LaunchParams -> Launched; `stop` / `kick` / `unpair` / `unshare` IdParams
-> {}; `share` ShareParams -> Share; `shares` -> Shares; `publish` PublishParams -> {}; `pair` -> Pin;
`devices` -> Devices; `account.create` AccountParams -> AccountToken; `account.list` -> Accounts;
`account.delete` NameParams -> {}; `keyframe` IdParams -> {}; `enroll.create` CodeParams -> Code;
`enroll.list` -> EnrolledBoxes; `enroll.delete` NameParams -> {}; `drain` DrainParams -> {}; `audit`
AuditParams -> Audit; `instance.logs` InstanceLogsParams -> InstanceLogs; `recordings` -> Recordings;
`record.start` IdParams -> {}; `record.stop` IdParams -> Recordings; `screenshot` IdParams -> Picture.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from appliance.audit import AuditRecord as AuditRecord
from appliance.bus.messages import Done as Done
from appliance.bus.messages import InstanceState as InstanceState
from appliance.bus.messages import Picture as Picture
from appliance.bus.messages import Role as Role
from appliance.bus.messages import SessionStatus as SessionStatus
from appliance.bus.stats import InstanceStats as InstanceStats
from appliance.bus.stats import ViewerStats as ViewerStats

API_VERSION = 1
"""Raised whenever an older client could misread a newer daemon."""

SHARE_SECONDS_MAX = 30 * 86400


class Model(BaseModel):
    """Base of all control objects."""

    model_config = ConfigDict(frozen=True, extra="ignore")


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


class LaunchParams(Model):
    """`launch`: an application, perhaps at another size or rate."""

    application: str
    width: int | None = Field(None, ge=1, le=3840)
    height: int | None = Field(None, ge=1, le=2160)
    fps: int | None = Field(None, ge=1, le=240)
    streaming: bool = True


class Launched(Model):
    """Ids of what was launched."""

    instance: str
    session: str | None = None


class IdParams(Model):
    """Names one instance, viewer, share or device."""

    id: str


class NameParams(Model):
    """Names one account, key or enrolled box."""

    name: str


class ShareParams(Model):
    """`share`: a link into `instance` (default: the first running one)."""

    instance: str | None = None
    role: Role = Role.VIEW
    expires_s: int = Field(12 * 3600, ge=1, le=SHARE_SECONDS_MAX)


class PublishParams(Model):
    """`publish`: send the stream of `instance` to the WHIP endpoint `url` as well; empty: not any more."""

    instance: str
    url: str = Field("", pattern=r"^(https?://\S+)?$", repr=False)
    """Stream keys are part of many."""
    token: str = Field("", repr=False)


class Share(Model):
    """The link, and when it ends (unix time)."""

    id: str
    url: str
    role: Role
    expires_at: int


class ShareShown(Model):
    """A share without its link, which is shown once; times are unix times."""

    id: str
    session: str
    application: str = ""
    role: Role
    description: str = ""
    created_at: int
    expires_at: int


class Shares(Model):
    """All shares that still hold, the oldest first."""

    shares: list[ShareShown]


class Pin(Model):
    """A PIN that pairs one browser, once, before `expires_at` (unix time)."""

    pin: str
    expires_at: int
    url: str


class Device(Model):
    """A paired browser."""

    id: str
    name: str
    role: Role
    paired_at: int
    last_seen: int | None = None


class Devices(Model):
    """All paired browsers."""

    devices: list[Device]


class AccountParams(Model):
    """`account.create`: None never expires."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
    expires_s: int | None = Field(None, ge=1)


class AccountToken(Model):
    """The token, shown this once."""

    name: str
    token: str


class Account(Model):
    """An account without its secret."""

    name: str
    created_at: int
    expires_at: int | None = None


class Accounts(Model):
    """All accounts."""

    accounts: list[Account]


class CodeParams(Model):
    """`enroll.create`: empty is what the box calls itself."""

    name: str = Field("", max_length=63)


class Code(Model):
    """What enrols one box, once, before `expires_at` (unix time), at the gateway `url`."""

    code: str
    url: str
    expires_at: int


class EnrolledBox(Model):
    """A box that registers here; `key` is the public half of the NATS key that it proves."""

    id: str
    name: str
    key: str
    enrolled_at: int
    answers: bool


class EnrolledBoxes(Model):
    """All of them."""

    boxes: list[EnrolledBox]


class KeyParams(Model):
    """`key.create`: a policy like IAM's; without one the key may do everything."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
    policy: dict[str, Any] | None = None


class KeySecret(Model):
    """A new access key; the secret is shown this once."""

    name: str
    access_key_id: str
    secret_access_key: str


class Key(Model):
    """An access key without its secret."""

    name: str
    access_key_id: str
    created_at: int
    policy: dict[str, Any]


class Keys(Model):
    """All access keys."""

    keys: list[Key]


class LogsParams(Model):
    """`logs`: records after sequence number `after`."""

    after: int = 0


class LogRecord(Model):
    """One line of the daemon's log."""

    seq: int
    time: float
    level: str
    name: str
    text: str


class Logs(Model):
    """Records in order; ask again with `after` = the last `seq`, or 0 where `began` is another."""

    records: list[LogRecord]
    began: float = 0
    """When the daemon began to number them."""


class DrainParams(Model):
    """`drain`: take nobody new; who is there gets `timeout_s`, None: as long as they like."""

    on: bool = True
    """False: take everybody again."""
    timeout_s: int | None = Field(None, ge=0, le=7 * 86400)


class AuditParams(Model):
    """`audit`: so many records, the newest."""

    last: int = Field(100, ge=1, le=10_000)


class Audit(Model):
    """Records in order, the oldest first."""

    records: list[AuditRecord]


class InstanceLogsParams(Model):
    """Names an instance, and one of its logs: `instance`, `streamer`, `application`; empty for all."""

    id: str
    name: str = ""


class InstanceLogs(Model):
    """The newest lines of an instance, of its streamer and of its programs."""

    instance: str
    lines: list[str]


class Recording(Model):
    """A file of a recording; `began` is unix time."""

    name: str
    """Of the application, or of the channel."""
    kind: str
    """applications or channels."""
    file: str
    began: int
    length_s: float
    size: int
    """Bytes."""
    running: bool


class Recordings(Model):
    """All of them below `directory`, the oldest first."""

    directory: str
    recordings: list[Recording]


class RpcRequest(Model):
    """JSON-RPC 2.0 request."""

    jsonrpc: Literal["2.0"] = "2.0"
    id: int | str | None = None
    method: str
    params: dict[str, Any] = {}
