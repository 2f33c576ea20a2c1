"""Stapling follows hosts, folders and files that change."""

import shutil

import pytest

from lib import pki
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
    the process goes on; staple tells clients the truth."""
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
    if fault == "http_500":  # a "revoked" is asked about again in half an hour
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
