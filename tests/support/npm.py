"""Files of npm packages, fetched by npm and kept beside the tests."""

import asyncio
import base64
import hashlib
import tarfile
import tempfile
from pathlib import Path

_CACHE = Path(__file__).parents[1] / ".cache"


async def package_file(package: str, integrity: str, name: str) -> bytes:
    """The file `name` of `package`, like `some-sdk@1.2.3`; `integrity` is sha512 as npm writes it."""
    tarball = _CACHE / f"{package.replace('/', '-')}.tgz"
    if not tarball.exists():
        await _fetch(package, tarball)
    return await asyncio.to_thread(_read, tarball, integrity, name)


async def _fetch(package: str, tarball: Path) -> None:
    tarball.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tarball.parent) as directory:
        npm = await asyncio.create_subprocess_exec(
            "npm", "pack", package, cwd=directory,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, err = await npm.communicate()
        assert npm.returncode == 0, err.decode()
        next(Path(directory).glob("*.tgz")).rename(tarball)


def _read(tarball: Path, integrity: str, name: str) -> bytes:
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    assert f"sha512-{digest}" == integrity, f"{tarball} is not the package that was pinned"
    with tarfile.open(tarball) as opened:
        member = opened.extractfile(f"package/{name}")
        assert member is not None
        return member.read()
