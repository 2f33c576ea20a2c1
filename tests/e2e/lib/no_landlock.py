"""A kernel without Landlock, for one program: a seccomp filter makes its calls
fail as on such a kernel.  Run as `python3 no_landlock.py PROGRAM ARGUMENT...`."""

import ctypes
import os
import struct
import sys

LANDLOCK_CREATE_RULESET = 444  # on every architecture
ENOSYS = 38
LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def without_landlock():
    rows = [
        (LOAD, 0, 0, 0),  # the number of the call
        (EQUALS, 0, 1, LANDLOCK_CREATE_RULESET),
        (RETURN, 0, 0, ERRNO | ENOSYS),
        (RETURN, 0, 0, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
    program = struct.pack("HxxxxxxP", len(rows), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    without_landlock()
    os.execv(sys.argv[1], sys.argv[1:])
