"""Fixtures: a CA, services, and clinch processes that always end."""

import ssl

import pytest

from lib import client, depot as web, openssl_ocsp as real, pki, proxy, responder, service


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    return pki.Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def site(ca):
    """The identity most tests use: localhost, P-256."""
    return ca.issue("localhost")


@pytest.fixture
def serve():
    """serve(handler): a plaintext service that ends with the test."""
    started = []

    def start(handler=service.echo, **options):
        started.append(service.Service(handler, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def launch(tmp_path):
    """launch(config): a clinch whose process ends with the test."""
    started = []

    def start(config, ready=True, **options):
        folder = tmp_path / f"clinch{len(started)}"
        folder.mkdir()
        started.append(proxy.Clinch(folder, config, **options))
        return started[-1].ready() if ready else started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def listener(site):
    """listener(connect, more): one [listener web] section on a free port."""

    def text(connect, more="", name="web", accept="127.0.0.1:0", head=""):
        lines = [head, f"[listener {name}]", f"accept = {accept}", f"connect = {connect}", f"cert = {site.pem}"]
        return "\n".join(lines) + "\n" + more + "\n"

    return text


@pytest.fixture
def tls(ca):
    """tls(port, ...): a connected client that trusts the test CA."""
    opened = []

    def connect(port, version=None, alpn=None, ciphers=None, made=None, **options):
        made = made or client.context(ca.file, version, alpn, ciphers)
        opened.append(client.Client(port, made, **options))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(params=VERSIONS, ids=["tls12", "tls13"])
def version(request):
    return request.param


@pytest.fixture
def responders(ca, tmp_path):
    """responders(behaviour): an OCSP responder of ours, ended with the test."""
    started = []

    def start(behaviour="good", authority=ca):
        started.append(responder.Responder(authority, behaviour))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def depot():
    """A web server with the certificates of authorities, ended with the test."""
    one = web.Depot()
    yield one
    one.close()


@pytest.fixture
def openssl_ocsp(ca, tmp_path):
    """openssl_ocsp(good=[files], revoked=[files]): the real `openssl ocsp`."""
    started = []

    def start(**options):
        folder = tmp_path / f"ocsp{len(started)}"
        started.append(real.OpensslOcsp(ca, folder, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def hosts(tmp_path):
    """hosts(text): what the proxy finds in /etc/hosts from now on."""
    path = tmp_path / "hosts"

    def put(text):
        path.write_text(text)  # in place: a bind mount follows the inode

    put.wrapper = ("unshare", "--mount", "sh", "-c", f'mount --bind {path} /etc/hosts && exec "$@"', "sh")
    return put


@pytest.fixture
def stapled(serve):
    """stapled(files, ocsp="mode = always"): a configuration with one listener
    and an [ocsp] section."""

    def text(files, ocsp="", head="", more="", name="web"):
        backend = serve().connect
        lines = [head, "[ocsp]", ocsp, f"[listener {name}]", "accept = 127.0.0.1:0", f"connect = {backend}"]
        return "\n".join([*lines, f"cert = {files.pem}", more]) + "\n"

    return text
