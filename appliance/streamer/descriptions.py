"""Session descriptions of clients: what aiortc would stumble over is refused before it sees it."""

import re

from aiortc.sdp import MediaDescription, SessionDescription

from appliance.errors import InvalidInputError
from appliance.signaling.anbox import Candidate

MALFORMED = (ValueError, LookupError, AttributeError, TypeError, AssertionError, StopIteration)
"""What aiortc raises where it cannot read something."""
_MEDIA_MAX = 8
_MDNS = ".local"
_MEDIA = re.compile(r"^(?=m=)", re.MULTILINE)
_BUNDLE_ONLY = "a=bundle-only"
_BUNDLED = re.compile(r"^(m=\S+ )0(?= )")
"""RFC 9143 section 6: port 0 says that who does not bundle should reject it."""


def parse(sdp: str) -> SessionDescription:
    """Raises InvalidInputError with what is wrong."""
    try:
        parsed = SessionDescription.parse(sdp)
    except MALFORMED as exc:
        raise InvalidInputError(f"sdp: malformed: {str(exc)[:100] or type(exc).__name__}") from exc
    if not 0 < len(parsed.media) <= _MEDIA_MAX:
        raise InvalidInputError(f"sdp: must have 1 to {_MEDIA_MAX} media")
    if not all(media.dtls and media.dtls.fingerprints for media in parsed.media if media.port):
        raise InvalidInputError("sdp: no DTLS fingerprint")
    if any(
        (codec.payloadType or 0) not in range(128) for media in parsed.media for codec in media.rtp.codecs
    ):
        raise InvalidInputError("sdp: a payload type is beyond 127")
    mids = [media.rtp.muxId for media in parsed.media]
    if not all(mids) or len(mids) != len(set(mids)):
        raise InvalidInputError("sdp: every media needs a mid of its own")
    accepted = [media.rtp.muxId for media in parsed.media if media.port]
    for group in parsed.group:
        # aiortc would stop a transport that is in use.
        if group.semantic == "BUNDLE" and group.items and group.items != accepted:
            raise InvalidInputError("sdp: BUNDLE must have all media, in their order")
    return parsed


def name(media: MediaDescription) -> tuple[str, str]:
    """Kind and mid."""
    return (media.kind, media.rtp.muxId)


def names(sdp: str) -> list[tuple[str, str]]:
    """Those of all media of an offer of ours: to parse it would take as long as to read the answer."""
    kinds = [line[2:].split()[0] for line in sdp.splitlines() if line.startswith("m=")]
    mids = [line.removeprefix("a=mid:") for line in sdp.splitlines() if line.startswith("a=mid:")]
    return list(zip(kinds, mids, strict=True))


def as_offered(sdp: str) -> str:
    """An offer as aiortc takes it: media of a bundle alone are there, and the DTLS client is who offers.

    As DTLS server we choose AES-GCM, which costs less than half of what browsers would choose; WHEP wants
    it so as well.
    """
    session, *media = _MEDIA.split(sdp.replace("a=setup:actpass", "a=setup:active"))
    return "".join(
        (
            session,
            *(_BUNDLED.sub(r"\g<1>9", each, count=1) if _BUNDLE_ONLY in each else each for each in media),
        )
    )


def split_mdns(sdp: str) -> tuple[str, list[Candidate]]:
    """`sdp` without candidates with `.local` names, and those: resolving them must not hold up the rest."""
    if _MDNS not in sdp:
        return sdp, []
    kept: list[str] = []
    split: list[Candidate] = []
    index = -1
    for line in sdp.splitlines():
        index += line.startswith("m=")
        fields = line.split()
        if line.startswith("a=candidate:") and len(fields) > 4 and fields[4].endswith(_MDNS):
            split.append(Candidate(line.removeprefix("a="), None, index))
        else:
            kept.append(line)
    if split:
        kept = [line for line in kept if line != "a=end-of-candidates"]
    return "\r\n".join((*kept, "")), split
