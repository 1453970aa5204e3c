"""The objects of the AMS dialect, as they travel over HTTP: bodies strict, answers complete."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from appliance.ams.operations import Operation
from appliance.ams.roster import INSTANCES, STATUS_CODES, Entry
from appliance.bus.messages import ApplicationInfo, Screen
from appliance.gateway.query import Flag, Query
from appliance.instances.instance import Wish

_NAME = r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$"
_TAG = r"^[A-Za-z0-9][A-Za-z0-9_.=:-]{0,127}$"
_USERDATA_MAX = 32768
_VERSION_MAX = 2**31 - 1
_IDLE_MINUTES_MAX = 366 * 24 * 60
_WAIT_MAX = 86400

Tag = Annotated[str, Field(pattern=_TAG)]


class InstanceConfig(BaseModel):
    """How an instance is streamed. Streaming cannot be added to it later."""

    enable_streaming: bool = Field(False, description="it has a session from birth")
    platform: Literal["webrtc"] = "webrtc"
    display: Screen | None = None


class InstancePost(BaseModel):
    """An instance to be; what a client sends beyond that is ignored."""

    app_id: str = Field(min_length=1)
    app_version: int | None = Field(None, ge=-1, le=_VERSION_MAX, description="-1, 0 or none: the latest")
    name: str | None = Field(None, pattern=_NAME)
    user_data: str = Field(
        "", max_length=_USERDATA_MAX, validation_alias=AliasChoices("user_data", "userdata")
    )
    tags: list[Tag] = Field([], max_length=16)
    config: InstanceConfig = InstanceConfig()
    no_start: bool = False
    ephemeral: bool = Field(False, description="deleted once it has stopped")
    idle_time_min: int | None = Field(None, ge=0, le=_IDLE_MINUTES_MAX, description="0: for ever")

    def entry(self, instance: str) -> Entry:
        """What it is to be, under the id `instance`."""
        return Entry(
            instance,
            self.name or f"ams-{instance}",
            self.app_id,
            Wish(
                screen=self.config.display,
                streaming=self.config.enable_streaming,
                version=self.app_version,
                userdata=self.user_data,
            ),
            tags=tuple(self.tags),
            idle_minutes=self.idle_time_min,
            ephemeral=self.ephemeral,
        )


class InstancePatch(BaseModel):
    """What is to become of an instance."""

    desired_status: Literal["running", "stopped"]


class InstanceDelete(BaseModel):
    """How an instance is to end."""

    force: bool = Field(False, description="without waiting for it")


class Listing(Query):
    """Addresses, or whole objects."""

    recursion: Flag = Field(False, description="whole objects instead of their addresses")


def _seconds(value: object) -> object:
    text = str(value)
    if text != "-1" and not (text.isascii() and text.isdigit() and int(text) <= _WAIT_MAX):
        raise ValueError(f"seconds from 0 to {_WAIT_MAX}, or -1, not {text[:20]!r}")
    return int(text)


class WaitQuery(Query):
    """How long to wait for an operation."""

    timeout: Annotated[
        int,
        BeforeValidator(_seconds),
        WithJsonSchema({"type": "integer", "minimum": -1, "maximum": _WAIT_MAX}),
    ] = Field(-1, description="seconds; -1: until it has ended")

    @property
    def seconds(self) -> float | None:
        """None: for ever."""
        return None if self.timeout < 0 else self.timeout


class EventsQuery(Query):
    """Which events."""

    type: str = Field("lifecycle,operation", pattern=r"^(lifecycle|operation)(,(lifecycle|operation))*$")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Server(_Answer):
    """Who answers, and whether it knows the caller."""

    api_version: Literal["1.0"] = "1.0"
    api_status: Literal["stable"] = "stable"
    api_extensions: list[str] = []
    auth: Literal["trusted", "untrusted"]
    auth_methods: list[str] = ["macaroon"]
    server: Literal["fanlight"] = "fanlight"
    server_version: str


class ConfigShown(_Answer):
    """How an instance is streamed."""

    enable_streaming: bool
    platform: Literal["webrtc"] = "webrtc"
    display: Screen


class InstanceShown(_Answer):
    """An instance; `tags` name its session, as `session=<id>`. Times are unix times."""

    id: str
    name: str
    app_id: str
    app_name: str
    app_version: int
    status: str
    status_code: int = Field(ge=-1, le=6)
    error_message: str
    node: str
    created_at: int
    tags: list[str]
    config: ConfigShown
    ephemeral: bool

    @classmethod
    def of(cls, entry: Entry, node: str) -> Self:
        """In the words of the dialect."""
        running, status = entry.instance, entry.status
        session = running.session if running else None
        screen = running.screen if running else entry.wish.screen
        return cls(
            id=entry.id,
            name=entry.name,
            app_id=entry.application,
            app_name=entry.application,
            app_version=entry.wish.version or 0,
            status=status,
            status_code=STATUS_CODES[status],
            error_message=entry.detail if status == "error" else "",
            node=node,
            created_at=int(entry.created_at),
            tags=[*entry.tags, *([f"session={session}"] if session else [])],
            config=ConfigShown(enable_streaming=entry.wish.streaming, display=screen or Screen()),
            ephemeral=entry.ephemeral,
        )


class ApplicationShown(_Answer):
    """An application: configured, so always there and published."""

    id: str
    name: str
    kind: str
    status: Literal["ready"] = "ready"
    published: Literal[True] = True

    @classmethod
    def of(cls, info: ApplicationInfo) -> Self:
        """In the words of the dialect."""
        return cls(id=info.name, name=info.name, kind=info.kind)


class OperationShown(_Answer):
    """What goes on in the background."""

    id: str
    class_: Literal["task"] = Field("task", alias="class")
    description: str
    created_at: str
    updated_at: str
    status: str
    status_code: int
    resources: dict[str, list[str]]
    may_cancel: Literal[False] = False
    err: str

    @classmethod
    def of(cls, operation: Operation) -> Self:
        """In the words of the dialect."""
        status, code = operation.progress.value
        return cls(
            id=operation.id,
            description=operation.description,
            created_at=datetime.fromtimestamp(operation.created_at, UTC).isoformat(),
            updated_at=datetime.fromtimestamp(operation.updated_at, UTC).isoformat(),
            status=status,
            status_code=code,
            resources={"instances": [f"{INSTANCES}/{each}" for each in operation.instances]},
            err=operation.error,
        )
