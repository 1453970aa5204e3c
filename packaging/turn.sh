# shellcheck shell=bash  # sourced by install.sh
# A TURN server on this machine: Debian's coturn, with a configuration, a secret and a unit of Fanlight's.

TURN_UNIT=/etc/systemd/system/fanlight-turn.service
TURN_SETTINGS=$SETTINGS/turnserver.conf
TURN_SECRET=$SETTINGS/ice.turn_secret
TURN_MARK="# set by install.sh --with-turn"

TURN_FILES=(
  turn/fanlight-turn.service:$TURN_UNIT
  turn/fanlight-turn-renew.path:/etc/systemd/system/fanlight-turn-renew.path
  turn/fanlight-turn-renew.service:/etc/systemd/system/fanlight-turn-renew.service
  turn/secret.conf:/etc/systemd/system/fanlight.service.d/turn-secret.conf
  turn/secret.conf:/etc/systemd/system/fanlight-gateway.service.d/turn-secret.conf
)

# install_turn: everything but the start; TURN_HOST is how clients reach this machine
install_turn() {
  local before
  before=$(missing_packages coturn)
  if [[ ! $before && ! -e $TURN_UNIT ]] && systemctl is-active --quiet coturn 2>/dev/null; then
    die "coturn runs here already: set [ice] turn and turn_secret to it instead, or stop it:" \
      "sudo systemctl disable --now coturn"
  fi
  install_packages coturn
  if [[ $before ]]; then
    # the package starts a server of its own, on the same ports, that knows nobody
    change systemctl disable --quiet --now coturn
  fi
  make_turn_secret
  make_turn_settings
  place_turn_files "$VERSION/share"
  tell_of_turn
}

# place_turn_files SHARE: a version from before there was TURN has none
place_turn_files() {
  local entry
  for entry in "${TURN_FILES[@]}"; do
    if [[ -e $1/${entry%%:*} ]]; then
      place "$1/${entry%%:*}" "${entry#*:}"
    fi
  done
}

make_turn_secret() {
  local draft
  [[ ! -e $TURN_SECRET ]] || return 0
  draft=$(mktemp)
  undo_with rm -f "$draft"
  head -c 48 /dev/urandom | base64 --wrap=0 | tr '+/' '-_' >"$draft"
  place "$draft" "$TURN_SECRET" -m 0600
  rm "$draft"
}

# The owner's file is never touched.
make_turn_settings() {
  local draft settings address external="# external-ip=203.0.113.7"
  if [[ -e $TURN_SETTINGS ]]; then
    say "    $TURN_SETTINGS stays"
    return
  fi
  address=$(getent ahostsv4 "$TURN_HOST" | awk 'NR == 1 { print $1 }') || address=""
  if [[ ! $address ]]; then
    say "    $TURN_HOST has no IPv4 address yet: behind a router, set external-ip in $TURN_SETTINGS"
  elif [[ " $(hostname -I) " != *" $address "* ]]; then
    external="external-ip=$address"
  fi
  [[ -e $TURN_SECRET ]] || return 0 # --dry-run
  draft=$(mktemp)
  undo_with rm -f "$draft"
  settings=$(<"$ROOT/systemd/turn/turnserver.conf")
  settings=${settings//@HOST@/"$TURN_HOST"}
  settings=${settings//@EXTERNAL@/"$external"}
  # here and not by a program, whose arguments everybody could read
  printf '%s\n' "${settings//@SECRET@/"$(<"$TURN_SECRET")"}" >"$draft"
  place "$draft" "$TURN_SETTINGS" -m 0600
  rm "$draft"
}

# tell_of_turn: in the owner's settings, unless there is a word on it
tell_of_turn() {
  local mine=$SETTINGS/fanlight.toml draft base=$TURN_HOST:3478 urls
  urls="\"turn:$base?transport=udp\", \"turn:$base?transport=tcp\", \"turns:$TURN_HOST:5349?transport=tcp\""
  if ! grep --quiet '^#turn = \[\]$' "$mine" 2>/dev/null; then
    say "    [ice] in $mine stays; for this server it would be: turn = [$urls]"
    return
  fi
  draft=$(mktemp)
  undo_with rm -f "$draft"
  sed -e "s|^#stun = \[\]\$|stun = [\"stun:$base\"] $TURN_MARK|; s|^#turn = \[\]\$|turn = [$urls] $TURN_MARK|" \
    "$mine" >"$draft"
  place "$draft" "$mine" -m 0640 -g fanlight
  rm "$draft"
}

start_turn() {
  if ! systemctl is-enabled --quiet fanlight-turn 2>/dev/null; then
    undo_with systemctl disable --now fanlight-turn fanlight-turn-renew.path
  fi
  change systemctl enable --quiet fanlight-turn fanlight-turn-renew.path
  [[ -d /run/systemd/system ]] || return 0
  change systemctl start fanlight-turn-renew.path
  if ! change systemctl restart fanlight-turn; then
    journalctl --unit fanlight-turn --lines 30 --no-pager --output cat >&2
    return 1
  fi
}

uninstall_turn() {
  local entry folder
  [[ -e $TURN_UNIT ]] || return 0
  change systemctl disable --quiet --now fanlight-turn fanlight-turn-renew.path
  for entry in "${TURN_FILES[@]}"; do
    change rm -f "${entry#*:}"
  done
  for folder in /etc/systemd/system/fanlight{,-gateway}.service.d; do
    [[ ! -d $folder ]] || change rmdir --ignore-fail-on-non-empty "$folder"
  done
  change rm -f "$TURN_SETTINGS" "$TURN_SECRET"
  if [[ -e $SETTINGS/fanlight.toml ]]; then
    change sed -i -e "s|^\(stun\|turn\) = .* $TURN_MARK\$|#\1 = []|" "$SETTINGS/fanlight.toml"
  fi
  say "    coturn itself stays, and does not run: sudo apt-get purge coturn"
}
