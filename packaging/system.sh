# shellcheck shell=bash  # sourced by install.sh
# The installation for good. Each version is a venv of its own; `current` and `previous` are links between them.

PREFIX=/opt/fanlight
SETTINGS=/etc/fanlight
STATE=/var/lib/fanlight
COMMAND=/usr/local/bin/fanlight
BEFORE=$PREFIX/.before
CHANGED=""
SERVICE=fanlight
if systemctl is-enabled --quiet fanlight-gateway 2>/dev/null; then
  SERVICE=fanlight-gateway # what its owner chose
fi

# in the checkout's systemd/ and in each version's share/ : on the system
SYSTEM_FILES=(
  fanlight.service:/etc/systemd/system/fanlight.service
  fanlight-gateway.service:/etc/systemd/system/fanlight-gateway.service
  sysusers.d/fanlight.conf:/etc/sysusers.d/fanlight.conf
  tmpfiles.d/fanlight.conf:/etc/tmpfiles.d/fanlight.conf
  modules-load.d/fanlight.conf:/etc/modules-load.d/fanlight.conf
  sysctl.d/10-fanlight.conf:/etc/sysctl.d/10-fanlight.conf
  udev/60-fanlight.rules:/etc/udev/rules.d/60-fanlight.rules
  Xsession.d/95fanlight:/etc/X11/Xsession.d/95fanlight
)

install_system() {
  local python
  demand_root
  step "Debian packages" install_packages "${RUN_PACKAGES[@]}"
  python=$(find_python)
  choose_version "$python"
  step "Version ${VERSION##*/}" build_version "$python"
  if [[ $AWS ]] || has_aws; then
    step "botocore" install_aws
  fi
  remember_service
  step "System files" place_system_files "$VERSION/share"
  step "User and groups" make_user
  step "Settings in $SETTINGS" place_settings
  if [[ $TURN_HOST ]]; then
    step "TURN server" install_turn
  fi
  step "Devices" apply_device_rules
  step "Switch to ${VERSION##*/}" switch_to "$VERSION"
  step "Service" start_service
  if [[ $TURN_HOST ]]; then
    step "TURN service" start_turn
  fi
  keep
  step "Old versions" prune_versions
  say "Fanlight runs, now and after every boot. \`sudo fanlight pair\` shows the address and another PIN;" \
    "members of the group fanlight may use \`fanlight\` without sudo."
  greet
}

# greet: the address and a PIN, where there is somebody to open it, and a door
greet() {
  if [[ $MODE == system && ! $DRY_RUN && -d /run/systemd/system ]]; then
    "$COMMAND" pair >&2 || true # a box behind a gateway elsewhere says where
  fi
}

upgrade_system() {
  [[ -L $PREFIX/current ]] || die "nothing is installed in $PREFIX yet: run sudo ./install.sh"
  install_system
}

roll_back_system() {
  local previous
  demand_root
  previous=$(readlink -e "$PREFIX/previous") || die "there is no version before the current one in $PREFIX"
  remember_service
  step "System files of ${previous##*/}" place_system_files "$previous/share"
  step "Switch to ${previous##*/}" switch_to "$previous"
  step "Service" start_service
  keep
}

uninstall_system() {
  local entry
  demand_root
  step "Service" stop_service
  step "TURN server" uninstall_turn
  step "Files" change rm -rf "$PREFIX" "$COMMAND"
  for entry in "${SYSTEM_FILES[@]}"; do
    change rm -f "${entry#*:}"
  done
  if [[ -d /run/systemd/system ]]; then
    change systemctl daemon-reload
  fi
  if [[ $PURGE ]]; then
    step "Settings, state, user" purge
  else
    say "Settings in $SETTINGS and state in $STATE stay; --uninstall --purge removes them."
  fi
}

demand_root() {
  local command
  [[ $EUID == 0 || $DRY_RUN ]] || die "this changes the system: run it with sudo"
  for command in systemctl systemd-sysusers systemd-tmpfiles; do
    command -v "$command" >/dev/null || die "no $command here: without systemd, ./install.sh --run is the way"
  done
  umask 022
}

# digest PYTHON: of everything that goes into a version
digest() {
  (
    cd "$ROOT" || exit
    "$1" --version
    find appliance hw tui systemd examples pyproject.toml requirements.lock requirements-build.lock \
      -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum
  ) | sha256sum | cut -d' ' -f1
}

# choose_version PYTHON: sets VERSION to the folder; another tree of the same number never replaces a living venv
choose_version() {
  local number
  DIGEST=$(digest "$1")
  number=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/pyproject.toml")
  VERSION=$PREFIX/$number
  if [[ -e $VERSION/.digest && $(<"$VERSION/.digest") != "$DIGEST" ]]; then
    VERSION+=+${DIGEST:0:8}
  fi
}

build_version() {
  if [[ -e $VERSION/.digest ]]; then
    say "    already there"
    return
  fi
  undo_with rm -rf "$VERSION"
  change mkdir -p "$PREFIX"
  new_venv "$1" "$VERSION" "$ROOT/requirements.lock"
  pip_install "$VERSION" --no-deps "$ROOT"
  change mkdir -p "$VERSION/share"
  change cp -R "$ROOT"/systemd/. "$ROOT/examples/fanlight.toml" "$VERSION/share/"
  [[ $DRY_RUN ]] || printf '%s\n' "$DIGEST" >"$VERSION/.digest"
}

has_aws() {
  compgen -G "$PREFIX/current/lib/python3*/site-packages/botocore" >/dev/null
}

install_aws() {
  pip_install "$VERSION" --require-hashes --requirement "$ROOT/requirements-aws.lock"
}

# place SOURCE TARGET [INSTALL-OPTIONS...]: atomically, and only where something differs
place() {
  local source=$1 target=$2
  shift 2
  if cmp --quiet "$source" "$target"; then
    return
  fi
  CHANGED=yes
  if [[ -e $target ]]; then
    change mkdir -p "$BEFORE${target%/*}"
    change cp -p "$target" "$BEFORE$target"
    undo_with mv "$BEFORE$target" "$target"
  else
    undo_with rm -f "$target"
  fi
  change install -D -m 0644 "$@" "$source" "$target.part"
  change mv "$target.part" "$target"
}

place_system_files() {
  local entry
  for entry in "${SYSTEM_FILES[@]}"; do
    if [[ $DRY_RUN || -e $1/${entry%%:*} ]]; then # an older version has fewer
      place "$1/${entry%%:*}" "${entry#*:}"
    fi
  done
  if [[ -e $TURN_UNIT ]]; then
    place_turn_files "$1"
  fi
}

make_user() {
  local group
  getent passwd fanlight >/dev/null || undo_with userdel fanlight
  [[ -e $STATE ]] || undo_with rm -rf "$STATE"
  change systemd-sysusers /etc/sysusers.d/fanlight.conf
  for group in video render input audio; do
    if getent group "$group" >/dev/null; then
      change usermod --append --groups "$group" fanlight
    fi
  done
  change systemd-tmpfiles --create /etc/tmpfiles.d/fanlight.conf
  # what `--run` as root left there
  change chown --recursive --no-dereference --from=root fanlight:fanlight "$STATE"
}

# The owner's file is never touched; defaults that differ from those of the version before go beside it.
place_settings() {
  local mine=$SETTINGS/fanlight.toml shipped=$VERSION/share/fanlight.toml before=$PREFIX/current/share/fanlight.toml
  if [[ ! -e $mine ]]; then
    place "$shipped" "$mine" -m 0640 -g fanlight
  elif [[ -e $before ]] && ! cmp --quiet "$before" "$shipped"; then
    place "$shipped" "$mine.new" -m 0640 -g fanlight
    say "    yours stays; the new defaults are in $mine.new"
  fi
}

apply_device_rules() {
  if [[ -S /run/udev/control ]]; then
    change udevadm control --reload
    change udevadm trigger --subsystem-match=misc --subsystem-match=drm
  fi
  change /usr/lib/systemd/systemd-sysctl /etc/sysctl.d/10-fanlight.conf ||
    say "    socket buffers stay small: keyframes to many viewers at once may lose packets"
  change modprobe --quiet uinput || true # for gamepads alone; `fanlight doctor` says where it is missing
}

# link NAME TARGET: points PREFIX/NAME at TARGET in one rename
link() {
  change ln -sfn "${2##*/}" "$PREFIX/.$1"
  change mv -T "$PREFIX/.$1" "$PREFIX/$1"
}

switch_to() {
  local current previous
  current=$(readlink -e "$PREFIX/current") || current=""
  previous=$(readlink -e "$PREFIX/previous") || previous=""
  if [[ $current != "$1" ]]; then
    CHANGED=yes
    if [[ $current ]]; then
      undo_with link current "$current"
      if [[ $previous ]]; then
        undo_with link previous "$previous"
      else
        undo_with rm -f "$PREFIX/previous"
      fi
      link previous "$current"
    else
      undo_with rm -f "$PREFIX/current" "$COMMAND"
    fi
    link current "$1"
  fi
  change ln -sfn "$PREFIX/current/bin/fanlight" "$COMMAND"
}

# remember_service: registered first, so that it is taken back last, over the old files
remember_service() {
  if systemctl is-active --quiet "$SERVICE"; then
    undo_with systemctl restart "$SERVICE"
  fi
  [[ ! -d /run/systemd/system ]] || undo_with systemctl daemon-reload
}

start_service() {
  if ! systemctl is-enabled --quiet "$SERVICE" 2>/dev/null; then
    undo_with systemctl disable --now "$SERVICE"
  fi
  change systemctl enable --quiet "$SERVICE"
  if [[ ! -d /run/systemd/system ]]; then
    say "    systemd does not run here: the service starts at the next boot"
    return
  fi
  change systemctl daemon-reload
  if [[ ! $CHANGED ]] && systemctl is-active --quiet "$SERVICE"; then
    say "    runs already, and nothing changed"
    return
  fi
  change systemctl reset-failed "$SERVICE" 2>/dev/null || true
  if ! change systemctl restart "$SERVICE"; then
    journalctl --unit "$SERVICE" --lines 30 --no-pager --output cat >&2
    return 1
  fi
}

stop_service() {
  if systemctl is-enabled --quiet "$SERVICE" 2>/dev/null || systemctl is-active --quiet "$SERVICE"; then
    change systemctl disable --quiet --now "$SERVICE"
  fi
}

# prune_versions: the current one and the one before stay
prune_versions() {
  local folder
  for folder in "$PREFIX"/*/; do
    folder=${folder%/}
    if [[ ! -L $folder && ! $folder -ef $PREFIX/current && ! $folder -ef $PREFIX/previous ]]; then
      change rm -rf "$folder"
    fi
  done
  change rm -rf "$BEFORE"
}

purge() {
  change rm -rf "$SETTINGS" "$STATE"
  if getent passwd fanlight >/dev/null; then
    change userdel fanlight
  fi
  if getent group fanlight >/dev/null; then
    change groupdel fanlight
  fi
}
