"""Many certificates, one of them with a responder that hangs."""

import time
import os

import pytest

from lib.stapled import status_of
from lib.wait import until

SMALL = os.environ.get("CLINCH_SIZE") == "small" or os.environ.get("CLINCH_SANITIZED")


def listeners(certificates, connect):
    text = "threads = 1\n[ocsp]\nmode = prefer\nstart_wait = 1s\n"
    for i, files in enumerate(certificates):
        text += f"[listener l{i}]\naccept = 127.0.0.1:0\nconnect = {connect}\ncert = {files.pem}\n"
    return text


def test_a_hanging_responder_delays_only_its_own(launch, ca, responders, serve):
    """Proves rule 28: of 64 certificates with two responders, one of which
    hangs, the other 63 are fetched while the one still hangs."""
    hanging, honest = responders("hang"), responders()
    certificates = [ca.issue(ocsp=honest.url, label=f"c{i}") for i in range(63)]
    certificates.insert(0, ca.issue(ocsp=hanging.url, label="hanging"))
    clinch = launch(listeners(certificates, serve().connect), ready=False)
    until(lambda: len({one.serial for one in list(honest.asked)}) == 63, "63 are asked about", 30)
    assert not clinch.grep("outcome=timeout"), "the one that hangs has its ten seconds first"
    clinch.ready()
    assert status_of(clinch.port("l0"), ca) is None
    for i in range(1, 64, 1 if not SMALL else 9):
        assert status_of(clinch.port(f"l{i}"), ca) == "good"


def test_one_hanging_among_many_of_one_responder(launch, ca, responders, serve):
    """Proves the same if all share one responder that hangs for one of them:
    its permit does not delay the others."""
    responder = responders()
    certificates = [ca.issue(ocsp=responder.url, label=f"c{i}") for i in range(24)]
    for one in certificates[:4]:
        responder.behave("hang", one)
    clinch = launch(listeners(certificates, serve().connect), ready=False)
    until(lambda: len({one.serial for one in list(responder.asked)}) == 24, "all are asked about", 15)
    clinch.ready()
    assert status_of(clinch.port("l23"), ca) == "good"


def test_fetches_are_capped(launch, ca, responders, serve):
    """Proves rule 20: with many certificates at once and one responder, at
    most 32 requests at a time, and at most four if its responses take over 500
    ms."""
    quick, slow = responders(), responders("late")
    slow.latency = 0.6
    many = 200 if SMALL else 2000
    kind, other = ca.issue(ocsp=quick.url, label="first"), ca.issue(ocsp=slow.url, label="slow")
    certificates = [kind] + [reissue(ca, kind, i) for i in range(many - 1)]
    certificates += [other] + [reissue(ca, other, many + i) for i in range(23)]
    clinch = launch(listeners(certificates, serve().connect), ready=False)
    until(lambda: len({one.serial for one in list(quick.asked)}) == many, "all are asked about", 120)
    until(lambda: len({one.serial for one in list(slow.asked)}) == 24, "all are asked about", 120)
    clinch.wait_log("server started", deadline=60)
    # Threads of the responder that are just ending count as well.
    assert quick.most_at_once <= 40 and slow.most_at_once <= 8
    until(lambda: status_of(clinch.port(f"l{many - 1}"), ca) == "good", "the last staple")


def test_a_thousand_are_stapled_in_seconds(launch, ca, responders, serve):
    """Proves that a start with 1,000 certificates of a responder that takes
    200 ms has all staples within 15 s."""
    responder = responders("late")
    many = 200 if SMALL else 1000
    kind = ca.issue(ocsp=responder.url, label="first")
    certificates = [kind] + [reissue(ca, kind, i) for i in range(many - 1)]
    text = listeners(certificates, serve().connect).replace("start_wait = 1s", "start_wait = 60s")
    began = time.monotonic()
    clinch = launch(text, ready=False)
    clinch.wait_log("server started", deadline=60)
    took = time.monotonic() - began
    print(f"{many} certificates at 200 ms: started with all staples after {took:.1f} s")
    assert len({one.serial for one in list(responder.asked)}) == many
    assert len(responder.asked) == many
    assert not clinch.grep("serving without a staple")
    assert took < 15 * (4 if os.environ.get("CLINCH_SANITIZED") else 1)
    assert status_of(clinch.port(f"l{many - 1}"), ca) == "good"


def reissue(ca, files, i):
    """Another certificate for the same key: quick to make."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    from lib.pki import PEM, Files, key_pem

    leaf = files.certificate
    builder = ca._builder(leaf.subject, leaf.issuer, leaf.public_key(), 90)
    for extension in leaf.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    made = builder.sign(ca.key, hashes.SHA256())
    ca.issued[made.serial_number], ca.keys[made.serial_number] = made, files.key_object
    chain = made.public_bytes(PEM) + ca.certificate.public_bytes(PEM)
    return Files(ca.folder, f"many{i}", chain, key_pem(files.key_object), files.key_object, made)


def test_max_fetches_over_many_responders(launch, ca, responders, serve):
    """Proves max_fetches where no responder's four is the narrower gate."""
    hanging = [responders("hang") for _ in range(6)]
    certificates = [ca.issue(ocsp=hanging[i % 6].url, label=f"c{i}") for i in range(18)]
    text = listeners(certificates, serve().connect).replace("mode = prefer", "mode = prefer\nmax_fetches = 5\ntimeout = 3s")
    launch(text, ready=False)
    most = []

    def asked_about_all():
        most.append(sum(one.at_once for one in hanging))
        return len({one.serial for part in hanging for one in list(part.asked)}) == 18

    until(asked_about_all, "all are asked about", 60)
    assert max(most) <= 6
