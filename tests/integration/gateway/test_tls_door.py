"""The door with TLS on: the CA that it hands out is the one that vouches for it."""

import ssl
from pathlib import Path

import aiohttp
import pytest

from tests.support.gateway import settings, street

pytestmark = pytest.mark.integration


async def test_the_handed_out_ca_vouches_for_the_gateway(tmp_path: Path) -> None:
    config = settings(tls={"mode": "auto"}, gateway={"listen": "0.0.0.0:0"})
    async with street(tmp_path, config) as here:
        port = here.gateway.port
        async with here.http.get(f"https://127.0.0.1:{port}/ca.pem", ssl=False) as answer:
            trusting = ssl.create_default_context(cadata=await answer.text())
        for name in ("127.0.0.1", "localhost"):
            asked = here.http.get(f"https://127.0.0.1:{port}/healthz", ssl=trusting, server_hostname=name)
            async with asked as answer:
                assert answer.status == 200
        pinned = aiohttp.Fingerprint(bytes.fromhex(here.gateway.fingerprint.replace(":", "")))
        async with here.http.get(f"https://127.0.0.1:{port}/readyz", ssl=pinned) as answer:
            assert answer.status == 200
        pin, _ = await here.gateway.new_pin()
        pair = here.http.post(f"https://127.0.0.1:{port}/fanlight/pair", json={"pin": pin}, ssl=trusting)
        async with pair as answer:
            assert answer.cookies["fanlight_device"]["secure"] is True
        assert all(url.startswith("https://") for url in here.gateway.urls())
        assert any(url.startswith("https://127.0.0.1") for url in here.gateway.urls())
        assert (tmp_path / "tls" / "ca-key.pem").stat().st_mode & 0o777 == 0o600
        first = here.gateway.fingerprint
    async with street(tmp_path, config) as here:
        assert here.gateway.fingerprint == first


async def test_old_tls_is_refused(tmp_path: Path) -> None:
    config = settings(tls={"mode": "auto"})
    async with street(tmp_path, config) as here:
        assert here.gateway.tls.context
        assert here.gateway.tls.context.minimum_version >= ssl.TLSVersion.TLSv1_2
        with pytest.raises(aiohttp.ClientError):
            await here.http.get(f"http://127.0.0.1:{here.gateway.port}/healthz")
