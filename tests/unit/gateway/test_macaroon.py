"""API tokens, byte for byte."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import UnauthorizedError
from appliance.gateway import macaroon
from appliance.gateway.accounts import token_of

pytestmark = pytest.mark.unit


def test_the_layout_is_that_of_a_macaroon_v2() -> None:
    token = macaroon.mint(b"root", "asdf", ("2020-06-23T09:32:19+02:00",))
    assert "=" not in token
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    head = (
        b"\x02\x01\x14anbox-stream-gateway\x02\x04asdf\x00\x02\x192020-06-23T09:32:19+02:00\x00\x00\x06\x20"
    )
    assert raw.startswith(head)
    key = hmac.digest(b"macaroons-key-generator", b"root", hashlib.sha256)
    first = hmac.digest(key, b"asdf", hashlib.sha256)
    assert raw.removeprefix(head) == hmac.digest(first, b"2020-06-23T09:32:19+02:00", hashlib.sha256)


@given(st.text(max_size=300), st.lists(st.text(max_size=200), max_size=3))
def test_what_is_minted_can_be_read(name: str, caveats: list[str]) -> None:
    read = macaroon.parse(macaroon.mint(b"key", name, tuple(caveats)))
    assert (read.identifier, read.caveats) == (name, tuple(caveats))
    assert read.signature == macaroon.sign(b"key", name, tuple(caveats))


@given(st.binary(max_size=80))
def test_garbage_is_unauthorized(raw: bytes) -> None:
    with pytest.raises(UnauthorizedError):
        macaroon.parse(base64.urlsafe_b64encode(raw).decode().rstrip("="))


@given(st.text(max_size=80))
def test_text_is_unauthorized(text: str) -> None:
    with pytest.raises(UnauthorizedError):
        macaroon.parse(text)


@given(st.integers(0, 120))
def test_a_cut_token_is_unauthorized(length: int) -> None:
    token = macaroon.mint(b"key", "name", ("caveat",))
    if length < len(token):
        with pytest.raises(UnauthorizedError):
            macaroon.parse(token[:length])


@pytest.mark.parametrize(
    ("header", "query", "token"),
    [
        ("macaroon root=abc", "", "abc"),
        ("Macaroon root=abc", "xyz", "abc"),
        ("MACAROON Root=abc= ", "", "abc="),
        ("Bearer abc", "", ""),
        ("macaroon abc", "xyz", ""),
        ("", "xyz", "xyz"),
        ("", "", ""),
    ],
)
def test_where_a_token_may_stand(header: str, query: str, token: str) -> None:
    assert token_of({"Authorization": header}, {"api_token": query}) == token
