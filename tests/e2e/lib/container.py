"""A container without an engine: a root folder of its own that is read-only
but for one folder, a pid, mount and IPC namespace, a plain user without
capabilities, an environment with only what is given, and neither /dev
nor /proc.  As a program it is the wrapper that makes all that and then becomes
clinch, which is PID 1 there:

    container.py SPEC.json CLINCH -c FILE [OPTION...]
"""

import concurrent.futures
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
INI = "/etc/clinch/clinch.ini"
# The folders of the image; the second one is that of volumes.
CERTS, STORE, SHARED = "/etc/clinch/certs", "/var/lib/clinch", "/run/shared"


def usable():
    """Why there can be none here; "" where there can."""
    if os.geteuid() != 0:
        return "needs root"
    made = ["unshare", "--pid", "--fork", "--mount", "--net", "--ipc", "mount", "-t", "tmpfs", "none", "/mnt"]
    if not shutil.which("unshare") or subprocess.run(made, capture_output=True).returncode != 0:
        return "needs the right to make namespaces and mounts"
    return ""


class Network:
    """A network with loopback alone: call(f, ...) runs f in it, on the one
    thread that is there, and what f starts stays there."""

    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.call(self._enter)

    @staticmethod
    def _enter():
        if LIBC.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    def call(self, what, *arguments, **options):
        return self.pool.submit(what, *arguments, **options).result(120)

    def close(self):
        self.pool.shutdown()


def specify(folder, uid=1234567, gid=0, environment=None, mounts=None, writable=(STORE,)):
    """Write a spec; returns the wrapper for proxy.Clinch.  mounts: path inside:
    folder outside; writable: which of them are."""
    root, spec = folder / "root", folder / "spec.json"
    root.mkdir()
    spec.write_text(
        json.dumps(
            {
                "root": str(root),
                "uid": uid,
                "gid": gid,
                "environment": environment or {},
                "mounts": {inside: str(outside) for inside, outside in (mounts or {}).items()},
                "writable": list(writable),
                "proc": bool(os.environ.get("CLINCH_SANITIZED")),  # sanitizers read it
            }
        )
    )
    apart = ("unshare", "--pid", "--fork", "--kill-child", "--mount", "--ipc")
    return (*apart, sys.executable, __file__, str(spec))


def init_of(pid):
    """The pid, out here, of PID 1 of what unshare (this pid) started; None
    before clinch runs there."""
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children and pathlib.Path(f"/proc/{children[0]}/comm").read_text() == "clinch\n" else None
    except OSError:
        return None


def libraries(binary):
    """The files that the loader would map, itself included."""
    printed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", printed)


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def copy(source, root):
    target = pathlib.Path(root + source)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def build(spec, binary, ini):
    root = spec["root"]
    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "-o", "mode=755", "root", root)
    for file in [os.path.abspath(binary), *libraries(binary)]:
        copy(file, root)
    os.makedirs(os.path.dirname(root + INI))
    shutil.copy(ini, root + INI)
    os.chmod(root + INI, 0o644)
    for inside, outside in spec["mounts"].items():
        os.makedirs(root + inside, exist_ok=True)
        mount("--bind", outside, root + inside)
        if inside not in spec["writable"]:
            mount("-o", "remount,bind,ro", root + inside)
    if spec["proc"]:
        os.mkdir(root + "/proc")
        mount("-t", "proc", "proc", root + "/proc")
    mount("-o", "remount,ro", root)


def become(uid, gid):
    capability = 0
    while LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    assert LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    # Another user has lost what --kill-child of unshare had set.
    assert LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0


def main(path, binary, _, ini, *options):
    spec = json.loads(pathlib.Path(path).read_text())
    build(spec, binary, ini)
    os.chroot(spec["root"])
    os.chdir("/")
    become(spec["uid"], spec["gid"])
    binary = os.path.abspath(binary)
    os.execve(binary, [binary, "-c", INI, *options], spec["environment"])


if __name__ == "__main__":
    main(*sys.argv[1:])
