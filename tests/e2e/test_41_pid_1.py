"""PID 1 of a container: as a plain user of any number, without capabilities,
with a read-only root, no /dev, no /proc, no HOME, no entry in passwd and no
resolv.conf; children, signals, health of the store."""

import json
import os
import pathlib
import signal
import stat
import subprocess
import tempfile

import pytest

from lib import client, container, proxy, responder, service
from lib.container import CERTS, INI, STORE, init_of
from lib.stapled import status_of
from lib.wait import stays, until

pytestmark = pytest.mark.skipif(container.usable() != "", reason=container.usable())

SHIPPED = (pathlib.Path(__file__).parents[2] / "etc/docker/clinch.ini").read_text()
USERS = {"openshift": (1234567, 0), "image": (65532, 65532), "another": (7654321, 0)}
FIRST = ["openshift", "image"]


@pytest.fixture
def network():
    made = container.Network()
    yield made
    made.close()


@pytest.fixture
def outside():
    """A folder that every user may search, with the certificates and the state
    of the container in it."""
    with tempfile.TemporaryDirectory(prefix="clinch-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        (folder / "certs").mkdir()
        (folder / "state").mkdir()
        os.chown(folder / "state", 65532, 0)
        (folder / "state").chmod(0o770)
        yield folder


class Container(proxy.Clinch):
    """A clinch that is PID 1.  What a test signals is the process inside."""

    def __init__(self, folder, network, config=SHIPPED, options=(), **spec):
        folder.mkdir()
        wrapper = container.specify(folder, **spec)
        self.init = None
        # Options behind the name of the file: a wrapper cannot add them.
        network.call(self._start, folder, config, wrapper, options)

    def _start(self, folder, config, wrapper, options):
        super().__init__(folder, config, wrapper=wrapper, options=options)

    def inside(self):
        """The pid of PID 1, as it is out here."""
        self.init = self.init or until(lambda: self.process.poll() is not None or init_of(self.pid), "clinch runs")
        return self.init

    def signal(self, number):
        os.kill(self.inside(), number)

    def ready(self):
        self.wait_log('"message":"started"', deadline=40)
        return self

    def where(self):
        """The port of its listener."""
        line = json.loads(self.grep('"message":"listening"')[-1])
        return int(line["address"].rsplit(":", 1)[1])

    def status(self):
        lines = pathlib.Path(f"/proc/{self.inside()}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@pytest.fixture
def run(network, outside, tmp_path, ca):
    """run(files, ...): a container with the image's configuration; `backend`
    echoes.  Environment: what differs from CLINCH_CONNECT and CLINCH_CERT."""
    started = []
    backend = network.call(service.Service, service.echo)

    def start(files, config=SHIPPED, options=(), ready=True, user="openshift", writable=(STORE,), **environment):
        (outside / "certs/site.pem").write_bytes(files.pem.read_bytes())
        (outside / "certs/site.pem").chmod(0o444)
        uid, gid = USERS[user]
        one = Container(
            tmp_path / f"container{len(started)}",
            network,
            config,
            options,
            uid=uid,
            gid=gid,
            environment={"CLINCH_CONNECT": backend.connect, "CLINCH_CERT": f"{CERTS}/site.pem", "CLINCH_ACCEPT": "0", **environment},
            mounts={CERTS: outside / "certs", STORE: outside / "state"},
            writable=writable,
        )
        started.append(one)
        return one.ready() if ready else one

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.wait_exit()
        one.process.stderr.close()
    backend.close()


@pytest.fixture
def answers(network, ca):
    """answers(behaviour): a responder inside the network."""
    started = []

    def start(behaviour="good"):
        started.append(network.call(responder.Responder, ca, behaviour))
        return started[-1]

    yield start
    for one in started:
        one.close()


def connect(network, one, ca):
    return network.call(client.Client, one.where(), client.context(ca.file))


@pytest.mark.parametrize("user", FIRST)
def test_it_needs_nothing_but_its_store(run, network, answers, ca, user):
    """Proves a stapled handshake, a reload, a drain and a stapled restart with
    the responder down, as any user, where nothing but the store can be written."""
    asked = answers()
    site = ca.issue(ocsp=asked.url, must_staple=True, label=f"pid1-{user}")
    one = run(site, user=user)
    status = one.status()
    assert status["NSpid"].split()[-1] == "1"
    assert status["Uid"].split() == [str(USERS[user][0])] * 4
    for held in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"):
        assert int(status[held], 16) == 0, held
    assert network.call(status_of, one.where(), ca) == "good"

    one.signal(signal.SIGHUP)
    one.wait_log('"message":"reloaded"')
    going = connect(network, one, ca)
    assert going.ping()
    one.signal(signal.SIGTERM)
    one.wait_log('"message":"draining"')
    assert going.ping()
    going.close()
    assert one.wait_exit() == 0
    assert all(json.loads(line)["level"] in ("notice", "info") for line in one.lines), one.output()

    asked.stop()
    again = run(site, user=user)
    assert network.call(status_of, again.where(), ca) == "good"


def test_another_user_of_the_group_goes_on(run, network, answers, ca, outside):
    """Proves that a volume serves the next user as well: responses of the one
    before are read, with the responder down, and replaced when it is back."""
    asked = answers()
    asked.window(-3600, 1800)  # due at once
    site = ca.issue(ocsp=asked.url, must_staple=True, label="pid1-group")
    file = outside / "state/ocsp" / site.id
    first = run(site)
    until(file.exists, "the response is on disk")
    first.signal(signal.SIGTERM)
    assert first.wait_exit() == 0
    before = file.read_bytes()
    asked.stop()
    second = run(site, user="another")
    assert network.call(status_of, second.where(), ca) == "good"
    second.signal(signal.SIGTERM)
    assert second.wait_exit() == 0
    asked.window(-60, 3600)
    network.call(asked.start)
    third = run(site, user="another")
    until(lambda: file.read_bytes() != before, "the response is replaced", 30)
    assert file.stat().st_uid == USERS["another"][0] and stat.S_IMODE(file.stat().st_mode) == 0o660
    assert not third.grep('"level":"warning"'), third.output()


def test_drain_timeout_bounds_the_end(run, network, ca, site):
    """Proves that SIGTERM ends PID 1 within drain_timeout, whatever clients do."""
    one = run(site, CLINCH_DRAIN_TIMEOUT="300ms")
    going = connect(network, one, ca)
    assert going.ping()
    one.signal(signal.SIGTERM)
    assert one.wait_exit(5) == 0
    going.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_start_that_waits_for_staples_can_be_ended(run, answers, ca, number):
    """Proves that PID 1 obeys before its listeners are open."""
    asked = answers("hang")
    site = ca.issue(ocsp=asked.url, label="pid1-hang")
    one = run(site, ready=False, CLINCH_OCSP_MODE="always")
    until(lambda: asked.count() == 1, "the responder is asked")
    one.signal(number)
    assert one.wait_exit(5) == 0
    assert not one.grep('"message":"started"')


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_waits_can_be_ended(network, answers, ca, outside, tmp_path, number):
    """Proves the same of `clinch staple check`: the kernel would drop a signal
    that PID 1 has no handler for.  128 and the number, as from a shell."""
    asked = answers("hang")
    site = ca.issue(ocsp=asked.url, label="pid1-check")
    command = ["unshare", "--pid", "--fork", "--kill-child", proxy.BINARY, "staple", "check", str(site.pem), "--timeout", "5m"]
    process = network.call(subprocess.Popen, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: asked.count() == 1, "the responder is asked")
        os.kill(init_of(process.pid), number)
        assert process.wait(5) == 128 + number
    finally:
        process.kill()
        process.wait()


def enter(one, *command):
    """A command in the container's pid namespace, with our own files."""
    done = ["nsenter", f"--pid=/proc/{one.inside()}/ns/pid", *command]
    return subprocess.run(done, capture_output=True, text=True, timeout=20)


def children(one):
    return pathlib.Path(f"/proc/{one.inside()}/task/{one.inside()}/children").read_text().split()


def test_orphans_are_reaped(run, network, ca, site):
    """Proves that processes which lost their parents become children of PID 1,
    and are gone when they have ended, none left as a zombie; clients notice
    nothing."""
    one = run(site)
    going = connect(network, one, ca)
    orphans = "for i in 1 2 3 4 5 6 7 8; do sleep 1000 >/dev/null 2>&1 & done"
    assert enter(one, "sh", "-c", orphans).returncode == 0
    until(lambda: len(children(one)) == 8, "orphans are its children")
    for child in children(one):
        os.kill(int(child), signal.SIGKILL)
    until(lambda: children(one) == [], "they are reaped")
    assert going.ping()
    going.close()


def test_nothing_is_forwarded(run, site):
    """Proves that the end of PID 1 by SIGTERM is not passed on to a child that
    it did not start, which the kernel ends when PID 1 has."""
    one = run(site, CLINCH_DRAIN_TIMEOUT="60s")
    with tempfile.NamedTemporaryFile() as told:
        deaf = f"(trap 'echo told >{told.name}' TERM HUP; while :; do sleep 0.05; done) >/dev/null 2>&1 &"
        assert enter(one, "sh", "-c", deaf).returncode == 0
        until(lambda: len(children(one)) == 1, "an orphan")
        one.signal(signal.SIGHUP)
        one.wait_log('"message":"reloaded"')
        one.signal(signal.SIGTERM)
        assert one.wait_exit() == 0
        assert told.read() == b""


QUIET = [signal.SIGPIPE, signal.SIGQUIT, signal.SIGALRM, signal.SIGCHLD, signal.SIGWINCH]


def test_other_signals_do_no_harm(run, network, ca, site):
    """Proves that SIGUSR1 reopens a log that needs no opening, that signals
    without a meaning neither end PID 1 nor are a line in its log, and that SIGUSR2 is
    refused with a line."""
    one = run(site)
    going = connect(network, one, ca)
    before = len(one.lines)
    for number in QUIET:
        one.signal(number)
    one.signal(signal.SIGUSR1)
    one.wait_log('"message":"logs reopened"')
    assert len(one.lines) == before + 1, one.output()
    one.signal(signal.SIGUSR2)
    one.wait_log("upgrade failed: this is process 1, with which its container ends")
    assert len(one.lines) == before + 2, one.output()
    assert going.ping()
    going.close()


@pytest.mark.parametrize("option", ["--test", "--print-config"])
def test_commands_with_the_configuration_of_the_image(run, site, option):
    """Proves that they find nothing wrong in the container, and end with 0."""
    one = run(site, options=[option], ready=False)
    assert one.wait_exit() == 0 and one.lines == []


@pytest.mark.parametrize("options", [[], ["--test"]], ids=["start", "test"])
def test_a_store_that_is_read_only(run, site, options):
    """Proves one sentence with the key, the folder and what to do, and status
    1, where no volume is mounted; --test agrees."""
    one = run(site, options=options, ready=False, writable=())
    assert one.wait_exit() == 1
    line, = one.lines
    assert line.startswith(f"{INI}:") and "store_dir: " in line and STORE in line and "Read-only file system" in line
    assert options or "mount a writable volume there" in line


def test_a_store_that_becomes_read_only_keeps_serving(run, network, answers, ca, outside):
    """Proves that staples which are there are read from a volume that can no
    longer be written, and served."""
    asked = answers()
    site = ca.issue(ocsp=asked.url, must_staple=True, label="pid1-ro")
    first = run(site)
    until((outside / "state/ocsp" / site.id).exists, "the response is on disk")
    first.signal(signal.SIGTERM)
    assert first.wait_exit() == 0
    asked.stop()
    again = run(site, writable=())
    assert network.call(status_of, again.where(), ca) == "good"
    again.signal(signal.SIGTERM)
    assert again.wait_exit() == 0


def test_a_backend_by_name_where_no_name_can_be_looked_up(run, site):
    """Proves that a missing resolv.conf is a warning that names the backend,
    and no reason to stay closed."""
    one = run(site, CLINCH_CONNECT="web.invalid:80")
    one.wait_log('"level":"warning".*web\\.invalid')
    assert one.where() > 0
    assert stays(lambda: one.process.poll() is None, 0.3)
    one.signal(signal.SIGTERM)
    assert one.wait_exit() == 0


def test_any_user_may_own_nothing(run, network, ca, site):
    """Proves that without a store no path needs to be writable at all."""
    config = SHIPPED.replace(f"store_dir = {STORE}\n", "")
    assert config != SHIPPED
    one = run(site, config=config, writable=())
    going = connect(network, one, ca)
    assert going.ping()
    going.close()
