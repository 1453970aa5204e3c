"""What unit tests share."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_NOBODY = 65534


@pytest.fixture
def plain_user() -> Iterator[Path]:
    """Be no root meanwhile; a folder of one's own, in which one called `closed` may not be looked into."""
    with tempfile.TemporaryDirectory(prefix="fanlight-") as name:
        own = Path(name)
        (own / "closed").mkdir(mode=0o000)
        user = os.geteuid()
        if user == 0:
            os.chown(own, _NOBODY, -1)
            os.seteuid(_NOBODY)
        try:
            yield own
        finally:
            os.seteuid(user)
            (own / "closed").chmod(0o700)
