"""Responses that another tool pushes into a file (rule 39)."""

import base64
import types

import pytest
from cryptography.hazmat.primitives import hashes

from lib.stapled import staple_of, status_of, wait_staple
from lib.wait import stays


@pytest.fixture
def pushed(ca, responders, tmp_path):
    """pushed.push(about, status): what the other tool writes."""
    responder = responders()

    class Pushed:
        file = tmp_path / "pushed.der"

        def push(self, about, status="good", **window):
            asked = types.SimpleNamespace(serial=about.serial, request=types.SimpleNamespace(hash_algorithm=hashes.SHA1()))
            fresh = self.file.with_suffix(".new")
            fresh.write_bytes(responder.response(asked, status, **window))
            fresh.rename(self.file)

    return Pushed()


def test_it_may_come_later_and_be_replaced(launch, ca, responders, stapled, pushed):
    """Proves that a lenient start goes on without the file, that the file is
    stapled once it exists, and that no request is sent."""
    responder = responders()
    site, other = ca.issue(ocsp=responder.url, label="pushed"), ca.issue(label="other")
    clinch = launch(stapled(site, "mode = prefer", more=f"staple_file = {pushed.file}"))
    assert status_of(clinch.port(), ca) is None
    assert clinch.grep(r"warning ocsp .*pushed\.der: there is no such file.*outcome=file_unreadable")
    pushed.push(site)
    first = wait_staple(clinch.port(), ca, site, deadline=40)
    pushed.push(other)
    clinch.wait_log(r"pushed\.der: .*outcome=wrong_certificate", deadline=40)
    assert staple_of(clinch.port(), ca, site) == first
    pushed.push(site, "revoked", this_update=-1)
    wait_staple(clinch.port(), ca, site, "revoked", deadline=40)
    assert responder.count() == 0


FORMS = {
    "der": lambda der: der,
    "der and a newline": lambda der: der + b"\n",
    "blanks around der": lambda der: b" \r\n" + der + b"\n\n",
    "base64": base64.b64encode,
    "base64 in lines": lambda der: b"\n" + base64.encodebytes(der) + b"\n",
    "base64 in lines of dos": lambda der: base64.encodebytes(der).replace(b"\n", b"\r\n"),
    "pem": lambda der: pem(der, b"OCSP RESPONSE"),
    "pem behind text": lambda der: b"Response of:\n\n" + pem(der, b"X") + b"\n",
}


def pem(der, name):
    return b"-----BEGIN " + name + b"-----\n" + base64.encodebytes(der) + b"-----END " + name + b"-----\n"


@pytest.mark.parametrize("form", FORMS)
def test_it_may_be_text(launch, ca, stapled, pushed, form):
    """Proves that DER, base64 and PEM of a response are read, with white space
    around them, and that the very bytes of the response are stapled."""
    site = ca.issue(label="pushed")
    pushed.push(site)
    der = pushed.file.read_bytes()
    pushed.file.write_bytes(FORMS[form](der))
    clinch = launch(stapled(site, "mode = always", more=f"staple_file = {pushed.file}"))
    assert staple_of(clinch.port(), ca, site).der == der


@pytest.mark.parametrize("damage", [lambda der: der + b"\nx", lambda der: base64.b64encode(der)[:-30] + b"!", lambda der: b"\n"])
def test_bad_text_is_malformed(launch, ca, stapled, pushed, damage):
    """Proves that a file that is none of these is refused with its name."""
    site = ca.issue(label="pushed")
    pushed.push(site)
    pushed.file.write_bytes(damage(pushed.file.read_bytes()))
    clinch = launch(stapled(site, "mode = always", more=f"staple_file = {pushed.file}"), ready=False)
    assert clinch.wait_exit() == 1
    assert clinch.grep(r"error ocsp certificate localhost must be stapled.*pushed\.der: ")


@pytest.mark.parametrize("what", ["missing", "expired", "other"])
def test_a_strict_start_requires_it(launch, ca, stapled, pushed, what):
    """Proves exit status 1 with a sentence that names the file."""
    site, other = ca.issue(label="pushed"), ca.issue(label="other")
    if what == "expired":
        pushed.push(site, this_update=-7200, next_update=-1)
    elif what == "other":
        pushed.push(other)
    clinch = launch(stapled(site, "mode = always", more=f"staple_file = {pushed.file}"), ready=False)
    assert clinch.wait_exit() == 1
    assert clinch.grep(r"error ocsp certificate localhost must be stapled.*pushed\.der: ")


def test_revoked_ends_a_start_and_nothing_that_runs(launch, ca, stapled, pushed):
    """Proves that a "revoked" in a file, which cannot be confirmed, ends only
    a start; a running process staples it."""
    site = ca.issue(label="pushed")
    text = stapled(site, "mode = always", more=f"staple_file = {pushed.file}")
    pushed.push(site)
    clinch = launch(text)
    assert status_of(clinch.port(), ca) == "good"
    pushed.push(site, "revoked", this_update=-1)
    wait_staple(clinch.port(), ca, site, "revoked", deadline=40)
    assert stays(lambda: clinch.process.poll() is None, 0.5)
    assert launch(text, ready=False).wait_exit() == 3
