"""The terminal UI: a client of the control socket that keeps no truth of its own."""
