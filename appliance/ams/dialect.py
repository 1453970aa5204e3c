"""What clients of the AMS dialect send: bodies, strictly read, and queries. What they get: `shown.py`."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from appliance.ams.roster import Entry
from appliance.bus.messages import ScreenWish
from appliance.gateway import operations
from appliance.gateway.query import Flag, Query
from appliance.instances.instance import Wish
from appliance.instances.limits import Limits

_NAME = r"^([A-Za-z0-9][A-Za-z0-9-]{0,62})?$"
_TAG = r"^[A-Za-z0-9][A-Za-z0-9_.=:-]{0,127}$"
_USERDATA_MAX = 32768
_VERSION_MAX = 2**31 - 1
_IDLE_MINUTES_MAX = 366 * 24 * 60
_WAIT_MAX = 86400
_MEMORY_MIN, _MEMORY_MAX = 1 << 24, 1 << 50
_MEMORY = re.compile(r"^([0-9]{1,9})(MB|GB)$")
_UNITS = {"MB": 10**6, "GB": 10**9}

_NAMED_MOST, _NAME_SHOWN = 16, 64
_WHY = {"resources.disk-size": "instances have no disk of their own"}

Tag = Annotated[str, Field(pattern=_TAG)]


class Body(operations.Body):
    """What a client sends; what is not known is ignored, which it is told."""

    model_config = ConfigDict(extra="allow")

    def ignored(self, where: str = "") -> list[str]:
        """What is not known, each with the reason why nothing comes of it."""
        names = [f"{where}{name[:_NAME_SHOWN]}" for name in self.model_extra or {}]
        found = [f"{each} is ignored: {_WHY.get(each, 'it is not known here')}" for each in names]
        for name in type(self).model_fields:
            if isinstance(part := getattr(self, name), Body):
                found += part.ignored(f"{where}{name}.")
        return found[:_NAMED_MOST]


def _no_vpu(slots: int) -> int:
    if slots:
        raise ValueError("this box has no VPUs")
    return slots


def _bytes(value: object) -> object:
    found = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) * _UNITS[found[2]] if found else value


def _enough(value: int) -> int:
    if value and not _MEMORY_MIN <= value <= _MEMORY_MAX:
        raise ValueError(f"0, or from {_MEMORY_MIN} to {_MEMORY_MAX} bytes")
    return value


Memory = Annotated[
    int,
    BeforeValidator(_bytes),
    AfterValidator(_enough),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": 0},
                {"type": "integer", "minimum": _MEMORY_MIN, "maximum": _MEMORY_MAX},
                {"type": "string", "pattern": _MEMORY.pattern},
            ]
        }
    ),
]


class InstanceConfig(Body):
    """How an instance is streamed. Streaming cannot be added to it later."""

    enable_streaming: bool = Field(False, description="it has a session from birth")
    platform: Literal["webrtc", ""] = ""
    display: ScreenWish | None = None


class Resources(Body):
    """What an instance may have; what is not said is as its application is configured."""

    cpus: float = Field(0, ge=0, le=1024)
    memory: Memory = Field(0, description="bytes, or as 4GB and 512MB")
    gpu_slots: int | None = Field(None, alias="gpu-slots", ge=0, le=1024, description="0: software")
    gpu_type: Literal["nvidia", "amd", "intel", ""] = Field("", alias="gpu-type")
    video_encoder: Literal["gpu", "gpu-preferred", "software", ""] = Field("", alias="video-encoder")
    vpu_slots: Annotated[int, AfterValidator(_no_vpu)] = Field(0, alias="vpu-slots", description="none but 0")

    def wish(self) -> dict[str, Any]:
        """Fields of a Wish."""
        return {
            "video": "software" if self.gpu_slots == 0 else self.video_encoder or None,
            "gpu_slots": self.gpu_slots or 1,
            "gpu_vendor": self.gpu_type,
            "limits": Limits(self.cpus, self.memory),
        }


class InstancePost(Body):
    """An instance to be."""

    app_id: str = Field(min_length=1)
    app_version: int | None = Field(None, ge=-1, le=_VERSION_MAX, description="-1, 0 or none: the latest")
    name: str = Field("", pattern=_NAME)
    user_data: str = Field(
        "", max_length=_USERDATA_MAX, validation_alias=AliasChoices("user_data", "userdata")
    )
    tags: list[Tag] = Field([], max_length=16)
    config: InstanceConfig = InstanceConfig()
    resources: Resources = Resources()
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
                **self.resources.wish(),
            ),
            tags=tuple(self.tags),
            idle_minutes=self.idle_time_min,
            ephemeral=self.ephemeral,
        )


class InstancePatch(Body):
    """What is to become of an instance."""

    desired_status: Literal["running", "stopped"]


class InstanceDelete(Body):
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
