"""The admin endpoint: health, readiness, status and metrics of a process."""

import os
import resource
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import time

import pytest

from lib import admin, client, service
from lib.admin import metric, request, wait_metric
from lib.stapled import s_client, status_of, wait_staple
from lib.wait import stays, until

ADMIN = "[admin]\nlisten = 127.0.0.1:0\n"


@pytest.fixture
def one(launch, serve, listener):
    """one(more): a clinch with an echo service and an endpoint."""

    def start(more="", head="", handler=service.echo, **options):
        return launch(ADMIN + head + listener(serve(handler).connect, more), **options)

    return start


# ---- What is answered ----


def test_off_by_default(launch, serve, listener):
    """Proves that without [admin] there is no socket and no thread for it."""
    clinch = launch(listener(serve().connect))
    names = [open(f"/proc/{clinch.pid}/task/{task}/comm").read().strip() for task in os.listdir(f"/proc/{clinch.pid}/task")]
    assert "admin" not in names and not clinch.grep("admin")


def test_health_and_readiness(one):
    clinch = one()
    assert request(clinch, "/health")[::2] == (200, "ok\n")
    assert request(clinch, "/ready")[::2] == (200, "ready\n")


def test_health_fails_while_the_main_thread_hangs(one):
    """Proves that /health depends on the main loop: strace holds that thread
    alone, and the endpoint still answers."""
    clinch = one()
    inject = "inject=epoll_wait,epoll_pwait:delay_exit=6000000"
    strace = subprocess.Popen(
        ["strace", "-qq", "-o", "/dev/null", "-e", "trace=epoll_wait,epoll_pwait", "-e", inject, "-p", str(clinch.pid)],
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: request(clinch, "/health")[0] == 503, "no turn of the main loop", 30)
        assert request(clinch, "/metrics")[0] == 200
    finally:
        strace.terminate()
        strace.communicate()
    until(lambda: request(clinch, "/health")[0] == 200, "the main loop turns again", 20)


@pytest.mark.parametrize("bytes_, code", [
    (b"GET /nothing HTTP/1.1\r\n\r\n", 404),
    (b"HEAD /status HTTP/1.1\r\n\r\n", 405),
    (b"DELETE / HTTP/1.1\r\n\r\n", 405),
    (b"POST /reload HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405),
    (b"POST /reload HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 413),
    (b"GET /status HTTP/3\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 431),
])
def test_what_is_not_answered(one, bytes_, code):
    """Proves the refusals, and that over TCP nothing can be changed."""
    clinch = one()
    assert admin.exchange(admin.connect(clinch), bytes_)[0] == code
    assert not clinch.grep("reload")


def test_answers_cannot_be_used_by_other_pages(one):
    _, headers, body = request(one(), "/")
    assert headers["content-type"].startswith("text/html") and body.lower().startswith("<!doctype html")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"


def test_idle_connections_do_not_shut_out_a_scraper(one):
    """Proves the bound on connections, and that those without a request make
    room."""
    clinch = one()
    idle = [admin.connect(clinch) for _ in range(40)]
    for each in idle[:20]:
        each.sendall(b"GET /st")
    before = clinch.descriptors()
    assert before < 80
    assert request(clinch, "/ready")[0] == 200
    for each in idle:
        each.close()


def test_without_descriptors_the_endpoint_waits(one):
    """Proves that a connection that cannot be accepted costs no CPU time, and is
    answered once there is a descriptor."""
    clinch = one()
    limits = resource.prlimit(clinch.pid, resource.RLIMIT_NOFILE)
    request(clinch, "/ready")
    resource.prlimit(clinch.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    peer = admin.connect(clinch)
    before = clinch.cpu_seconds()
    assert stays(lambda: clinch.cpu_seconds() - before < 0.5, 2)
    resource.prlimit(clinch.pid, resource.RLIMIT_NOFILE, limits)
    assert admin.exchange(peer, b"GET /ready HTTP/1.1\r\n\r\n")[0] == 200


def test_a_request_in_pieces(one):
    clinch = one()
    peer = admin.connect(clinch)
    for byte in b"GET /ready HTTP/1.1\r\nHost: a\r":
        peer.sendall(bytes([byte]))
    assert admin.exchange(peer, b"\n\r\n")[0] == 200


# ---- What the numbers mean ----


def test_connections_and_bytes_while_they_are_open(one, tls):
    """Proves that the counters of a connection move before it ends."""
    clinch = one()
    peer = tls(clinch.port())
    peer.send(b"x" * 1000)
    assert peer.recv_exactly(1000) == b"x" * 1000
    wait_metric(clinch, "clinch_bytes_total", 1000, listener="web", direction="out")
    assert metric(clinch, "clinch_bytes_total", direction="in") == 1000
    assert metric(clinch, "clinch_connections", listener="web") == 1
    assert admin.status(clinch)["listeners"][0]["connections"] == 1
    peer.close()
    wait_metric(clinch, "clinch_connections", 0, listener="web")
    assert metric(clinch, "clinch_connections_total", listener="web") == 1


def test_handshakes_by_version_and_result(one, tls, version):
    clinch = one()
    name = {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
    tls(clinch.port(), version).close()
    wait_metric(clinch, "clinch_handshakes_total", 1, version=name, resumed="no", result="ok")
    assert metric(clinch, "clinch_handshakes_total", group="none", result="ok") is None
    with socket.create_connection(("127.0.0.1", clinch.port())) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.recv(100)
    wait_metric(clinch, "clinch_handshakes_total", 1, result="not_tls")
    assert metric(clinch, "clinch_handshake_duration_seconds_count") == 1


def test_backends(launch, listener, serve, tls):
    """Proves a backend that rests, the count of its errors over a reload, and a
    name that is not resolved."""
    dead, alive = "127.0.0.1:1", serve().connect
    clinch = launch(ADMIN + listener(dead, f"connect = {alive}\nretry_after = 60s"))
    tls(clinch.port()).close()
    wait_metric(clinch, "clinch_backend_errors_total", 1, backend=dead)
    assert metric(clinch, "clinch_backend_up", backend=dead) == 0
    assert metric(clinch, "clinch_backend_up", listener="web", backend=alive) == 1
    assert clinch.reload().find("reloaded") > 0
    assert metric(clinch, "clinch_backend_errors_total", backend=dead) == 1
    states = {backend["name"]: backend["state"] for backend in admin.status(clinch)["listeners"][0]["backends"]}
    assert states == {dead: "resting", alive: "up"}


def test_counters_survive_a_reload(one, tls):
    clinch = one()
    tls(clinch.port()).close()
    wait_metric(clinch, "clinch_connections_total", 1)
    clinch.reload()
    assert metric(clinch, "clinch_connections_total", listener="web") == 1
    assert metric(clinch, "clinch_reloads_total", result="success") == 1


def test_refused_reloads_are_counted_and_explained(one):
    clinch = one()
    good = clinch.file.read_text()
    clinch.write(good + "nonsense\n")
    clinch.reload()
    assert metric(clinch, "clinch_reloads_total", result="failure") == 1
    assert metric(clinch, "clinch_last_reload_successful") == 0
    reload = admin.status(clinch)["reload"]
    assert reload["last_result"] == "failure" and "clinch.ini:" in reload["last_error"]
    clinch.write(good)
    clinch.reload()
    assert metric(clinch, "clinch_last_reload_successful") == 1
    assert admin.status(clinch)["reload"]["last_error"] is None


# ---- Staples ----


def test_a_stapled_certificate(launch, ca, responders, stapled):
    """Proves the whole row of a certificate, and what clients got."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = launch(ADMIN + stapled(site, "mode = always"))
    assert status_of(clinch.port(), ca) == "good"
    s_client(clinch.port(), ca, status=False)
    [row] = admin.status(clinch)["certificates"]
    staple = row["staple"]
    assert (row["severity"], row["clients_get"], row["in_service"]) == ("good", "a staple: good", True)
    assert row["id"] == site.id and int(row["serial"], 16) == site.serial
    assert staple["state"] == "good" and staple["this_update"] < staple["next_fetch"] < staple["expires"]
    assert staple["fetches"] == {"good": 1} and staple["error"] is None
    assert abs(staple["last_success"] - time.time()) < 60
    assert metric(clinch, "clinch_staple_state", state="good") == 1
    assert metric(clinch, "clinch_staple_fetches_total", outcome="good") == 1
    assert metric(clinch, "clinch_staples_total", outcome="sent") == 1
    assert metric(clinch, "clinch_staples_total", outcome="not_asked") == 1


def test_no_state_without_a_staple(launch, ca, responders, stapled):
    """Proves that a certificate without a staple is never shown as good, why,
    and that the process is not ready where policy demands it."""
    responder = responders("http_500")
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = launch(ADMIN + stapled(site, "mode = auto\nstart_wait = 1s\nwithout_staple = refuse"))
    until(lambda: metric(clinch, "clinch_staple_fetches_total", outcome="http_5xx"), "a failed fetch")
    assert metric(clinch, "clinch_staple_state") is None
    assert metric(clinch, "clinch_staple_wanted") == 1
    [row] = admin.status(clinch)["certificates"]
    assert row["severity"] == "critical" and row["clients_get"].startswith("an alert")
    assert request(clinch, "/ready")[::2] == (503, "no staple: localhost\n")
    assert row["staple"]["state"] == "none" and row["staple"]["failures"] >= 1 and "500" in row["staple"]["error"]
    subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{clinch.port()}", "-status"], input=b"", capture_output=True)
    wait_metric(clinch, "clinch_staples_total", 1, outcome="refused")


def test_a_revoked_certificate_turns_everything(launch, ca, responders, stapled):
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = launch(ADMIN + stapled(site, "mode = prefer\nmin_interval = 1s\nmax_interval = 1s"))
    assert request(clinch, "/ready")[0] == 200
    responder.behave("revoked")
    until(lambda: metric(clinch, "clinch_staple_state", state="revoked") == 1, "the revocation", 30)
    code, _, body = request(clinch, "/ready")
    assert code == 503 and body == "revoked: localhost\n"
    [row] = admin.status(clinch)["certificates"]
    assert row["severity"] == "critical" and row["clients_get"] == "a staple: revoked"
    assert metric(clinch, "clinch_staple_state", state="good") is None


def test_two_certificates_of_one_name(launch, ca, responders, stapled):
    """Proves that RSA and ECDSA of one name are two series of each metric."""
    responder = responders()
    ecdsa, rsa = ca.issue(ocsp=responder.url), ca.issue(ocsp=responder.url, kind="rsa")
    clinch = launch(ADMIN + stapled(ecdsa, "mode = always", more=f"cert = {rsa.pem}"))
    until(lambda: metric(clinch, "clinch_staple_state", certificate="localhost") == 2, "two staples")
    kinds = {row["id"]: row["kind"] for row in admin.status(clinch)["certificates"]}
    assert kinds == {ecdsa.id: "EC256", rsa.id: "RSA2048"}


# ---- Reload and drain ----


def test_the_address_changes_with_a_reload(one, tmp_path):
    """Proves that a reload adds, keeps and removes sockets, and that the thread
    goes with the last one."""
    clinch, path = one(head="[global]\nsandbox = off\n"), tmp_path / "admin.sock"
    first, text = admin.listen(clinch), clinch.file.read_text()
    clinch.write(text.replace(ADMIN, ADMIN + f"listen = unix:{path}\nunix_mode = 0640\n"))
    clinch.reload()
    assert request(clinch, "/ready", path=path)[0] == 200
    assert admin.listen(clinch) == first and request(clinch, "/ready")[0] == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    clinch.write(text.replace(ADMIN, ""))
    clinch.reload()
    until(lambda: not path.exists(), "the socket file goes")
    host, port = first.rsplit(":", 1)
    until(lambda: socket.socket().connect_ex((host, int(port))), "the port is closed")


def test_a_taken_address_refuses_the_reload(one):
    clinch = one()
    taken = socket.create_server(("127.0.0.1", 0))
    text = clinch.file.read_text()
    clinch.write(text.replace(ADMIN, ADMIN + f"listen = 127.0.0.1:{taken.getsockname()[1]}\n"))
    assert "refused" in clinch.reload()
    assert "[admin] listen" in admin.status(clinch)["reload"]["last_error"]
    assert request(clinch, "/ready")[0] == 200
    taken.close()


def test_a_drain_is_visible(one, tls):
    """Proves that the endpoint answers while the last connections end."""
    clinch = one()
    peer = tls(clinch.port())
    clinch.process.send_signal(signal.SIGTERM)
    clinch.wait_log("server draining")
    code, _, body = request(clinch, "/ready")
    assert code == 503 and "draining" in body
    status = admin.status(clinch)
    assert status["state"] == "draining" and status["listeners"][0]["connections"] == 1
    peer.close()
    assert clinch.wait_exit() == 0


def test_a_start_that_waits_for_staples_is_visible(launch, ca, responders, stapled):
    """Proves that the endpoint answers before the listeners do: the process turns,
    is not ready, and shows what it waits for."""
    responder = responders("late")
    responder.latency = 60
    site = ca.issue(ocsp=responder.url)
    clinch = launch(ADMIN + stapled(site, "mode = always\nstart_wait = 60s\ntimeout = 60s"), ready=False)
    until(lambda: responder.count() > 0, "the first request")
    assert request(clinch, "/health")[0] == 200
    code, _, body = request(clinch, "/ready")
    assert code == 503 and "starting" in body
    [row] = admin.status(clinch)["certificates"]
    assert row["name"] == "localhost" and row["staple"]["state"] == "none"
    responder.released.set()
    clinch.ready()
    until(lambda: request(clinch, "/ready")[0] == 200, "ready")
    assert len(clinch.grep("admin listening")) == 1


# ---- Warnings and peers ----


def test_an_open_endpoint_is_a_warning(launch, serve, listener, tmp_path):
    quiet = launch(f"[admin]\nlisten = [::1]:0\nlisten = 127.0.0.2:0\nlisten = unix:{tmp_path}/a\n" + listener(serve().connect))
    assert not quiet.grep("warning")
    loud = launch("[admin]\nlisten = 0.0.0.0:0\n" + listener(serve().connect))
    [line] = loud.grep("warning")
    assert "admin" in line and "clinch.ini:2" in line


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is in the group lint of scripts/install-deps")
def test_promtool_accepts_the_metrics(one, tls):
    clinch = one(head="[log]\naccess = off\n")
    tls(clinch.port()).close()
    _, _, body = request(clinch, "/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout + done.stderr == "", done.stdout + done.stderr


def test_a_scrape_of_many_certificates(launch, ca, serve, tmp_path):
    """Proves that all are there, and that the endpoint delays no client."""
    folder = tmp_path / "certs"
    folder.mkdir()
    for i in range(200):
        made = ca.issue(f"h{i}.example")
        shutil.copy(made.pem, folder / f"{i}.pem")
    text = ADMIN + f"[listener web]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\ncert_dir = {folder}\n"
    clinch = launch(text)
    names = {row["name"] for row in admin.status(clinch)["certificates"]}
    assert names == {f"h{i}.example" for i in range(200)}
