"""Stapling follows hosts, folders and files that change."""

import shutil

import pytest

from lib import pki
from lib.clock import Clock, needs_faketime
from lib.peer import meet
from lib.stapled import Refused, s_client
from lib.wait import stays, until


def status(clinch, name, *options):
    return meet(clinch.port(), *options, name=name).status


def head(ocsp):
    return f"[ocsp]\n{ocsp}\n"


def web(connect, more):
    return f"[listener web]\naccept = 127.0.0.1:0\nconnect = {connect}\n{more}\n"


def test_each_host_has_a_mode_of_its_own(launch, serve, ca, site, responders):
    """Proves that a host staples, or does not, whatever its listener does, also
    where both show the same certificate."""
    responder = responders()
    files = ca.issue("one.example", ocsp=responder.url, label="modes")
    text = head("mode = prefer") + web(serve().connect, f"cert = {files.pem}")
    text += "[host web never.example]\nocsp = never\n"
    text += f"[host web always.example]\nocsp = always\ncert = {files.pem}\n"
    clinch = launch(text)
    until(lambda: status(clinch, "one.example") == "good", "the listener's staple")
    assert status(clinch, "always.example") == "good"
    assert status(clinch, "never.example") is None


def test_a_revoked_host_leaves_the_others_alone(launch, serve, ca, responders):
    """Proves on_revoked of a host: by default its handshakes get an alert and
    the process goes on; staple sends the status revoked."""
    responder = responders()
    good, bad, told = (ca.issue(f"{name}.example", ocsp=responder.url, label=f"rev-{name}") for name in ("good", "bad", "told"))
    for files in (bad, told):
        responder.behave("revoked", files)
    text = head("mode = prefer") + web(serve().connect, f"cert = {good.pem}")
    text += f"[host web bad.example]\ncert = {bad.pem}\nocsp = always\n"
    text += f"[host web told.example]\ncert = {told.pem}\nocsp = always\non_revoked = staple\n"
    clinch = launch(text)
    assert status(clinch, "good.example") == "good"
    assert status(clinch, "told.example") == "revoked"
    assert meet(clinch.port(), name="bad.example").alert
    assert clinch.process.poll() is None


def test_each_host_has_a_staple_file_of_its_own(launch, serve, ca, responders, tmp_path):
    """Proves staple_file per host, and that a changed one is picked up at once."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from lib import proxy

    responder = responders()
    one, two = (ca.issue(f"{name}.example", ocsp=responder.url, label=f"file-{name}") for name in ("one", "two"))
    der = {}
    for files in (one, two):
        der[files] = tmp_path / f"{files.serial}.der"
        status_, _, errors = proxy.run("staple", "fetch", files.pem, "-o", der[files])
        assert status_ == 0, errors
    asked = responder.count()
    later = tmp_path / "later.der"
    text = head("mode = prefer") + web(serve().connect, f"cert = {one.pem}\nstaple_file = {der[one]}")
    text += f"[host web two.example]\ncert = {two.pem}\nstaple_file = {later}\n"
    clinch = launch(text)
    until(lambda: status(clinch, "one.example") == "good", "the listener's staple")
    assert status(clinch, "two.example") is None
    pki.replace(later, der[two].read_bytes())
    until(lambda: status(clinch, "two.example") == "good", "the host's staple")
    assert responder.count() == asked, "nobody is asked where files are"


def test_a_renewed_file_waits_for_its_staple_and_swaps_by_itself(launch, serve, ca, responders, tmp_path):
    """Proves rule 5a for watched files: a renewed must-staple certificate goes
    into service with its first staple; until then the old one serves."""
    responder = responders()
    old, new = (ca.issue("localhost", ocsp=responder.url, must_staple=True, label=f"renew-{i}") for i in (1, 2))
    responder.behave("unauthorized", new)
    cert = tmp_path / "site.pem"
    pki.replace(cert, old.pem.read_bytes())
    clinch = launch(head("mode = must\nmin_interval = 1s") + web(serve().connect, f"cert = {cert}"))
    assert meet(clinch.port()).serial == old.serial
    pki.replace(cert, new.pem.read_bytes())
    clinch.wait_log("renewed certificate waits for its staple; the old one serves")
    assert stays(lambda: meet(clinch.port()).serial == old.serial and status(clinch, None) == "good", 1)
    responder.behave("good", new)
    until(lambda: meet(clinch.port()).serial == new.serial, "the renewed certificate", 60)
    assert status(clinch, None) == "good"
    assert clinch.grep("renewed certificate in service")


@needs_faketime
@pytest.mark.parametrize("mode", ["must", "always"])
def test_a_renewal_without_a_responder_serves_before_the_old_one_ends(launch, serve, ca, responders, tmp_path, mode):
    """A renewed certificate that names no responder waits until an hour before
    the end of the old one, and then goes into service."""
    responder = responders()
    old = ca.issue("localhost", ocsp=responder.url, must_staple=True, label="names-one", days=0.085)
    new = ca.issue("localhost", must_staple=True, label="names-none")
    cert = tmp_path / "site.pem"
    clock = Clock(tmp_path)
    pki.replace(cert, old.pem.read_bytes())
    text = head(f"mode = {mode}\nwithout_staple = serve") + web(serve().connect, f"cert = {cert}")
    clinch = launch(text, env=clock.env())
    assert meet(clinch.port()).serial == old.serial
    pki.replace(cert, new.pem.read_bytes())
    clinch.wait_log("renewed certificate waits for its staple; the old one serves")
    assert "no responder" in clinch.grep("renewed certificate waits")[0]
    assert meet(clinch.port()).serial == old.serial
    clock.set(90 * 60)
    until(lambda: meet(clinch.port()).serial == new.serial, "the renewed certificate", 60)
    assert "reloaded" in clinch.reload()
    assert meet(clinch.port()).serial == new.serial


@pytest.mark.parametrize("by", ["files", "reload"])
def test_a_renewal_without_a_responder_replaces_a_certificate_that_expires_soon(launch, serve, ca, responders, tmp_path, by):
    """With less than an hour left the renewed certificate serves at once."""
    responder = responders()
    old = ca.issue("localhost", ocsp=responder.url, label="dying", days=0.03)
    new = ca.issue("localhost", label="dying-successor")
    cert = tmp_path / "site.pem"
    pki.replace(cert, old.pem.read_bytes())
    watch = "yes" if by == "files" else "no"
    text = head("mode = always\nwithout_staple = serve")
    clinch = launch(text + web(serve().connect, f"cert = {cert}\nwatch = {watch}"))
    pki.replace(cert, new.pem.read_bytes())
    if by == "reload":
        assert "reloaded" in clinch.reload()
    until(lambda: meet(clinch.port()).serial == new.serial, "the renewed certificate")


def test_an_expired_certificate_replaces_no_valid_one(launch, serve, ca, tmp_path):
    """The old certificate serves on, and the log names the file, once."""
    old, expired = ca.issue(label="valid"), ca.issue(label="expired", days=-1)
    cert = tmp_path / "site.pem"
    pki.replace(cert, old.pem.read_bytes())
    clinch = launch(web(serve().connect, f"cert = {cert}"))
    pki.replace(cert, expired.pem.read_bytes())
    clinch.wait_log("certificate not replaced; the previous one stays in service")
    assert "has expired, and the one in service has not" in clinch.output()
    assert "refused" in clinch.reload()
    assert meet(clinch.port()).serial == old.serial


@needs_faketime
def test_a_certificate_of_the_future_waits(launch, serve, ca, tmp_path):
    """A certificate that is not valid yet goes into service when it is."""
    old = ca.issue(label="now", days=5)
    new = ca.issue(label="future", begins=-1)
    cert = tmp_path / "site.pem"
    clock = Clock(tmp_path)
    pki.replace(cert, old.pem.read_bytes())
    clinch = launch(web(serve().connect, f"cert = {cert}"), env=clock.env())
    pki.replace(cert, new.pem.read_bytes())
    clinch.wait_log("renewed certificate waits")
    assert meet(clinch.port()).serial == old.serial
    clock.set(25 * 3600)
    until(lambda: meet(clinch.port()).serial == new.serial, "the new certificate", 60)


def folder_of(tmp_path, *all_files):
    folder = tmp_path / "certs"
    folder.mkdir(exist_ok=True)
    for files in all_files:
        pki.replace(folder / f"{files.serial}.pem", files.pem.read_bytes())
    return folder


@pytest.mark.parametrize("mode", ["must", "always"])
@pytest.mark.parametrize("fault", ["revoked", "http_500"])
def test_one_bad_certificate_in_a_folder_stays_out(launch, serve, ca, responders, tmp_path, mode, fault):
    """Proves that what would end a start, a run or a reload concerns only the
    one certificate if it was found in a folder."""
    responder = responders()
    good, bad = (ca.issue(f"{name}.example", ocsp=responder.url, must_staple=True, label=f"dir-{name}") for name in ("good", "bad"))
    responder.behave(fault, bad)
    folder = folder_of(tmp_path, good, bad)
    text = head(f"mode = {mode}\ntimeout = 3s\nmin_interval = 1s") + web(serve().connect, f"cert_dir = {folder}\nsni_unknown = reject")
    clinch = launch(text)
    assert status(clinch, "good.example") == "good"
    assert meet(clinch.port(), name="bad.example").alert
    assert clinch.process.poll() is None
    assert "reloaded" in clinch.reload()
    assert status(clinch, "good.example") == "good"
    if fault == "http_500":  # a "revoked" is fetched again in half an hour
        responder.behave("good", bad)
        until(lambda: status(clinch, "bad.example") == "good", "the other one, once it is good", 60)


def test_a_certificate_added_to_a_folder_comes_with_its_staple(launch, serve, ca, responders, tmp_path):
    """Proves that a new must-staple certificate is never shown without one, and
    that a plain one is shown at once."""
    responder = responders()
    first, strict, plain = (
        ca.issue(f"{name}.example", ocsp=responder.url, must_staple=name == "strict", label=f"add-{name}")
        for name in ("first", "strict", "plain")
    )
    responder.behave("http_500", strict)
    folder = folder_of(tmp_path, first)
    text = head("mode = must\nmin_interval = 1s") + web(serve().connect, f"cert_dir = {folder}\nsni_unknown = reject")
    clinch = launch(text)
    folder_of(tmp_path, strict, plain)
    until(lambda: meet(clinch.port(), name="plain.example").serial == plain.serial, "the plain one")
    assert meet(clinch.port(), name="strict.example").alert
    responder.behave("good", strict)
    until(lambda: status(clinch, "strict.example") == "good", "the strict one, stapled", 60)


def test_a_start_without_answers_hurries_no_later_certificate(launch, serve, ca, responders, tmp_path):
    """Proves that start_wait ends with the start: a certificate that is added
    afterwards waits for its own first attempt, whatever others receive."""
    responder = responders("hang")
    first, slow, quick = (
        ca.issue(f"{name}.example", ocsp=responder.url, must_staple=True, label=f"hurry-{name}") for name in ("first", "slow", "quick")
    )
    responder.behave("good", quick)
    folder = folder_of(tmp_path, first)
    text = head("timeout = 60s\nstart_wait = 1s") + web(serve().connect, f"cert_dir = {folder}\nsni_unknown = reject")
    clinch = launch(text)
    assert meet(clinch.port(), name="first.example").serial == first.serial
    folder_of(tmp_path, slow, quick)
    until(lambda: status(clinch, "quick.example") == "good", "the one with an answer")
    assert responder.count(slow)
    assert meet(clinch.port(), name="slow.example").alert
