"""The real binary, started and watched as a user would."""

import json
import os
import re
import shlex
import signal
import subprocess
import threading

from .wait import until

BINARY = os.environ.get("CLINCH", "clinch")
ROOT_WARNING = "running as root (set user ="


class Clinch:
    """One running clinch.  Its log lines are collected from stderr, with those of
    the processes that continue it after an upgrade."""

    def __init__(self, folder, config, env=None, wrapper=(), pass_fds=(), options=(), binary=BINARY, **popen):
        self.file = folder / "clinch.ini"
        self.write(config)
        self.lines = []
        self.root_lines = []
        self.process = subprocess.Popen(
            [*wrapper, str(binary), "-c", str(self.file), *options],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            pass_fds=pass_fds,
            **popen,
        )
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self):
        for raw in self.process.stderr:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            # The tests run as root, and most set no user: this warning is
            # apart from those that they look for.
            (self.root_lines if ROOT_WARNING in line else self.lines).append(line)

    def write(self, config):
        self.file.write_text(config)

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        return "\n".join(self.lines)

    def grep(self, pattern):
        return [line for line in list(self.lines) if re.search(pattern, line)]

    def wait_log(self, pattern, count=1, deadline=10.0):
        """Wait for `count` lines that match; return the last of them."""

        def enough():
            found = self.grep(pattern)
            if len(found) < count and self.has_ended():
                self._reader.join(2)
                found = self.grep(pattern)
                assert len(found) >= count, f"clinch ended ({self.process.returncode}):\n{self.output()}"
            return len(found) >= count and found

        try:
            return until(enough, f"log line {pattern!r}", deadline)[-1]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None

    def addresses(self, listener):
        """The addresses in the "listening" lines of this listener, newest
        last."""
        found = self.grep(rf"listener listening listener={re.escape(listener)} ")
        return [fields(line)["address"] for line in found]

    def port(self, listener="web", nth=-1):
        self.wait_log(rf"listener listening listener={re.escape(listener)} ")
        return int(self.addresses(listener)[nth].rsplit(":", 1)[1])

    def ready(self):
        self.wait_log(r"server started", deadline=40)
        return self

    def reload(self):
        """SIGHUP, and wait for the line with its result."""
        done = r"server (reloaded|reload refused)"
        before = len(self.grep(done))
        self.process.send_signal(signal.SIGHUP)
        return self.wait_log(done, before + 1, 40)

    def terminate(self, deadline=15):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not stop on SIGTERM:\n{self.output()}") from None
        self._reader.join(2)
        return status

    def wait_exit(self, deadline=15):
        status = self.process.wait(deadline)
        self._reader.join(2)
        return status

    def successors(self):
        """The processes that upgrades have started."""
        return [int(fields(line)["pid"]) for line in self.grep(r"server upgrading ")]

    def has_ended(self):
        """Also those that continue it."""
        return self.process.poll() is not None and not any(is_running(pid, self.file) for pid in self.successors())

    def stop(self):
        """End it whatever happens: the fixture's way out."""
        for pid in self.successors():
            if is_running(pid, self.file):
                os.kill(pid, signal.SIGKILL)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(2)
        self.process.stderr.close()
        crashes = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE)
        assert self.process.returncode not in crashes, f"crashed at its end:\n{self.output()}"

    def is_stopped(self):
        """After SIGSTOP: has every thread noticed?"""
        states = []
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/stat") as stat:
                states.append(stat.read().rpartition(")")[2].split()[0])
        return set(states) == {"T"}

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            ticks = stat.read().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def memory_kb(self):
        """Anonymous memory: file pages count by how many processes share them,
        which changes when another one ends.  0 in a sanitizer build: its shadow
        and quarantine are not ours."""
        if os.environ.get("CLINCH_SANITIZED"):
            return 0
        with open(f"/proc/{self.pid}/smaps_rollup") as rollup:
            return int(re.search(r"^Pss_Anon:\s+(\d+)", rollup.read(), re.M).group(1))


def is_running(pid, file):
    """Is that process one of this configuration, and not a zombie?"""
    try:
        with open(f"/proc/{pid}/cmdline") as command:
            return str(file) in command.read().split("\0")
    except OSError:
        return False


def fields(line):
    """key=value pairs of a text line, or the object of a JSON line."""
    if line.startswith("{"):
        return json.loads(line)
    pairs = {}
    for word in shlex.split(line):
        key, equals, value = word.partition("=")
        if equals:
            pairs[key] = value
    return pairs


def run(*arguments, env=None, cwd=None, deadline=20):
    """Run the binary to its end: (status, stdout, stderr)."""
    done = subprocess.run(
        [BINARY, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=deadline,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )
    return done.returncode, done.stdout, done.stderr


def activated(launch, config, sockets, names, **options):
    """Start with sockets handed over as systemd does: from descriptor 3 on."""
    shell = (
        "import os, sys\n"
        "fds = [int(n) for n in sys.argv[1].split(',')]\n"
        "moved = [os.dup(fd) for fd in fds]\n"
        "high = [os.dup2(fd, 100 + i) for i, fd in enumerate(moved)]\n"
        "for i, fd in enumerate(high): os.dup2(fd, 3 + i)\n"
        "os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "os.execvp(sys.argv[2], sys.argv[2:])\n"
    )
    env = {"LISTEN_FDS": str(len(sockets))}
    if names:
        env["LISTEN_FDNAMES"] = names
    fds = [one.fileno() for one in sockets]
    wrapper = ("/usr/bin/python3", "-c", shell, ",".join(map(str, fds)))
    return launch(config, env=env, wrapper=wrapper, pass_fds=fds, **options)
