"""What clients of the AMS dialect get: objects that are complete."""

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from appliance.ams.operations import Operation
from appliance.ams.roster import INSTANCES, STATUS_CODES, Entry
from appliance.bus.messages import ApplicationInfo, Screen, ScreenWish


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
    display: Screen | ScreenWish | None = Field(description="null: as its application is configured")


class ResourcesShown(_Answer):
    """What was asked for, and `limits`: how that of CPU and memory is enforced, or why it is not."""

    cpus: float
    memory: int
    gpu_slots: int = Field(alias="gpu-slots")
    gpu_type: str = Field(alias="gpu-type")
    video_encoder: str = Field(alias="video-encoder")
    limits: str

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """In the words of the dialect; 0 and empty words are what its application is configured to be."""
        wish = entry.wish
        return cls.model_validate(
            {
                "cpus": wish.limits.cpus,
                "memory": wish.limits.memory,
                "gpu-slots": wish.gpu_slots,
                "gpu-type": wish.gpu_vendor,
                "video-encoder": wish.video or "",
                "limits": entry.instance.limited if entry.instance else "",
            }
        )


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
    resources: ResourcesShown
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
            config=ConfigShown(enable_streaming=entry.wish.streaming, display=screen),
            resources=ResourcesShown.of(entry),
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


class Allocation(_Answer):
    """What one instance has of a GPU."""

    gpus: Literal[1] = 1
    slots: int
    encoder_slots: Literal[1] = 1


class GpuShown(_Answer):
    """A GPU, its slots, and which instances have them; without a working encoder it has none."""

    id: int
    type: str
    name: str
    pci_address: str
    render_name: str
    slots: int
    encoder_slots: int
    allocations: dict[str, Allocation]
    numa_node: int | None


class NodeShown(_Answer):
    """A machine that instances run on: this one, the only one."""

    name: str
    status: Literal["online"] = "online"
    is_master: Literal[True] = True
    cpus: int
    memory: int = Field(description="bytes")
    instances: int = Field(description="that run")
    instances_max: int
    scheduling: Literal["spread", "binpack"]
    gpus: list[GpuShown]


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
    warnings: list[str] = Field(description="what of the call is ignored, and why")

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
            warnings=list(operation.warnings),
        )
