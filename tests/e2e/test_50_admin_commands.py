"""`clinch status`, `clinch reload`, `clinch refresh`, and the health check over the
admin endpoint."""

import json
import os
import pty
import re
import subprocess
import time

import pytest

from lib import admin, proxy
from lib.wait import until


@pytest.fixture
def run(tmp_path):
    """run(clinch, command, ...): (status, stdout, stderr) of a command."""

    def go(clinch, *arguments, **options):
        return proxy.run(arguments[0], "-c", clinch.file, *arguments[1:], **options)

    return go


@pytest.fixture
def socketed(launch, listener, serve, tmp_path):
    """A clinch whose endpoint is a Unix socket."""
    return launch(f"[admin]\nlisten = unix:{tmp_path}/admin.sock\n" + listener(serve().connect))


def test_status_for_a_person(socketed, run):
    status, out, err = run(socketed, "status")
    assert (status, err) == (0, "")
    assert f"pid {socketed.pid}" in out and "serving, ready" in out
    assert re.search(r"^web +0 open", out, re.M) and re.search(r"^good +localhost", out, re.M)
    assert "\033" not in out, "colours are for terminals"


def test_status_as_json(socketed, run):
    status, out, _ = run(socketed, "status", "--json")
    assert status == 0 and json.loads(out)["pid"] == socketed.pid


def test_status_on_a_terminal_has_colours_and_is_repeated(socketed):
    """Proves --watch: the table comes again until the command is ended."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([proxy.BINARY, "status", "-c", socketed.file, "--watch"], stdout=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    seen = b""

    def twice():
        nonlocal seen
        seen += os.read(ours, 65536)
        return seen.count(b"pid ") >= 2

    try:
        until(twice, "two tables", 20)
    finally:
        process.terminate()  # SIGINT may be ignored here, as in a background job
        process.wait(10)
        os.close(ours)
    assert b"\033[32m" in seen


def test_a_process_that_is_gone(socketed, run):
    socketed.terminate()
    for command in ("status", "reload", "refresh"):
        status, out, err = run(socketed, command)
        assert status == 1 and out == "" and "admin.sock" in err, err


@pytest.mark.parametrize("section, words", [("", "[admin] listen"), ("[admin]\nlisten = 127.0.0.1:0\n", "unix:PATH")])
def test_no_endpoint_to_be_found(launch, listener, serve, run, section, words):
    clinch = launch(section + listener(serve().connect))
    status, _, err = run(clinch, "status")
    assert status == 2 and words in err


def test_over_tcp_nothing_is_changed(launch, listener, serve, run):
    clinch = launch("[admin]\nlisten = 127.0.0.1:0\n" + listener(serve().connect))
    clinch.write(clinch.file.read_text().replace("listen = 127.0.0.1:0", f"listen = {admin.listen(clinch)}"))
    assert run(clinch, "status")[0] == 0
    for command in ("reload", "refresh"):
        status, _, err = run(clinch, command)
        assert status == 1 and "unix:PATH" in err


@pytest.mark.parametrize("arguments", [["--wrong"], ["extra"]])
def test_bad_usage(socketed, run, arguments):
    status, _, err = run(socketed, "status", *arguments)
    assert status == 2 and "usage: clinch status" in err


# ---- reload ----


def test_reload_returns_when_it_is_decided(socketed, run):
    assert run(socketed, "reload")[:2] == (0, "reloaded\n")
    assert len(socketed.grep("server reloaded")) == 1


def test_reload_prints_the_errors(socketed, run):
    """Proves that the errors reach the person who caused them: here one that
    only the running process finds."""
    taken = socketed.file.with_name("not.pem")
    taken.write_text("no certificate")
    socketed.write(re.sub(r"cert = .*", f"cert = {taken}", socketed.file.read_text()))
    status, out, err = run(socketed, "reload")
    assert status == 1 and out == ""
    assert re.search(r"clinch\.ini:\d+: .*not\.pem", err) and "old configuration stays" in err


def test_each_of_two_reloads_gets_its_own_answer(socketed, run):
    """Proves that a reload is answered after its file was read: the second one
    adds a listener, and finds it when its command ends."""
    first = subprocess.Popen([proxy.BINARY, "reload", "-c", socketed.file], stdout=subprocess.PIPE)
    text = socketed.file.read_text()
    more = text[text.index("[listener web]"):].replace("[listener web]", "[listener more]")
    socketed.write(text + more)
    assert run(socketed, "reload")[0] == 0
    assert socketed.grep("listening listener=more")
    assert first.wait(20) == 0
    first.stdout.close()


# ---- refresh ----


@pytest.fixture
def two(launch, ca, responders, stapled, tmp_path):
    """(clinch, responder, files, files): two stapled certificates."""
    responder = responders()
    a, b = (ca.issue(name, ocsp=responder.url) for name in ("a.example", "b.example"))
    text = f"[admin]\nlisten = unix:{tmp_path}/admin.sock\n"
    text += stapled(a, "mode = always") + stapled(b, "", name="other").replace("[ocsp]", "")
    return launch(text), responder, a, b


def test_refresh_fetches_all(two, run):
    clinch, responder, a, b = two
    before = responder.count(a), responder.count(b)
    status, out, err = run(clinch, "refresh", deadline=60)
    assert status == 0, err
    assert sorted(out.splitlines()) == ["a.example: unchanged", "b.example: unchanged"] or "good" in out, out
    assert responder.count(a) > before[0] and responder.count(b) > before[1]


def test_refresh_fetches_one(two, run):
    clinch, responder, a, b = two
    before = responder.count(b)
    for name in ("a.example", a.id[:10]):
        status, out, err = run(clinch, "refresh", name, deadline=60)
        assert status == 0 and out.startswith("a.example: "), err
    assert responder.count(b) == before


def test_refresh_reports_a_failure(two, run):
    clinch, responder, a, _ = two
    responder.behave("http_500")
    status, out, _ = run(clinch, "refresh", "a.example", deadline=90)
    assert status == 1 and "http_5xx" in out


def test_refresh_reports_a_revocation(launch, ca, responders, stapled, tmp_path, run):
    """Proves that a response is no success if its status is revoked."""
    responder = responders()
    site = ca.issue(ocsp=responder.url)
    clinch = launch(f"[admin]\nlisten = unix:{tmp_path}/admin.sock\n" + stapled(site, "mode = prefer"))
    responder.behave("revoked")
    status, out, _ = run(clinch, "refresh", deadline=60)
    assert status == 1 and out == "localhost: revoked\n"


def test_refresh_of_an_unknown_name(two, run):
    status, _, err = run(two[0], "refresh", "c.example")
    assert status == 1 and "no stapled certificate" in err


# ---- healthcheck ----


def test_the_health_check_uses_the_endpoint(socketed, run):
    """Proves that it asks /ready, and makes no handshake."""
    assert run(socketed, "healthcheck")[:2] == (0, "healthy: ready\n")
    path = socketed.file.parent.parent / "admin.sock"
    assert admin.status(socketed, path)["listeners"][0]["accepted"] == 0
    socketed.terminate()
    status, out, _ = run(socketed, "healthcheck")
    assert status == 1 and out.startswith("unhealthy: ") and out.count("\n") == 1


def test_the_health_check_of_one_listener_is_a_handshake(socketed, run):
    address = socketed.addresses("web")[-1]
    socketed.write(re.sub(r"accept = .*", f"accept = {address}", socketed.file.read_text()))
    assert run(socketed, "healthcheck", "--listener", "web")[0] == 0
    path = socketed.file.parent.parent / "admin.sock"
    assert admin.status(socketed, path)["listeners"][0]["ended"] == {"health_check": 1}
