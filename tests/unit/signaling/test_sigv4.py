"""SigV4: what botocore signs is accepted, and nothing that differs from it by a byte."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.utils import percent_encode_sequence
from hypothesis import assume, given
from hypothesis import strategies as st

from appliance.signaling.sigv4 import Credentials, presign, sign, stamped
from appliance.signaling.sigv4_claims import Claim, Request, SignatureError

pytestmark = pytest.mark.unit

KEY = Credentials("FANLKEY", "wJalr/XUtn+FEMI=", "to/k+en==")
NOW = datetime(2026, 3, 4, 23, 59, 58, tzinfo=UTC)
ARN = "arn:aws:kinesisvideo:us-east-1:000000000000:channel/lobby/1700000000000"


@dataclass(frozen=True)
class Vector:
    """A request that botocore signed, as it would arrive."""

    request: Request
    credentials: Credentials

    def verify(self, now: datetime | None = None, credentials: Credentials | None = None) -> None:
        """By default at the moment when it was signed."""
        claim = Claim.of(self.request)
        signed_at = datetime.strptime(claim.stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        claim.verify(credentials or self.credentials, now or signed_at)

    def refused(self, now: datetime | None = None, credentials: Credentials | None = None) -> SignatureError:
        """Why."""
        with pytest.raises(SignatureError) as caught:
            self.verify(now, credentials)
        return caught.value


def _boto(credentials: Credentials) -> BotoCredentials:
    token = credentials.session_token or None
    return BotoCredentials(credentials.access_key_id, credentials.secret, token)


def _target(url: str) -> str:
    split = urlsplit(url)
    return split.path + (f"?{split.query}" if split.query else "")


def presigned(
    url: str, parameters: Mapping[str, str], credentials: Credentials = KEY, expires: int = 299
) -> Vector:
    """As every SDK opens its socket; clients name the host in lower case, and no port that is the default."""
    request = AWSRequest("GET", url, params=dict(parameters))
    botocore.auth.SigV4QueryAuth(_boto(credentials), "kinesisvideo", "us-west-2", expires).add_auth(request)
    host = urlsplit(url).netloc.lower().removesuffix(":443")
    return Vector(Request("GET", _target(request.prepare().url), (("Host", host),)), credentials)


def in_header(url: str, headers: Mapping[str, str], body: bytes, credentials: Credentials = KEY) -> Vector:
    """As boto3 calls the control plane."""
    request = AWSRequest("POST", url, data=body, headers=dict(headers))
    botocore.auth.SigV4Auth(_boto(credentials), "kinesisvideo", "us-west-2").add_auth(request)
    sent = (*request.headers.items(), ("Host", urlsplit(url).netloc.lower()))
    return Vector(Request("POST", _target(url), sent, body), credentials)


hosts = st.sampled_from(
    ["edge.local", "127.0.0.1:8443", "[::1]", "[fe80::1]:8443", "EDGE:443", "edge.local:44300", "h"]
)
paths = st.text("abZ09/.-_~%:@!$'()*,;= é€", max_size=20).map(lambda text: f"/{text}")
words = st.text(st.characters(codec="utf-8"), max_size=12)
names = words.filter(lambda text: text and not text.startswith("X-Amz-"))
keys = st.builds(
    Credentials,
    st.text("ABCDEFGHIJ0123456789", min_size=1, max_size=20),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
    st.text("abcXYZ019+/=", max_size=60),
)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
queries = st.builds(
    presigned,
    st.builds("{}://{}{}".format, st.sampled_from(["wss", "https"]), hosts, paths),
    st.dictionaries(names, words, max_size=4).map(lambda some: {"X-Amz-ChannelARN": ARN} | some),
    keys,
    st.integers(1, 604_800),
)
calls = st.builds(
    in_header,
    st.builds(
        lambda host, path, query: f"https://{host}{path}?{percent_encode_sequence(query)}",
        hosts.filter(lambda host: not host.endswith(":443")),
        paths,
        st.lists(st.tuples(names, words), max_size=3),
    ),
    st.dictionaries(st.sampled_from(["Content-Type", "X-Amz-Target", "x-one", "X-Two"]), values),
    st.binary(max_size=40),
    keys,
)
bytes_put_in = st.integers(33, 126).map(chr).filter(lambda character: character not in "/.%")


@given(queries | calls)
def test_what_botocore_signs_is_accepted(vector: Vector) -> None:
    vector.verify()


@given(queries | calls, keys)
def test_another_key_is_refused(vector: Vector, other: Credentials) -> None:
    own = vector.credentials
    assume((other.secret, other.session_token) != (own.secret, own.session_token))
    vector.refused(credentials=other)


def _changed(text: str, place: float, character: str) -> str:
    """`text` with another character at `place` of it, from 0 to 1."""
    position = min(int(place * len(text)), len(text) - 1)
    assume(position >= 0 and text[position] not in (character, " ", "\t"))
    return text[:position] + character + text[position + 1 :]


def _meaning(target: str) -> object:
    """What the standard library makes of a path and its query."""
    path, _, query = target.partition("?")
    pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True, errors="surrogateescape")
    return path, sorted(pairs)


@given(queries | calls, st.floats(0, 1), bytes_put_in)
def test_a_byte_changed_in_path_or_query_is_refused(vector: Vector, place: float, character: str) -> None:
    target = "/" + _changed(vector.request.target[1:], place, character)
    assume(_meaning(target) != _meaning(vector.request.target))
    replace(vector, request=replace(vector.request, target=target)).refused()


@given(queries | calls, st.floats(0, 1), st.floats(0, 1), bytes_put_in)
def test_a_byte_changed_in_a_header_is_refused(
    vector: Vector, which: float, place: float, character: str
) -> None:
    headers = list(vector.request.headers)
    index = min(int(which * len(headers)), len(headers) - 1)
    name, value = headers[index]
    headers[index] = name, _changed(value, place, character)
    replace(vector, request=replace(vector.request, headers=tuple(headers))).refused()


@given(calls, st.integers(0, 40), st.integers(1, 255))
def test_a_byte_changed_in_the_body_is_refused(vector: Vector, position: int, mask: int) -> None:
    body = bytearray(vector.request.body + b".")
    body[position % len(body)] ^= mask
    replace(vector, request=replace(vector.request, body=bytes(body))).refused()


@given(queries | calls)
def test_another_method_is_refused(vector: Vector) -> None:
    replace(vector, request=replace(vector.request, method="PUT")).refused()


@given(st.integers(1, 604_800), st.integers(-1000, 700_000))
def test_a_presigned_url_holds_from_five_minutes_before_to_its_end(expires: int, age: int) -> None:
    vector = presigned("wss://edge.local:8443/signal/viewer", {"X-Amz-ChannelARN": ARN}, expires=expires)
    at = _signed_at(vector) + timedelta(seconds=age)
    if -300 <= age <= expires:
        vector.verify(at)
    else:
        assert ("Signature expired: " if age > 0 else "Signature not yet current: ") in str(
            vector.refused(at)
        )


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (301, "Signature expired: {signed} is now earlier than {limit} ({now} - 5 min.)"),
        (-301, "Signature not yet current: {signed} is still later than {limit} ({now} + 5 min.)"),
    ],
)
def test_a_wrong_clock_is_told_in_the_words_that_clients_look_for(age: int, words: str) -> None:
    vector = in_header("https://edge.local/createSignalingChannel", {}, b"{}")
    signed_at = _signed_at(vector)
    now = signed_at + timedelta(seconds=age)
    limit = now - timedelta(seconds=300 if age > 0 else -300)
    error = vector.refused(now)
    assert error.type == "InvalidSignatureException"
    assert str(error) == words.format(signed=stamped(signed_at), limit=stamped(limit), now=stamped(now))


def _signed_at(vector: Vector) -> datetime:
    return datetime.strptime(Claim.of(vector.request).stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@pytest.mark.parametrize("url", ["wss://edge.local/signal/viewer", "wss://edge.local:443/signal/viewer"])
@pytest.mark.parametrize("host", ["edge.local", "edge.local:443"])
def test_a_default_port_may_be_signed_and_left_out_or_the_reverse(url: str, host: str) -> None:
    vector = presigned(url, {"X-Amz-ChannelARN": ARN})
    replace(vector, request=replace(vector.request, headers=(("host", host),))).verify()


Change = Callable[[str], str]


@pytest.mark.parametrize(
    ("change", "type_"),
    [
        (lambda target: target.partition("?")[0], "MissingAuthenticationTokenException"),
        (lambda target: target.replace("X-Amz-Credential", "X-Amz-C"), "IncompleteSignatureException"),
        (lambda target: target.replace("%2Faws4_request", ""), "IncompleteSignatureException"),
        (lambda target: f"{target}&X-Amz-ChannelARN={ARN}", "IncompleteSignatureException"),
        (lambda target: target.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), "IncompleteSignatureException"),
        (lambda target: target.replace("%2Fkinesisvideo%2F", "%2Fs3%2F"), "InvalidSignatureException"),
        (lambda target: target.replace("%2Faws4_request", "%2Faws5_request"), "InvalidSignatureException"),
        (lambda target: target.replace("X-Amz-Expires=299", "X-Amz-Expires=0"), "InvalidSignatureException"),
        (lambda target: target.replace("Expires=299", "Expires=604801"), "InvalidSignatureException"),
        (lambda target: target.replace("Expires=299", "Expires=%D9%A3"), "InvalidSignatureException"),
        (
            lambda target: target.replace("SignedHeaders=host", "SignedHeaders=date"),
            "InvalidSignatureException",
        ),
        (lambda target: target.replace("s=host", "s=host%3Bhost"), "InvalidSignatureException"),
        (lambda target: target.replace("s=host", "s=host%3Bx-a"), "InvalidSignatureException"),
        (lambda target: target.replace("s=host", "s=Host"), "InvalidSignatureException"),
        (lambda target: target.replace("X-Amz-Date=2", "X-Amz-Date=x"), "IncompleteSignatureException"),
        (lambda target: target.replace("X-Amz-Date=2", "X-Amz-Date=1"), "InvalidSignatureException"),
        (
            lambda target: target.replace("Security-Token=to", "Security-Token=no"),
            "UnrecognizedClientException",
        ),
    ],
)
def test_signatures_that_are_none(change: Change, type_: str) -> None:
    vector = presigned("wss://edge.local/signal/viewer", {"X-Amz-ChannelARN": ARN})
    target = change(vector.request.target)
    assert target != vector.request.target
    with pytest.raises(SignatureError) as caught:
        Claim.of(replace(vector.request, target=target)).verify(KEY, _signed_at(vector))
    assert caught.value.type == type_


@pytest.mark.parametrize("name", ["Authorization", "X-Amz-Date", "X-Amz-Security-Token", "Host"])
def test_headers_that_count_come_once(name: str) -> None:
    vector = in_header("https://edge.local/createSignalingChannel", {}, b"{}")
    twice = (*vector.request.headers, (name, vector.request.header(name.lower())[0]))
    replace(vector, request=replace(vector.request, headers=twice)).refused()


def test_a_request_is_signed_in_one_place() -> None:
    vector = in_header("https://edge.local/signal/viewer", {}, b"")
    query = presigned("https://edge.local/signal/viewer", {}).request.target
    replace(vector, request=replace(vector.request, target=query)).refused()


@pytest.mark.parametrize("credentials", [KEY, replace(KEY, session_token="")])
@pytest.mark.parametrize("url", ["wss://edge.local:8443/signal/master", "wss://h/a%20b/..//c?x=+&y"])
def test_our_presigned_urls_are_those_of_botocore(
    credentials: Credentials, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))
    own = dict(parse_qsl(urlsplit(url).query.replace("+", "%2B"), keep_blank_values=True))
    theirs = presigned(url.partition("?")[0], own | {"X-Amz-ChannelARN": ARN}, credentials)
    joined = f"{url}{'&' if '?' in url else '?'}X-Amz-ChannelARN={ARN}"
    ours = _target(presign(credentials, "us-west-2", joined, now=NOW))
    assert _meaning(ours) == _meaning(theirs.request.target)


def test_our_signed_headers_are_those_of_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))
    url, body = "https://edge.local/describeSignalingChannel", b'{"ChannelName": "lobby"}'
    theirs = in_header(url, {"Content-Type": "application/json"}, body).request.header("authorization")
    assert sign(KEY, "us-west-2", "POST", url, body, now=NOW)["authorization"] == theirs[0]
