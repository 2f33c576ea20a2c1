"""`clinch upgrade` and SIGUSR2: a new process takes the sockets, the old one drains,
and no client notices; with any other file in the place of the program the old process
serves on."""

import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import stat
import sys
import threading

import pytest

from lib import admin, container, proxy
from lib.crowd import Crowd
from lib.peer import context, visit
from lib.stapled import status_of
from lib.wait import until

SERVES = r"upgrade: this process serves in place"
FAILED = r"upgrade failed: .*; this process goes on serving"


@pytest.fixture
def program(tmp_path):
    """A copy of the program that can be replaced."""
    path = tmp_path / "bin" / "clinch"
    path.parent.mkdir()
    shutil.copy(shutil.which(proxy.BINARY), path)
    return path


@pytest.fixture
def crowd(ca):
    """crowd(port): clients that come all the time, until the test ends."""
    started = []

    def start(port, **options):
        started.append(Crowd(port, ca, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def install(path, data, mode=0o755):
    """Replace the program as a package does: by a rename."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.chmod(mode)
    fresh.rename(path)


def upgrade(clinch, sender=None):
    """SIGUSR2, and wait for the new process; its pid."""
    before = len(clinch.grep(SERVES))
    os.kill(sender or clinch.pid, signal.SIGUSR2)
    line = clinch.wait_log(SERVES, before + 1, 40)
    return int(proxy.fields(line)["pid"])


def fail(clinch):
    """SIGUSR2, and wait for the line with the failure."""
    before = len(clinch.grep(FAILED))
    clinch.process.send_signal(signal.SIGUSR2)
    return clinch.wait_log(FAILED, before + 1, 40)


def is_gone(clinch, pid):
    return not proxy.is_running(pid, clinch.file)


def listening(port):
    """How many sockets listen on that port of the loopback."""
    # In one piece: each read begins with a walk through all sockets.
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()
    return sum(line.split()[1] == f"0100007F:{port:04X}" and line.split()[3] == "0A" for line in lines)


# ---- Nothing is lost ----


def test_a_changed_program_under_load(launch, listener, serve, tls, crowd, program, tmp_path):
    """Proves the purpose: with clients all the time, none is refused, reset or left waiting when
    another version of the program takes over; old connections go on in the old process,
    which ends with the last of them."""
    text = listener(serve().connect, head=f"[admin]\nlisten = unix:{tmp_path}/admin.sock\n")
    clinch = launch(text, binary=program)
    version = proxy.run("--version")[1].split()[1]
    another = "".join("9" if c.isdigit() else c for c in version)
    long_ones = [tls(clinch.port()) for _ in range(10)]
    visitors = crowd(clinch.port())
    data = program.read_bytes()
    assert version.encode() in data
    install(program, data.replace(version.encode(), another.encode()))
    status, out, err = proxy.run("upgrade", "-c", clinch.file)
    assert (status, err) == (0, "") and re.fullmatch(r"upgraded: process \d+ serves\n", out)
    new = int(out.split()[2])
    after = [tls(clinch.port()) for _ in range(10)]
    visits, failures, longest = visitors.finish()
    assert visits > 50 and failures == [] and longest < 20, (visits, longest)
    info = [dict(labels) for name, labels in admin.metrics(clinch, tmp_path / "admin.sock") if name == "clinch_build_info"]
    assert [labels["version"] for labels in info] == [another]
    assert all(one.ping() for one in long_ones + after)
    clinch.wait_log(rf"upgrade: process {new} serves; this one drains pid={clinch.pid} connections=\d+ timeout_ms=0$")
    assert clinch.process.poll() is None
    for one in long_ones:
        one.close()
    assert clinch.process.wait(20) == 0
    assert all(one.ping() for one in after)


def test_many_upgrades_under_load(launch, listener, serve, crowd):
    """Proves that one process after another takes over, again and again, with more or
    fewer threads each time: every socket of an address is served, and none is lost."""
    backend = serve().connect
    clinch = launch(listener(backend, head="[global]\nthreads = 4\n"))
    port, pid = clinch.port(), clinch.pid
    visitors = crowd(port)
    for threads in (4, 2, 3, 1, 5):
        clinch.write(listener(backend, head=f"[global]\nthreads = {threads}\n"))
        new = upgrade(clinch, pid)
        clinch.wait_log(rf"server started listeners=1 threads={threads} pid={new}$")
        until(lambda: is_gone(clinch, pid), "the old process has drained")
        assert listening(port) == 4
        os.kill(new, signal.SIGHUP)
        clinch.wait_log(rf"server reloaded .*pid={new}$")
        assert listening(port) == 4
        pid = new
    visits, failures, longest = visitors.finish()
    assert visits > 50 and failures == [] and longest < 20, (visits, longest)
    assert clinch.process.wait(20) == 0


@pytest.mark.parametrize("threads", [(1, 4), (4, 1)], ids=["more", "fewer"])
def test_clients_that_wait_in_the_queue(launch, listener, serve, tls, threads):
    """Proves that clients which had connected, but were not accepted, are served by the new
    process: max_connections keeps them in the queues of the old one."""
    backend = serve().connect

    def text(threads, most):
        return listener(backend, head=f"[global]\nthreads = {threads}\nmax_connections = {most}\n")

    clinch = launch(text(threads[0], 1))
    first = tls(clinch.port())
    waiting = [socket.create_connection(("127.0.0.1", clinch.port()), 20) for _ in range(12)]
    clinch.write(text(threads[1], 100))
    upgrade(clinch)
    assert all(tls(sock).ping() for sock in waiting)
    assert first.ping()


def test_addresses_stay(launch, listener, serve, tls, tmp_path):
    """Proves that port 0 keeps its number, for each of two listeners, and a Unix socket its
    file, which is removed at the end of the last process alone."""
    backend, path = serve().connect, tmp_path / "web.sock"
    text = listener(backend) + listener(backend, name="second") + listener(backend, name="third", accept=f"unix:{path}")
    clinch = launch(text)
    ports = clinch.port("web"), clinch.port("second")
    before = path.stat().st_ino
    new = upgrade(clinch)
    assert clinch.process.wait(20) == 0
    assert (clinch.port("web"), clinch.port("second")) == ports
    assert path.stat().st_ino == before
    for port in ports:
        with tls(port) as one:
            assert one.ping()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        assert tls(sock).ping()
    os.kill(new, signal.SIGTERM)
    until(lambda: is_gone(clinch, new), "the new process ends")
    assert not path.exists()


def test_listeners_of_the_new_configuration(launch, listener, serve, tls):
    """Proves that the new process opens what was added, and that an address which was removed
    refuses clients once those in its queue have been served."""
    backend = serve().connect
    clinch = launch(listener(backend) + listener(backend, name="old"))
    kept, removed = clinch.port("web"), clinch.port("old")
    clinch.write(listener(backend) + listener(backend, name="new"))
    upgrade(clinch)
    assert tls(kept).ping() and tls(clinch.port("new")).ping()
    assert clinch.process.wait(20) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", removed), 5)


def test_sessions_are_resumed(launch, listener, serve, ca, version):
    """Proves that the ticket keys go to the new process, and to the one after it."""
    clinch = launch(listener(serve().connect))
    made = context(ca, version)
    session = visit(clinch.port(), made).session
    new = upgrade(clinch)
    assert visit(clinch.port(), made, session=session).resumed
    upgrade(clinch, new)
    assert visit(clinch.port(), made, session=session).resumed


def test_a_must_staple_certificate(launch, ca, responders, stapled, tmp_path):
    """Proves that store_dir is enough: the first handshake with the new process is stapled,
    though the responder is down by then."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = launch(stapled(site, "mode = must", head=f"store_dir = {tmp_path}/state"))
    until((tmp_path / "state" / "ocsp" / site.id).exists, "the response is on disk")
    responder.stop()
    upgrade(clinch)
    assert clinch.process.wait(20) == 0
    assert status_of(clinch.port(), ca) == "good"


def test_sockets_of_the_service_manager(launch, listener, serve, tls):
    """Proves that sockets that came by LISTEN_FDS keep their names: by `fd` and by address, over
    upgrades and reloads."""
    backend = serve().connect
    with socket.create_server(("127.0.0.1", 0)) as named, socket.create_server(("127.0.0.1", 0)) as found:
        ports = named.getsockname()[1], found.getsockname()[1]
        first = listener(backend, more="fd = web").replace("accept = 127.0.0.1:0\n", "")
        second = listener(backend, name="second", accept=f"127.0.0.1:{ports[1]}")
        clinch = proxy.activated(launch, first + second, [named, found], "web:other")
        # Python runs in front of clinch, and then is clinch.
        pid = clinch.pid
        for _ in range(2):
            pid = upgrade(clinch, pid)
            os.kill(pid, signal.SIGHUP)
            clinch.wait_log(rf"server reloaded .*pid={pid}$")
            assert all(tls(port).ping() for port in ports)
    assert all(tls(port).ping() for port in ports)


def test_a_restart_with_sockets_of_the_service_manager(launch, listener, serve, ca, crowd):
    """Proves the other way: sockets that stay open in the service manager keep clients waiting
    during a restart, and none is refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as sock:
        text = listener(serve().connect, more="fd = web").replace("accept = 127.0.0.1:0\n", "")
        clinch = proxy.activated(launch, text, [sock], "web")
        visitors = crowd(sock.getsockname()[1])
        for _ in range(2):
            assert clinch.terminate() == 0
            clinch = proxy.activated(launch, text, [sock], "web")
        visits, failures, _ = visitors.finish()
    assert visits > 20 and failures == []


# ---- Process ----


def test_the_admin_socket(launch, listener, serve, tmp_path):
    """Proves that the commands reach the new process at once, through the same file."""
    path = tmp_path / "admin.sock"
    clinch = launch(f"[admin]\nlisten = unix:{path}\n" + listener(serve().connect))
    pid = clinch.pid
    assert admin.status(clinch, path)["pid"] == pid
    for _ in range(2):
        status, out, _ = proxy.run("upgrade", "-c", clinch.file)
        assert status == 0
        pid = int(out.split()[2])
        assert admin.status(clinch, path)["pid"] == pid
    assert clinch.process.wait(20) == 0
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert admin.request(clinch, "/ready", path=path)[0] == 200


def test_the_pid_file(launch, listener, serve, tmp_path):
    """Proves that the number in the file changes, that its lock goes over to the new process without a gap,
    and that the file is removed by the last process alone."""
    path = tmp_path / "pid"
    clinch = launch(listener(serve().connect, head=f"[global]\npid = {path}\n"))
    new = upgrade(clinch)
    assert path.read_text() == f"{new}\n"
    assert clinch.process.wait(20) == 0
    assert path.read_text() == f"{new}\n"
    with open(path) as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.kill(new, signal.SIGTERM)
    until(lambda: not path.exists(), "the file is removed")


def test_another_pid_file(launch, listener, serve, tmp_path):
    """Proves that an upgrade applies `pid`: the file of before goes."""
    text = listener(serve().connect)
    clinch = launch(f"[global]\nsandbox = off\npid = {tmp_path}/one\n{text}")
    clinch.write(f"[global]\nsandbox = off\npid = {tmp_path}/two\n{text}")
    new = upgrade(clinch)
    assert (tmp_path / "two").read_text() == f"{new}\n"
    until(lambda: not (tmp_path / "one").exists(), "the file of before is removed")


def test_the_service_manager(launch, listener, serve, tmp_path):
    """Proves what systemd gets: MAINPID from the old process before anything from the new one, which
    then sends READY and the signs of life, and no STOPPING."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

        seen, over = [], threading.Event()

        def receive():  # all the time: the queue has room for few
            while not over.is_set():
                text, control, _, _ = manager.recvmsg(4096, 1024)
                sender = next(int.from_bytes(data[:4], sys.byteorder) for _, kind, data in control if kind == socket.SCM_CREDENTIALS)
                seen.append((sender, text.decode().split("\n")[0]))

        reader = threading.Thread(target=receive, daemon=True)
        reader.start()
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        itself = ("sh", "-c", 'export WATCHDOG_PID=$$; exec "$@"', "sh")
        clinch = launch(listener(serve().connect), env=env, wrapper=itself)
        old, new = clinch.pid, upgrade(clinch)
        assert clinch.process.wait(20) == 0
        until(lambda: seen.count((new, "WATCHDOG=1")) >= 3, "three signs of life")
        over.set()
        reader.join(10)
        states = [one for one in seen if one[1] != "WATCHDOG=1"]
        assert states == [(old, "READY=1"), (old, f"MAINPID={new}"), (new, "READY=1")]
        assert all(sender == old for sender, _ in seen[: seen.index((old, f"MAINPID={new}"))])
        assert all(sender == new for sender, _ in seen[seen.index((new, "READY=1")) :])


def test_signals_after_an_upgrade(launch, listener, serve, tls):
    """Proves that the new process drains on SIGTERM, and that the old one, which waits for its
    connections without a limit, has the usual one after its own SIGTERM."""
    clinch = launch(listener(serve().connect, head="[global]\n"))
    one = tls(clinch.port())
    new = upgrade(clinch)
    os.kill(new, signal.SIGTERM)
    until(lambda: is_gone(clinch, new), "the new process ends")
    assert one.ping() and clinch.process.poll() is None
    clinch.process.terminate()
    assert one.ping(), "the first signal ends no connection"
    clinch.process.terminate()
    assert clinch.process.wait(10) == 0
    with pytest.raises(ssl.SSLError):
        one.recv()


def test_drain_timeout_counts_if_it_is_set(launch, listener, serve, tls):
    clinch = launch(listener(serve().connect, head="[global]\ndrain_timeout = 1s\n"))
    one = tls(clinch.port())
    upgrade(clinch)
    assert clinch.process.wait(20) == 0
    with pytest.raises(ssl.SSLError):
        one.recv()
    assert len(clinch.grep("drain_timeout is over")) == 1


def test_a_symlink_in_the_place_of_the_program(launch, listener, serve, program, tmp_path):
    """Proves that the path counts and not the file: an upgrade may consist of another target."""
    link = tmp_path / "current"
    link.symlink_to(program)
    clinch = launch(listener(serve().connect), binary=link)
    second = tmp_path / "second"
    shutil.copy(program, second)
    program.unlink()
    link.unlink()
    link.symlink_to(second)
    new = upgrade(clinch)
    assert os.readlink(f"/proc/{new}/exe") == str(second)


# ---- Nothing is lost where it fails ----

BROKEN = {
    "nothing": (None, "cannot be started: No such file or directory"),
    "not executable": ((b"#!/bin/sh\n", 0o644), "cannot be started: Permission denied"),
    "a text": ((b"once upon a time\n", 0o755), "cannot be started: Exec format error"),
    "one that fails": ((b"#!/bin/sh\necho broken >&2\nexit 1\n", 0o755), "the new process ended with status 1: see its messages"),
    "one that succeeds": ((b"#!/bin/sh\nexit 0\n", 0o755), "the new process ended with status 0: see its messages"),
    "one that crashes": ((b"#!/bin/sh\nkill -SEGV $$\n", 0o755), "the new process ended by signal 11: see its messages"),
    "one that writes nonsense": ((b"#!/bin/sh\necho nonsense >&3\nexec sleep 60\n", 0o755), "a message that is not of a clinch"),
    "one that hangs": ((b"#!/bin/sh\nexec sleep 60\n", 0o755), r"the new process was not ready within upgrade_timeout \(1 s\)"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_program(launch, listener, serve, tls, crowd, program, tmp_path, broken):
    """Proves that the old process serves on, whatever lies at its path; with the cause in the log and
    for the command; and that a good one then takes over."""
    head, backend = f"[admin]\nlisten = unix:{tmp_path}/admin.sock\n", serve().connect
    clinch = launch(listener(backend, head=head + "[global]\nupgrade_timeout = 1s\n"), binary=program)
    visitors, good = crowd(clinch.port(), processes=1, threads=2), program.read_bytes()
    instead, why = BROKEN[broken]
    if instead:
        install(program, *instead)
    else:
        program.unlink()
    status, out, err = proxy.run("upgrade", "-c", clinch.file)
    assert (status, out) == (1, "")
    assert re.fullmatch(rf"upgrade failed: .*{why}; this process goes on serving\n", err)
    clinch.wait_log(rf"error server upgrade failed: .*{why}; this process goes on serving")
    assert admin.status(clinch, tmp_path / "admin.sock")["pid"] == clinch.pid
    if broken == "one that fails":
        clinch.wait_log("^broken$")
    clinch.write(listener(backend, head=head))
    assert "reloaded" in clinch.reload()
    with tls(clinch.port()) as one:
        assert one.ping()
    for pid in clinch.successors():
        until(lambda: not os.path.exists(f"/proc/{pid}"), "the new process is gone, and waited for")
    install(program, good)
    upgrade(clinch)
    assert clinch.process.wait(20) == 0
    visits, failures, _ = visitors.finish()
    assert visits > 5 and failures == []


def test_a_broken_configuration(launch, listener, serve, tls):
    """Proves that a configuration that cannot be read ends the new process with status 2, and that its
    errors are in the same place as ever."""
    clinch = launch(listener(serve().connect))
    good = clinch.file.read_text()
    clinch.write(good + "nonsense = 1\n")
    assert "the new process ended with status 2: see its messages" in fail(clinch)
    clinch.wait_log(rf"^{re.escape(str(clinch.file))}:\d+: .*nonsense")
    assert tls(clinch.port()).ping()
    clinch.write(good)
    upgrade(clinch)


def test_the_command_prints_the_errors_of_the_new_process(launch, listener, serve, tls, tmp_path):
    """Proves that what is found at a start alone, here an address in use, reaches the person who asked for it; a Unix
    socket stays though the process that had it for a while ends."""
    head, backend = f"[admin]\nlisten = unix:{tmp_path}/admin.sock\n", serve().connect
    text = listener(backend, head=head) + listener(backend, name="unix", accept=f"unix:{tmp_path}/web.sock")
    clinch = launch(text)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        clinch.write(text + listener(backend, name="more", accept=f"127.0.0.1:{port}"))
        status, out, err = proxy.run("upgrade", "-c", clinch.file)
    assert (status, out) == (1, "")
    first, second = err.splitlines()
    assert f"listener more: address 127.0.0.1:{port} is already in use" in first
    assert second == "upgrade failed: the new process ended with status 1: see its messages; this process goes on serving"
    assert tls(clinch.port()).ping()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"{tmp_path}/web.sock")
        assert tls(sock).ping()
    assert admin.status(clinch, tmp_path / "admin.sock")["pid"] == clinch.pid


@pytest.fixture
def hanging(launch, listener, serve, program, tmp_path):
    """A clinch whose upgrade hangs: (clinch, pid of the new process)."""
    text = listener(serve().connect, head=f"[admin]\nlisten = unix:{tmp_path}/admin.sock\n")
    clinch = launch(text, binary=program)
    install(program, b"#!/bin/sh\nexec sleep 600\n")
    clinch.process.send_signal(signal.SIGUSR2)
    clinch.wait_log("server upgrading ")
    yield clinch, clinch.successors()[0]


def test_a_second_upgrade_during_the_first(hanging):
    """Proves that it is refused, for the command and for the signal."""
    clinch, pid = hanging
    status, out, err = proxy.run("upgrade", "-c", clinch.file)
    assert (status, out, err) == (1, "", "another upgrade is under way\n")
    clinch.process.send_signal(signal.SIGUSR2)
    clinch.wait_log("upgrade refused: another one is under way")
    assert clinch.successors() == [pid]


def test_the_end_during_an_upgrade(hanging):
    """Proves that SIGTERM ends both processes."""
    clinch, pid = hanging
    assert clinch.terminate() == 0
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the new process is gone")
    assert len(clinch.grep("upgrade ended: the process drains")) == 1, clinch.output()


def test_signals_during_an_upgrade(hanging, program, tls):
    """Proves that a reload and the reopening of logs, meant for the service, are not lost: a
    reload waits for the end of a failed upgrade."""
    clinch, pid = hanging
    clinch.process.send_signal(signal.SIGHUP)
    clinch.process.send_signal(signal.SIGUSR1)
    clinch.wait_log("logs reopened")
    assert not clinch.grep("server reloaded")
    os.kill(pid, signal.SIGKILL)
    clinch.wait_log("upgrade failed: the new process ended by signal 9")
    clinch.wait_log(rf"server reloaded .* pid={clinch.pid}")
    assert tls(clinch.port()).ping()


def upgrade_to_a_stopped_one(clinch, program):
    """The new process waits for SIGCONT before it becomes clinch; its pid."""
    install(program.with_suffix(".elf"), program.read_bytes())
    install(program, f'#!/bin/sh\nkill -STOP $$\nexec {program}.elf "$@"\n'.encode())
    clinch.process.send_signal(signal.SIGUSR2)
    clinch.wait_log("server upgrading ")
    pid = clinch.successors()[0]

    def has_stopped():
        with open(f"/proc/{pid}/stat") as line:
            return line.read().rpartition(")")[2].split()[0] == "T"

    until(has_stopped, "it has stopped")
    return pid


def test_a_reload_during_an_upgrade_that_succeeds(launch, listener, serve, program):
    """Proves that the new process reloads then: the file may have changed after it was read."""
    clinch = launch(listener(serve().connect), binary=program)
    pid = upgrade_to_a_stopped_one(clinch, program)
    clinch.process.send_signal(signal.SIGHUP)
    clinch.process.send_signal(signal.SIGUSR1)
    clinch.wait_log("logs reopened")
    os.kill(pid, signal.SIGCONT)
    clinch.wait_log(rf"server reloaded .* pid={pid}$")
    clinch.wait_log("logs reopened", 2)
    assert clinch.process.wait(20) == 0


def test_the_old_process_is_killed_meanwhile(launch, listener, serve, program):
    """Proves that a new process whose old one is gone ends, too, and says so."""
    clinch = launch(listener(serve().connect), binary=program)
    pid = upgrade_to_a_stopped_one(clinch, program)
    clinch.process.kill()
    clinch.process.wait(10)
    os.kill(pid, signal.SIGCONT)
    until(lambda: is_gone(clinch, pid), "the new process ends")
    until(lambda: clinch.grep("the old process has (gone|closed)"), "the line that says so")


def test_a_variable_that_is_no_upgrade(tmp_path, listener, serve):
    """Proves that CLINCH_UPGRADE_FD is refused with a sentence where there is no upgrade."""
    (tmp_path / "clinch.ini").write_text(listener(serve().connect))
    for value, why in (("9", "is not an open descriptor"), ("x", "is not an open descriptor"), ("2", "is not an open descriptor")):
        status, _, err = proxy.run("-c", tmp_path / "clinch.ini", env={"CLINCH_UPGRADE_FD": value})
        assert status == 1 and why in err


def test_the_command_needs_a_unix_socket(launch, listener, serve):
    clinch = launch("[admin]\nlisten = 127.0.0.1:0\n" + listener(serve().connect))
    address = admin.listen(clinch)
    clinch.write(f"[admin]\nlisten = {address}\n" + listener(serve().connect))
    status, out, err = proxy.run("upgrade", "-c", clinch.file)
    assert (status, out) == (1, "") and "send SIGUSR2, or add listen = unix:PATH" in err
    assert admin.request(clinch, "/upgrade", "POST")[0] == 405


@pytest.mark.skipif(container.usable() != "", reason=container.usable())
def test_process_1(launch, listener, serve, tmp_path):
    """Proves that process 1 refuses with a sentence, and serves on: its container would end with it."""
    text = f"[admin]\nlisten = unix:{tmp_path}/admin.sock\n" + listener(serve().connect)
    clinch = launch(text, wrapper=("unshare", "--pid", "--fork", "--kill-child"))
    status, out, err = proxy.run("upgrade", "-c", clinch.file)
    why = "upgrade failed: this is process 1, with which its container ends: start another container"
    assert (status, out, err) == (1, "", f"{why}; this process goes on serving\n")
    clinch.wait_log(why)
    assert admin.status(clinch, tmp_path / "admin.sock")["pid"] == 1


def test_without_a_way_to_notify_systemd(launch, listener, serve):
    """Proves that a unit without Type=notify refuses an upgrade: systemd would end the new process with the old one."""
    itself = ("sh", "-c", 'export SYSTEMD_EXEC_PID=$$; exec "$@"', "sh")
    clinch = launch(listener(serve().connect), wrapper=itself)
    assert "set Type=notify in the unit" in fail(clinch)
