"""Client certificates: which are accepted, which are refused, and the log
lines."""

import pytest
from cryptography import x509

from lib import pki, proxy
from lib.peer import context, visit
from lib.wait import until


@pytest.fixture(scope="module")
def people(ca, tmp_path_factory):
    """Clients of the configured CA and of another one."""
    stranger = pki.Authority(tmp_path_factory.mktemp("stranger"), "stranger CA", "stranger")
    uri = x509.UniformResourceIdentifier("spiffe://corp/ns/web")
    return {
        "alice": ca.issue("alice", names=["alice.partner.example", x509.RFC822Name("alice@partner.example"), uri], label="alice"),
        "bob": ca.issue("bob", names=["bob.other.example"], label="bob"),
        "ended": ca.issue("ended", days=-1, label="ended"),
        "stranger": stranger.issue("stranger"),
        "nobody": None,
        "stranger CA": stranger,
    }


def config(connect, site, more="", hosts=""):
    return f"[listener web]\naccept = 127.0.0.1:0\nconnect = {connect}\ncert = {site.pem}\n{more}\n{hosts}\n"


def admitted(clinch, ca, people, who, version=None, name="localhost"):
    return visit(clinch.port(), context(ca, version, people[who]), name).admitted


TAKEN = {
    "none": ["alice", "bob", "ended", "stranger", "nobody"],
    "optional": ["alice", "bob", "nobody"],
    "require": ["alice", "bob"],
}


@pytest.mark.parametrize("mode", TAKEN)
def test_verify_has_its_documented_meaning(launch, serve, ca, site, people, mode, version):
    """Proves none, optional and require in both versions: with a good
    certificate, without one, with an expired one and with one of another
    CA."""
    backend = serve()
    clinch = launch(config(backend.connect, site, f"verify = {mode}\nca_file = {ca.file}" if mode != "none" else ""))
    for who in ("alice", "bob", "ended", "stranger", "nobody"):
        before = backend.accepted
        assert admitted(clinch, ca, people, who, version) == (who in TAKEN[mode]), who
        assert (backend.accepted > before) == (who in TAKEN[mode]), f"{who} reached the backend"


@pytest.mark.parametrize("with_ca", [False, True])
def test_pinned_takes_the_very_certificates(launch, serve, ca, site, people, tmp_path, version, with_ca):
    """Proves verify = pinned: a certificate of ca_file is taken, in a full and
    in a resumed handshake; another one of the same CA is not, whether or not
    the CA is in the file too; nor is one of the same key and name."""
    twin = ca.issue("alice", label="twin", names=["alice.partner.example"], key=people["alice"].key_object)
    people = {**people, "twin": twin}
    pins = tmp_path / "pins.pem"
    pem = [people[who].certificate.public_bytes(pki.PEM) for who in ("alice", "ended", "stranger")]
    pins.write_bytes(b"".join(pem) + (ca.file.read_bytes() if with_ca else b""))
    backend = serve()
    clinch = launch(config(backend.connect, site, f"verify = pinned\nca_file = {pins}"))
    made = context(ca, version, people["alice"])
    session = None
    for resumed in (False, True):
        seen = visit(clinch.port(), made, "localhost", session)
        session = seen.session
        assert seen.admitted and seen.resumed == resumed
    assert admitted(clinch, ca, people, "stranger", version)
    before = backend.accepted
    for who in ("bob", "twin", "ended", "nobody"):
        assert not admitted(clinch, ca, people, who, version), who
    assert backend.accepted == before
    says = "not one of the certificates in ca_file" if with_ca else "not issued by a CA in ca_file"
    clinch.wait_log(rf"CN=bob: .*{says}")


def test_a_certificate_taken_from_the_file_is_taken_no_more(launch, serve, ca, site, people, tmp_path):
    """Proves that a session of a client ends with its certificate in the file."""
    pins = tmp_path / "pins.pem"
    both = [people[who].certificate.public_bytes(pki.PEM) for who in ("alice", "bob")]
    pins.write_bytes(b"".join(both))
    clinch = launch(config(serve().connect, site, f"verify = pinned\nca_file = {pins}"))
    made = context(ca, None, people["alice"])
    seen = visit(clinch.port(), made, "localhost")
    assert seen.admitted and seen.session
    pki.replace(pins, both[1])
    clinch.reload()
    assert not visit(clinch.port(), made, "localhost", seen.session).admitted
    assert admitted(clinch, ca, people, "bob")


SENTENCES = [
    ("ended", "certificate has expired"),
    ("stranger", "not issued by a CA in ca_file"),
    ("nobody", "no client certificate"),
    ("bob", "allow_san"),
]


def test_the_log_has_the_reason_for_a_refused_client(launch, serve, ca, site, people):
    """Proves that each refusal names its reason, and the peer."""
    more = f"verify = require\nca_file = {ca.file}\nallow_san = dns:*.partner.example"
    clinch = launch(config(serve().connect, site, more))
    for count, (who, sentence) in enumerate(SENTENCES, 1):
        assert not admitted(clinch, ca, people, who)
        line = clinch.wait_log(r"reason=handshake_failed", count)
        assert proxy.fields(line)["peer"].startswith("127.0.0.1:")
        import re

        assert re.search(sentence, line), line


RULES = [
    ("allow_san = dns:*.partner.example", ["alice"]),
    ("allow_san = bob.other.example", ["bob"]),
    ("allow_san = email:alice@partner.example", ["alice"]),
    ("allow_san = uri:spiffe://corp/ns/*", ["alice"]),
    ("allow_san = ip:192.0.2.0/24", []),
    ("allow_cn = bob", ["bob"]),
    ("allow_san = dns:*.partner.example\nallow_cn = bob", ["alice", "bob"]),
    ("allow_san = dns:*.nowhere.example", []),
]


@pytest.mark.parametrize("rules, expect", RULES)
def test_only_clients_that_match_are_accepted(launch, serve, ca, site, people, rules, expect):
    """Proves allow_san and allow_cn: one match of either is enough."""
    clinch = launch(config(serve().connect, site, f"verify = require\nca_file = {ca.file}\n{rules}"))
    assert [who for who in ("alice", "bob") if admitted(clinch, ca, people, who)] == expect


def test_each_host_has_rules_of_its_own(launch, serve, ca, site, people, version):
    """Proves that a host is stricter, or laxer, than its listener, in both
    versions."""
    hosts = f"[host web strict.example]\nverify = require\nca_file = {ca.file}\n[host web alice.example]\nverify = require\nca_file = {ca.file}\nallow_cn = alice\n"
    clinch = launch(config(serve().connect, site, hosts=hosts))
    assert admitted(clinch, ca, people, "nobody", version)
    assert not admitted(clinch, ca, people, "nobody", version, "strict.example")
    assert admitted(clinch, ca, people, "bob", version, "strict.example")
    assert not admitted(clinch, ca, people, "bob", version, "alice.example")
    assert admitted(clinch, ca, people, "alice", version, "alice.example")
    clinch = launch(config(serve().connect, site, f"verify = require\nca_file = {ca.file}", "[host web lax.example]\nverify = none\n"))
    assert admitted(clinch, ca, people, "nobody", version, "lax.example")
    assert not admitted(clinch, ca, people, "nobody", version)


def test_the_revoked_are_refused_and_a_new_list_counts_at_once(launch, serve, ca, site, people, tmp_path):
    """Proves crl_file, and that a changed one is picked up by itself."""
    crl = ca.revoke(tmp_path / "list.crl", people["alice"])
    clinch = launch(config(serve().connect, site, f"verify = require\nca_file = {ca.file}\ncrl_file = {crl}"))
    assert not admitted(clinch, ca, people, "alice")
    assert clinch.wait_log("certificate revoked")
    assert admitted(clinch, ca, people, "bob")
    ca.revoke(crl, people["bob"])
    until(lambda: not admitted(clinch, ca, people, "bob"), "bob to be refused")
    assert admitted(clinch, ca, people, "alice")


def test_a_bad_list_changes_nothing(launch, serve, ca, site, people, tmp_path):
    """Proves that a list that cannot be read, and one of another CA, do not
    take the place of a good one: one error line, and the old one goes on."""
    crl = ca.revoke(tmp_path / "list.crl", people["alice"])
    clinch = launch(config(serve().connect, site, f"verify = require\nca_file = {ca.file}\ncrl_file = {crl}"))
    pki.replace(crl, b"nonsense")
    clinch.wait_log("client CA files not replaced; the previous ones stay in use")
    people["stranger CA"].revoke(crl)
    clinch.wait_log("client CA files not replaced; the previous ones stay in use", 2)
    assert admitted(clinch, ca, people, "bob") and not admitted(clinch, ca, people, "alice")


@pytest.mark.parametrize("what", ["expired", "foreign"])
def test_a_list_that_cannot_help_closes_the_door(launch, serve, ca, site, people, tmp_path, what):
    """Proves that an expired list, and one of another CA, fail closed and are
    warned of; a good one opens the door by itself."""
    crl = tmp_path / "list.crl"
    if what == "expired":
        ca.revoke(crl, days=-1, begins=9)
    else:
        people["stranger CA"].revoke(crl)
    clinch = launch(config(serve().connect, site, f"verify = require\nca_file = {ca.file}\ncrl_file = {crl}"))
    assert clinch.grep(rf"warning .*{crl}"), clinch.output()
    assert not admitted(clinch, ca, people, "alice")
    ca.revoke(crl)
    until(lambda: admitted(clinch, ca, people, "alice"), "alice to be let in")


def test_a_list_about_to_end_is_warned_of(launch, serve, ca, site, tmp_path):
    """A list with less than a third of its period left is warned of once."""
    crl = ca.revoke(tmp_path / "list.crl", days=2, begins=6)
    clinch = launch(config(serve().connect, site, f"verify = require\nca_file = {ca.file}\ncrl_file = {crl}"))
    assert len(clinch.grep(rf"warning .*{crl}")) == 1, clinch.output()
    assert "reloaded" in clinch.reload()
    assert len(clinch.grep(rf"warning .*{crl}")) == 1, clinch.output()


def test_an_older_list_replaces_no_newer_one(launch, serve, ca, site, people, tmp_path):
    """A list with a lower number is refused with one line, by itself and on
    SIGHUP; the client on the newer list stays out."""
    crl = ca.revoke(tmp_path / "list.crl", people["alice"], number=7)
    clinch = launch(config(serve().connect, site, f"verify = require\nca_file = {ca.file}\ncrl_file = {crl}"))
    ca.revoke(crl, number=6)
    assert "number 6" in clinch.wait_log("client CA files not replaced; the previous ones stay in use")
    assert "refused" in clinch.reload()
    assert not admitted(clinch, ca, people, "alice")
    ca.revoke(crl, number=8)
    until(lambda: admitted(clinch, ca, people, "alice"), "alice to be let in")


def test_of_several_lists_the_highest_number_counts(launch, serve, ca, site, people, tmp_path):
    """An old list beside the newest one in a file admits no revoked client."""
    old = ca.revoke(tmp_path / "old.crl", days=60, number=1).read_bytes()
    new = ca.revoke(tmp_path / "new.crl", people["alice"], number=2).read_bytes()
    crl = tmp_path / "list.crl"
    for text in (old + new, new + old):
        crl.write_bytes(text)
        clinch = launch(config(serve().connect, site, f"verify = require\nca_file = {ca.file}\ncrl_file = {crl}"))
        assert not admitted(clinch, ca, people, "alice")
        assert admitted(clinch, ca, people, "bob")


@pytest.mark.parametrize("purpose, taken", [("client", ["alice"]), ("any", ["alice", "server"])])
def test_client_purpose(launch, serve, ca, site, people, version, purpose, taken):
    """A certificate for servers alone is taken with client_purpose = any, and by
    a host that has its own setting."""
    from cryptography.x509.oid import ExtendedKeyUsageOID

    clients = {**people, "server": ca.issue("server", label="server-only", usage=ExtendedKeyUsageOID.SERVER_AUTH)}
    other = "any" if purpose == "client" else "client"
    rules = f"verify = require\nca_file = {ca.file}\nclient_purpose = {purpose}"
    clinch = launch(config(serve().connect, site, rules, f"[host web other.example]\nclient_purpose = {other}\n"))
    for who in ("alice", "server"):
        assert admitted(clinch, ca, clients, who, version) == (who in taken), who
        assert admitted(clinch, ca, clients, who, version, "other.example") == (who == "alice" or other == "any"), who


def test_a_new_ca_counts_at_once(launch, serve, ca, site, people, tmp_path):
    """Proves that a changed ca_file is loaded without a reload, that clients
    of the other CA are then accepted and those of the first refused; and that
    a bad file has no effect."""
    file = tmp_path / "clients.pem"
    pki.replace(file, ca.file.read_bytes())
    clinch = launch(config(serve().connect, site, f"verify = require\nca_file = {file}"))
    assert admitted(clinch, ca, people, "alice") and not admitted(clinch, ca, people, "stranger")
    pki.replace(file, b"nonsense")
    clinch.wait_log("client CA files not replaced; the previous ones stay in use")
    assert admitted(clinch, ca, people, "alice")
    pki.replace(file, people["stranger CA"].file.read_bytes())
    until(lambda: admitted(clinch, ca, people, "stranger"), "the stranger to be taken")
    assert not admitted(clinch, ca, people, "alice")


BAD = [
    ("verify = require", "ca_file"),
    ("ca_file = none.pem\nverify = require", "none.pem"),
    ("crl_file = none.crl\nverify = require\nca_file = {ca}", "none.crl"),
    ("allow_cn = alice", "verify"),
    ("crl_file = {ca}\nverify = require\nca_file = {ca}", "CRL|revocation"),
]


@pytest.mark.parametrize("more, expect", BAD)
def test_what_cannot_be_obeyed_is_refused(serve, ca, site, tmp_path, more, expect):
    """Proves that no listener starts with a weaker check than configured."""
    import re

    file = tmp_path / "clinch.ini"
    file.write_text(config(serve().connect, site, more.format(ca=ca.file)))
    status, _, errors = proxy.run("-c", file)
    assert status == 2
    assert re.search(rf"clinch\.ini:\d+: .*({expect})", errors), errors


def test_sni_is_no_authorisation(serve, ca, site, tmp_path):
    """Proves that --test warns of two hosts with different rules and one
    backend, and not of two with two backends."""
    file = tmp_path / "clinch.ini"
    strict = f"[host web strict.example]\nverify = require\nca_file = {ca.file}\n"
    file.write_text(config("127.0.0.1:1", site, hosts=strict))
    assert "backend" in proxy.run("--test", "-c", file)[2]
    file.write_text(config("127.0.0.1:1", site, hosts=strict + "connect = 127.0.0.1:2\n"))
    assert "backend" not in proxy.run("--test", "-c", file)[2]
