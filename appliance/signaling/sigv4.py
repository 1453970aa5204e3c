"""AWS Signature Version 4: how a request is made canonical and signed, and signing requests of our own."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote, unquote_to_bytes, urlsplit

SERVICE = "kinesisvideo"
ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
STAMP = "%Y%m%dT%H%M%SZ"
PRESIGNED_SECONDS = 299
_UNRESERVED = "-_.~"
_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What both sides know."""

    access_key_id: str
    secret: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def canonical_request(
    method: str, target: str, headers: Iterable[tuple[str, Sequence[str]]], body: bytes
) -> str:
    """Task 1 of signing; the signature itself is left out of the query, and the path is encoded twice."""
    path, _, query = target.partition("?")
    pairs = sorted(
        (_encoded(key), _encoded(value)) for key, value in parameters(query) if key != "X-Amz-Signature"
    )
    named = [(name, ",".join(" ".join(value.split()) for value in values)) for name, values in headers]
    return "\n".join(
        [
            method,
            _encoded(_without_dots(path), safe="/" + _UNRESERVED),
            "&".join(f"{key}={value}" for key, value in pairs),
            *(f"{name}:{value}" for name, value in named),
            "",
            ";".join(name for name, _ in named),
            hashlib.sha256(body).hexdigest(),
        ]
    )


def signature(secret: str, scope: str, stamp: str, canonical: str) -> str:
    """Tasks 2 to 4: hexadecimal, of a canonical request signed at `stamp` for `scope`."""
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, raw(part), "sha256")
    hashed = hashlib.sha256(raw(canonical)).hexdigest()
    return hmac.digest(key, raw(f"{ALGORITHM}\n{stamp}\n{scope}\n{hashed}"), "sha256").hex()


def presign(
    credentials: Credentials, region: str, url: str, *, now: datetime, expires_s: int = PRESIGNED_SECONDS
) -> str:
    """`url` with a signature for one GET of it, valid for `expires_s` from `now`."""
    split = urlsplit(url)
    stamp, scope = stamped(now), _scope(now, region)
    claimed = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key_id}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.session_token:
        claimed["X-Amz-Security-Token"] = credentials.session_token
    query = "&".join(
        f"{_encoded(key)}={_encoded(value)}" for key, value in [*parameters(split.query), *claimed.items()]
    )
    target = f"{split.path or '/'}?{query}"
    canonical = canonical_request("GET", target, [("host", [_host(url)])], b"")
    proof = signature(credentials.secret, scope, stamp, canonical)
    return f"{split.scheme}://{split.netloc}{target}&X-Amz-Signature={proof}"


def sign(
    credentials: Credentials, region: str, method: str, url: str, body: bytes, *, now: datetime
) -> dict[str, str]:
    """The headers that sign a request with a JSON body."""
    split = urlsplit(url)
    stamp, scope = stamped(now), _scope(now, region)
    headers = {"content-type": "application/json", "host": _host(url), "x-amz-date": stamp}
    if credentials.session_token:
        headers["x-amz-security-token"] = credentials.session_token
    target = f"{split.path or '/'}?{split.query}"
    canonical = canonical_request(method, target, [(key, [headers[key]]) for key in sorted(headers)], body)
    proof = signature(credentials.secret, scope, stamp, canonical)
    headers["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(sorted(headers))}, Signature={proof}"
    )
    return headers


def parameters(query: str) -> list[tuple[str, str]]:
    """The pairs of a raw query; `+` is a plus, and bytes that are no UTF-8 survive as surrogates."""
    pairs = (each.partition("=") for each in query.split("&") if each)
    return [(_decoded(key), _decoded(value)) for key, _, value in pairs]


def stamped(moment: datetime) -> str:
    """`moment` (UTC) as AWS writes it."""
    return moment.strftime(STAMP)


def raw(text: str) -> bytes:
    """What `text` was before it was decoded: surrogates stand for bytes that are no UTF-8."""
    return text.encode(errors="surrogateescape")


def _host(url: str) -> str:
    split = urlsplit(url)
    return split.netloc.removesuffix(f":{_DEFAULT_PORTS.get(split.scheme)}")


def _without_dots(path: str) -> str:
    """`.`, `..` and doubled slashes are resolved before the path is signed (RFC 3986, 5.2.4)."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


def _scope(now: datetime, region: str) -> str:
    return f"{now:%Y%m%d}/{region}/{SERVICE}/{TERMINATOR}"


def _encoded(text: str, safe: str = _UNRESERVED) -> str:
    return quote(raw(text), safe=safe)


def _decoded(text: str) -> str:
    return unquote_to_bytes(raw(text)).decode(errors="surrogateescape")
