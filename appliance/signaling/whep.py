"""WHEP (draft-ietf-wish-whep): the bodies of its requests, and what a streamer says to one of its players.

What goes up to a streamer are bodies, an offer or fragments of one candidate each. What comes down is the
answer, or in words why there is none. A player has no socket: nothing else can be said to it.
"""

import hashlib
import re
from dataclasses import dataclass

from appliance.errors import InvalidInputError
from appliance.signaling.anbox import Candidate, Offer

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
"""RFC 8840."""

_FIRST_LINE = "v=0"
_CANDIDATES_MAX = 64
_NEEDED = {"video": ("H264", "VP8"), "audio": ("OPUS",)}
_DIRECTION = re.compile(r"^a=(sendrecv|recvonly|sendonly|inactive)(?=\s*$)", re.MULTILINE)
_CODEC = re.compile(r"^a=rtpmap:\d+ ([^/\s]+)/", re.MULTILINE)
_MEDIA = re.compile(r"^(?=m=)", re.MULTILINE)
_UFRAG = re.compile(r"^a=ice-ufrag:(\S+)\s*$", re.MULTILINE)
_PASSWORD = re.compile(r"^a=ice-pwd:(\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PlayerOffer:
    """What a player would like to see, as a streamer should read it.

    `ice` stands for the ICE session: a new one is a restart. `lacks` says what no streamer could send to it.
    """

    sdp: str
    ice: str
    lacks: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """Trickled candidates, and the ICE session that they are for."""

    ice: str
    candidates: tuple[Candidate, ...]


def read_offer(sdp: str) -> PlayerOffer:
    """Raises InvalidInputError where it is not the offer of a player."""
    if not sdp.startswith(_FIRST_LINE):
        raise InvalidInputError("sdp: malformed: it does not begin with v=0")
    session, *media = _MEDIA.split(sdp)
    kinds = [each[2:].split(maxsplit=1)[0] if each[2:].split() else "" for each in media]
    if not any(kind in _NEEDED for kind in kinds):
        raise InvalidInputError("sdp: neither video nor audio is in the offer")
    for kind, each in zip(kinds, media, strict=True):
        directions = _DIRECTION.findall(each) or ["sendrecv"]
        if kind in _NEEDED and directions[-1] not in ("recvonly", "sendrecv"):
            raise InvalidInputError(f"sdp: {kind} is {directions[-1]}, and a player must receive")
    lacking = [
        f"{kind} needs {' or '.join(_NEEDED[kind])}"
        for kind, each in zip(kinds, media, strict=True)
        if kind in _NEEDED and not {name.upper() for name in _CODEC.findall(each)} & {*_NEEDED[kind]}
    ]
    receiving = [
        _receiving(each) if kind in _NEEDED else each for kind, each in zip(kinds, media, strict=True)
    ]
    return PlayerOffer("".join((session, *receiving)), _ice(sdp, "sdp"), "; ".join(lacking))


def read_fragment(text: str) -> Fragment:
    """Raises InvalidInputError where it is no fragment of RFC 8840, or has too many candidates."""
    candidates: list[Candidate] = []
    mid: str | None = None
    for line in text.splitlines():
        if line.startswith("m="):
            mid = None
        elif line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:").strip()
        elif line.startswith("a=candidate:"):
            candidates.append(Candidate(line.removeprefix("a=").strip(), mid, None if mid else 0))
    if len(candidates) > _CANDIDATES_MAX:
        raise InvalidInputError(f"fragment: more than {_CANDIDATES_MAX} candidates")
    return Fragment(_ice(text, "fragment"), tuple(candidates))


def candidate(one: Candidate) -> str:
    """A candidate, as it goes up."""
    mid = "" if one.sdp_mid is None else f"a=mid:{one.sdp_mid}\r\n"
    return f"{mid}a={one.candidate}\r\n"


def parse(text: str) -> Offer | Candidate:
    """Read what went up. Raises InvalidInputError."""
    if text.startswith(_FIRST_LINE):
        return Offer(text)
    *mid, line = text.splitlines() or [""]
    name = mid[0].removeprefix("a=mid:") if mid else None
    return Candidate(line.removeprefix("a="), name, None if mid else 0)


def read_reply(text: str) -> str:
    """The answer that came down. Raises InvalidInputError with why there is none."""
    if not text.startswith(_FIRST_LINE):
        raise InvalidInputError(text)
    return text


def answer(sdp: str) -> str:
    """The answer to a player's offer."""
    return sdp


def error(message: str) -> str:
    """This attempt failed."""
    return message


def restart(_: str = "") -> str:
    """The stream starts anew: who sees that its connection is gone asks again."""
    return ""


def end(_: str) -> str:
    """It is over; the closed connection says it."""
    return ""


def away() -> str:
    """The gateway goes away: nobody has a socket there."""
    return ""


def _receiving(media: str) -> str:
    """A player MAY say `sendrecv`, which it is also without a word; the answer MUST be `sendonly`."""
    if _DIRECTION.search(media):
        return _DIRECTION.sub("a=recvonly", media)
    return media.rstrip("\r\n") + "\r\na=recvonly\r\n"


def _ice(text: str, what: str) -> str:
    ufrag, password = _UFRAG.search(text), _PASSWORD.search(text)
    if not (ufrag and password):
        raise InvalidInputError(f"{what}: a=ice-ufrag or a=ice-pwd is missing")
    return hashlib.sha256(f"{ufrag[1]}:{password[1]}".encode()).hexdigest()[:16]
