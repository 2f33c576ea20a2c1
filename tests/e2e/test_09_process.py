"""The process: signals, drain, users, pid file, readiness, PID 1."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import tempfile

import pytest

from lib import client, proxy
from lib.pki import replace
from lib.wait import stays, until

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_sigterm_lets_open_connections_finish(launch, listener, serve, tls):
    """Proves drain: no new client, the old one finishes, then exit 0."""
    clinch = launch(listener(serve().connect, head="[global]\ndrain_timeout = 20s"))
    open_one = tls(clinch.port())
    assert open_one.ping()
    clinch.process.terminate()
    until(lambda: cannot_connect(clinch.port()), "it stops accepting")
    assert open_one.ping()
    open_one.half_close()
    assert open_one.recv_all() == b""
    assert clinch.wait_exit() == 0


def cannot_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return False
    except OSError:
        return True


def test_drain_timeout_ends_those_that_stay(launch, listener, serve, tls):
    """Proves that the deadline holds and the reason is logged."""
    clinch = launch(listener(serve().connect, head="[global]\ndrain_timeout = 300ms\n[log]\naccess = same"))
    assert tls(clinch.port()).ping()
    clinch.process.terminate()
    assert clinch.wait_exit(5) == 0
    assert clinch.grep(r"access .*reason=drained")


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(launch, listener, serve, tls, second):
    """Proves that an impatient operator is obeyed."""
    clinch = launch(listener(serve().connect, head="[global]\ndrain_timeout = 60s"))
    assert tls(clinch.port()).ping()
    clinch.process.terminate()
    clinch.wait_log(r"server draining")
    clinch.process.send_signal(second)
    assert clinch.wait_exit(5) == 0


def test_pid_file(launch, listener, serve, tmp_path):
    """Proves that it is written, refused to a second process, and removed."""
    path = tmp_path / "clinch.pid"
    head = f"[global]\npid = {path}"
    clinch = launch(listener(serve().connect, head=head))
    assert int(path.read_text()) == clinch.pid
    second = launch(listener(serve().connect, head=head), ready=False)
    assert second.wait_exit() == 1 and str(path) in second.output()
    assert clinch.terminate() == 0
    assert not path.exists()
    path.write_text("999999\n")
    assert launch(listener(serve().connect, head=head)).pid == int(path.read_text())


@ROOT
def test_user_and_group(launch, listener, serve, tls, tmp_path):
    """Proves that the drop is whole: ids, groups, no way back."""
    account = pwd.getpwnam("nobody")
    head = "[global]\nuser = nobody\ngroup = nogroup"
    # A supplementary group of the starting process must not survive.
    clinch = launch(listener(serve().connect, head=head), wrapper=("setpriv", "--groups", "4,24"))
    assert tls(clinch.port()).ping()
    with open(f"/proc/{clinch.pid}/status") as status:
        rows = dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)
    assert rows["Uid"].split() == [str(account.pw_uid)] * 4
    assert rows["Gid"].split() == [str(account.pw_gid)] * 4
    assert rows["Groups"].split() == [str(account.pw_gid)]
    for held in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(rows[held], 16) == 0, held
    assert rows["NoNewPrivs"] == "1"
    # What root alone can read is opened by the opener.
    assert "reloaded" in clinch.reload() and not clinch.grep("cannot be read"), clinch.output()


@pytest.fixture
def searchable():
    """A folder that every user may search; pytest's own are for one user."""
    with tempfile.TemporaryDirectory(prefix="clinch-") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


@ROOT
def test_keys_that_only_root_may_read(launch, serve, ca, searchable):
    """With user =, where the opener refuses them: one line at the start for all
    files, one line for each renewal, and SIGHUP gives the same reason; the old
    certificates serve."""
    from lib.peer import meet

    # The user could exchange files here, so that the opener opens none.
    os.chown(searchable, pwd.getpwnam("nobody").pw_uid, -1)
    old = ca.issue("a.example", label="root-only")
    crt, key = searchable / "a.crt", searchable / "a.key"
    crt.write_bytes(old.crt.read_bytes()), key.write_bytes(old.key.read_bytes())
    crt.chmod(0o644), key.chmod(0o600)
    text = f"[global]\nuser = nobody\n[listener web]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\ncert = {crt}\nkey = {key}\n"
    # A file that no renewal reads.
    responders = searchable / "responders.pem"
    shutil.copy(ca.file, responders), responders.chmod(0o600)
    text += f"[ocsp]\nca_file = {responders}\n"
    clinch = launch(text)
    lines = clinch.grep("cannot be read by nobody")
    assert len(lines) == 1 and "and 1 more" in lines[0], clinch.output()
    for n in (1, 2):
        new = ca.issue("a.example", label=f"root-only-new-{n}")
        replace(crt, new.crt.read_bytes()), replace(key, new.key.read_bytes())
        crt.chmod(0o644)
        clinch.wait_log("certificate not replaced", n)
        assert "Permission denied" in clinch.grep("certificate not replaced")[-1]
        assert stays(lambda: len(clinch.grep("certificate not replaced")) == n, 1), clinch.output()
    assert "refused" in clinch.reload()
    assert any("Permission denied" in line for line in clinch.grep("error config"))
    assert meet(clinch.port(), name="a.example").serial == old.serial


@ROOT
def test_reload_that_cannot_read_its_file_any_more(launch, listener, serve, tls):
    """Proves that lost privileges are an ordinary reload error."""
    clinch = launch(listener(serve().connect, head="[global]\nuser = nobody"))
    os.chmod(clinch.file, 0o600)
    os.chown(clinch.file.parent, pwd.getpwnam("nobody").pw_uid, -1)
    assert "refused" in clinch.reload()
    assert tls(clinch.port()).ping()


def test_closed_standard_descriptors(launch, listener, serve, tls, tmp_path):
    """Proves that no socket gets the number of stdin, stdout or stderr, where
    an error message would reach a client."""
    log = tmp_path / "clinch.log"
    closing = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    text = listener(serve().connect, head=f"[log]\noutput = {log}")
    clinch = launch(text, ready=False, wrapper=closing)
    line = until(lambda: log.exists() and re.search(r" listening .*:(\d+)$", log.read_text(), re.M), "it listens")
    assert tls(int(line[1])).ping()
    assert [os.readlink(f"/proc/{clinch.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3


def test_too_few_descriptors_to_start(launch, listener):
    """Proves a sentence and exit 1, where libev would abort."""
    limiting = ("sh", "-c", 'ulimit -n 12; exec "$@"', "sh")
    clinch = launch(listener("127.0.0.1:9"), ready=False, wrapper=limiting)
    assert clinch.wait_exit() == 1
    assert "LimitNOFILE" in clinch.output()


def test_unknown_user(launch, listener, serve):
    """Proves a sentence, not a start as root."""
    clinch = launch(listener(serve().connect, head="[global]\nuser = no-such-user"), ready=False)
    assert clinch.wait_exit() in (1, 2)
    assert "no-such-user" in clinch.output()


def test_readiness_is_notified(launch, listener, serve, tmp_path):
    """Proves READY, RELOADING and STOPPING to the service manager."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(10)
        clinch = launch(listener(serve().connect), env={"NOTIFY_SOCKET": path})
        assert b"READY=1" in manager.recv(4096)
        clinch.reload()
        assert b"RELOADING=1" in manager.recv(4096)
        assert b"READY=1" in manager.recv(4096)
        clinch.terminate()
        assert b"STOPPING=1" in manager.recv(4096)


@ROOT
def test_pid_1(listener, serve, ca, site, tmp_path):
    """Proves that it works as PID 1: SIGTERM ends it (more in test_41_pid_1.py)."""
    if not shutil.which("unshare"):
        pytest.skip("needs unshare")
    clinch = proxy.Clinch(tmp_path, listener(serve().connect), wrapper=("unshare", "--pid", "--fork", "--kill-child"))
    try:
        clinch.ready()
        with client.Client(clinch.port(), client.context(ca.file)) as one:
            assert one.ping()
        with open(f"/proc/{clinch.pid}/task/{clinch.pid}/children") as children:
            inner = int(children.read().split()[0])
        os.kill(inner, signal.SIGTERM)
        assert clinch.wait_exit() == 0
    finally:
        clinch.stop()


def test_sigpipe_and_strangers_do_not_end_it(launch, listener, serve, tls):
    """Proves that clients that vanish while written to are survived."""

    def pour(sock):
        for _ in range(64):
            sock.sendall(bytes(1 << 20))

    clinch = launch(listener(serve(pour).connect))
    for _ in range(10):
        one = tls(clinch.port())
        one.recv_exactly(1000)
        one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.close()
    assert tls(clinch.port()).recv_exactly(10)
    assert clinch.process.poll() is None


def test_no_leak_after_a_crowd(launch, listener, serve, ca):
    """Proves that every descriptor comes back when the clients have gone."""
    clinch = launch(listener(serve().connect))
    with client.Client(clinch.port(), client.context(ca.file)) as one:
        one.ping()
    base = clinch.descriptors()
    crowd = [client.Client(clinch.port(), client.context(ca.file)) for _ in range(100)]
    assert all(one.ping() for one in crowd)
    for one in crowd:
        one.close()
    until(lambda: clinch.descriptors() <= base, "descriptors are back")
