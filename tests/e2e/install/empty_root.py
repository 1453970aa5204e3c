"""The whole test suite in a bare Debian: `python -m tests.e2e.install.empty_root [ARGS for pytest]`.

Needs root. Clones the last commit into a root that holds git, python3 and the certificates of the package
registries, and runs `./install.sh --test` there in namespaces of its own. Takes as long as CI does.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.machine import BARE, ENVIRONMENT, REPOSITORY, bare_root, namespace, unpack, user_mode_nat

# Devices and cgroups are the host's: the tests inside make networks and machines of their own.
ENTER = """set -e
mount --make-rprivate /
mount --bind "$0" "$0"
mount --rbind /dev "$0/dev"
mount -t sysfs sysfs "$0/sys"
mount --rbind /sys/fs/cgroup "$0/sys/fs/cgroup"
mount -t proc proc "$0/proc"
mount -t tmpfs tmpfs "$0/run"
mkdir "$0/run/old"
cd "$0"
pivot_root . run/old
umount -l /run/old
cd /root/fanlight
exec "$@"
"""


def main() -> int:
    """Exit status of the suite."""
    with tempfile.TemporaryDirectory(prefix="fanlight-root-", ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "root"
        unpack(bare_root(BARE), root)
        clone = ("git", "clone", "--quiet", "--no-hardlinks", REPOSITORY, root / "root" / "fanlight")
        subprocess.run(clone, check=True, timeout=60)
        variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        began = time.monotonic()
        with namespace() as network, user_mode_nat(network):
            command = network.inside(
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts"),
                *("bash", "-c", ENTER, str(root), "env", "--ignore-environment", *variables),
                *("./install.sh", "--test", "--", *sys.argv[1:]),
            )
            status = subprocess.run(command, check=False, timeout=3600).returncode
        print(f"./install.sh --test in an empty root: status {status}, {time.monotonic() - began:.0f} s")
        return status


if __name__ == "__main__":
    sys.exit(main())
