"""The appliance's own CA and the certificates it signs: EC P-256 throughout."""

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
LEAF_DAYS = 397
"""The longest that browsers accept (CA/Browser Forum Baseline Requirements 6.3.2)."""
_BACKDATED = timedelta(days=1)
"""A client's clock may be behind ours."""


class Pair:
    """A certificate and its key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self.key = key

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> "Pair":
        """From PEM. Raises ValueError."""
        loaded = serialization.load_pem_private_key(key, password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError("not an EC key")  # noqa: TRY004  one error for every bad file
        return cls(x509.load_pem_x509_certificate(certificate), loaded)

    @property
    def certificate_pem(self) -> bytes:
        """PEM of the certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """PEM of the key, PKCS #8, not encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def new_ca(name: str) -> Pair:
    """A self-signed CA that may sign leaves only."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"Fanlight {name} CA")
    builder = (
        _builder(subject, subject, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Pair(builder.sign(key, hashes.SHA256()), key)


def new_leaf(ca: Pair, name: str, hosts: list[str]) -> Pair:
    """A server certificate for `hosts`: addresses and DNS names."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(f"Fanlight {name}"), ca.certificate.subject, key.public_key(), LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(each) for each in hosts]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), critical=False
        )
    )
    return Pair(builder.sign(ca.key, hashes.SHA256()), key)


def vouches(ca: Pair, leaf: Pair) -> bool:
    """Whether `ca` signed `leaf`."""
    try:
        leaf.certificate.verify_directly_issued_by(ca.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def hosts_of(certificate: x509.Certificate) -> set[str]:
    """The addresses and names a certificate holds for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(each.value) for each in names}


def holds_for(certificate: x509.Certificate, ahead: timedelta) -> bool:
    """Whether it is valid now and will be `ahead` of now."""
    now = datetime.now(UTC)
    return certificate.not_valid_before_utc <= now and now + ahead < certificate.not_valid_after_utc


def begins_later(certificate: x509.Certificate) -> bool:
    """Whether it is not valid yet, as on a machine without a battery that does not know the time."""
    return datetime.now(UTC) < certificate.not_valid_before_utc


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 in colon separated hex."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    begins = datetime.now(UTC) - _BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
