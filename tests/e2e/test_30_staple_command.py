"""`clinch staple check` and `fetch`: their output for an operator and for a
script."""

import datetime
import os
import re
import stat

import pytest

from lib import proxy, stapled

NOBODY = "http://127.0.0.1:1/"  # a port where nothing listens


def check(files, *options, **more):
    return proxy.run("staple", "check", files.pem, *options, **more)


def fetch(files, out, *options, **more):
    return proxy.run("staple", "fetch", files.pem, "-o", out, *options, **more)


def holds(text, *words):
    for word in words:
        assert word in text, f"{word!r} is missing in:\n{text}"


# ---- The real responder ----


@pytest.mark.parametrize("state, status", [("good", 0), ("revoked", 2), ("unknown", 3)])
def test_exit_status_is_the_status_in_the_response(ca, openssl_ocsp, state, status):
    """Proves rule 35's exit statuses with `openssl ocsp`."""
    site = ca.issue("state", must_staple=True)
    lists = {} if state == "unknown" else {state: [site]}
    url = openssl_ocsp(minutes=60, **lists).url
    code, out, err = check(site, "--url", url)
    assert (code, err) == (status, "")
    holds(out, f"result: {state}", f"{site.serial:X}", "must-staple  yes", f"found in {site.pem}", f"{url}, from --url")


def test_check_prints_until_when_it_can_be_stapled(ca, openssl_ocsp):
    """Proves that a good result has the time and the signer."""
    site = ca.issue("good")
    _, out, _ = check(site, "--url", openssl_ocsp(good=[site], minutes=90).url)
    assert re.search(r"can be stapled until 20.*, for 1 h (29|30) min\n", out), out
    holds(out, 'signed by "CN=test CA"')


def test_check_prints_that_nextupdate_is_missing(ca, openssl_ocsp):
    """Proves that a response without nextUpdate is accepted (rule 8)."""
    site = ca.issue("good")
    code, out, _ = check(site, "--url", openssl_ocsp(good=[site]).url)
    assert code == 0
    assert re.search(r", for (1 days? 0 h|23 h 59 min) \(it has no nextUpdate\)", out), out


# ---- URL by URL, method by method ----


def test_check_prints_that_clients_may_refuse_it(ca, responders):
    """Proves rule 12a for the diagnosis: the response is good, and begins with
    the entry of another certificate."""
    responder = responders("other_first")
    site = ca.issue(ocsp=responder.url)
    ca.issue("other", ocsp=responder.url)
    status, text, _ = check(site)
    assert status == 0
    holds(text, "can be stapled until", "its first entry is about another certificate")


def test_check_sends_every_request_to_every_url(ca, responders):
    """Proves one line for each method and hash, with the time it took."""
    one, two = responders(), responders("only_post")
    site = ca.issue("ways", ocsp=[one.url, two.url])
    code, out, _ = check(site)
    assert code == 0
    assert [(a.method, a.hash) for a in one.asked] == [("GET", "sha1"), ("POST", "sha1"), ("GET", "sha256"), ("POST", "sha256")]
    lines = [line.split() for line in out.splitlines() if " ms " in line]
    assert [line[:2] for line in lines] == [["GET", "SHA-1"], ["POST", "SHA-1"], ["GET", "SHA-256"], ["POST", "SHA-256"]] * 2
    assert [line[4] for line in lines] == ["good:"] * 4 + ["http_4xx:", "good:"] * 2


def test_check_respects_retry_after(ca, responders):
    """Proves that after Retry-After no second request goes to the responder,
    and that the next one is used."""
    one, two = responders("retry_after"), responders()
    code, _, _ = check(ca.issue("wait", ocsp=[one.url, two.url]))
    assert (code, one.count(), two.count()) == (0, 1, 4)


def test_check_names_the_dead_first_url(ca, responders):
    """Proves that a dead URL is printed although another one has a
    response."""
    site = ca.issue("dead", ocsp=[NOBODY, responders().url])
    code, out, _ = check(site)
    assert code == 0
    holds(out, "connection_refused: connection refused", f"failed: {NOBODY}", "firewall")


def test_check_mentions_a_url_that_is_left_out(ca, responders):
    """Proves that an unusable AIA entry is printed although another one has a
    response."""
    site = ca.issue("partly", ocsp=["ldap://ca.example/", f" {responders().url}/ "])
    code, out, _ = check(site)
    assert code == 0
    holds(out, "note         the URL ldap://ca.example/ was left out, as it is neither http nor https")
    _, out, _ = check(ca.issue("whole", ocsp=responders().url))
    assert "note " not in out


# ---- What a person can do ----


def test_check_prints_a_remedy_without_an_issuer(ca, responders):
    """Proves the words for an issuer that is missing, and that --ca-file finds it."""
    responder = responders()
    site = ca.issue("alone", ocsp=responder.url, chain=False)
    code, out, _ = check(site)
    assert code == 4
    holds(out, "CN=test CA, not found", "result: no_issuer", "append the issuer's certificate", "--ca-file FILE")
    assert responder.count() == 0
    code, out, _ = check(site, "--ca-file", ca.file)
    assert code == 0
    holds(out, f"found in {ca.file}")


def test_check_prints_a_remedy_without_a_responder(ca, responders):
    """Proves the words for a certificate that names no URL."""
    site = ca.issue("nobody")
    code, out, _ = check(site)
    assert code == 4
    holds(out, "responder    none", "result: no_responder", "--url URL")


FAILURES = {
    "try_later": (4, "result: try_later", "wait"),
    "unauthorized": (4, "result: unauthorized", "some minutes"),
    "foreign_signer": (4, "result: wrong_signer", "the certificate's own CA"),
    "http_500": (4, "result: http_5xx", "HTTP 500"),
    "unknown": (3, "result: unknown", "some minutes"),
}


@pytest.mark.parametrize("behaviour", FAILURES)
def test_check_explains_each_failure(ca, responders, behaviour):
    """Proves that each failure has its name, its words and its advice."""
    status, *words = FAILURES[behaviour]
    code, out, _ = check(ca.issue("failing", ocsp=responders(behaviour).url))
    assert code == status
    holds(out, *words)


@pytest.mark.parametrize("window, name", [((3600, 7200), "not_yet_valid"), ((-7200, -3600), "expired")])
def test_check_suspects_the_clock(ca, responders, window, name):
    """Proves that a clock that is off by an hour is suspected, by how much."""
    responder = responders()
    responder.window(*window)
    code, out, _ = check(ca.issue("clock", ocsp=responder.url))
    assert code == 4
    assert re.search(r"(59 min \d+ s|1 h 0 min) (from now|ago by)", out), out
    holds(out, f"result: {name}", "check the clock of this host")


def test_check_ends_in_time(ca, responders):
    """Proves that a responder that hangs costs a third of --timeout a try."""
    site = ca.issue("hanging", ocsp=responders("hang").url)
    code, out, _ = check(site, "--timeout", "600ms", deadline=10)
    assert code == 4
    assert len([line for line in out.splitlines() if "timeout_headers" in line and " ms " in line]) == 4


# ---- fetch ----


def test_fetch_writes_a_verified_response(ca, responders, tmp_path):
    """Proves the file: whole, readable by others, silent, and good to OpenSSL."""
    site = ca.issue("fetched", ocsp=[NOBODY, responders().url])
    out = tmp_path / "staple.der"
    out.write_bytes(b"old")
    os.chmod(out, 0o600)
    assert fetch(site, out) == (0, "", "")
    stapled.verify(stapled.Staple(out.read_bytes()), ca, site, datetime.datetime.utcnow())
    assert stat.S_IMODE(out.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["staple.der"]


@pytest.mark.parametrize("behaviour, status", [("revoked", 2), ("unknown", 3), ("foreign_signer", 4), ("http_500", 4)])
def test_fetch_writes_nothing_that_is_not_good(ca, responders, tmp_path, behaviour, status):
    """Proves that what was there stays, and that the failure is explained."""
    site = ca.issue("unfetched", ocsp=responders(behaviour).url)
    out = tmp_path / "staple.der"
    out.write_bytes(b"old")
    code, said, err = fetch(site, out)
    assert (code, said, out.read_bytes()) == (status, "", b"old")
    holds(err, "result: ")
    assert os.listdir(tmp_path) == ["staple.der"]


def test_fetch_sends_the_requests_of_the_daemon(ca, responders, tmp_path):
    """Proves that the first response ends it, and that POST follows a refused
    GET."""
    one, two = responders("only_post"), responders()
    assert fetch(ca.issue("order", ocsp=[one.url, two.url]), tmp_path / "x")[0] == 0
    assert [a.method for a in one.asked] == ["GET", "POST"]
    assert two.count() == 0


def test_fetch_replaces_no_device(ca, responders, tmp_path):
    """Proves that what is no regular file is written to and stays what it is:
    run as root, a rename would put a file in the place of /dev/stdout."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert fetch(ca.issue("piped", ocsp=responders().url), pipe) == (0, "", "")
    assert stapled.Staple(os.read(reader, 65536)).status == "good"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_fetch_prints_that_it_cannot_write(ca, responders, tmp_path):
    """Proves that the error about a missing folder has its name."""
    out = tmp_path / "no" / "such" / "folder"
    code, _, err = fetch(ca.issue("unwritten", ocsp=responders().url), out)
    assert code == 4
    holds(err, f"cannot write {out}: No such file or directory")


# ---- Usage ----


@pytest.mark.parametrize(
    "arguments, says",
    [
        ([], "check or fetch is missing"),
        (["inspect", "x.pem"], "inspect: neither check nor fetch"),
        (["check"], "the certificate file is missing"),
        (["check", "x.pem", "y.pem"], "y.pem: one certificate file at a time"),
        (["check", "x.pem", "-o", "z"], "-o FILE is an option of fetch"),
        (["fetch", "x.pem"], "-o FILE is missing"),
        (["check", "x.pem", "--url", "ftp://a/"], "neither http nor https"),
        (["check", "x.pem", "--timeout", "soon"], "not a duration"),
        (["check", "x.pem", "--timeout", "0"], "greater than 0"),
        (["check", "x.pem", "--nonsense"], "--nonsense"),
    ],
)
def test_bad_usage_is_printed(arguments, says):
    """Proves exit status 2 and a usage for every mistake."""
    code, out, err = proxy.run("staple", *arguments)
    assert (code, out) == (2, "")
    holds(err, says, "usage: clinch staple")


def test_a_bad_file_is_printed(tmp_path, ca):
    """Proves that a file that cannot be used is a failure, by name."""
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("hello\n")
    for path in (tmp_path / "nothing.pem", garbage, ca.issue("keyed").key):
        code, _, err = proxy.run("staple", "check", path)
        assert code == 4
        holds(err, str(path))
