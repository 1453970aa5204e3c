"""The CA and its leaves."""

import contextlib
import ssl
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from appliance.config import TlsSection
from appliance.errors import ConfigError
from appliance.gateway import certificates
from appliance.gateway.tls import Tls

pytestmark = pytest.mark.unit


def test_a_leaf_is_what_browsers_accept() -> None:
    ca = certificates.new_ca("attic")
    leaf = certificates.new_leaf(ca, "attic", ["10.0.0.1", "fe80::1", "attic.local"]).certificate
    leaf.verify_directly_issued_by(ca.certificate)
    assert certificates.hosts_of(leaf) == {"10.0.0.1", "fe80::1", "attic.local"}
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=397)
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert ca.certificate.extensions.get_extension_for_class(x509.BasicConstraints).critical


def test_validity_is_looked_at_ahead() -> None:
    leaf = certificates.new_ca("attic").certificate
    assert certificates.holds_for(leaf, timedelta(days=30))
    assert not certificates.holds_for(leaf, timedelta(days=4000))


async def test_a_new_address_gets_a_new_leaf_of_the_same_ca(tmp_path: Path) -> None:
    addresses = ["127.0.0.1"]
    tls = Tls(TlsSection(), tmp_path, "attic", lambda: addresses)
    await tls.open()
    first, ca, context = tls.fingerprint, tls.ca_pem, tls.context
    await tls.look()
    assert tls.fingerprint == first
    addresses.append("10.9.8.7")
    await tls.look()
    assert tls.fingerprint != first
    assert (tls.ca_pem, tls.context) == (ca, context)
    addresses.remove("10.9.8.7")
    second = tls.fingerprint
    await tls.look()
    assert tls.fingerprint == second
    for key in ("ca-key.pem", "key.pem"):
        assert (tmp_path / "tls" / key).stat().st_mode & 0o777 == 0o600


async def test_a_leaf_holds_for_the_names_that_were_asked_for(tmp_path: Path) -> None:
    name = "kinesisvideo.us-west-2.amazonaws.com"
    await Tls(TlsSection(names=[name]), tmp_path, "attic", lambda: ["127.0.0.1"]).open()
    leaf = x509.load_pem_x509_certificate((tmp_path / "tls/cert.pem").read_bytes())
    assert {name, "127.0.0.1", "localhost"} <= certificates.hosts_of(leaf)


async def test_broken_files_are_made_anew(tmp_path: Path) -> None:
    tls = Tls(TlsSection(), tmp_path, "attic", lambda: ["127.0.0.1"])
    await tls.open()
    (tmp_path / "tls" / "ca.pem").write_text("half")
    again = Tls(TlsSection(), tmp_path, "attic", lambda: ["127.0.0.1"])
    await again.open()
    assert again.ca_pem != tls.ca_pem
    assert again.fingerprint != tls.fingerprint


async def test_files_of_the_user_are_taken_and_taken_again(tmp_path: Path) -> None:
    ca = certificates.new_ca("mine")
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"

    def write(host: str) -> str:
        leaf = certificates.new_leaf(ca, "mine", [host])
        cert.write_bytes(leaf.certificate_pem)
        key.write_bytes(leaf.key_pem)
        return certificates.fingerprint(leaf.certificate)

    section = TlsSection(mode="files", cert=str(cert), key=str(key))
    first = write("one.example")
    tls = Tls(section, tmp_path, "attic", list)
    await tls.open()
    assert tls.fingerprint == first
    assert tls.ca_pem is None
    second = write("two.example")
    await tls.look()
    assert tls.fingerprint == second
    cert.write_text("half")
    await tls.look()
    assert tls.fingerprint == second


async def test_missing_files_are_named(tmp_path: Path) -> None:
    section = TlsSection(mode="files", cert="/nowhere/c.pem", key="/nowhere/k.pem")
    with pytest.raises(ConfigError, match=r"/nowhere/c\.pem"):
        await Tls(section, tmp_path, "attic", list).open()


async def test_a_clock_that_is_behind_costs_nobody_the_ca(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = Tls(TlsSection(), tmp_path, "attic", lambda: ["127.0.0.1"])
    await tls.open()

    class Behind(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Behind":
            return cls(1970, 1, 2, tzinfo=tz)

    with monkeypatch.context() as patch:
        patch.setattr(certificates, "datetime", Behind)
        early = Tls(TlsSection(), tmp_path, "attic", lambda: ["127.0.0.1"])
        await early.open()
        assert early.ca_pem == tls.ca_pem
    await early.look()
    assert early.ca_pem == tls.ca_pem
    leaf = x509.load_pem_x509_certificate((tmp_path / "tls" / "cert.pem").read_bytes())
    assert certificates.holds_for(leaf, timedelta(days=30))


async def test_a_half_replaced_pair_leaves_the_old_one_in_service(tmp_path: Path) -> None:
    ca = certificates.new_ca("mine")
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    old, new = (certificates.new_leaf(ca, "mine", ["localhost"]) for _ in range(2))
    cert.write_bytes(old.certificate_pem)
    key.write_bytes(old.key_pem)
    tls = Tls(TlsSection(mode="files", cert=str(cert), key=str(key)), tmp_path, "attic", list)
    await tls.open()
    cert.write_bytes(new.certificate_pem)
    await tls.look()
    assert tls.fingerprint == certificates.fingerprint(old.certificate)
    assert tls.context
    assert _served(tls.context) == old.certificate.public_bytes(serialization.Encoding.DER)


async def test_a_key_that_is_encrypted_is_an_error_and_no_question(tmp_path: Path) -> None:
    leaf = certificates.new_leaf(certificates.new_ca("mine"), "mine", ["localhost"])
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    cert.write_bytes(leaf.certificate_pem)
    secret = serialization.BestAvailableEncryption(b"hush")
    pkcs8 = serialization.PrivateFormat.PKCS8
    key.write_bytes(leaf.key.private_bytes(serialization.Encoding.PEM, pkcs8, secret))
    section = TlsSection(mode="files", cert=str(cert), key=str(key))
    with pytest.raises(ConfigError, match=r"k\.pem"):
        await Tls(section, tmp_path, "attic", list).open()


def _served(context: ssl.SSLContext) -> bytes | None:
    """The certificate that a client gets to see, without a network."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(down, up)
    server = context.wrap_bio(up, down, server_side=True)
    for side in (client, server, client):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client.getpeercert(binary_form=True)
