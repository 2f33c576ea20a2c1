"""The lines, their destination, and that no slow reader blocks the proxy."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest

from lib import proxy, service
from lib.mounts import needs_mounts
from lib.proxy import fields
from lib.wait import until


def test_text_lines(launch, listener, serve):
    """Proves the stable shape that scripts read."""
    clinch = launch(listener(serve().connect))
    line = clinch.wait_log(r"listener listening")
    assert re.match(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z notice listener listening listener=web address=127\.0\.0\.1:\d+$", line
    )


def test_json_lines(launch, listener, serve, tls):
    """Proves that with format = json every line is an object."""
    clinch = launch(listener(serve().connect, head="[log]\nformat = json\naccess = same\nlevel = info"), ready=False)
    clinch.wait_log(r"listening")
    port = int(json.loads(clinch.grep("listening")[-1])["address"].rsplit(":", 1)[1])
    tls(port).close()
    clinch.wait_log(r"\"reason\"")
    for line in clinch.lines:
        assert {"time", "level"} <= set(json.loads(line)), line


def test_access_line_has_the_whole_connection(launch, listener, serve, tls, tmp_path):
    """Proves each field of the access log against the client's own values."""
    path = tmp_path / "access.log"
    echo = serve(service.answer_after_end)
    clinch = launch(listener(echo.connect, "alpn = h2, http/1.1", head=f"[log]\naccess = {path}"))
    client = tls(clinch.port(), alpn=["http/1.1"])
    peer = "%s:%d" % client.sock.getsockname()
    client.send(b"12345")
    client.half_close()
    assert client.recv_all() == b"got 12345"
    client.close()
    line = until(lambda: path.exists() and path.read_text(), "an access line")
    got = fields(line)
    assert got["listener"] == "web" and got["peer"] == peer and got["sni"] == "localhost"
    assert got["alpn"] == "http/1.1" and got["version"] == "TLSv1.3" and got["backend"] == echo.connect
    assert got["cipher"] == client.tls.cipher()[0] and got["resumed"] in ("no", "false", "0")
    assert (got["up"], got["down"]) == ("5", "9")
    assert got["reason"] == "done"


def test_hostile_sni_is_escaped(launch, listener, serve, ca):
    """Proves that a client cannot write log lines."""
    clinch = launch(listener(serve().connect, head="[log]\naccess = same"))
    subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{clinch.port()}", "-servername", "a\nb error \"x\""],
        input=b"", capture_output=True, timeout=20,
    )
    line = clinch.wait_log(r" access ")
    assert "\\n" in line or "\\x0a" in line
    assert not clinch.grep(r"^b error")


def test_usr1_reopens_files(launch, listener, serve, tls, tmp_path):
    """Proves rotation: after rename and SIGUSR1 lines go to a new file."""
    path, old = tmp_path / "clinch.log", tmp_path / "clinch.log.1"
    clinch = launch(listener(serve().connect, head=f"[log]\noutput = {path}"), ready=False)
    until(lambda: path.exists() and "started" in path.read_text(), "it logs to the file")
    os.rename(path, old)
    clinch.process.send_signal(signal.SIGUSR1)
    until(path.exists, "a new file")
    clinch.process.send_signal(signal.SIGHUP)
    until(lambda: "reloaded" in path.read_text(), "lines in the new file")
    assert "reloaded" not in old.read_text()


def test_a_log_reader_that_stopped_blocks_nothing(listener, serve, ca, site, tmp_path):
    """Proves that a full pipe behind stderr delays no client and not the
    end."""
    from lib import client

    config = listener(serve().connect, head="[log]\naccess = same\nlevel = debug", accept=f"unix:{tmp_path}/s")
    file = tmp_path / "clinch.ini"
    file.write_text(config)
    process = subprocess.Popen([proxy.BINARY, "-c", str(file)], stderr=subprocess.PIPE)
    try:
        until(lambda: os.path.exists(tmp_path / "s"), "it listens")
        made = client.context(ca.file)
        for _ in range(1500):
            with client.Client(connected(tmp_path / "s"), made) as one:
                assert one.ping()
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def connected(path):
    sock = socket.socket(socket.AF_UNIX)
    until(lambda: try_connect(sock, path), "a connection")
    return sock


def try_connect(sock, path):
    try:
        sock.connect(str(path))
        return True
    except OSError:
        return False


def test_level_is_obeyed(launch, listener, serve):
    """Proves that level = error is quiet and stunnel's numbers work."""
    clinch = launch(listener(serve().connect, head="[log]\nlevel = debug"))
    assert clinch.grep(" notice ")
    quiet = launch(listener(serve().connect, head="debug = 3\n"), ready=False)
    until(lambda: quiet.descriptors() > 6, "it runs")
    assert quiet.terminate() == 0
    assert not quiet.grep(" notice ")


@pytest.fixture
def own_dev(tmp_path):
    """A folder and a wrapper that makes it /dev for one process: the test
    decides what is behind /dev/log."""
    dev = tmp_path / "dev"
    dev.mkdir()
    for name in ("null", "urandom"):
        (dev / name).touch()
    keep = " && ".join(f"mount --bind /dev/{name} {dev}/{name}" for name in ("null", "urandom"))
    script = f'{keep} && mount --rbind {dev} /dev && exec "$@"'
    return dev, ("unshare", "--mount", "sh", "-c", script, "sh")


@needs_mounts
def test_syslog(launch, listener, serve, tls, own_dev):
    """Proves output = syslog: lines reach /dev/log with facility and severity."""
    dev, wrapper = own_dev
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(dev / "log"))
        log.settimeout(10)
        launch(listener(serve().connect, head="[log]\noutput = syslog"), ready=False, wrapper=wrapper)
        warning, *lines = [log.recv(4096).decode() for _ in range(4)]
    # RFC 3164 section 4.1.1: facility daemon (3) * 8 + severity warning (4), or
    # notice (5).
    assert warning.startswith("<28>") and "running as root" in warning, warning
    assert all(line.startswith("<29>") and "clinch" in line for line in lines), lines
    assert "sandbox" in lines[0] and "listening" in lines[1] and "started" in lines[2]


@needs_mounts
def test_access_to_syslog(launch, listener, serve, tls, own_dev):
    """Proves access = syslog: the line of a connection, and it alone, is sent
    there, while events go to stderr; the word makes no file."""
    dev, wrapper = own_dev
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(dev / "log"))
        log.settimeout(10)
        clinch = launch(listener(serve().connect, head="[log]\naccess = syslog"), wrapper=wrapper)
        for _ in range(2):
            client = tls(clinch.port())
            assert client.ping()
            client.close()
            line = log.recv(4096).decode()
            # Facility daemon, severity informational (6).
            assert line.startswith("<30>") and " access " in line and "listener=web" in line, line
    assert not clinch.grep(" access ") and not (clinch.file.parent / "syslog").exists()


@needs_mounts
@pytest.mark.parametrize("key", ["output", "access"])
def test_syslog_without_a_daemon(launch, listener, own_dev, key):
    """Proves that a start and --test fail where nothing is behind /dev/log, or
    a socket that a dead daemon left, instead of losing every line."""
    dev, wrapper = own_dev
    text = listener("127.0.0.1:9", head=f"[log]\n{key} = syslog")
    for reason in ("No such file", "Connection refused"):
        clinch = launch(text, ready=False, wrapper=wrapper)
        assert clinch.wait_exit() == 1
        test = subprocess.run(
            [*wrapper, proxy.BINARY, "-c", clinch.file, "--test"], capture_output=True, text=True, timeout=20
        )
        assert test.returncode == 1
        for said in (clinch.output(), test.stderr):
            assert "/dev/log: " + reason in said and "clinch.ini" in said, said
        if reason == "No such file":
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(str(dev / "log"))


LOG_WORDS = """\
[log]
access = {}

[listener web]
accept = 127.0.0.1:0
connect = 127.0.0.1:8080
cert = {}
"""


@pytest.mark.parametrize(
    "word, says",
    [
        ("on", "such as stderr"),
        ("yes", "such as stderr"),
        ("none", "write off"),
        ("combined", "format"),
        ("journald", "stderr, which the journal"),
        ("sislog", "syslog"),
        ("elsewhere", "./elsewhere"),
    ],
)
def test_a_word_is_no_log_file(tmp_path, site, word, says):
    """Proves that a word that is neither a destination nor a path is an error,
    and that a path of that name can still be written."""
    file = tmp_path / "clinch.ini"
    file.write_text(LOG_WORDS.format(word, site.pem))
    status, _, err = proxy.run("-c", file, "--test")
    assert status == 2 and "clinch.ini:2: access: " in err and says in err, err
    file.write_text(LOG_WORDS.format("./" + word, site.pem).replace("access", "output"))
    status, _, err = proxy.run("-c", file, "--test")
    assert status == 0, err


@pytest.mark.parametrize("line", ["pid = no", "store_dir = none", "crl_file = off", "ticket_key_file = no"])
def test_a_switch_is_no_path(tmp_path, listener, line):
    """Proves that no file or folder is made that is called "no"."""
    file = tmp_path / "clinch.ini"
    file.write_text(listener("127.0.0.1:9", head=line))
    status, _, err = proxy.run("-c", file, "--test")
    assert status == 2 and "clinch.ini:1: " in err and "is not a path" in err, err
