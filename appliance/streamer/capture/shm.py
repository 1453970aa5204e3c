"""System V shared memory that an X server may attach, whoever runs it."""

import ctypes
import os
import socket
import struct

import numpy as np

from appliance.errors import UnavailableError
from appliance.streamer.capture.pixels import Pixels

_IPC_RMID, _IPC_SET, _IPC_STAT = 0, 1, 2
_UID_OFFSET = 4  # struct ipc_perm {key_t key; uid_t uid; ...}, first in struct shmid_ds
_SHMID_DS_ROOM = 512

_libc = ctypes.CDLL(None, use_errno=True)
_libc.shmat.restype = ctypes.c_void_p
_libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
_libc.shmdt.argtypes = [ctypes.c_void_p]
_libc.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
_libc.shmctl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]


class SharedPixels:
    """`pixels` is height x width x 4 bytes at `id`. Raises UnavailableError."""

    def __init__(self, width: int, height: int) -> None:
        size = width * height * 4
        self.id = _check(_libc.shmget(0, size, 0o1600), "shmget")
        address = _libc.shmat(self.id, None, 0)
        if address == ctypes.c_void_p(-1).value:
            self.forget()
            raise UnavailableError(f"shared memory of {size} bytes: {os.strerror(ctypes.get_errno())}")
        self._address = address
        memory = (ctypes.c_uint8 * size).from_address(address)
        self.pixels: Pixels = np.frombuffer(memoryview(memory), np.uint8).reshape(height, width, 4)

    def lend_to(self, server: socket.socket) -> None:
        """Let the user at the other end of `server` attach it: nobody else gets to see the screen."""
        if server.family != socket.AF_UNIX:
            return
        _, uid, _ = struct.unpack("3i", server.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid == os.geteuid():
            return
        state = ctypes.create_string_buffer(_SHMID_DS_ROOM)
        _check(_libc.shmctl(self.id, _IPC_STAT, state), "shmctl")
        struct.pack_into("=I", state, _UID_OFFSET, uid)
        _check(_libc.shmctl(self.id, _IPC_SET, state), "shmctl")

    def forget(self) -> None:
        """It goes with its last user; nobody new may attach."""
        _libc.shmctl(self.id, _IPC_RMID, None)

    def close(self) -> None:
        """`pixels` must not be used any more."""
        _libc.shmdt(self._address)


def _check(result: int, call: str) -> int:
    if result < 0:
        raise UnavailableError(f"shared memory: {call}: {os.strerror(ctypes.get_errno())}")
    return result
