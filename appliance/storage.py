"""Files of ours: written whole or not at all."""

import os
import secrets
from pathlib import Path


def write_atomic(file: Path, data: str | bytes, *, mode: int = 0o600) -> None:
    """Replace `file` by `data` (write, fsync, rename): a crash leaves the old or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data.encode() if isinstance(data, str) else data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def remembered(file: Path, fresh: str) -> str:
    """The text of `file`; written with `fresh` where there is none yet."""
    try:
        kept = file.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        kept = ""
    if not kept and fresh:
        write_atomic(file, fresh)
    return kept or fresh


def give_to_owner(directory: Path, *made: Path) -> None:
    """What root has made below `directory`, for a daemon that runs as the user whom that belongs to.

    Links are not followed: that user may have put them there.
    """
    if os.geteuid() == 0:
        owner = directory.stat()
        for each in made:
            os.chown(each, owner.st_uid, owner.st_gid, follow_symlinks=False)
