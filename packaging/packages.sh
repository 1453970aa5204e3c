# shellcheck shell=bash disable=SC2034  # sourced by install.sh
# The Debian packages, and why each is there.

# is_installed PACKAGE: for any architecture of this machine
is_installed() {
  [[ " $(dpkg-query --show --showformat='${db:Status-Status} ' "$1" 2>/dev/null)" == *" installed "* ]]
}

RUN_PACKAGES=(
  ca-certificates         # the registries and the TURN servers speak TLS
  python3-venv            # the private venv
  libyuv0                 # colour conversion of captured screens
  libgbm1 libdrm2 libegl1 # pixelflux: buffers and rendering on a GPU, or without one
  libpixman-1-0 libwayland-server0
  libx11-6 libxext6 libxkbcommon0
  libstdc++6
  xkb-data                        # keymaps of the compositor and of Xvfb
  xvfb xauth x11-xserver-utils    # a virtual screen where the machine has none
  openbox xterm fonts-dejavu-core # ... and something to see on it
)

# A sound server for each screen of our own. It cannot stand beside PipeWire's, which desktops have: there it is
# that one which plays, and nothing is replaced.
is_installed pipewire-pulse || is_installed pipewire-alsa || RUN_PACKAGES+=(pulseaudio)

TEST_PACKAGES=(
  git make                    # the checks
  chromium libatomic1         # a real browser; playwright's driver
  firefox-esr                 # and another one
  nats-server                 # the distribution's server, next to the wheel's
  pulseaudio-utils            # clients of sound servers
  coturn                      # a real TURN server
  openssl
  python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice # a WHEP player that is no browser
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  xdotool x11-utils x11-apps    # X clients to drive and to look at
  weston foot                   # a Wayland host, a Wayland client
  tmux                          # a terminal for the TUI
  iproute2 nftables slirp4netns # networks of their own
  mmdebstrap systemd-container  # machines of their own
  umockdev udev                 # hardware that is not there
  qemu-system-x86               # a kernel that is not there
  procps
)
# The SDKs of others, which clients are built on; Debian's npm cannot stand beside another Node.
command -v npm >/dev/null || TEST_PACKAGES+=(npm)
