"""haproxy and nginx, before clinch and behind it: each reads the headers of
the other, and the addresses are those of the client's own socket."""

import socket

import pytest

from lib import client, proxy_protocol as pp
from lib.peers import Peers, needs_haproxy, needs_nginx

IN = "proxy_in = yes\nproxy_trust = 127.0.0.0/8\n"
EVERYTHING = "authority, alpn, ssl, cn, cert, crc32c, unique_id"
ALL = f"proxy_tlv = {EVERYTHING}\n"


def telling(version, tlvs=EVERYTHING):
    """Version 1 has no room for more than addresses."""
    return f"proxy_out = {version}\n" + (f"proxy_tlv = {tlvs}\n" if version == "v2" else "")

CLIENT, SERVER = ("192.0.2.1", 1025), ("198.51.100.2", 443)

# Returns over HTTP what it parsed; blank for absent facts.
HAPROXY_BEHIND = """\
frontend behind
    mode http
    bind unix@{path} accept-proxy
    http-request return status 200 content-type text/plain lf-string \
"%[src] %[src_port] %[dst] %[dst_port] %[fc_pp_authority] %[fc_pp_unique_id]"
"""

HAPROXY_BEFORE = """\
frontend before
    mode tcp
    bind fd@{fd}
    unique-id-format id-%Ts-%rt
    default_backend clinch
backend clinch
    mode tcp
    server clinch unix@{path} {options}
"""

NGINX_BEHIND = """\
server {{
    listen unix:{path} proxy_protocol;
    return "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port";
}}
"""

NGINX_BEFORE = """\
server {{
    listen 127.0.0.1:{port};
    proxy_pass unix:{path};
    proxy_protocol on;
}}
"""


@pytest.fixture
def peers(tmp_path):
    """haproxy and nginx that end with the test."""
    made = Peers(tmp_path)
    yield made
    made.close()


@pytest.fixture
def told(serve):
    receiver = pp.Receiver()
    receiver.connect = serve(receiver).connect
    return receiver


def get(one):
    """The response of an HTTP service at the other end."""
    one.send(b"GET / HTTP/1.0\r\n\r\n")
    return one.recv_all().decode().partition("\r\n\r\n")[2]


def both(one):
    """A client's two addresses as the peers print them."""
    return "%s %d %s %d" % (*one.sock.getsockname(), *one.sock.getpeername())


def straight(path, header):
    """The response to a header sent to a peer without clinch between."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.settimeout(10)
        got = b""
        try:
            sock.sendall(header + b"GET / HTTP/1.0\r\n\r\n")
            while data := sock.recv(4096):
                got += data
        except ConnectionError:
            pass
        return got.decode().partition("\r\n\r\n")[2]


# ---- Behind clinch ----


@needs_haproxy
@pytest.mark.parametrize("out", ["v1", "v2"])
def test_haproxy_behind(launch, listener, tls, peers, out):
    """Proves that accept-proxy accepts both versions, with every TLV: it
    checks the checksum, and returns the name and the id."""
    path = peers.path("h")
    peers.haproxy(HAPROXY_BEHIND.format(path=path)).answering(path)
    clinch = launch(listener(f"unix:{path}", telling(out) + "alpn = http/1.1\n"))
    one = tls(clinch.port(), alpn=["http/1.1"])
    addresses = both(one)
    said = get(one)
    assert said.startswith(addresses)
    if out == "v2":
        name, number = said[len(addresses):].split()
        assert name == "localhost" and len(number) == 32


@needs_haproxy
@pytest.mark.parametrize("out", ["v1", "v2"])
def test_haproxy_behind_takes_a_unix_client(launch, listener, ca, peers, out):
    """Proves that UNKNOWN and LOCAL are served, not refused, and name no
    addresses.  haproxy 3.0 and later reads the TLVs of LOCAL."""
    path, accept = peers.path("h"), peers.path("in")
    peers.haproxy(HAPROXY_BEHIND.format(path=path)).answering(path)
    launch(listener(f"unix:{path}", telling(out), accept=f"unix:{accept}"))
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(accept)
    with client.Client(sock, client.context(ca.file)) as one:
        words = get(one).split()
    assert words == [] or (out == "v2" and words[0] == "localhost" and len(words[1]) == 32 and len(words) == 2)


@needs_haproxy
def test_haproxy_judges_our_own_builder(peers):
    """Proves that haproxy checks sums at all, and reads our parser's headers."""
    path = peers.path("h")
    peers.haproxy(HAPROXY_BEHIND.format(path=path)).answering(path)
    good = pp.v2(CLIENT, SERVER, pp.tlv(pp.UNIQUE_ID, b"id"), crc=True)
    assert straight(path, good).split() == ["192.0.2.1", "1025", "198.51.100.2", "443", "id"]
    assert straight(path, pp.v2(CLIENT, SERVER, crc=True, spoil=1)) == ""


@needs_nginx
@pytest.mark.parametrize("out", ["v1", "v2"])
def test_nginx_behind(launch, listener, tls, peers, out):
    """Proves that listen ... proxy_protocol takes both versions.  nginx before
    1.23.2 takes 107 bytes in all, hence the short list of TLVs."""
    path = peers.path("n")
    peers.nginx(NGINX_BEHIND.format(path=path)).answering(path)
    clinch = launch(listener(f"unix:{path}", telling(out, "authority, unique_id, crc32c")))
    one = tls(clinch.port())
    assert one.recv_all().decode() == both(one)


# ---- Before clinch ----

SENDS = {
    "v1": "send-proxy",
    "v2": "send-proxy-v2",
    "v2 with TLVs": "send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c,unique-id",
}


@needs_haproxy
@pytest.mark.parametrize("kind", SENDS)
def test_haproxy_before(launch, listener, tls, told, peers, kind, version):
    """Proves that what haproxy sends is taken and carried on, its id too."""
    path = peers.path("in")
    launch(listener(told.connect, IN + "proxy_out = v2\n" + ALL, accept=f"unix:{path}"))
    fd, port = peers.handed()
    peers.haproxy(HAPROXY_BEFORE.format(fd=fd, path=path, options=SENDS[kind]), pass_fds=(fd,))
    one = tls(port, version)
    assert one.ping(b"x" * 100000)
    header = told.header()
    assert (header.client, header.server) == (one.sock.getsockname(), one.sock.getpeername())
    assert header.sum_is_right() and header.text(pp.AUTHORITY) == "localhost"
    number = header.text(pp.UNIQUE_ID)
    assert number.startswith("id-") if "TLVs" in kind else len(number) == 32


@needs_haproxy
def test_haproxy_looks_whether_clinch_is_well(launch, listener, serve, peers):
    """Proves that a health check with a LOCAL header and a handshake is
    served."""
    path = peers.path("in")
    launch(listener(serve().connect, IN, accept=f"unix:{path}"))
    fd, _ = peers.handed()
    check = "send-proxy-v2 check check-send-proxy check-ssl verify none inter 100ms rise 1"
    text = HAPROXY_BEFORE.format(fd=fd, path=path, options=check) + "    option log-health-checks\n"
    haproxy = peers.haproxy(text, pass_fds=(fd,))
    haproxy.wait_log("Health check for server clinch/clinch succeeded")


@needs_nginx
def test_nginx_before(launch, listener, tls, told, peers, version):
    """Proves that proxy_protocol on is taken and carried on."""
    path = peers.path("in")
    launch(listener(told.connect, IN + "proxy_out = v1", accept=f"unix:{path}"))
    fd, port = peers.handed()
    peers.nginx(NGINX_BEFORE.format(port=port, path=path), pass_fds=(fd,))
    one = tls(port, version)
    assert one.ping(b"x" * 100000)
    header = told.header()
    assert (header.client, header.server) == (one.sock.getsockname(), one.sock.getpeername())


@needs_nginx
@needs_haproxy
def test_the_address_of_a_client_reaches_log_and_backend(launch, listener, tls, peers):
    """Proves nginx, clinch and haproxy in a row: the last has the address of
    the first client."""
    path, behind = peers.path("in"), peers.path("h")
    peers.haproxy(HAPROXY_BEHIND.format(path=behind)).answering(behind)
    launch(listener(f"unix:{behind}", IN + "proxy_out = v2\n" + ALL, accept=f"unix:{path}"))
    fd, port = peers.handed()
    peers.nginx(NGINX_BEFORE.format(port=port, path=path), pass_fds=(fd,))
    one = tls(port)
    addresses = both(one)
    assert get(one).startswith(addresses + " localhost ")
