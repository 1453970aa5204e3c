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
from appliance.bus.messages import Picture as Picture

API_VERSION = 1
"""Raised whenever an older client could misread a newer daemon."""


class Model(BaseModel):
    """Base of all control objects."""

    model_config = ConfigDict(frozen=True, extra="ignore")


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


class PublishParams(Model):
    """`publish`: send the stream of `instance` to the WHIP endpoint `url` as well; empty: not any more."""

    instance: str
    url: str = Field("", pattern=r"^(https?://\S+)?$", repr=False)
    """Stream keys are part of many."""
    token: str = Field("", repr=False)


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
