# shellcheck shell=bash  # sourced by install.sh
# What Fanlight needs before it can run: Debian packages, a Python, a venv filled from the locks.

APT_INSTALL=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends)
APT_APART=(-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=) # other lists than the machine's

# as_root COMMAND...: directly as root, else through sudo, else say what to run
as_root() {
  if ((EUID == 0)); then
    change_quietly "$@"
  elif command -v sudo >/dev/null; then
    change_quietly sudo -- "$@"
  else
    die "this needs root, and there is no sudo. As root, run: $*"
  fi
}

missing_packages() {
  local package
  for package; do
    is_installed "$package" || printf '%s\n' "$package"
  done
}

# install_packages NAME...: what is missing of these
install_packages() {
  local missing
  if ! command -v apt-get >/dev/null; then
    say "    no apt-get here: make sure that this machine has what these Debian packages hold: $*"
    return
  fi
  mapfile -t missing < <(missing_packages "$@")
  if ((${#missing[@]} == 0)); then
    say "    all there"
    return
  fi
  say "    missing: ${missing[*]}"
  if [[ ! $OFFLINE ]]; then
    as_root apt-get update -qq
    as_root "${APT_INSTALL[@]}" "${missing[@]}"
  elif compgen -G "$OFFLINE/*.deb" >/dev/null; then
    change install_from_folder "${missing[@]}"
  else
    as_root "${APT_INSTALL[@]}" --no-download "${missing[@]}"
  fi
}

# install_from_folder NAME...: apt takes of the packages in OFFLINE what these need and the machine lacks
install_from_folder() {
  local source package options
  source=$(mktemp -d)
  undo_with rm -rf "$source"
  chmod 0755 "$source"
  mkdir "$source/lists"
  ln -s "$OFFLINE" "$source/packages"
  for package in "$OFFLINE"/*.deb; do
    dpkg-deb --field "$package"
    printf 'Filename: ./packages/%s\nSize: %s\nSHA256: %s\n\n' "${package##*/}" "$(wc --bytes <"$package")" \
      "$(sha256sum <"$package" | cut -d' ' -f1)"
  done >"$source/Packages"
  printf 'deb [trusted=yes] file:%s ./\n' "$source" >"$source/sources.list"
  options=("${APT_APART[@]}" -o "Dir::State::Lists=$source/lists" -o APT::Sandbox::User=root
    -o "Dir::Etc::SourceList=$source/sources.list" -o Dir::Etc::SourceParts=-)
  as_root apt-get "${options[@]}" update -qq
  as_root "${APT_INSTALL[@]}" "${options[@]}" "$@"
  as_root rm -rf "$source"
}

# fetch_packages DIR NAME...: these and all that they need, as for a machine with nothing installed
fetch_packages() {
  local folder=$1 lists options
  lists=$(mktemp -d)
  undo_with rm -rf "$lists"
  options=("${APT_APART[@]}" -o "Dir::State::Lists=$lists" -o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=true
    -o Dir::State::Status=/dev/null -o "Dir::Cache::Archives=$folder")
  change mkdir -p "$folder/partial"
  change_quietly apt-get "${options[@]}" update -qq
  change_quietly "${APT_INSTALL[@]}" "${options[@]}" --download-only "${@:2}"
  change rm -rf "$folder/partial" "$folder/lock"
  rm -rf "$lists"
}

# find_python: path of the first Python that is new enough; the distribution's own before others in PATH, since apt
# keeps it up, services may read it wherever homes are hidden, and it is built with optimization by profile
find_python() {
  local candidate
  for candidate in "${PYTHON:-/usr/bin/python3}" python3 python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  die "needs Python 3.11 or newer, and this machine has $(python3 --version 2>&1 || true)." \
    "Debian 12 and Ubuntu 24.04 bring one; or name yours: PYTHON=/path/to/python3.12 ./install.sh"
}

# pip_install VENV ARGS...: build back ends come from the lock too, never from a build sandbox
pip_install() {
  local venv=$1 source=()
  shift
  [[ ! $OFFLINE ]] || source=(--no-index --find-links "$OFFLINE")
  change "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    --no-build-isolation "${source[@]}" "$@" >&2
}

# new_venv PYTHON VENV LOCK: a venv with all that the lock pins, each file checked by its hash
new_venv() {
  local python=$1 venv=$2 lock
  change "$python" -m venv --clear "$venv"
  for lock in "$ROOT/requirements-build.lock" "$3"; do
    pip_install "$venv" --require-hashes --requirement "$lock"
  done
}

# fetch_wheels PYTHON DIR: what the locks for running pin; what has no wheel is asked for its needs, so it takes a venv
fetch_wheels() {
  local venv lock
  venv=$(mktemp -d)
  undo_with rm -rf "$venv"
  new_venv "$1" "$venv" "$ROOT/requirements-build.lock"
  for lock in requirements-build.lock requirements.lock requirements-aws.lock; do
    change "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-build-isolation --dest "$2" \
      --require-hashes --requirement "$ROOT/$lock" >&2
  done
  rm -rf "$venv"
}

# stamp PYTHON LOCK: changes whenever a venv of this Python and lock, at this place, must be made anew
stamp() {
  { printf '%s\n' "$ROOT" && "$1" --version && cat -- "$ROOT"/{pyproject.toml,requirements-build.lock} "$2"; } | sha256sum | cut -d' ' -f1
}

# checkout_venv PYTHON LOCK: the checkout's own .venv; at once where its stamp says that it is up to date
checkout_venv() {
  local python=$1 lock=$2 venv=$ROOT/.venv
  if grep --quiet --no-messages "$(stamp "$python" "$lock")" "$venv/.stamps"; then
    say "    up to date"
    return
  fi
  undo_with rm -rf "$venv"
  new_venv "$python" "$venv" "$lock"
  pip_install "$venv" --no-deps --editable "$ROOT"
  [[ $DRY_RUN ]] || {
    stamp "$python" "$lock"
    # the lock for development holds all of the other one
    stamp "$python" "$ROOT/requirements.lock"
  } >"$venv/.stamps"
}
