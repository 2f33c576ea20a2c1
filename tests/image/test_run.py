"""The image as it is run: a must-staple certificate in front of a plaintext
web server, with environment variables and a mounted folder alone."""

import json
import os
import pathlib
import re
import subprocess

import dockerfile
import pytest

from container import web
from lib import client, stapled
from lib.wait import until

PORT = 8443  # the default of the shipped configuration
USERS = [(65532, 65532), (1000740000, 0)]
TRIXIE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", "/var/cache")) / "clinch/roots/trixie"


@pytest.fixture
def site(ca, responders, certs):
    """A must-staple certificate in the mounted folder, and its responder."""
    responder = responders()
    files = ca.issue(ocsp=responder.url, must_staple=True, folder=certs, label="site")
    readable(files)
    return files, responder


def readable(files):
    """As a mounted secret is for the user of the container."""
    files.pem.chmod(0o444)
    files.key.chmod(0o444)


@pytest.fixture
def variables(serve, site):
    """The two variables without a default."""
    return {"CLINCH_CONNECT": serve(web).connect, "CLINCH_CERT": f"/certs/{site[0].pem.name}"}


def fetch(ca, *options):
    """curl, which refuses a connection without a good staple."""
    command = ["curl", "-sS", "--cert-status", "--cacert", str(ca.file), f"https://localhost:{PORT}/", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("user", USERS, ids=["its user", "an arbitrary UID"])
def test_stapled_with_variables_alone(start, ca, site, variables, store, user):
    """Proves that clients of both kinds get a verified staple, the health check
    succeeds, and the container writes to its volume and nowhere else."""
    running = start(variables, user)
    assert stapled.wait_staple(PORT, ca, site[0])
    assert fetch(ca).stdout == "plain\n"
    assert running.healthcheck()[0] == 0, running.healthcheck()
    assert running.writable_mounts() == ["/var/lib/clinch"]
    assert list((store / "ocsp").glob(f"{site[0].id}*"))
    assert running.end() == 0


@pytest.mark.parametrize("user", USERS, ids=["its user", "an arbitrary UID"])
def test_process_1_without_rights(start, variables, user):
    """Proves what the other tests rest on: process 1 of its namespace, no
    capability, no way to gain one, a read-only root without a /dev/log."""
    running = start(variables, user)
    status = running.status()
    assert status["NSpid"].split()[-1] == "1"
    assert [int(one) for one in status["Uid"].split()] == [user[0]] * 4
    assert [int(one) for one in status["Gid"].split()] == [user[1]] * 4
    assert {name: int(status[name], 16) for name in status if name.startswith("Cap")} == dict.fromkeys(
        ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"], 0
    )
    assert status["NoNewPrivs"] == "1"
    namespaces = [os.readlink(f"/proc/{running.pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "mnt")]
    assert namespaces == [True, True]


def test_log_is_json_on_stderr(start, site, variables):
    """Proves that each line is an object, and that text can be had."""
    running = start(variables)
    running.end()
    assert running.lines
    for line in running.lines:
        assert {"time", "level", "message"} <= json.loads(line).keys(), line
    running = start({**variables, "CLINCH_LOG_FORMAT": "text"}, ready=False)
    running.wait_log(r"^[0-9T:.Z-]+ notice server started")


def test_the_health_check_uses_the_admin_endpoint(start, variables):
    """Proves that HEALTHCHECK is a request where CLINCH_ADMIN is set."""
    running = start({**variables, "CLINCH_ADMIN": "127.0.0.1:9180"})
    until(lambda: running.healthcheck()[0] == 0, "it is healthy")
    assert "healthy: ready" in running.healthcheck()[1]


def test_staple_survives_a_restart_without_responder(start, ca, site, variables):
    """Proves that the first handshake of a new container is stapled from the
    volume while the responder is down."""
    files, responder = site
    first = start(variables)
    stapled.wait_staple(PORT, ca, files)
    until(lambda: first.healthcheck()[0] == 0, "it is healthy")
    assert first.end() == 0
    responder.stop()
    again = start(variables)
    assert stapled.status_of(PORT, ca) == "good"
    assert fetch(ca).stdout == "plain\n"
    assert again.healthcheck()[0] == 0
    responder.start()


@pytest.mark.parametrize("mode", ["auto", "prefer"])
def test_unhealthy_without_the_staple(start, ca, site, variables, mode):
    """Proves that HEALTHCHECK fails while clients get no staple for a
    must-staple certificate, and succeeds again once they do."""
    files, responder = site
    responder.stop()
    running = start({**variables, "CLINCH_OCSP_MODE": mode})
    assert stapled.status_of(PORT, ca) is None
    status, output = running.healthcheck()
    assert status == 1 and len(output.splitlines()) == 1, output
    responder.start()
    until(lambda: stapled.status_of(PORT, ca) == "good", "a staple once the responder is back", 90)
    assert running.healthcheck()[0] == 0


def test_no_start_without_the_staple(start, site, variables):
    """Proves that mode always ends a start with an empty volume and a responder
    that is down."""
    site[1].stop()
    running = start({**variables, "CLINCH_OCSP_MODE": "always"}, ready=False)
    assert running.wait_exit(60) == 1
    site[1].start()


def test_unhealthy_while_a_start_waits(start, site, variables, tmp_path):
    """Proves that HEALTHCHECK fails while mode always waits for the first
    staple, and that SIGTERM ends the wait with 0."""
    site[1].behave("hang")
    own = tmp_path / "own.ini"
    shipped = (dockerfile.TOP / "etc/docker/clinch.ini").read_text()
    own.write_text(shipped.replace("[ocsp]\n", "[ocsp]\ntimeout = 60s\nstart_wait = 1h\n"))
    own.chmod(0o644)
    mounts = [(own, "/etc/clinch/clinch.ini", True)]
    running = start({**variables, "CLINCH_OCSP_MODE": "always"}, ready=False, mounts=mounts)
    until(site[1].count, "it waits for a response")
    assert running.healthcheck()[0] == 1
    assert running.end() == 0


def test_sighup_reloads(start, ca, site, variables, certs):
    """Proves that a reload puts a renewed certificate into service, with its
    staple, and keeps connections."""
    running = start({**variables, "CLINCH_OCSP_MODE": "always"})
    with client.Client(PORT, client.context(ca.file)) as kept:
        renewed = ca.issue(ocsp=site[1].url, must_staple=True, folder=certs, label="site")
        readable(renewed)
        running.reload()
        until(lambda: serial_shown(ca) == renewed.serial, "the renewed certificate")
        assert stapled.wait_staple(PORT, ca, renewed)
        kept.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert kept.recv().endswith(b"plain\n")


def serial_shown(ca):
    with client.Client(PORT, client.context(ca.file)) as one:
        return int(one.tls.getpeercert()["serialNumber"], 16)


def test_sigterm_drains(start, ca, variables):
    """Proves that the container ends with 0 once its connections have ended,
    and after drain_timeout if one stays."""
    running = start({**variables, "CLINCH_DRAIN_TIMEOUT": "60s"})
    with client.Client(PORT, client.context(ca.file)) as one:
        running.signal("SIGTERM")
        running.wait_event("draining")
        one.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert one.recv().endswith(b"plain\n")
    assert running.wait_exit(20) == 0
    running = start({**variables, "CLINCH_DRAIN_TIMEOUT": "300ms"})
    with client.Client(PORT, client.context(ca.file)):
        assert running.end(deadline=10) == 0


def test_a_missing_variable_is_one_sentence(start, variables):
    """Proves that each variable without a default is named in one line."""
    for name in variables:
        given = {one: value for one, value in variables.items() if one != name}
        running = start(given, ready=False)
        assert running.wait_exit() == 2
        assert len(running.lines) == 1 and name in running.lines[0], running.output()


def test_a_mounted_configuration_replaces_the_shipped_one(start, ca, site, variables, tmp_path):
    """Proves that a file in the place of /etc/clinch/clinch.ini is all."""
    own = tmp_path / "own.ini"
    own.write_text(f"[listener own]\naccept = 9443\nconnect = {variables['CLINCH_CONNECT']}\ncert = {variables['CLINCH_CERT']}\n")
    own.chmod(0o644)
    running = start({}, ready=False, mounts=[(own, "/etc/clinch/clinch.ini", True)])
    running.wait_log("server started")
    stapled.wait_staple(9443, ca, site[0])
    assert running.healthcheck()[0] == 0


def test_arguments_follow_the_entry_point(start, variables):
    """Proves that `docker run IMAGE --test` checks the configuration."""
    running = start(variables, ready=False, arguments=["--test"])
    assert running.wait_exit() == 0


def key_exchange(ca):
    """The words of an `openssl` that has X25519MLKEM768 (3.5): the machine's or
    the one of the Debian root that the image was built in."""
    for prefix in ([], ["chroot", str(TRIXIE)]):
        command = [*prefix, "openssl", "s_client", "-connect", f"127.0.0.1:{PORT}", "-groups", "X25519MLKEM768", "-brief"]
        done = subprocess.run(command, input=b"", capture_output=True, timeout=20)
        if done.returncode == 0:
            return done.stderr.decode()
    return None


def test_post_quantum_key_exchange(start, ca, variables):
    """Proves that a client which offers X25519MLKEM768 gets it."""
    start(variables)
    words = key_exchange(ca)
    if words is None:
        pytest.skip("no openssl with X25519MLKEM768")
    assert re.search(r"X25519MLKEM768", words), words
