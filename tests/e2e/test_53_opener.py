"""The privileged opener: files that only root may read, logs, ports and sockets
of a reload, and what it refuses."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from lib import client, proxy, service
from lib.peer import meet
from lib.pki import replace
from lib.wait import stays, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NOBODY = pwd.getpwnam("nobody")
HEAD = "[global]\nuser = nobody\ngroup = nogroup"


@pytest.fixture
def folder():
    """A folder that every user may search; pytest's own are for one user."""
    with tempfile.TemporaryDirectory(prefix="clinch-") as made:
        os.chmod(made, 0o755)
        yield pathlib.Path(made)


def opener_of(clinch):
    """The pid of its opener; None: there is none."""
    with open(f"/proc/{clinch.pid}/task/{clinch.pid}/children") as children:
        for pid in children.read().split():
            with open(f"/proc/{pid}/comm") as comm:
                if comm.read() == "clinch-opener\n":
                    return int(pid)
    return None


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def handshake(clinch, tls, port=None):
    return tls(port or clinch.port()).ping()


def certbot(base, ca, name, n):
    """Renewal n of a certificate: files in archive/, links in live/, both
    closed to all but root."""
    files = ca.issue(name, label=f"{name}-{n}")
    live, archive = base / "live" / name, base / "archive" / name
    for made in (live, archive):
        made.mkdir(parents=True, exist_ok=True)
        made.parent.chmod(0o700)
    for source, kind in ((files.crt, "fullchain"), (files.key, "privkey")):
        target = archive / f"{kind}{n}.pem"
        target.write_bytes(source.read_bytes())
        target.chmod(0o600)
        link = live / f"{kind}.new"
        link.symlink_to(f"../../archive/{name}/{kind}{n}.pem")
        link.rename(live / f"{kind}.pem")
    return files.serial


def web(connect, *lines, head=HEAD, accept="127.0.0.1:0", name="web"):
    return "\n".join([head, f"[listener {name}]", f"accept = {accept}", f"connect = {connect}", *lines]) + "\n"


@pytest.mark.parametrize("by_folder", [False, True], ids=["cert", "cert_dir"])
def test_renewal_of_root_only_files(launch, serve, ca, folder, by_folder):
    """Proves that certbot's layout works after the drop: no warning at the
    start, and SIGHUP serves the renewed certificate."""
    old = certbot(folder, ca, "a.example", 1)
    live = folder / "live" / "a.example"
    files = [f"cert_dir = {folder}/live"] if by_folder else [f"cert = {live}/fullchain.pem", f"key = {live}/privkey.pem"]
    clinch = launch(web(serve().connect, *files))
    assert not clinch.grep("cannot be read"), clinch.output()
    assert meet(clinch.port(), name="a.example").serial == old
    new = certbot(folder, ca, "a.example", 2)
    assert "reloaded" in clinch.reload(), clinch.output()
    until(lambda: meet(clinch.port(), name="a.example").serial == new, "the renewed certificate")


def test_renewal_is_found_without_a_signal(launch, serve, ca, folder):
    """Proves that the comparison of each minute sees root-only files."""
    old = certbot(folder, ca, "a.example", 1)
    live = folder / "live" / "a.example"
    clinch = launch(web(serve().connect, f"cert = {live}/fullchain.pem", f"key = {live}/privkey.pem"))
    assert meet(clinch.port(), name="a.example").serial == old
    new = certbot(folder, ca, "a.example", 2)
    until(lambda: meet(clinch.port(), name="a.example").serial == new, "the renewed certificate", 90)


def test_includes_that_only_root_may_read(launch, serve, site, tls, folder):
    """Proves that the files of the configuration itself are covered: an
    included folder, what is added to it, and ${file:}."""
    parts = folder / "parts"
    parts.mkdir(mode=0o700)
    (parts / "level").write_text("info\n")
    shutil.copy(site.pem, folder / "site.pem")
    backend = serve().connect
    (parts / "web.ini").write_text(f"[listener web]\naccept = 127.0.0.1:0\nconnect = {backend}\ncert = {folder}/site.pem\n")
    os.chmod(folder / "site.pem", 0o600)
    clinch = launch(f"{HEAD}\n[log]\nlevel = ${{file:{parts}/level}}\n[global]\ninclude = {parts}\n")
    os.chmod(clinch.file, 0o600)
    (parts / "more.ini").write_text(f"[listener more]\naccept = 127.0.0.1:0\nconnect = {backend}\ncert = {folder}/site.pem\n")
    assert "reloaded" in clinch.reload(), clinch.output()
    assert handshake(clinch, tls, clinch.port("more"))


def test_path_that_the_start_did_not_name(launch, serve, ca, site, tls, folder):
    """Proves that a root-only file outside the configuration of the start is
    refused with a sentence, and that the old configuration stays."""
    certbot(folder, ca, "other.example", 1)
    backend = serve().connect
    clinch = launch(web(backend, f"cert = {site.pem}"))
    live = folder / "live" / "other.example"
    clinch.write(web(backend, f"cert = {live}/fullchain.pem", f"key = {live}/privkey.pem"))
    assert "refused" in clinch.reload()
    assert clinch.grep("error config .*fullchain.pem.*configuration at the start does not name it"), clinch.output()
    assert handshake(clinch, tls)


@pytest.mark.parametrize("how", ["owned", "written by all", "link"])
def test_path_that_the_user_can_redirect(launch, serve, ca, folder, how):
    """Proves that a covered path is refused while the unprivileged user can
    exchange a folder or link on the way to it."""
    certbot(folder, ca, "a.example", 1)
    way = folder / "way"
    way.mkdir()
    (way / "live").symlink_to(folder / "live")
    middle = folder / "live" / "a.example"
    if how == "link":
        middle = way / "live" / "a.example"
    clinch = launch(web(serve().connect, f"cert = {middle}/fullchain.pem", f"key = {middle}/privkey.pem"))
    assert "reloaded" in clinch.reload()
    if how == "owned":
        os.chown(folder / "archive" / "a.example", NOBODY.pw_uid, -1)
    elif how == "written by all":
        os.chmod(folder / "archive", 0o777)
    else:
        os.chown(way, NOBODY.pw_uid, -1)
    assert "refused" in clinch.reload()
    assert clinch.grep("folders this user can change"), clinch.output()


def test_unreadable_files_that_are_not_covered_are_warned_of(launch, serve, ca, folder):
    """Proves that the warning of the start is about what the opener refuses."""
    certbot(folder, ca, "a.example", 1)
    live = folder / "live" / "a.example"
    os.chown(folder / "archive" / "a.example", NOBODY.pw_uid, -1)
    clinch = launch(web(serve().connect, f"cert = {live}/fullchain.pem", f"key = {live}/privkey.pem"))
    assert clinch.grep("warning process .*cannot be read by nobody"), clinch.output()


@pytest.fixture
def logs(folder):
    made = folder / "log"
    made.mkdir(mode=0o755)
    return made


def reopen(clinch, pattern):
    count = len(clinch.grep(pattern))
    os.kill(clinch.pid, signal.SIGUSR1)
    clinch.wait_log(pattern, count + 1)


def test_rotation_in_a_folder_of_root(launch, serve, site, tls, logs):
    """Proves that SIGUSR1 makes a new log where only root may, with the user
    as its owner."""
    path = logs / "access.log"
    clinch = launch(web(serve().connect, f"cert = {site.pem}", head=f"{HEAD}\n[log]\naccess = {path}"))
    assert not clinch.grep("cannot be written"), clinch.output()
    reopen(clinch, "server logs reopened")  # the file of the start
    path.rename(logs / "access.log.1")
    reopen(clinch, "server logs reopened")
    assert path.stat().st_uid == NOBODY.pw_uid and path.stat().st_mode & 0o777 == 0o640
    tls(clinch.port()).close()
    until(lambda: path.read_text(), "a line in the new log")
    assert "reloaded" in clinch.reload()


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo"])
def test_no_other_file_in_place_of_a_log(launch, serve, site, logs, kind):
    """Proves that nothing but a regular file with one name is opened as a log,
    and that no other file changes its owner."""
    path, secret = logs / "access.log", logs / "secret"
    secret.write_text("of root")
    secret.chmod(0o600)
    clinch = launch(web(serve().connect, f"cert = {site.pem}", head=f"{HEAD}\n[log]\naccess = {path}"))
    path.unlink()
    if kind == "symlink":
        path.symlink_to(secret)
    elif kind == "hard link":
        os.link(secret, path)
    else:
        os.mkfifo(path, 0o600)
    reopen(clinch, "error server cannot open the log .*without symlinks")
    assert secret.stat().st_uid == 0 and secret.read_text() == "of root"


def test_a_log_of_the_start_belongs_to_the_user(launch, serve, site, logs):
    """Proves that a log in a folder of the user can be reopened."""
    os.chown(logs, NOBODY.pw_uid, -1)
    path = logs / "access.log"
    clinch = launch(web(serve().connect, f"cert = {site.pem}", head=f"{HEAD}\n[log]\naccess = {path}"))
    assert path.stat().st_uid == NOBODY.pw_uid
    reopen(clinch, "server logs reopened")


def inside(*commands):
    """A wrapper that runs the proxy in a new network, after these commands."""
    script = " && ".join(["ip link set lo up", *commands, 'exec "$@"'])
    return ("unshare", "--net", "sh", "-c", script, "sh")


needs_network = pytest.mark.skipif(
    not shutil.which("nsenter") or subprocess.call(["unshare", "--net", "true"]) != 0,
    reason="needs the right to make a network namespace",
)


def handshakes_inside(clinch, port, ca):
    command = ["nsenter", f"--net=/proc/{clinch.pid}/ns/net", "openssl", "s_client", "-brief", "-verify_return_error"]
    done = subprocess.run(
        [*command, "-CAfile", ca.file, "-connect", f"127.0.0.1:{port}"], input=b"", capture_output=True, timeout=20
    )
    return b"Verification: OK" in done.stderr


@needs_network
def test_low_port_of_a_reload(launch, serve, ca, site, tmp_path):
    """Proves that a reload opens a port below 1024 without any capability, even
    where the start had none."""
    backend = tmp_path / "backend"
    serve(service.echo, family=socket.AF_UNIX, address=str(backend))
    one = web(f"unix:{backend}", f"cert = {site.pem}", accept="127.0.0.1:1443")
    clinch = launch(one, wrapper=inside())
    with open(f"/proc/{clinch.pid}/status") as status:
        assert all(int(line.split()[1], 16) == 0 for line in status if line[:6] in ("CapEff", "CapPrm"))
    clinch.write(one + web(f"unix:{backend}", f"cert = {site.pem}", head="", accept="127.0.0.1:443", name="low"))
    assert "reloaded" in clinch.reload(), clinch.output()
    assert handshakes_inside(clinch, 443, ca) and handshakes_inside(clinch, 1443, ca)


def test_another_address_of_a_port_in_use(launch, serve, site, tls):
    """Proves that the sockets of a reload have the user of those of the start:
    else the kernel refuses them the port."""
    backend = serve().connect
    clinch = launch(web(backend, f"cert = {site.pem}"))
    port = clinch.port()
    clinch.write(web(backend, f"cert = {site.pem}", accept=f"0.0.0.0:{port}"))
    assert "reloaded" in clinch.reload(), clinch.output()
    assert handshake(clinch, tls, port)


def test_unix_socket_in_a_folder_of_root(launch, serve, site, ca, folder):
    """Proves that a Unix socket of the start can be opened again by a reload,
    over the file that is left, with its mode and the user as its owner."""
    path = folder / "socket"
    backend = serve().connect
    tcp = web(backend, f"cert = {site.pem}")
    both = tcp + web(backend, f"cert = {site.pem}", "unix_mode = 0640", head="", accept=f"unix:{path}", name="local")
    clinch = launch(both)
    clinch.write(tcp)
    assert "reloaded" in clinch.reload(), clinch.output()
    clinch.write(both)
    assert "reloaded" in clinch.reload(), clinch.output()
    assert path.stat().st_uid == NOBODY.pw_uid and path.stat().st_mode & 0o777 == 0o640
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        with client.context(ca.file).wrap_socket(sock, server_hostname="localhost") as tls:
            tls.sendall(b"x")
            assert tls.recv(1) == b"x"
    clinch.write(both.replace(str(path), str(folder / "other")))
    assert "refused" in clinch.reload(), clinch.output()


def test_opener_ends_with_the_main_process(launch, serve, site):
    """Proves that no root process stays behind after SIGKILL."""
    clinch = launch(web(serve().connect, f"cert = {site.pem}"))
    opener = opener_of(clinch)
    assert is_alive(opener)
    os.kill(clinch.pid, signal.SIGKILL)
    until(lambda: not is_alive(opener), "the opener has ended")


def test_end_of_the_opener(launch, serve, site, tls):
    """Proves an error line, that nothing stays of its process, and that clients
    are served; a reload that needs it is refused."""
    clinch = launch(web(serve().connect, f"cert = {site.pem}"))
    opener = opener_of(clinch)
    os.kill(opener, signal.SIGKILL)
    clinch.wait_log("error process the opener has ended.*signal=9")
    assert opener_of(clinch) is None and not os.path.exists(f"/proc/{opener}")
    assert handshake(clinch, tls)
    clinch.write(clinch.file.read_text() + "max_connections = 7\n")
    assert "refused" in clinch.reload()
    assert handshake(clinch, tls)


def test_signals_for_the_group_do_not_end_it(launch, serve, site):
    """Proves that the opener ignores what a terminal or service manager sends
    to all processes."""
    clinch = launch(web(serve().connect, f"cert = {site.pem}"))
    opener = opener_of(clinch)
    for number in ("SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGTSTP"):
        os.kill(opener, getattr(signal, number))
    assert stays(lambda: is_alive(opener), 0.3)
    assert "reloaded" in clinch.reload() and not clinch.grep("opener has ended")


def test_opener_holds_no_other_descriptor(launch, serve, site, tls):
    """Proves that the opener has its own socket alone: an inherited listening
    socket there would keep the port after the end of the main process."""
    with socket.create_server(("127.0.0.1", 0)) as given:
        port = given.getsockname()[1]
        clinch = proxy.activated(launch, web(serve().connect, f"cert = {site.pem}", accept=f"127.0.0.1:{port}"), [given], None)
        opener = opener_of(clinch)
        names = {int(fd): os.readlink(f"/proc/{opener}/fd/{fd}") for fd in os.listdir(f"/proc/{opener}/fd")}
        assert sorted(names)[:3] == [0, 1, 2] and len(names) == 4, names
        assert names[max(names)].startswith("socket:")
        assert handshake(clinch, tls, port)


def test_process_list(launch, serve, site):
    """Proves that the process list tells the two apart."""
    clinch = launch(web(serve().connect, f"cert = {site.pem}"))
    with open(f"/proc/{opener_of(clinch)}/cmdline", "rb") as arguments:
        assert arguments.read().rstrip(b"\0") == b"clinch: opener"
    with open(f"/proc/{clinch.pid}/cmdline", "rb") as arguments:
        assert b"clinch.ini" in arguments.read()


def test_no_opener_for_an_unprivileged_start(launch, serve, site, folder):
    """Proves that a process that starts without root has no opener and gets no
    warning about its user."""
    shutil.copy(site.pem, folder / "site.pem")
    os.chmod(folder / "site.pem", 0o640)
    os.chown(folder / "site.pem", NOBODY.pw_uid, -1)
    (folder / "clinch.ini").write_text(web(serve().connect, f"cert = {folder}/site.pem", head=""))
    process = subprocess.Popen(
        ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", proxy.BINARY, "-c", folder / "clinch.ini"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = []
        until(lambda: lines.append(process.stderr.readline()) or "server started" in lines[-1], "a start")
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
            assert children.read() == ""
        assert not [line for line in lines if "warning" in line], lines
    finally:
        process.terminate()
        assert process.wait(15) == 0
        process.stderr.close()


def test_root_without_a_user_is_warned_of(launch, serve, site):
    """Proves one line that names the remedy, also by --test, and no opener."""
    text = web(serve().connect, f"cert = {site.pem}", head="")
    clinch = launch(text)
    assert len(clinch.root_lines) == 1 and " warning process " in clinch.root_lines[0], clinch.root_lines
    assert opener_of(clinch) is None
    done = subprocess.run([proxy.BINARY, "-t", "-c", clinch.file], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and done.stderr.count(f"warning process {proxy.ROOT_WARNING}") == 1, done.stderr
    clinch.write(HEAD + text)
    done = subprocess.run([proxy.BINARY, "-t", "-c", clinch.file], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_an_upgrade_begins_as_root(launch, serve, ca, tls, folder):
    """Proves that the opener starts the new process of an upgrade, which reads
    what only root may, has an opener of its own, and drops its privileges."""
    certbot(folder, ca, "a.example", 1)
    live = folder / "live" / "a.example"
    files = [f"cert = {live}/fullchain.pem", f"key = {live}/privkey.pem"]
    clinch = launch(web(serve().connect, *files))
    port, opener = clinch.port(), opener_of(clinch)
    new = certbot(folder, ca, "a.example", 2)
    clinch.process.send_signal(signal.SIGUSR2)
    pid = int(proxy.fields(clinch.wait_log("upgrade: this process serves in place", 1, 40))["pid"])
    try:
        assert clinch.wait_exit(20) == 0
        until(lambda: not is_alive(opener), "the old opener has gone")
        assert meet(port, name="a.example").serial == new
        with open(f"/proc/{pid}/status") as status:
            rows = dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)
        assert rows["Uid"].split() == [str(NOBODY.pw_uid)] * 4 and int(rows["CapPrm"], 16) == 0
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            comms = [pathlib.Path(f"/proc/{child}/comm").read_text() for child in children.read().split()]
        assert comms == ["clinch-opener\n"]
    finally:
        os.kill(pid, signal.SIGTERM)
        until(lambda: not is_alive(pid), "the new process has ended", 20)
