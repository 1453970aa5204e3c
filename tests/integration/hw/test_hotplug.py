"""A GPU comes and goes under a real udevd, in namespaces of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


def test_a_gpu_that_is_plugged_in_and_pulled_out_is_noticed() -> None:
    done = subprocess.run(
        [
            *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *(sys.executable, "-m", "tests.support.hotplug_scene"),
        ],
        capture_output=True,
        text=True,
        timeout=55,
        cwd=ROOT,
        env=os.environ | {"SYSTEMD_DEVICE_VERIFY_SYSFS": "0", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["before"] == []
    assert seen["add"] == [["AMD 1002:744c", "amdgpu", "/dev/dri/card0", "/dev/dri/renderD128"]]
    assert "no encoder of AMD 1002:744c works" in seen["add_reason"]
    assert seen["remove"] == []
    assert seen["remove_reason"] == "no GPU on this machine: encoding in software"
    assert seen["add_s"] < 4
    assert seen["remove_s"] < 4
