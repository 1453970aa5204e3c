"""The settings, as frozen models that refuse what makes no sense. Where they come from: `config_file.py`."""

import ipaddress
import re
import socket
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

_SIZE = re.compile(r"^(\d{2,4})x(\d{2,4})$")
_SMALLEST, _LARGEST = (16, 16), (3840, 2160)
_ICE_URL = re.compile(
    r"(?:stun|turns?):(?:\[[0-9a-fA-F:]+\]|[^/\s:?]+)(?::(\d{1,5}))?(?:\?transport=(?:udp|tcp))?"
)
_BUS_SCHEMES = ("nats://", "tls://")
_LISTEN = re.compile(r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})$")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Section(BaseModel):
    """Base of all sections: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _listen(value: str) -> str:
    if not (found := _LISTEN.match(value)) or int(found[2]) > 65535:
        raise ValueError("must be HOST:PORT, like 0.0.0.0:8443")
    return value


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def _size(value: str) -> str:
    if not (found := _SIZE.match(value)):
        raise ValueError("must be WIDTHxHEIGHT, like 1920x1080")
    (least_width, least_height), (width, height) = _SMALLEST, _LARGEST
    if not (least_width <= int(found[1]) <= width and least_height <= int(found[2]) <= height):
        raise ValueError(f"must be from {least_width}x{least_height} to {width}x{height}")
    return value


def _ice_urls(value: list[str]) -> list[str]:
    for url in value:
        if not (found := _ICE_URL.fullmatch(url)) or not 0 < int(found[1] or 1) < 1 << 16:
            raise ValueError(f"{url!r} must be like stun:stun.example.org:3478 or turn:turn.example.org:3478")
    return value


HostName = Annotated[str, Field(pattern=r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]


class BoxSection(Section):
    """[box]: who this machine is."""

    name: str = Field(default_factory=lambda: socket.gethostname().split(".")[0], min_length=1, max_length=63)
    region: str = ""
    location: str = ""


class GatewaySection(Section):
    """[gateway]: the door for clients."""

    mode: Literal["embedded", "remote", "off"] = "embedded"
    listen: str = "0.0.0.0:8443"
    url: str = Field("", pattern=r"^(https?://\S+)?$")
    token: str = Field("", repr=False)
    """With `url`, the code that enrols this box at its first start."""
    allowed_origins: list[str] = ["*"]
    """Whose pages may call /1.0, with a token of their own: cookies never count there."""
    allowed_headers: list[str] = ["Accept", "Authorization", "Content-Type"]
    allowed_methods: list[str] = ["GET", "POST", "PATCH", "DELETE", "OPTIONS"]

    _check_listen = field_validator("listen")(_listen)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return _address(self.listen)


class TlsSection(Section):
    """[tls]: certificates. `off` serves plain HTTP, on loopback only."""

    mode: Literal["auto", "files", "off"] = "auto"
    names: list[HostName] = []
    """Beside those of the machine."""
    cert: str = ""
    key: str = ""

    @model_validator(mode="after")
    def _files_named(self) -> "TlsSection":
        if self.names and self.mode != "auto":
            raise ValueError('names are for mode = "auto"')
        if self.mode == "files" and not (self.cert and self.key):
            raise ValueError('mode = "files" needs both cert and key')
        return self


class BusSection(Section):
    """[bus]: NATS, embedded or an existing cluster."""

    mode: Literal["embedded", "external"] = "embedded"
    url: str = ""
    credentials: str = Field("", repr=False)
    ca: str = ""
    listen: str = ""

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        return _listen(value) if value else ""

    @model_validator(mode="after")
    def _url_named(self) -> "BusSection":
        urls = self.url.split(",")
        if self.mode == "external" and not all(each.strip().startswith(_BUS_SCHEMES) for each in urls):
            raise ValueError('mode = "external" needs url = "nats://..." or "tls://..."')
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class IceSection(Section):
    """[ice]: how media finds its way."""

    stun: list[str] = []
    turn: list[str] = []
    turn_secret: str = Field("", repr=False)
    udp_port: int = Field(40000, ge=0, le=65535)
    external_address: str = ""

    @field_validator("external_address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            return str(ipaddress.ip_address(value)) if value else ""
        except ValueError:
            raise ValueError("must be an IP address, like 203.0.113.7") from None

    _check_urls = field_validator("stun", "turn")(_ice_urls)


class VideoSection(Section):
    """[video]: the picture."""

    codec: Literal["auto", "h264", "vp8"] = "auto"
    encoder: str = "auto"
    gpu: str = "auto"
    bitrate_kbps: int = Field(8000, ge=100, le=200_000)
    fps: int = Field(60, ge=1, le=240)
    max_size: str = "3840x2160"

    _check_size = field_validator("max_size")(_size)

    @property
    def largest(self) -> tuple[int, int]:
        """`max_size` in pixels, rounded down to even."""
        width, height = (int(part) for part in self.max_size.split("x"))
        return width - width % 2, height - height % 2


class AudioSection(Section):
    """[audio]: the sound. `auto` is the monitor of the default output, never a microphone."""

    enabled: bool = True
    source: str = "auto"
    frame_ms: Literal[5, 10, 20] = 20
    """With shorter packets Chromium often keeps 40 ms of sound in hand, with these 20."""


class InputSection(Section):
    """[input]: keyboard, pointer, clipboard, gamepads."""

    enabled: bool = True
    clipboard: bool = True
    gamepads: bool = True


class DiscoverySection(Section):
    """[discovery]: mDNS."""

    enabled: bool = True


class LogSection(Section):
    """[log]: what the daemon writes to standard error, or to the journal."""

    format: Literal["text", "json"] = "text"


class LimitsSection(Section):
    """[limits]: what one peer may use up."""

    viewers_per_session: int = Field(100, ge=1, le=10_000)
    viewers_per_process: int = Field(0, ge=0, le=10_000)
    instances: int = Field(8, ge=1, le=1000)
    message_bytes: int = Field(65536, ge=1024, le=1_000_000)
    requests_per_second: int = Field(50, ge=1, le=100_000)


class InstancesSection(Section):
    """[instances]: the instance manager."""

    listen: str = "127.0.0.1:8444"
    token: str = Field("", repr=False)
    scheduling: Literal["spread", "binpack"] = "spread"
    gpu_slots: int = Field(32, ge=0)
    encoder_slots: int = Field(32, ge=0)

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        return _listen(value) if value else ""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on, where `listen` is not empty."""
        return _address(self.listen)


class RecordingSection(Section):
    """[recording]: where recordings are kept, and for how long; without a `directory`, with the state."""

    directory: str = ""
    retention_hours: int = Field(168, ge=1, le=87_600)
    """Of applications; that of channels is in [kinesis]."""
    max_gb: float = Field(20.0, gt=0, le=1_000_000)
    """Of all recordings together."""

    @field_validator("directory")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if value and not value.startswith("/"):
            raise ValueError("must be an absolute path, like /srv/recordings")
        return value


class KinesisUplinkSection(Section):
    """[kinesis.uplink]: be MASTER of a channel in the cloud. Without `channel` there is no uplink."""

    region: str = Field("", pattern=r"^[a-z0-9-]{0,32}$")
    channel: str = Field("", pattern=r"^[A-Za-z0-9_.-]{0,256}$")
    application: str = ""
    role: Literal["view", "control"] = "view"
    create: bool = False
    endpoint: str = Field("", pattern=r"^(https?://[^\s?#]+)?$")
    ca: str = ""

    @model_validator(mode="after")
    def _both_named(self) -> "KinesisUplinkSection":
        if bool(self.region) != bool(self.channel):
            raise ValueError("an uplink needs both region and channel")
        return self


class KinesisSection(Section):
    """[kinesis]: the Kinesis dialect."""

    enabled: bool = True
    region: str = Field("us-east-1", pattern=r"^[a-z0-9-]{1,32}$")
    account_id: str = Field("000000000000", pattern=r"^[0-9]{12}$")
    """Region and account are those of the ARNs; clients sign for whatever region they like."""
    max_channels: int = Field(1000, ge=1, le=100_000)
    viewers_per_channel: int = Field(10, ge=1, le=10_000)
    strict_quotas: bool = False
    """AWS's limits instead of ours, to try clients against."""
    retention_hours: int = Field(0, ge=0, le=87_600)
    uplink: KinesisUplinkSection = KinesisUplinkSection()


class ApplicationSection(Section):
    """[[application]]: something that can be streamed."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
    kind: Literal["desktop", "command", "camera", "file", "test-pattern"]
    command: list[str] = []
    screen: Literal["auto", "x11", "wayland"] = "auto"
    file: str = ""
    env: dict[str, str] = {}
    size: str = "1280x720"
    fps: int | None = Field(None, ge=1, le=240)
    gpu: Literal["gpu", "gpu-preferred", "software"] = "gpu-preferred"
    autostart: bool = False
    idle_minutes: int = Field(0, ge=0)
    cpus: float = Field(0, ge=0, le=1024)
    memory_mb: int = Field(0, ge=0)
    record: bool = False
    """All the time that it runs."""
    whip_url: str = Field("", pattern=r"^(https?://\S+)?$")
    whip_token: str = Field("", repr=False)

    _check_size = field_validator("size")(_size)

    @model_validator(mode="after")
    def _complete(self) -> "ApplicationSection":
        if self.kind == "command" and not self.command:
            raise ValueError('kind = "command" needs a command, like ["glxgears"]')
        if self.kind == "file" and not self.file:
            raise ValueError('kind = "file" needs a file')
        return self

    @property
    def width_height(self) -> tuple[int, int]:
        """Size in pixels, rounded up to even."""
        width, height = (int(part) for part in self.size.split("x"))
        return width + width % 2, height + height % 2


def _default_applications() -> list[ApplicationSection]:
    return [
        ApplicationSection(name="desktop", kind="desktop", size="1920x1080", autostart=True),
        ApplicationSection(name="test-pattern", kind="test-pattern"),
    ]


class Config(Section):
    """The whole configuration."""

    box: BoxSection = Field(default_factory=BoxSection)
    gateway: GatewaySection = GatewaySection()
    tls: TlsSection = TlsSection()
    bus: BusSection = BusSection()
    ice: IceSection = IceSection()
    video: VideoSection = VideoSection()
    audio: AudioSection = AudioSection()
    input: InputSection = InputSection()
    discovery: DiscoverySection = DiscoverySection()
    log: LogSection = LogSection()
    limits: LimitsSection = LimitsSection()
    instances: InstancesSection = InstancesSection()
    recording: RecordingSection = RecordingSection()
    kinesis: KinesisSection = KinesisSection()
    application: list[ApplicationSection] = Field(default_factory=_default_applications)

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        if faults := [*self._application_faults(), *self._plain_faults()]:
            raise ValidationError.from_exception_data("Config", faults)
        return self

    def _application_faults(self) -> Iterator[InitErrorDetails]:
        names = [each.name for each in self.application]
        if self.kinesis.uplink.application not in ("", *names):
            reason = f"there is no application {self.kinesis.uplink.application!r}"
            yield _fault(reason, "kinesis", "uplink", "application")
        if self.gateway.mode == "off" and self.kinesis.uplink.channel:
            yield _fault('with gateway.mode = "off" nothing is streamed', "kinesis", "uplink")
        for index, name in enumerate(names):
            if name in names[:index]:
                yield _fault(f"{name!r} is there twice", "application", index, "name")

    def _plain_faults(self) -> Iterator[InitErrorDetails]:
        if self.tls.mode != "off":
            return
        listeners = (
            ("gateway", _LOOPBACK, 8443),
            ("bus", ("127.0.0.1",), 4222),
            ("instances", _LOOPBACK, 8444),
        )
        for name, hosts, port in listeners:
            section = getattr(self, name)
            # Told where the mode is set: what to listen on may be a default, which is on no line.
            if section.listen and section.address[0] not in hosts:
                reason = f'"off" is for loopback only: set {name}.listen = "127.0.0.1:{port}"'
                yield _fault(reason, "tls", "mode")


def _fault(reason: str, *location: int | str) -> InitErrorDetails:
    """What pydantic takes for a fault of the value at `location`."""
    return {"type": PydanticCustomError("inconsistent", reason), "loc": location, "input": None}
