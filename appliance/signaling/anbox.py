"""The signaling of the Anbox dialect, versions 1 and 2, and what our page adds to it (docs/protocol.md)."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, TypeVar

from appliance.errors import InvalidInputError

MAX_API_VERSION = 2
_NAMES_MAX = 16
_NAME_LENGTH_MAX = 128

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Discover:
    """What can you do?"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the client wants to be offered. `preferred_codecs` are names as in SDP, upper case, best first."""

    api_version: int = MAX_API_VERSION
    enable_video: bool = True
    enable_speaker: bool = True
    enable_microphone: bool = False
    enable_camera: bool = False
    preferred_codecs: tuple[str, ...] = ()
    data_channels: tuple[str, ...] = ()
    device_type: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A session description of a version 1 client, which makes the offer itself."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The session description that answers our offer."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trickled ICE candidate: `candidate:...` (RFC 8839), for the m-line with this id or index."""

    candidate: str
    sdp_mid: str | None
    sdp_mline_index: int | None


@dataclass(frozen=True, slots=True)
class Adopt:
    """This socket goes on for `peer`, whose own socket was lost while the picture played."""

    peer: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message of a type that is not known here: newer clients may say more than we understand."""

    type: str


ClientMessage = Discover | Settings | Offer | Answer | Candidate | Adopt | Ignored


def parse(text: str) -> ClientMessage:
    """Read one text frame of a client. Raises InvalidInputError naming what is wrong with it."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInputError("message: not JSON") from None
    if not isinstance(fields, dict):
        raise InvalidInputError("message: not a JSON object")
    match _field(fields, "type", str):
        case "discover":
            return Discover()
        case "settings":
            return _settings(fields)
        case "offer":
            return Offer(_base64(fields, "sdp"))
        case "answer":
            return Answer(_base64(fields, "sdp"))
        case "candidate":
            return _candidate(fields)
        case "fanlight::adopt":
            return Adopt(_field(fields, "peer", str))
        case unknown:
            return Ignored(unknown[:64])


def resp_discover(*, fps: int) -> str:
    """The answer to Discover."""
    return _text("resp:discover", max_api_version=MAX_API_VERSION, fps=fps, capabilities=[])


def offer(sdp: str) -> str:
    """Our offer (version 2)."""
    return _text("offer", sdp=_encoded(sdp))


def answer(sdp: str) -> str:
    """Our answer (version 1)."""
    return _text("answer", sdp=_encoded(sdp))


def candidate(line: str, sdp_mid: str, sdp_mline_index: int) -> str:
    """A candidate of ours, `candidate:...`, trickled after the offer."""
    return _text("candidate", candidate=_encoded(line), sdpMid=sdp_mid, sdpMLineIndex=sdp_mline_index)


def error(message: str) -> str:
    """This attempt failed."""
    return _text("error", message=message)


def restart(reason: str = "") -> str:
    """Begin again with Discover on the same socket."""
    return _text("fanlight::restart", reason=reason)


def wait(reason: str) -> str:
    """There is nothing to show yet."""
    return _text("fanlight::wait", reason=reason)


def end(reason: str) -> str:
    """It is over, and trying again by itself would be wrong."""
    return _text("fanlight::end", reason=reason)


def away() -> str:
    """The gateway goes away; a client that hears nothing waits for its time to run out."""
    return error("the gateway goes away: join again")


def adopted() -> str:
    """The answer to Adopt where the viewer is still there."""
    return _text("fanlight::adopted")


def _settings(fields: dict[str, Any]) -> Settings:
    version = _field(fields, "api_version", int, MAX_API_VERSION)
    if version not in range(1, MAX_API_VERSION + 1):
        raise InvalidInputError(f"api_version: {version} is not served, the newest is {MAX_API_VERSION}")
    video = _field(fields, "video", dict, {})
    return Settings(
        api_version=version,
        enable_video=_field(fields, "enable_video", bool, True),
        enable_speaker=_field(fields, "enable_speaker", bool, True),
        enable_microphone=_field(fields, "enable_microphone", bool, False),
        enable_camera=_field(fields, "enable_camera", bool, False),
        preferred_codecs=tuple(name.upper() for name in _names(video, "preferred_decoder_codecs")),
        data_channels=_names(fields, "data_channels"),
        device_type=_field(fields, "device_type", str, ""),
    )


def _candidate(fields: dict[str, Any]) -> Candidate:
    mid = _field(fields, "sdpMid", str, None)
    index = _field(fields, "sdpMLineIndex", int, None)
    if mid is None and index is None:
        raise InvalidInputError("candidate: neither sdpMid nor sdpMLineIndex")
    return Candidate(_base64(fields, "candidate"), mid, index)


_REQUIRED: Any = object()


def _field(fields: dict[str, Any], key: str, kind: type[T], default: Any = _REQUIRED) -> Any:
    """The value of `key`; JSON null counts as absent."""
    value = fields.get(key)
    if value is None:
        if default is _REQUIRED:
            raise InvalidInputError(f"{key}: missing")
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InvalidInputError(f"{key}: must be {kind.__name__}, is {type(value).__name__}")
    return value


def _names(fields: dict[str, Any], key: str) -> tuple[str, ...]:
    values = _field(fields, key, list, [])
    if len(values) > _NAMES_MAX:
        raise InvalidInputError(f"{key}: more than {_NAMES_MAX} entries")
    if not all(isinstance(value, str) and len(value) <= _NAME_LENGTH_MAX for value in values):
        raise InvalidInputError(f"{key}: must be a list of short strings")
    return tuple(values)


def _base64(fields: dict[str, Any], key: str) -> str:
    try:
        return base64.b64decode(_field(fields, key, str), validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        raise InvalidInputError(f"{key}: not base64") from None


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("latin-1")).decode("ascii")


def _text(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields}, separators=(",", ":"))
