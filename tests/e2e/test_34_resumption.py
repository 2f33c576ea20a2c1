"""Resumption never carries a client past a policy."""

import base64
import os
import ssl

import pytest

from lib import pki
from lib.clock import Clock, needs_faketime
from lib.peer import context, visit
from lib.wait import until


def listener(connect, site, more="", name="web"):
    return f"[listener {name}]\naccept = 127.0.0.1:0\nconnect = {connect}\ncert = {site.pem}\n{more}\n"


@pytest.fixture(scope="module")
def alice(ca):
    return ca.issue("alice", label="resuming-alice")


@pytest.mark.parametrize("permissions, starts", [("warn", True), ("refuse", False), ("any", True)])
def test_ticket_keys_that_others_can_read(launch, serve, site, tmp_path, permissions, starts):
    """key_permissions of [tls] covers ticket_key_file."""
    keys = tmp_path / "tickets.keys"
    keys.write_bytes(ticket_key())
    keys.chmod(0o644)
    text = f"[tls]\nticket_key_file = {keys}\nkey_permissions = {permissions}\n" + listener(serve().connect, site)
    clinch = launch(text, ready=starts)
    if starts:
        assert bool(clinch.grep("the ticket keys in .* can be used by every user")) == (permissions == "warn"), clinch.output()
    else:
        assert clinch.wait_exit(20) == 2
        assert str(keys) in clinch.output()


def test_a_session_is_resumed_where_nothing_changed(launch, serve, ca, site, alice, version):
    """Proves the good case, without which nothing below means anything: with
    and without a client certificate, after a reload, and after a renewal."""
    strict = f"[host web strict.example]\nverify = require\nca_file = {ca.file}\n"
    text = listener(serve().connect, site) + strict
    clinch = launch(text)
    plain, known = context(ca, version), context(ca, version, alice)
    first = visit(clinch.port(), plain)
    session = visit(clinch.port(), known, "strict.example").session
    clinch.write(text.replace("[host", "timeout_idle = 1h\n[host"))
    assert "reloaded" in clinch.reload()
    again = visit(clinch.port(), plain, session=first.session)
    assert again.admitted and again.resumed
    again = visit(clinch.port(), known, "strict.example", session)
    assert again.admitted and again.resumed


ACROSS = [
    ("default.example", "strict.example"),
    ("strict.example", "alice.example"),
    ("alice.example", "strict.example"),
    ("strict.example", "default.example"),
    ("other.example", "default.example"),
]


@pytest.mark.parametrize("begun, used", ACROSS)
def test_a_session_stays_with_its_name(launch, serve, ca, site, alice, version, begun, used):
    """Proves that a session begun under one name is not resumed under another,
    whether the other's rules are stricter, laxer or the same (RFC 6066 section
    3), and that the full handshake that follows obeys the other's rules."""
    hosts = "".join(
        f"[host web {name}.example]\nverify = require\nca_file = {ca.file}\n{more}\n"
        for name, more in (("strict", ""), ("alice", "allow_cn = alice"))
    )
    clinch = launch(listener(serve().connect, site) + hosts)
    known = context(ca, version, alice)
    first = visit(clinch.port(), known, begun)
    assert first.admitted
    again = visit(clinch.port(), known, used, first.session)
    assert again.admitted and not again.resumed


def test_a_session_without_a_certificate_does_not_pass_require(launch, serve, ca, site, version):
    """Proves the case of CVE-2025-23419: a session begun where no certificate
    is requested, used where one is required."""
    clinch = launch(listener(serve().connect, site) + f"[host web strict.example]\nverify = require\nca_file = {ca.file}\n")
    plain = context(ca, version)
    first = visit(clinch.port(), plain, "localhost")
    assert first.admitted
    assert not visit(clinch.port(), plain, "strict.example", first.session).admitted


CHANGES = {
    "none to require": ("", "verify = require\nca_file = {ca}"),
    "optional to require": ("verify = optional\nca_file = {ca}", "verify = require\nca_file = {ca}"),
    "another CA": ("verify = require\nca_file = {ca}", "verify = require\nca_file = {stranger}"),
    "a list": ("verify = require\nca_file = {ca}", "verify = require\nca_file = {ca}\ncrl_file = {crl}"),
    "allow": ("verify = require\nca_file = {ca}", "verify = require\nca_file = {ca}\nallow_cn = bob"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_session_survives_a_stricter_policy(launch, serve, ca, site, alice, version, tmp_path, change):
    """Proves each way a reload makes the rules stricter: a client that was
    accepted before is not admitted by its session.  The files are in a folder
    that the first configuration does not name."""
    stranger = pki.Authority(tmp_path, "stranger CA", "stranger")
    words = {"ca": ca.file, "stranger": stranger.file, "crl": ca.revoke(tmp_path / "list.crl", alice)}
    before, after = (text.format(**words) for text in CHANGES[change])
    backend = serve().connect
    clinch = launch("sandbox = off\n" + listener(backend, site, before))
    known = context(ca, version, None if "none" in change or "optional" in change else alice)
    first = visit(clinch.port(), known)
    assert first.admitted and first.session is not None
    clinch.write("sandbox = off\n" + listener(backend, site, after))
    assert "reloaded" in clinch.reload()
    assert not visit(clinch.port(), known, session=first.session).admitted


def test_a_new_revocation_counts_for_sessions_too(launch, serve, ca, site, alice, version, tmp_path):
    """Proves that a list that changes by itself ends what was begun before
    it: the revoked client's session is not resumed, and it is refused."""
    crl = ca.revoke(tmp_path / "list.crl")
    clinch = launch(listener(serve().connect, site, f"verify = require\nca_file = {ca.file}\ncrl_file = {crl}"))
    known = context(ca, version, alice)
    first = visit(clinch.port(), known)
    assert visit(clinch.port(), known, session=first.session).resumed
    ca.revoke(crl, alice)
    until(lambda: not visit(clinch.port(), known).admitted, "the list to be in force")
    assert not visit(clinch.port(), known, session=first.session).admitted


def test_listeners_do_not_share_sessions(launch, serve, ca, site, version):
    """Proves that a session of one listener is not resumed by another with the
    very same settings."""
    clinch = launch(listener(serve().connect, site) + listener(serve().connect, site, name="other"))
    made = context(ca, version)
    first = visit(clinch.port("web"), made)
    again = visit(clinch.port("other"), made, session=first.session)
    assert again.admitted and not again.resumed


def test_without_tickets_nothing_is_resumed(launch, serve, ca, site, version):
    """Proves tickets = no."""
    clinch = launch(listener(serve().connect, site, "tickets = no"))
    made = context(ca, version)
    first = visit(clinch.port(), made)
    again = visit(clinch.port(), made, session=first.session)
    assert again.admitted and not again.resumed


# ---- A fleet ----


def ticket_key():
    return base64.b64encode(os.urandom(80)) + b"\n"


def fleet_config(connect, site, keys):
    return f"[tls]\nticket_key_file = {keys}\n" + listener(connect, site)


def test_a_fleet_shares_its_sessions(launch, serve, ca, site, version, tmp_path):
    """Proves that a session begun at one process is resumed at another with the
    same file of keys, over restarts, and not at one with another file."""
    keys, others = tmp_path / "keys", tmp_path / "others"
    pki.replace(keys, ticket_key()), pki.replace(others, ticket_key())
    backend, made = serve().connect, context(ca, version)
    one, two = (launch(fleet_config(backend, site, keys)) for _ in range(2))
    stranger = launch(fleet_config(backend, site, others))
    session = visit(one.port(), made).session
    assert visit(two.port(), made, session=session).resumed
    assert not visit(stranger.port(), made, session=session).resumed
    one.terminate()
    assert visit(launch(fleet_config(backend, site, keys)).port(), made, session=session).resumed


def test_keys_of_a_fleet_are_rotated_by_their_file(launch, serve, ca, site, version, tmp_path):
    """Proves that a new first key signs and the old one still opens, that one
    taken out opens no more, and that a bad file changes nothing."""
    keys, made = tmp_path / "keys", context(ca, version)
    old, new = ticket_key(), ticket_key()
    pki.replace(keys, old)
    clinch = launch(fleet_config(serve().connect, site, keys))
    begun = visit(clinch.port(), made).session
    pki.replace(keys, b"nonsense\n")
    clinch.wait_log("ticket keys not replaced; the previous ones stay in use")
    assert visit(clinch.port(), made, session=begun).resumed
    pki.replace(keys, b"# next\n" + new + old)
    clinch.wait_log("ticket keys replaced")
    again = visit(clinch.port(), made, session=begun)
    assert again.resumed
    pki.replace(keys, new)
    clinch.wait_log("ticket keys replaced", 2)
    assert visit(clinch.port(), made, session=again.session).resumed
    assert not visit(clinch.port(), made, session=begun).resumed


def test_a_server_without_the_key_file_signs_with_a_generated_key(launch, serve, ca, site, version, tmp_path):
    """Proves that a reload without ticket_key_file makes a new key at once, and
    that what the fleet has given out is still taken."""
    keys, made = tmp_path / "keys", context(ca, version)
    pki.replace(keys, ticket_key())
    backend = serve().connect
    one, two = (launch(fleet_config(backend, site, keys)) for _ in range(2))
    begun = visit(two.port(), made).session
    one.write(listener(backend, site))
    assert "reloaded" in one.reload()
    assert visit(one.port(), made, session=begun).resumed
    fresh = visit(one.port(), made).session
    assert not visit(two.port(), made, session=fresh).resumed


@needs_faketime
def test_no_life_is_stretched_by_resuming(launch, serve, ca, site, version, tmp_path):
    """Proves session_timeout: counted from the first full handshake, whatever
    is resumed meanwhile, also at another process, under a moved clock."""
    keys, made = tmp_path / "keys", context(ca, version)
    pki.replace(keys, ticket_key())
    text = fleet_config(serve().connect, site, keys) + "session_timeout = 2h\n"

    def later(hours):
        clock = Clock(tmp_path)
        clock.set(hours * 3600)
        return launch(text, env=clock.env())

    first = visit(later(0).port(), made)
    middle = visit(later(1).port(), made, session=first.session)
    assert middle.resumed
    last = visit(later(3).port(), made, session=middle.session)
    assert last.admitted and not last.resumed


def test_bad_keys_are_no_start(serve, site, tmp_path):
    """Proves that a start with unusable keys ends with 2 and a sentence with
    the command to make some."""
    from lib import proxy

    keys, file = tmp_path / "keys", tmp_path / "clinch.ini"
    keys.write_bytes(b"c2hvcnQ=\n")
    file.write_text(fleet_config(serve().connect, site, keys))
    status, _, errors = proxy.run("-c", file)
    assert status == 2
    assert f"{file}:2: " in errors and str(keys) in errors and "openssl rand" in errors
