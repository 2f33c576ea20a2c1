"""Containers without an engine: the image's root in PID and mount namespaces
of their own.  They share the network of the tests, as the containers of a pod
share theirs; scripts/image/test makes that one."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

from lib import proxy


PID1 = pathlib.Path(__file__).with_name("pid1.py")


def volume(pattern, folder):
    """A folder with the owner and the mode of another one."""
    folder.mkdir()
    status = pattern.stat()
    os.chown(folder, status.st_uid, status.st_gid)
    folder.chmod(status.st_mode & 0o7777)
    return folder


class Container(proxy.Clinch):
    """One container.  Its log lines are collected from stderr."""

    def __init__(self, root, configured, folder, variables, user, mounts, arguments=()):
        self.configured, self.user = configured, user
        self.environment = {**dict(one.split("=", 1) for one in configured["Env"]), "HOME": "/", **variables}
        self.lines = []
        plan = {
            "root": str(make_root(root, folder, mounts)),
            "mounts": [(str(source), target, read_only) for source, target, read_only in mounts],
            "user": user,
            "command": [*configured["Entrypoint"], *arguments],
            "environment": self.environment,
        }
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--", sys.executable, str(PID1), json.dumps(plan)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        """Of process 1, as it is called out here."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            return int(children.read().split()[0])

    def wait_event(self, message, count=1, deadline=20):
        """Wait for `count` log lines with this message; return the last as an object."""
        return json.loads(self.wait_log(rf'"{message}"', count, deadline))

    def ready(self):
        self.wait_event("started", deadline=40)
        return self

    def signal(self, name):
        os.kill(self.pid, getattr(signal, name))

    def reload(self):
        before = len(self.grep('"reloaded"'))
        self.signal("SIGHUP")
        return self.wait_event("reloaded", before + 1)

    def healthcheck(self):
        """The image's HEALTHCHECK inside, as an engine runs it: (status, output)."""
        command = self.configured["Healthcheck"]["Test"]
        assert command[0] == "CMD"
        user, group = self.user
        inside = ["nsenter", "-t", str(self.pid), "--pid", "--mount", "-S", str(user), "-G", str(group), "--"]
        done = subprocess.run(
            [*inside, *command[1:]],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=self.configured["Healthcheck"]["Timeout"] / 10**9,
        )
        return done.returncode, done.stdout + done.stderr

    def status(self):
        """/proc/PID/status of process 1."""
        with open(f"/proc/{self.pid}/status") as status:
            return dict(line.rstrip("\n").split(":\t", 1) for line in status)

    def writable_mounts(self):
        """Where a file could be written, /proc aside."""
        with open(f"/proc/{self.pid}/mountinfo") as mounts:
            fields = [line.split() for line in mounts]
        found = [one[4] for one in fields if "ro" not in one[5].split(",") and one[one.index("-") + 1] != "proc"]
        return [path for path in found if not path.startswith("/dev/")]

    def end(self, name="SIGTERM", deadline=20):
        self.signal(name)
        return self.wait_exit(deadline)

    def stop(self):
        """The end of process 1 ends what is in its namespaces; the signal that
        unshare would leave behind for it is lost when the user changes."""
        if self.process.poll() is None:
            self.signal("SIGKILL")
            self.process.wait()
        self._reader.join(2)
        self.process.stderr.close()


def make_root(root, folder, mounts):
    """A copy with the mount points that an engine adds."""
    shutil.copytree(root, folder, symlinks=True)
    for path in [folder / "proc", folder / "dev"]:
        path.mkdir()
    for source, target, _ in mounts:
        path = folder / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            path.mkdir(exist_ok=True)
        else:
            path.touch()
    (folder / "etc/hosts").write_text("127.0.0.1 localhost\n")
    return folder


def web(sock):
    """A plaintext web server: answers each request, keeps the connection."""
    got = b""
    while data := sock.recv(65536):
        got += data
        while b"\r\n\r\n" in got:
            got = got.partition(b"\r\n\r\n")[2]
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nplain\n")


