"""TLS of the gateway: our own CA by default, the user's files, or none on loopback."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from cryptography import x509

from appliance.config import TlsSection
from appliance.errors import ConfigError
from appliance.gateway import certificates
from appliance.gateway.addresses import hostname, machine_addresses
from appliance.storage import write_atomic

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 30.0
_RENEW_AHEAD = timedelta(days=30)


def load_pair(context: ssl.SSLContext, cert: Path, key: Path) -> x509.Certificate:
    """Have `context` serve with these files. Raises ConfigError. Blocks for a moment."""
    try:
        loaded = x509.load_pem_x509_certificate(cert.read_bytes())
        # The empty password keeps OpenSSL from asking for one at the terminal.
        context.load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as exc:
        raise ConfigError(f"tls: {cert}, {key}: {exc}") from exc
    return loaded


class Tls:
    """The live SSL context; a new certificate is loaded into it without touching open connections."""

    def __init__(
        self,
        section: TlsSection,
        state_dir: Path,
        name: str,
        addresses: Callable[[], list[str]] = machine_addresses,
    ) -> None:
        self._section = section
        self._dir = state_dir / "tls"
        self._name = name
        self._find_addresses = addresses
        self.addresses: list[str] = []
        """Of this machine, as they were at the last look; the best one first."""
        self._loaded: tuple[float, float] | None = None
        self.context: ssl.SSLContext | None = None
        self.fingerprint = ""
        """SHA-256 of the certificate; empty without TLS."""
        self.ca_pem: str | None = None

    async def open(self) -> None:
        """Make or read the certificate. Raises ConfigError for files that are not there or not right."""
        if self._section.mode != "off":
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        await asyncio.to_thread(self._refresh)

    async def keep(self) -> None:
        """Renew when addresses change, files change or the end is near, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Look once; what goes wrong is logged, and the certificate in use stays."""
        try:
            await asyncio.to_thread(self._refresh)
        except (ConfigError, OSError) as exc:
            logger.warning("the certificate stays as it is: %s", exc)

    def _refresh(self) -> None:
        self.addresses = self._find_addresses()
        if self._section.mode == "files":
            self._load(Path(self._section.cert), Path(self._section.key))
        elif self._section.mode == "auto":
            self._issue()
            self._load(self._dir / "cert.pem", self._dir / "key.pem")

    def _load(self, cert: Path, key: Path) -> None:
        try:
            stamp = (cert.stat().st_mtime, key.stat().st_mtime)
            if stamp == self._loaded or self.context is None:
                return
            # A pair that does not match would take away the one that serves: try it elsewhere first.
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
                loaded = load_pair(context, cert, key)
        except OSError as exc:
            raise ConfigError(f"tls: {cert}, {key}: {exc}") from exc
        self._loaded = stamp
        self.fingerprint = certificates.fingerprint(loaded)
        logger.info("certificate %s, until %s", self.fingerprint[:23], loaded.not_valid_after_utc.date())

    def _issue(self) -> None:
        """Have a CA, and a leaf of it for all names that this machine has now."""
        ca = self._read("ca") or self._write("ca", certificates.new_ca(self._name))
        self.ca_pem = ca.certificate_pem.decode()
        name = hostname()
        wanted = {*self.addresses, "localhost", name, f"{name}.local", *self._section.names}
        leaf = self._read("leaf")
        if not (
            leaf and certificates.vouches(ca, leaf) and wanted <= certificates.hosts_of(leaf.certificate)
        ):
            self._write("leaf", certificates.new_leaf(ca, self._name, sorted(wanted)))

    def _read(self, kind: str) -> certificates.Pair | None:
        """What is kept, if it is whole and holds for long enough."""
        cert, key = self._files(kind)
        try:
            pair = certificates.Pair.load(cert.read_bytes(), key.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as exc:
            logger.warning("%s is not readable, making a new one: %s", cert, exc)
            return None
        fits = pair.certificate.public_key() == pair.key.public_key()
        # People have told their browsers to trust the CA: a clock that is behind must not cost them that.
        keep = kind == "ca" and certificates.begins_later(pair.certificate)
        return pair if fits and (keep or certificates.holds_for(pair.certificate, _RENEW_AHEAD)) else None

    def _write(self, kind: str, pair: certificates.Pair) -> certificates.Pair:
        cert, key = self._files(kind)
        write_atomic(key, pair.key_pem, mode=0o600)
        write_atomic(cert, pair.certificate_pem, mode=0o644)
        logger.info("made a new %s certificate", kind)
        return pair

    def _files(self, kind: str) -> tuple[Path, Path]:
        if kind == "ca":
            return self._dir / "ca.pem", self._dir / "ca-key.pem"
        return self._dir / "cert.pem", self._dir / "key.pem"
