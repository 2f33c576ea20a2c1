"""Processes that are started, measured and ended.

Every process started here is remembered and ended at exit by its id, and its
children with it; whatever is waited for is waited for with a deadline.
"""

import atexit
import ctypes
import os
import re
import signal
import socket
import subprocess
import threading
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_alive = []


class Trouble(Exception):
    """One sentence with the reason why a measurement is impossible."""


def _die_with_parent(how):
    _libc.prctl(PR_SET_PDEATHSIG, how)


def wait_until(true, seconds, what, pause=0.01):
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise Trouble("%s: nothing after %g s" % (what, seconds))
        time.sleep(pause)


def free_port():
    """A port that was free a moment ago, for programs that require a number."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _parents():
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, encoding="utf-8") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        found.setdefault(int(fields[1]), []).append(int(name))
    return found


def tree(pid):
    """This process and everything below it."""
    parents = _parents()
    found = [pid]
    for one in found:
        found.extend(parents.get(one, []))
    return found


def cpu_seconds(pids):
    """User and system time of all threads, ended ones included.

    The clock of a process (clock_getcpuclockid(3)) is the sum of the first
    figures of /proc/PID/task/*/schedstat, in nanoseconds, and includes threads
    that have ended; /proc/PID/stat has ticks of 10 ms.
    """
    total = 0.0
    for pid in pids:
        try:
            total += time.clock_gettime((~pid << 3) | 2)
        except OSError:
            raise Trouble("process %d has ended" % pid) from None
    return total


def busy_seconds():
    """What all CPUs have spent on anything since the machine started."""
    with open("/proc/stat", encoding="utf-8") as stat:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(
            int, stat.readline().split()[1:9])
    busy = user + nice + system + irq + softirq + steal
    return busy / os.sysconf("SC_CLK_TCK")


def pss_bytes(pids):
    """Anonymous memory: the share of a file page changes when a process that
    we did not start ends."""
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid, encoding="utf-8") as text:
            total += int(re.search(r"^Pss_Anon:\s+(\d+)", text.read(), re.M)[1])
    return total * 1024


class Process:
    """One child and its output."""

    def __init__(self, argv, folder, talks=False):
        self.name = os.path.basename(argv[0])
        self.log = os.path.join(folder, self.name + ".stderr")
        self.talks = talks
        # A proxy is to end its workers; a helper may be stopped and deaf.
        how = signal.SIGKILL if talks else signal.SIGTERM
        with open(self.log, "wb") as err:
            self.child = subprocess.Popen(
                argv, cwd=folder, stderr=err, bufsize=0,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else err,
                start_new_session=True, preexec_fn=lambda: _die_with_parent(how))
        self.pid = self.child.pid
        _alive.append(self)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as text:
            return text.read()

    def check(self):
        if self.child.poll() is None:
            return
        last = self.said().strip().splitlines()[-1:] or ["it said nothing"]
        raise Trouble("%s ended with status %d: %s"
                      % (self.name, self.child.returncode, last[0]))

    def line(self, seconds=20):
        """The next line of its output, as a dict of its key=value words."""
        timer = threading.Timer(seconds, self.child.kill)
        timer.start()
        try:
            text = self.child.stdout.readline().decode()
        finally:
            timer.cancel()
        if not text:
            self.child.wait(5)
            self.check()
        words, _, why = text.strip().partition(" why=")
        found = dict(w.split("=", 1) for w in words.split() if "=" in w)
        found["why"] = why
        return {k: int(v) if v.isdigit() else v for k, v in found.items()}

    def ask(self):
        """Its counters, now."""
        try:
            self.child.stdin.write(b"\n")
        except BrokenPipeError:
            self.child.wait(5)
            self.check()
        return self.line()

    def pause(self):
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def finish(self, seconds, pid=None):
        """SIGTERM to it, or to this child of it, and wait for its own end: an
        instrument writes its figures then."""
        os.kill(pid or self.pid, signal.SIGTERM)
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Trouble("%s does not end" % self.name) from None

    def stop(self, seconds=3):
        """SIGTERM, then SIGKILL.  Its children are ended with it."""
        if self not in _alive:
            return
        _alive.remove(self)
        family = tree(self.pid)[1:]
        if self.talks:
            self.child.stdin.close()
            self.child.send_signal(signal.SIGCONT)
        else:
            self.child.terminate()
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(5)
        if self.talks:
            self.child.stdout.close()
        for pid in family:
            try:
                if os.getpgid(pid) == self.pid:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def stop_all():
    for process in list(_alive):
        process.stop()


atexit.register(stop_all)
