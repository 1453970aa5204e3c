# shellcheck shell=bash  # sourced by install.sh
# Steps that name themselves when they fail, and take back what they did.

STEP="" LAST_CHANGE="" UNDO=()

say() { printf '%s\n' "$*" >&2; }

die() {
  say "install.sh: $*"
  LAST_CHANGE=""
  exit 1
}

# step TITLE FUNCTION [ARGS...]: one named part of the work
step() {
  STEP=$1
  say "==> $STEP"
  "${@:2}"
  STEP=""
}

# change COMMAND...: whatever alters the machine goes through here, so that --dry-run alters nothing
change() {
  printf -v LAST_CHANGE '%q ' "$@"
  if [[ $DRY_RUN ]]; then
    say "    would run: $LAST_CHANGE"
  else
    "$@"
  fi
}

# change_quietly COMMAND...: its output is shown only where it fails
change_quietly() {
  local output
  if [[ $DRY_RUN ]]; then
    change "$@"
  elif ! output=$(change "$@" 2>&1); then
    printf -v LAST_CHANGE '%q ' "$@"
    say "$output"
    return 1
  fi
}

# undo_with COMMAND...: how to take back what comes next, should this step or a later one fail
undo_with() {
  local command
  printf -v command '%q ' "$@"
  [[ $DRY_RUN ]] || UNDO+=("$command")
}

# keep: what was done so far stays done
keep() { UNDO=(); }

unwind() {
  local status=$? index
  trap - EXIT INT TERM
  trap '' HUP # it may come twice, and nobody may be left to read what is said
  set +e
  if ((status != 0)) && [[ $STEP ]]; then
    say "install.sh: failed at: $STEP${LAST_CHANGE:+ (last command: $LAST_CHANGE)}"
    for ((index = ${#UNDO[@]} - 1; index >= 0; index--)); do
      say "    taking back: ${UNDO[index]}"
      eval "${UNDO[index]}" >&2
    done
  fi
  exit "$status"
}

trap unwind EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
