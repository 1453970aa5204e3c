"""The CA and its leaves."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
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
