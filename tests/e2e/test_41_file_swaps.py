"""Certificates and trust that others deliver as files and replace under a
running process: Pod Certificates of Kubernetes, and SPIFFE."""

import pytest
from cryptography import x509

from lib import pki
from lib.mounts import Projected
from lib.peer import context, meet, visit
from lib.wait import stays, until

DOMAIN = "spiffe://trust.domain"
SERVER, CLIENT = f"{DOMAIN}/ns/x/sa/server", f"{DOMAIN}/ns/x/sa/y"


def uri(text):
    return x509.UniformResourceIdentifier(text)


def key_first(files):
    """One PEM: the private key (PKCS#8), then the chain."""
    key = files.key.read_bytes()
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
    return key + files.crt.read_bytes()


def config(connect, cert, key=None, more=""):
    lines = ["[listener web]", "accept = 127.0.0.1:0", f"connect = {connect}", f"cert = {cert}"]
    return "\n".join([*lines, *([f"key = {key}"] if key else []), more]) + "\n"


def shows(clinch, files):
    return meet(clinch.port()).serial == files.serial


def admitted(clinch, ca, files):
    return visit(clinch.port(), context(ca, files=files)).admitted


# ---- Pod Certificates (KEP-4317) ----


def test_a_credential_bundle_is_swapped(launch, serve, tls, ca, tmp_path):
    """Proves that one PEM with the key first is a certificate, and that its
    successors go into service, while a connection lasts through all of it."""
    made = [ca.issue("localhost", label=f"pod{i}", kind=kind) for i, kind in enumerate(("ec", "ec", "rsa"))]
    mount = Projected(tmp_path / "certs")
    mount.write({"credentialbundle.pem": key_first(made[0])})
    clinch = launch(config(serve().connect, mount.path / "credentialbundle.pem"))
    assert shows(clinch, made[0])
    going = tls(clinch.port())
    for files in made[1:]:
        mount.write({"credentialbundle.pem": key_first(files)})
        until(lambda: shows(clinch, files), "the next bundle")
        assert going.ping() and tls(clinch.port()).ping()
    assert not clinch.grep(r"not replaced|left out"), clinch.output()


def test_a_bundle_that_was_cut_changes_nothing(launch, serve, tls, ca, tmp_path):
    """Proves that a bundle without a key, or with another's, is one line each,
    and that the next good one counts."""
    old, new = ca.issue("localhost", label="pod-old"), ca.issue("localhost", label="pod-new")
    mount = Projected(tmp_path / "certs")
    mount.write({"credentialbundle.pem": key_first(old)})
    clinch = launch(config(serve().connect, mount.path / "credentialbundle.pem"))
    bad = [new.crt.read_bytes(), old.key.read_bytes() + new.crt.read_bytes(), key_first(new)[:400]]
    for count, content in enumerate(bad, 1):
        mount.write({"credentialbundle.pem": content})
        clinch.wait_log("certificate not replaced; the previous one stays in service", count)
        assert shows(clinch, old)
    mount.write({"credentialbundle.pem": key_first(new)})
    until(lambda: shows(clinch, new), "the good bundle")


def test_certificate_and_trust_of_one_volume_are_swapped_together(launch, serve, ca, tmp_path):
    """Proves that a projected volume may have the bundle and the CAs for
    clients, and that both are replaced by one swap."""
    first, second = (pki.Authority(tmp_path, f"clients {n}", f"clients{n}") for n in (1, 2))
    clients = [one.issue("client", label=f"client-{i}") for i, one in enumerate((first, second))]
    made = [ca.issue("localhost", label=f"both{i}") for i in (1, 2)]
    mount = Projected(tmp_path / "certs")
    mount.write({"credentialbundle.pem": key_first(made[0]), "trust.pem": first.file.read_bytes()})
    more = f"verify = require\nca_file = {mount.path}/trust.pem"
    clinch = launch(config(serve().connect, mount.path / "credentialbundle.pem", more=more))
    assert [admitted(clinch, ca, one) for one in clients] == [True, False]
    mount.write({"credentialbundle.pem": key_first(made[1]), "trust.pem": second.file.read_bytes()})
    until(lambda: shows(clinch, made[1]), "the next bundle")
    until(lambda: [admitted(clinch, ca, one) for one in clients] == [False, True], "the next trust")


# ---- SPIFFE ----


class Workload:
    """The files of one workload, as an agent keeps them in a folder."""

    def __init__(self, folder, write):
        self.folder, self.write = folder, write
        folder.mkdir()

    def deliver(self, files, *authorities):
        """spiffe-helper's order: certificate, key, trust; and one PEM beside."""
        self.write(self.folder / "svid.pem", files.crt.read_bytes())
        self.write(self.folder / "svid_key.pem", files.key.read_bytes())
        self.write(self.folder / "svid_all.pem", key_first(files))
        self.trust(*authorities)

    def trust(self, *authorities):
        self.write(self.folder / "bundle.pem", b"".join(one.file.read_bytes() for one in authorities))


class Csi:
    """The same as a volume that is swapped as a whole (csi-driver-spiffe)."""

    def __init__(self, folder):
        self.folder, self.mount, self.files = folder, Projected(folder, mode=0o600), {}

    def deliver(self, files, *authorities):
        self.files.update(
            {"svid.pem": files.crt.read_bytes(), "svid_key.pem": files.key.read_bytes(), "svid_all.pem": key_first(files)}
        )
        self.trust(*authorities)

    def trust(self, *authorities):
        self.files["bundle.pem"] = b"".join(one.file.read_bytes() for one in authorities)
        self.mount.write(self.files)


DELIVERIES = {
    "renamed": lambda folder: Workload(folder, pki.replace),
    "in-place": lambda folder: Workload(folder, lambda path, data: path.write_bytes(data)),
    "volume": Csi,
}


@pytest.fixture
def domains(tmp_path):
    """Two authorities of a trust domain, old and new, which share their name
    and differ in their key, as after a rotation of SPIRE's."""
    return [pki.Authority(tmp_path, "SPIFFE", f"domain{n}", with_ids=True) for n in (1, 2)]


def svid(authority, name, label):
    """An X.509 SVID: a URI, no host name, a short life."""
    return authority.issue("", names=[uri(name)], label=label, days=1 / 24, begins=0)


@pytest.mark.parametrize("layout", ["two files", "one file"])
@pytest.mark.parametrize("delivery", DELIVERIES)
def test_svids_and_trust_rotate(launch, serve, ca, domains, tmp_path, delivery, layout):
    """Proves the states of an SVID: the server's SVID is renewed; the trust
    bundle gets a second authority, clients of both are accepted; it loses the
    first one, whose clients are refused from then on. An open connection
    continues."""
    old, new = domains
    server = [svid(one, SERVER, f"server{i}") for i, one in enumerate(domains)]
    client = [svid(one, CLIENT, f"client{i}") for i, one in enumerate(domains)]
    agent = DELIVERIES[delivery](tmp_path / "svids")
    agent.deliver(server[0], old)
    cert, key = (agent.folder / "svid.pem", agent.folder / "svid_key.pem") if layout == "two files" else (agent.folder / "svid_all.pem", None)
    more = f"verify = require\nca_file = {agent.folder}/bundle.pem\nallow_san = uri:{CLIENT}"
    clinch = launch(config(serve().connect, cert, key, more))

    def takes(*expect):
        return [admitted(clinch, one, client[i]) for i, one in enumerate(trusted)] == list(expect)

    # Clients trust the authority of the server's SVID: the first one's at first.
    trusted = [old, old]
    assert shows(clinch, server[0]) and takes(True, False)
    agent.trust(old, new)
    until(lambda: takes(True, True), "both authorities")
    agent.deliver(server[1], old, new)
    until(lambda: shows(clinch, server[1]), "the renewed SVID")
    trusted = [new, new]
    assert takes(True, True)
    agent.trust(new)
    until(lambda: takes(False, True), "the old authority is gone")
    assert not clinch.grep(" error (config|server)"), clinch.output()


PATTERNS = {
    f"uri:{CLIENT}": ["y"],
    f"uri:{DOMAIN}/ns/x/sa/*": ["y", "other"],
    f"uri:{DOMAIN}/ns/*/sa/y": ["y", "far"],
    f"uri:{DOMAIN}/ns/x/**": ["y", "other", "deep"],
    f"uri:{DOMAIN}/**": ["y", "other", "far", "deep"],
    f"uri:{DOMAIN}/ns/x/sa/Y": [],
    f"uri:{DOMAIN}/ns/x/sa": [],
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_clients_by_their_spiffe_id(launch, serve, domains, tmp_path, pattern):
    """Proves which IDs each form of a pattern admits; another trust domain,
    and a name that only looks like an ID, never are."""
    authority = domains[0]
    ids = {
        "y": CLIENT,
        "other": f"{DOMAIN}/ns/x/sa/other",
        "far": f"{DOMAIN}/ns/far/sa/y",
        "deep": f"{DOMAIN}/ns/x/sa/y/z",
        "foreign": "spiffe://trust.domain.example/ns/x/sa/y",
    }
    clients = {who: svid(authority, name, f"id-{who}") for who, name in ids.items()}
    clients["named"] = authority.issue(CLIENT[:60], names=["trust.domain"], label="id-named")
    server = svid(authority, SERVER, "id-server")
    more = f"verify = require\nca_file = {authority.file}\nallow_san = {pattern}"
    clinch = launch(config(serve().connect, server.crt, server.key, more))
    taken = [who for who, files in clients.items() if admitted(clinch, authority, files)]
    assert taken == PATTERNS[pattern]


@pytest.mark.parametrize("pattern", ["spiffe://trust.domain/a", f"uri:{DOMAIN}*", f"uri:{DOMAIN}/ns/a*b", f"uri:{DOMAIN}/**/y"])
def test_a_pattern_that_means_something_else_is_an_error(launch, serve, site, ca, pattern):
    """Proves a sentence instead of a rule that admits too much, or no client."""
    more = f"verify = require\nca_file = {ca.file}\nallow_san = {pattern}"
    clinch = launch(config(serve().connect, site.pem, more=more), ready=False)
    assert clinch.wait_exit() == 2
    assert clinch.grep(r"clinch\.ini:\d+: allow_san: .*(uri:|ip:|host|segment)"), clinch.output()


def test_an_empty_trust_bundle_keeps_the_one_before(launch, serve, ca, domains, tmp_path):
    """Proves that a trust bundle that has become empty or is gone keeps the one
    before in force: an agent that fails opens nothing and closes nothing."""
    authority = domains[0]
    client = svid(authority, CLIENT, "kept-client")
    agent = Workload(tmp_path / "svids", pki.replace)
    agent.deliver(svid(authority, SERVER, "kept-server"), authority)
    more = f"verify = require\nca_file = {agent.folder}/bundle.pem\nallow_san = uri:{CLIENT}"
    clinch = launch(config(serve().connect, agent.folder / "svid.pem", agent.folder / "svid_key.pem", more))
    assert admitted(clinch, authority, client)
    agent.trust()
    clinch.wait_log("client CA files not replaced; the previous ones stay in use")
    assert stays(lambda: admitted(clinch, authority, client), 0.5)
    agent.trust(domains[1])
    until(lambda: not admitted(clinch, authority, client), "the new bundle counts")
