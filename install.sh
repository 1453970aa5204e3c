#!/bin/bash
# Sets Fanlight up on a Debian or Ubuntu machine. The usage text below says how.
set -Eeuo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DRY_RUN="" OFFLINE="" FETCH="" PURGE="" TURN_HOST="" AWS="" MODE=system

# shellcheck source=packaging/steps.sh
source "$ROOT/packaging/steps.sh"
# shellcheck source=packaging/packages.sh
source "$ROOT/packaging/packages.sh"
# shellcheck source=packaging/environment.sh
source "$ROOT/packaging/environment.sh"
# shellcheck source=packaging/system.sh
source "$ROOT/packaging/system.sh"
# shellcheck source=packaging/turn.sh
source "$ROOT/packaging/turn.sh"

usage() {
  cat <<'USAGE'
Usage:
  ./install.sh --run [-- ARGS...]   install what is missing, then run the daemon here, in the foreground
  ./install.sh --test [-- ARGS...]  the same with the test tools, then all checks and all tests
  ./install.sh --fetch DIR          fill DIR for `--offline DIR` on another machine with this release and architecture
  sudo ./install.sh                 install for good: /opt/fanlight, user, udev rules, service; starts it
  sudo ./install.sh --upgrade       the same over an installed version; goes back by itself if it does not start
  sudo ./install.sh --rollback      back to the version before
  sudo ./install.sh --uninstall     remove it; settings and state stay unless --purge is given too

Options:
  --with-turn HOST
                  a TURN server on this machine too (coturn), for viewers that no direct way leads to; HOST is the
                  name or address by which they reach it. With an installation or an upgrade
  --with-aws      botocore too, which [kinesis.uplink] needs; upgrades keep it
  --dry-run       say what would be done, do nothing
  --offline DIR   take Python packages (and Debian packages, if any) from DIR instead of the network
  -h, --help      this text

ARGS go to `fanlight run` and to pytest. PYTHON=... names the Python to use (3.11 or newer).
USAGE
}

parse() {
  while (($#)); do
    case $1 in
      --run | --test | --upgrade | --rollback | --uninstall) MODE=${1#--} ;;
      --fetch)
        [[ ${2-} && $2 != -* ]] || die "--fetch needs a folder"
        MODE=fetch FETCH=$2
        shift
        ;;
      --purge) PURGE=yes ;;
      --dry-run) DRY_RUN=yes ;;
      --with-aws) AWS=yes ;;
      --with-turn)
        [[ ${2-} =~ ^[A-Za-z0-9][A-Za-z0-9.-]*$ ]] || die "--with-turn needs a host name or an IPv4 address"
        TURN_HOST=$2
        shift
        ;;
      --offline)
        [[ -d ${2-} ]] || die "--offline needs a folder"
        OFFLINE=$(cd "$2" && pwd)
        shift
        ;;
      -h | --help)
        usage
        exit 0
        ;;
      --)
        shift
        ARGS=("$@")
        return
        ;;
      *)
        usage >&2
        die "unknown argument: $1"
        ;;
    esac
    shift
  done
  [[ ! $TURN_HOST || $MODE == system || $MODE == upgrade ]] || die "--with-turn goes with an installation"
  [[ ! $AWS || $MODE == system || $MODE == upgrade ]] || die "--with-aws goes with an installation"
  [[ ! $PURGE || $MODE == uninstall ]] || die "--purge goes with --uninstall"
}

run_here() {
  local python
  step "Debian packages" install_packages "${RUN_PACKAGES[@]}"
  python=$(find_python)
  step "Python environment in .venv" checkout_venv "$python" "$ROOT/requirements.lock"
  export FANLIGHT_GREET=yes
  change exec "$ROOT/.venv/bin/fanlight" run "${ARGS[@]}"
}

test_here() {
  local python status=0 pytest=(.venv/bin/pytest --durations=25 --durations-min=5)
  step "Debian packages" install_packages "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
  python=$(find_python)
  step "Python environment in .venv" checkout_venv "$python" "$ROOT/requirements-dev.lock"
  cd "$ROOT"
  say "==> Checks"
  change make check || status=$?
  say "==> Tests"
  if ((${#ARGS[@]})); then
    change "${pytest[@]}" "${ARGS[@]}" || status=$?
  else # the checks have run the others
    change "${pytest[@]}" -n 2 --dist worksteal tests/e2e/install || status=$? # machines of their own
    change "${pytest[@]}" -m "integration or e2e" --ignore=tests/e2e/install || status=$?
  fi
  exit "$status"
}

fetch() {
  local python
  step "Debian packages" install_packages ca-certificates python3-venv
  python=$(find_python)
  change mkdir -p "$FETCH"
  step "Debian packages for others" fetch_packages "$(realpath -m "$FETCH")" \
    "${RUN_PACKAGES[@]}" pulseaudio coturn # whatever sound server this machine has
  step "Python packages for others" fetch_wheels "$python" "$FETCH"
}

ARGS=()
parse "$@"
case $MODE in
  run) run_here ;;
  test) test_here ;;
  fetch) fetch ;;
  system) install_system ;;
  upgrade) upgrade_system ;;
  rollback) roll_back_system ;;
  uninstall) uninstall_system ;;
esac
