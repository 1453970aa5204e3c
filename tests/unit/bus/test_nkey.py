"""Keys as NATS spells them."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.bus.nkey import UserKey, is_public, read_credentials
from appliance.errors import ConfigError, InvalidInputError

pytestmark = pytest.mark.unit


def test_a_key_is_spelled_as_nats_does_and_reads_back() -> None:
    key = UserKey.new()
    assert key.seed.startswith("SU")
    assert key.public.startswith("U")
    assert len(key.public) == 56
    assert UserKey.parse(key.seed).public == key.public
    assert is_public(key.public)
    assert not is_public(key.seed)


def test_its_signature_is_proved_by_its_public_half() -> None:
    key = UserKey.new()
    raw = base64.b32decode(key.public)[1:33]
    Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(key.sign("nonce")), b"nonce")


@pytest.mark.parametrize("text", ["", "SU", "x" * 58, "SUAK{}", "é"])
def test_what_is_no_key_is_refused(text: str) -> None:
    assert not is_public(text)
    with pytest.raises(InvalidInputError):
        UserKey.parse(text)


def test_one_changed_letter_is_noticed() -> None:
    seed = UserKey.new().seed
    with pytest.raises(InvalidInputError):
        UserKey.parse(seed[:20] + ("A" if seed[20] != "A" else "B") + seed[21:])


def test_a_credentials_file_gives_jwt_and_key(tmp_path: Path) -> None:
    key = UserKey.new()
    file = tmp_path / "box.creds"
    file.write_text(
        "-----BEGIN NATS USER JWT-----\nhead.body.sign\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{key.seed}\n------END USER NKEY SEED------\n"
    )
    jwt, found = read_credentials(str(file))
    assert (bytes(jwt), found.public) == (b"head.body.sign", key.public)
    file.write_text("nothing")
    with pytest.raises(ConfigError, match="not a NATS credentials file"):
        read_credentials(str(file))


@pytest.mark.parametrize(
    "text", ["{seed}", "-----BEGIN USER NKEY SEED-----\n{seed}\n------END------", "a\n{seed}"]
)
def test_credentials_in_the_place_of_their_path_are_not_told(text: str) -> None:
    seed = UserKey.new().seed
    with pytest.raises(ConfigError, match="must be the path") as raised:
        read_credentials(text.format(seed=seed))
    assert seed not in str(raised.value)
