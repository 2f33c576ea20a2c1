"""Becomes the entry point of a container: process 1, on a read-only root, as
an unprivileged user without capabilities.  Argument: what container.py wrote.
It runs in PID and mount namespaces of its own."""

import ctypes
import json
import os
import pathlib
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, MNT_DETACH, EINVAL = 24, 38, 2, 22
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
CAPABILITY_VERSION = 0x20080522


def check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def bind(source, target, read_only):
    mount("--bind", source, target)
    if read_only:
        mount("-o", "remount,bind,ro,nosuid,nodev", target)


def mount_all(root, mounts):
    """/proc and a small /dev, as engines provide them."""
    mount("--bind", root, root)
    mount("-t", "proc", "proc", root / "proc")
    mount("-t", "tmpfs", "-o", "mode=755", "dev", root / "dev")
    for device in ("null", "zero", "full", "random", "urandom"):
        (root / "dev" / device).touch()
        mount("--bind", f"/dev/{device}", root / "dev" / device)
    mount("-o", "remount,ro", root / "dev")
    for source, target, read_only in mounts:
        bind(source, root / target.lstrip("/"), read_only)
    mount("-o", "remount,bind,ro,nosuid,nodev", root)


def enter(root):
    os.chdir(root)
    check(libc.syscall(SYS_PIVOT_ROOT, b".", b"."))
    check(libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def drop(user, group):
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            assert ctypes.get_errno() == EINVAL
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    check(libc.capset(header, (ctypes.c_uint32 * 6)()))
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def main():
    plan = json.loads(sys.argv[1])
    mount_all(pathlib.Path(plan["root"]), plan["mounts"])
    enter(plan["root"])
    drop(*plan["user"])
    os.execve(plan["command"][0], plan["command"], plan["environment"])


main()
