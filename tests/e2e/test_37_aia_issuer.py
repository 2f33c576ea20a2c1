"""A certificate without its chain: the issuer is fetched from the AIA URL."""

import os

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from lib import pki, proxy
from lib.responder import stranger
from lib.stapled import staple_of, status_of, wait_staple
from lib.wait import until

HTTPS = "https://127.0.0.1:1/ca.crt"


def der(ca):
    return ca.certificate.public_bytes(Encoding.DER)


@pytest.fixture
def bare(ca, responders, depot):
    """bare(url, ...): a file with only a certificate, whose issuer is at
    url."""
    responder = responders()

    def issue(*urls, **options):
        options.setdefault("must_staple", True)
        return ca.issue(ocsp=responder.url, issuers=urls, chain=False, **options)

    issue.responder = responder
    return issue


FORMATS = {
    "DER": lambda ca: der(ca),
    "PEM": lambda ca: b"some words\n" + ca.certificate.public_bytes(Encoding.PEM),
    "PKCS7": lambda ca: pkcs7.serialize_certificates([stranger(ca)[0], ca.certificate], Encoding.DER),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_an_issuer_is_fetched_and_the_certificate_stapled(launch, ca, depot, bare, stapled, kind):
    """Proves the whole path in a mode with a waiting start, for each
    format."""
    site = bare(depot.put("/ca.crt", FORMATS[kind](ca)))
    clinch = launch(stapled(site, "mode = must"))
    assert staple_of(clinch.port(), ca, site).status == "good"
    assert depot.fetched == ["/ca.crt"]
    assert "application/pkix-cert" in depot.accepts[0]


def test_a_restart_uses_the_stored_issuer(launch, ca, depot, bare, stapled, tmp_path):
    """Proves that the issuer survives in store_dir/issuer, that it is verified
    again when it is read, and that the restart fetches nothing."""
    store = tmp_path / "store"
    site = bare(depot.put("/ca.crt", der(ca)))
    text = stapled(site, "mode = must", head=f"store_dir = {store}")
    first = launch(text)
    assert status_of(first.port(), ca) == "good"
    until(lambda: (store / "issuer").is_dir() and len(os.listdir(store / "issuer")) == 1, "a saved issuer")
    (saved,) = (store / "issuer").iterdir()
    assert saved.read_bytes() == der(ca) and saved.stat().st_mode & 0o777 == 0o600
    first.terminate()
    depot.stop()
    bare.responder.stop()
    second = launch(text)
    assert staple_of(second.port(), ca, site).status == "good"
    second.terminate()
    depot.start()
    bare.responder.start()
    namesake, _ = stranger(ca)
    saved.write_bytes(namesake.public_bytes(Encoding.DER))
    third = launch(text)
    assert status_of(third.port(), ca) == "good"
    assert third.grep(r"warning ocsp saved issuer of localhost not used: .*did not sign")
    assert depot.fetched == ["/ca.crt"] * 2


def test_a_reload_fetches_no_issuer(launch, ca, depot, bare, stapled):
    """Proves that an equal certificate, and a renewed one of the same issuer,
    cause no second request for the issuer."""
    url = depot.put("/ca.crt", der(ca))
    site = bare(url, label="renewed")
    clinch = launch(stapled(site, "mode = must"))
    clinch.reload()
    assert depot.fetched == ["/ca.crt"] and bare.responder.count() == 1
    renewed = bare(url, label="renewed")
    assert renewed.pem == site.pem
    clinch.reload()
    until(lambda: (one := staple_of(clinch.port(), ca, renewed)) and one.serial == renewed.serial, "the renewed one is stapled")
    assert depot.fetched == ["/ca.crt"]


def test_many_certificates_of_one_issuer_fetch_it_few_times(launch, ca, depot, bare, stapled):
    """Proves that a fetch serves all certificates of that issuer."""
    url = depot.put("/ca.crt", der(ca))
    depot.gate.clear()
    sites = [bare(url, label=f"many{n}") for n in range(40)]
    text = stapled(sites[0], "mode = must")
    text += "".join(stapled(one, name=f"l{n}").replace("[ocsp]", "") for n, one in enumerate(sites[1:]))
    clinch = launch(text, ready=False)
    until(lambda: depot.fetched, "a fetch")
    depot.gate.set()
    clinch.ready()
    assert status_of(clinch.port(), ca) == "good" and status_of(clinch.port("l38"), ca) == "good"
    assert 1 <= len(depot.fetched) <= 4


def test_the_next_url_is_fetched(launch, ca, depot, bare, stapled):
    """Proves that a dead URL and a wrong certificate do not end the search."""
    namesake, _ = stranger(ca)
    wrong = depot.put("/wrong.crt", namesake.public_bytes(Encoding.DER))
    moved = depot.put("/moved.crt", status=302, Location="/ca.crt")
    depot.put("/ca.crt", der(ca))
    site = bare("http://127.0.0.1:1/ca.crt", wrong, moved)
    clinch = launch(stapled(site, "mode = must"))
    assert status_of(clinch.port(), ca) == "good"
    assert depot.fetched == ["/wrong.crt", "/moved.crt", "/ca.crt"]


# ---- What is refused ----

REFUSED = {
    "namesake": (lambda ca, depot: depot.put("/x", stranger(ca)[0].public_bytes(Encoding.DER)), "but its key did not sign"),
    "garbage": (lambda ca, depot: depot.put("/x", b"<html>hello</html>"), "no certificate"),
    "oversized": (lambda ca, depot: depot.put("/x", der(ca) + b"\0" * 70000), "larger than allowed"),
    "404": (lambda ca, depot: depot.put("/x", der(ca), status=404), "HTTP 404"),
    "empty": (lambda ca, depot: depot.put("/x"), "without a body"),
    "redirect to https": (lambda ca, depot: depot.put("/x", status=301, Location=HTTPS), "not http"),
    "nobody": (lambda ca, depot: "http://127.0.0.1:1/x", "connection refused"),
    "https": (lambda ca, depot: HTTPS, "issuers are fetched only by http"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_issuer_is_refused_with_a_line(launch, ca, depot, bare, stapled, kind):
    """Proves the line in the log and in staple check for each way to fail, and
    that nothing is stapled."""
    where, words = REFUSED[kind]
    site = bare(where(ca, depot))
    clinch = launch(stapled(site, "mode = prefer\nstart_wait = 5s"))
    assert status_of(clinch.port(), ca) is None
    (line,) = clinch.grep(r"ocsp .*outcome=no_issuer")
    assert words in line
    assert bare.responder.count() == 0
    code, out, _ = proxy.run("staple", "check", site.pem)
    assert code == 4 and "result: no_issuer" in out and words in out and "CN=test CA, not found" in out


def test_a_strict_start_ends_without_an_issuer(launch, ca, depot, bare, stapled):
    """Proves exit status 1 with what was tried, after the attempt."""
    site = bare(depot.put("/ca.crt", b"nothing"))
    clinch = launch(stapled(site, "mode = must"), ready=False)
    assert clinch.wait_exit() == 1
    assert clinch.grep(r"must be stapled, but there is no response: issuer http://127.0.0.1:\d+/ca.crt: no certificate")


def test_it_is_found_later(launch, ca, depot, bare, stapled):
    """Proves the usual retries: once the issuer is there, the certificate is stapled."""
    site = bare(depot.url("/ca.crt"))
    clinch = launch(stapled(site, "mode = prefer"))
    assert status_of(clinch.port(), ca) is None
    depot.put("/ca.crt", der(ca))
    wait_staple(clinch.port(), ca, site, deadline=40)


def test_switched_off(launch, ca, depot, bare, stapled):
    """Proves `aia_issuer = no`: nothing is fetched; and a reload may switch it on."""
    site = bare(depot.put("/ca.crt", der(ca)))
    clinch = launch(stapled(site, "mode = prefer\naia_issuer = no"))
    assert status_of(clinch.port(), ca) is None
    assert clinch.grep(r"ocsp .*outcome=no_issuer") and depot.fetched == []
    strict = launch(stapled(site, "mode = must\naia_issuer = no"), ready=False)
    assert strict.wait_exit() == 1 and depot.fetched == []
    clinch.write(stapled(site, "mode = must\naia_issuer = yes"))
    clinch.reload()
    assert status_of(clinch.port(), ca) == "good"


def test_the_chain_comes_first(launch, ca, responders, depot, stapled):
    """Proves that nothing is fetched for a certificate with its chain."""
    site = ca.issue(ocsp=responders().url, issuers=depot.put("/ca.crt", der(ca)))
    clinch = launch(stapled(site, "mode = always"))
    assert status_of(clinch.port(), ca) == "good" and depot.fetched == []


# ---- The command ----


def test_check_prints_where_the_issuer_was_found(ca, depot, bare, tmp_path, launch, stapled):
    """Proves the words for AIA, the store and ca_file."""
    url = depot.put("/ca.crt", der(ca))
    site = bare(url)
    code, out, _ = proxy.run("staple", "check", site.pem)
    assert code == 0 and f"CN=test CA, found in {url}\n" in out
    code, out, _ = proxy.run("staple", "check", site.pem, "--ca-file", ca.file)
    assert code == 0 and f"CN=test CA, found in {ca.file}\n" in out
    launch(stapled(site, "mode = must", head=f"store_dir = {tmp_path / 'store'}")).terminate()
    depot.stop()
    code, out, _ = proxy.run("staple", "check", site.pem, "--store-dir", tmp_path / "store")
    assert code == 0 and f"CN=test CA, found in {tmp_path / 'store'}\n" in out
    depot.start()


def test_fetch_finds_the_issuer_too(ca, depot, bare, tmp_path):
    """Proves that `staple fetch` serves leaf-only files."""
    site = bare(depot.put("/ca.crt", der(ca)))
    assert proxy.run("staple", "fetch", site.pem, "-o", tmp_path / "out")[:1] == (0,)
    assert (tmp_path / "out").stat().st_size > 100
