"""What a start waits for, and what ends it."""

import os
import pty
import select
import signal
import socket
import subprocess

import pytest

from lib import proxy
from lib.stapled import status_of
from lib.wait import stays, until

NOBODY = {"auto": None, "prefer": None, "must": 1, "always": 1}


@pytest.mark.parametrize("mode", NOBODY)
def test_no_responder(launch, ca, stapled, mode):
    """Proves the row "no responder": a warning or an info line, or exit 1 with
    a sentence that has the certificate and the remedy."""
    site = ca.issue(must_staple=True)
    clinch = launch(stapled(site, f"mode = {mode}", head="[log]\nlevel = info"), ready=NOBODY[mode] is None)
    if NOBODY[mode] is None:
        assert status_of(clinch.port(), ca) is None
        level = "warning" if mode == "auto" else "info"
        assert clinch.grep(rf"{level} ocsp .*(responder|url)")
    else:
        assert clinch.wait_exit() == 1
        assert clinch.grep(r"localhost.*(responder|url)")


@pytest.mark.parametrize("behaviour", ["http_500", "unknown", "foreign_signer", "hang", "reset"])
@pytest.mark.parametrize("mode", ["must", "always"])
def test_failing_ends_a_strict_start(launch, ca, responders, stapled, mode, behaviour):
    """Proves exit 1 after a bounded wait, with the certificate, every URL
    tried and its result."""
    first, second = responders(behaviour), responders(behaviour)
    site = ca.issue(ocsp=[first.url, second.url], must_staple=True)
    clinch = launch(stapled(site, f"mode = {mode}\ntimeout = 2s"), ready=False)
    assert clinch.wait_exit() == 1
    line = clinch.wait_log(r"localhost.*127\.0\.0\.1")
    assert str(first.port) in line and str(second.port) in line
    assert not clinch.grep("server started")


@pytest.mark.parametrize("behaviour", ["http_500", "unknown", "hang"])
@pytest.mark.parametrize("mode", ["auto", "prefer"])
def test_failing_is_a_warning_otherwise(launch, ca, responders, stapled, mode, behaviour):
    """Proves that auto and prefer open without a staple, and mend themselves."""
    responder = responders(behaviour)
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = launch(stapled(site, f"mode = {mode}\ntimeout = 1s"))
    assert status_of(clinch.port(), ca) is None
    assert len(clinch.grep(r"warning ocsp .*cert=localhost")) == 1
    responder.released.set()
    responder.behave("good")
    until(lambda: status_of(clinch.port(), ca) == "good", "a staple after all", 40)


def test_listeners_stay_closed_until_answered(launch, ca, responders, stapled):
    """Proves that no client is served before the first response, and that
    SIGTERM works while the start waits."""
    responder = responders("hang")
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = always\ntimeout = 60s\nstart_wait = 60s"), ready=False)
    until(lambda: responder.count() == 1, "the responder is asked")
    assert stays(lambda: not clinch.grep("listening"), 0.5)
    os.kill(clinch.pid, signal.SIGTERM)
    assert clinch.wait_exit() == 0


def test_start_wait_ends_the_wait(launch, ca, responders, stapled):
    """Proves start_wait: after this time without a response the listeners open
    in prefer, and the start ends in always."""
    responder = responders("hang")
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = prefer\ntimeout = 60s\nstart_wait = 1s"))
    assert status_of(clinch.port(), ca) is None
    assert clinch.grep("warning ocsp serving without a staple .*no response yet")
    strict = launch(stapled(site, "mode = always\ntimeout = 60s\nstart_wait = 1s"), ready=False)
    assert strict.wait_exit() == 1
    assert strict.grep(r"error ocsp certificate localhost must be stapled.*no response yet \(responders: 1\)")


def many(ca, connect, responder, mode, count=24):
    """So many listeners, each with a certificate of this responder."""
    text = f"threads = 1\n[ocsp]\nmode = {mode}\nstart_wait = 1s\n"
    for i in range(count):
        files = ca.issue(ocsp=responder.url, label=f"c{i}")
        text += f"[listener l{i}]\naccept = 127.0.0.1:0\nconnect = {connect}\ncert = {files.pem}\n"
    return text


def test_start_wait_opens_whatever_is_queued(launch, ca, responders, serve):
    """Proves that prefer opens after start_wait while responses still arrive,
    and that always waits for all of them."""
    slow = responders("late")
    slow.latency = 0.6
    clinch = launch(many(ca, serve().connect, slow, "prefer"))
    assert clinch.grep("notice ocsp start_wait is over, certificates are still queued")
    until(lambda: status_of(clinch.port("l23"), ca) == "good", "the last staple", 30)
    clinch.terminate()
    strict = launch(many(ca, serve().connect, slow, "always"), ready=False)
    strict.wait_log("server started", deadline=30)
    assert not strict.grep("start_wait is over")
    assert all(status_of(strict.port(f"l{i}"), ca) == "good" for i in range(0, 24, 6))


@pytest.mark.parametrize("mode", ["prefer", "always"])
def test_a_dead_responder_delays_no_start(launch, ca, responders, serve, mode):
    """Proves that the attempts for certificates of a down host count as
    failed: of 24, four at a time, each for 1 s, a start does not wait for the
    last."""
    hanging = responders("hang")
    text = many(ca, serve().connect, hanging, mode).replace("start_wait = 1s", "start_wait = 20s\ntimeout = 3s")
    clinch = launch(text, ready=False)
    if mode == "prefer":
        clinch.wait_log("server started", deadline=10)
    else:
        assert clinch.wait_exit() == 1
    assert clinch.grep(r"responder host 127\.0\.0\.1:\d+ is down")
    assert clinch.grep("host is down: timeout_headers")
    assert hanging.count() < 24


def test_the_service_manager_is_notified_that_a_start_waits(launch, ca, responders, stapled, tmp_path):
    """Proves EXTEND_TIMEOUT_USEC under systemd while a start waits."""
    path = str(tmp_path / "notify")
    responder = responders("hang")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)
        text = stapled(ca.issue(ocsp=responder.url), "mode = always\ntimeout = 60s\nstart_wait = 60s")
        clinch = launch(text, ready=False, env={"NOTIFY_SOCKET": path})
        assert manager.recv(4096) == b"EXTEND_TIMEOUT_USEC=30000000\nSTATUS=Waiting for 1 staples"
        os.kill(clinch.pid, signal.SIGTERM)
        assert clinch.wait_exit() == 0


def test_a_start_that_waits_shows_its_progress(launch, ca, responders, serve, tmp_path):
    """Proves a line each few seconds on a terminal, and none in a pipe: of three
    certificates one is stapled, one fails and one waits."""
    text = "threads = 1\n[ocsp]\nmode = always\ntimeout = 60s\nstart_wait = 60s\n"
    for i, behaviour in enumerate(("good", "http_500", "hang")):
        files = ca.issue(ocsp=responders(behaviour).url, label=f"p{i}")
        text += f"[listener p{i}]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\ncert = {files.pem}\n"
    piped = launch(text, ready=False)
    piped.wait_log("outcome=http_5xx")
    (tmp_path / "clinch.ini").write_text(text)
    master, slave = pty.openpty()
    with subprocess.Popen([proxy.BINARY, "-c", str(tmp_path / "clinch.ini")], stderr=slave) as shown:
        os.close(slave)
        seen = b""
        try:
            while seen.count(b"\n1 of 3 certificates stapled, 1 failing\r\n") < 2:
                assert select.select([master], [], [], 20)[0], seen
                seen += os.read(master, 65536)
        finally:
            shown.terminate()
            os.close(master)
    assert not piped.grep("certificates stapled")


def test_without_staple_at_start_is_for_later(launch, ca, responders, stapled):
    """Proves that without_staple = serve does not soften a strict start."""
    site = ca.issue(ocsp=responders("http_500").url)
    clinch = launch(stapled(site, "mode = always\nwithout_staple = serve"), ready=False)
    assert clinch.wait_exit() == 1


def test_global_ocsp_is_a_mode(launch, ca, responders, stapled):
    """Proves `ocsp = false` (never) and `ocsp = true` (auto) in [global]."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    for word, status in (("false", None), ("true", "good")):
        clinch = launch(stapled(site, head=f"[global]\nocsp = {word}").replace("[ocsp]\n", ""))
        assert status_of(clinch.port(), ca) == status


def test_listener_overrides_the_mode(launch, ca, responders, stapled):
    """Proves `ocsp` in a listener, both ways."""
    responder = responders()
    site, other = ca.issue(ocsp=responder.url), ca.issue(ocsp=responder.url, label="other")
    text = stapled(site, "mode = never", more="ocsp = always") + stapled(other, name="b").replace("[ocsp]", "")
    clinch = launch(text)
    assert status_of(clinch.port("web"), ca) == "good"
    assert status_of(clinch.port("b"), ca) is None


def test_test_prints_what_would_be_stapled(ca, responders, stapled, tmp_path):
    """Proves `clinch --test`: it prints mode, must-staple and responders,
    reports a missing responder, and sends no request."""
    responder = responders()
    site, bare = ca.issue(ocsp=responder.url, must_staple=True), ca.issue(must_staple=True, label="bare")
    file = tmp_path / "clinch.ini"
    file.write_text(stapled(site, "mode = must"))
    status, out, err = proxy.run("-c", file, "--test")
    assert status == 0 and "must" in out and "stapl" in out, (out, err)
    file.write_text(stapled(bare, "mode = must"))
    status, out, err = proxy.run("-c", file, "--test")
    assert status == 1 and "localhost" in err, (out, err)
    file.write_text(stapled(site, "mode = must", more="staple_file = later.der"))
    status, out, err = proxy.run("-c", file, "--test")
    assert status == 0 and "later.der does not exist: responses will be picked up when it does" in err, (out, err)
    assert responder.count() == 0
