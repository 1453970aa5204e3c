"""What npm has, fetched by npm and kept beside the tests: files of packages, and whole projects."""

import asyncio
import base64
import contextlib
import hashlib
import shutil
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


async def installed(project: Path) -> Path:
    """A folder whose `node_modules` is what the package-lock.json of `project` pins, by version and hash."""
    lock = (project / "package-lock.json").read_bytes()
    folder = _CACHE / f"{project.name}-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not folder.exists():
        await _install(project, folder)
    return folder


async def _fetch(package: str, tarball: Path) -> None:
    tarball.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tarball.parent) as directory:
        await _npm(Path(directory), "pack", package)
        next(Path(directory).glob("*.tgz")).rename(tarball)


async def _install(project: Path, folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as directory:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(project / name, directory)
        options = ("--ignore-scripts", "--omit=peer", "--legacy-peer-deps", "--prefer-offline")
        await _npm(Path(directory), "ci", *options, "--no-audit", "--no-fund")
        with contextlib.suppress(OSError):  # somebody else was quicker
            Path(directory).rename(folder)


async def _npm(directory: Path, *arguments: str) -> None:
    npm = await asyncio.create_subprocess_exec(
        "npm", *arguments, cwd=directory, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, err = await npm.communicate()
    assert npm.returncode == 0, err.decode()


def _read(tarball: Path, integrity: str, name: str) -> bytes:
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    assert f"sha512-{digest}" == integrity, f"{tarball} is not the package that was pinned"
    with tarfile.open(tarball) as opened:
        member = opened.extractfile(f"package/{name}")
        assert member is not None
        return member.read()
