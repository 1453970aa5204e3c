"""Fanlight: the desktop of an edge GPU machine in any browser on the network."""

__version__ = "0.1.0"
