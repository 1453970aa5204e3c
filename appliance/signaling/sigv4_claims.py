"""What a signed request claims about itself, and whether that is true; refusals are in AWS's words."""

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from appliance.errors import UnauthorizedError
from appliance.signaling.sigv4 import (
    ALGORITHM,
    SERVICE,
    STAMP,
    TERMINATOR,
    Credentials,
    canonical_request,
    parameters,
    raw,
    signature,
    stamped,
)

_SKEW = timedelta(minutes=5)
_LONGEST_SECONDS = 604_800
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=([^\s,]+),\s*SignedHeaders=([^\s,]+),\s*Signature=([^\s,]+)"
)
_NUMBER = re.compile(r"[0-9]{1,9}")
_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_PORT = re.compile(r":[0-9]+$")

Pairs = Sequence[tuple[str, str]]


class SignatureError(UnauthorizedError):
    """The request is not signed by whom it claims; `type` is AWS's name for how."""

    def __init__(self, type_: str, text: str) -> None:
        super().__init__(text)
        self.type = type_


@dataclass(frozen=True, slots=True)
class Request:
    """As received: `target` is path and query before any decoding, `headers` are in order, of any case."""

    method: str
    target: str
    headers: Pairs
    body: bytes = b""

    def header(self, name: str) -> list[str]:
        """All values of the header `name`, lower case."""
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about its own signature; `verify` finds out whether that is so."""

    request: Request
    access_key_id: str
    scope: str
    """`<date>/<region>/<service>/aws4_request`"""
    stamp: str
    """When it was signed: `YYYYMMDDTHHMMSSZ`."""
    signed_headers: str
    signature: str
    session_token: str = ""
    expires_s: int | None = None
    """Of a presigned URL; None for a signed header, whose age is limited by AWS."""

    @classmethod
    def of(cls, request: Request) -> "Claim":
        """Read the signature in header or query. Raises SignatureError where there is no sound one."""
        query = [
            each for each in parameters(request.target.partition("?")[2]) if each[0].startswith("X-Amz-")
        ]
        presigned = any(key == "X-Amz-Signature" for key, _ in query)
        signed = request.header("authorization")
        if presigned and signed:
            raise _incomplete("Only one of Authorization header and query-string signature may be given.")
        if not (presigned or signed):
            raise SignatureError("MissingAuthenticationTokenException", "Missing Authentication Token")
        claim = _of_query(request, query) if presigned else _of_header(request, signed)
        claim._check_form()
        return claim

    def verify(self, credentials: Credentials, now: datetime) -> None:
        """Raises SignatureError unless the holder of `credentials` signed this request, and lately."""
        self._check_age(now)
        mine, theirs = ((each.access_key_id, each.session_token) for each in (credentials, self))
        if not all(map(_same, mine, theirs)):
            raise unknown_key()
        genuine = [
            _same(signature(credentials.secret, self.scope, self.stamp, each), self.signature)
            for each in self._canonical()
        ]
        if not any(genuine):
            raise SignatureError(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your "
                "AWS Secret Access Key and signing method. Consult the service documentation for details.",
            )

    def _check_form(self) -> None:
        parts = self.scope.split("/")
        if not self.access_key_id or len(parts) != 4:
            text = f"{self.access_key_id}/{self.scope}"
            raise _incomplete(
                "Credential must have exactly 5 slash-delimited elements, "
                f"e.g. keyid/date/region/service/term, got '{text}'"
            )
        date, _, service, terminator = parts
        if service != SERVICE:
            raise _invalid(f"Credential should be scoped to correct service: '{SERVICE}'.")
        if terminator != TERMINATOR:
            raise _invalid(f"Credential should be scoped with a valid terminator: '{TERMINATOR}'.")
        if not _is_moment(self.stamp):
            raise _incomplete(
                f"Date must be in ISO-8601 'basic format'. Got '{self.stamp}'. "
                "See http://en.wikipedia.org/wiki/ISO_8601"
            )
        if date != self.stamp[:8]:
            raise _invalid(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                f"'{date}' != '{self.stamp[:8]}', from '{self.stamp}'."
            )
        names = self.signed_headers.split(";")
        if names != sorted(set(names)) or self.signed_headers != self.signed_headers.lower():
            raise _invalid("SignedHeaders must be lower case, sorted and without repetition.")
        if "host" not in names:
            raise _invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
        if len(self.request.header("host")) > 1:
            raise _invalid("The request has more than one 'Host'.")
        if absent := [name for name in names if not self.request.header(name)]:
            raise _invalid(f"SignedHeaders names '{absent[0]}', which the request does not have.")

    def _check_age(self, now: datetime) -> None:
        signed_at = _moment(self.stamp)
        lifetime = _SKEW if self.expires_s is None else timedelta(seconds=self.expires_s)
        if signed_at < now - lifetime:
            raise _invalid(
                f"Signature expired: {self.stamp} is now earlier than {stamped(now - lifetime)} "
                f"({stamped(now)} - {_words(lifetime)})"
            )
        if signed_at > now + _SKEW:
            raise _invalid(
                f"Signature not yet current: {self.stamp} is still later than {stamped(now + _SKEW)} "
                f"({stamped(now)} + {_words(_SKEW)})"
            )

    def _canonical(self) -> Iterable[str]:
        """The canonical request, for every way in which clients spell a host on the default port."""
        for host in _spellings(self.request.header("host")[0]):
            headers = [(name, self.request.header(name)) for name in self.signed_headers.split(";")]
            yield canonical_request(
                self.request.method,
                self.request.target,
                [(name, [host] if name == "host" else values) for name, values in headers],
                self.request.body,
            )


def unknown_key() -> SignatureError:
    """Also for a session token that is not that of the key."""
    return SignatureError(
        "UnrecognizedClientException", "The security token included in the request is invalid."
    )


def _of_query(request: Request, query: Pairs) -> Claim:
    given = dict(query)
    if len(given) < len(query):
        raise _incomplete("AWS query-string parameters must not be repeated.")
    needed = ("Algorithm", "Credential", "Signature", "SignedHeaders", "Date")
    if not all(given.get(f"X-Amz-{each}") for each in needed) or given["X-Amz-Algorithm"] != ALGORITHM:
        raise _incomplete(
            "AWS query-string parameters must include 'X-Amz-Algorithm', 'X-Amz-Credential', "
            "'X-Amz-Signature', 'X-Amz-SignedHeaders' and 'X-Amz-Date'. "
            "Re-examine the query-string parameters."
        )
    lifetime = given.get("X-Amz-Expires", str(int(_SKEW.total_seconds())))
    if not _NUMBER.fullmatch(lifetime) or not 1 <= int(lifetime) <= _LONGEST_SECONDS:
        raise _invalid(f"X-Amz-Expires must be a number of seconds from 1 to {_LONGEST_SECONDS}.")
    access_key_id, _, scope = given["X-Amz-Credential"].partition("/")
    return Claim(
        request=request,
        access_key_id=access_key_id,
        scope=scope,
        stamp=given["X-Amz-Date"],
        signed_headers=given["X-Amz-SignedHeaders"],
        signature=given["X-Amz-Signature"],
        session_token=given.get("X-Amz-Security-Token", ""),
        expires_s=int(lifetime),
    )


def _of_header(request: Request, authorizations: Sequence[str]) -> Claim:
    found = _AUTHORIZATION.fullmatch(authorizations[0].strip())
    if not found or len(authorizations) > 1:
        raise _incomplete(
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' "
            "parameter. Authorization header requires 'SignedHeaders' parameter."
        )
    stamps, tokens = request.header("x-amz-date"), request.header("x-amz-security-token")
    if len(stamps) != 1 or len(tokens) > 1:
        raise _incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    access_key_id, _, scope = found[1].partition("/")
    return Claim(
        request=request,
        access_key_id=access_key_id,
        scope=scope,
        stamp=stamps[0],
        signed_headers=found[2],
        signature=found[3],
        session_token=tokens[0] if tokens else "",
    )


def _spellings(host: str) -> list[str]:
    """Some sign `host:443` and send `host`, as their table of default ports lacks `wss`; some the reverse."""
    if host.endswith(":443"):
        return [host, host.removesuffix(":443")]
    return [host] if _PORT.search(host) else [host, f"{host}:443"]


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(raw(one), raw(other))


def _moment(stamp: str) -> datetime:
    return datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)


def _is_moment(stamp: str) -> bool:
    try:
        _moment(stamp)
    except ValueError:
        return False
    return _DATE.fullmatch(stamp) is not None


def _words(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{int(span.total_seconds())} sec." if seconds else f"{minutes} min."


def _incomplete(text: str) -> SignatureError:
    return SignatureError("IncompleteSignatureException", text)


def _invalid(text: str) -> SignatureError:
    return SignatureError("InvalidSignatureException", text)
