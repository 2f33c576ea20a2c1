"""stunnel: one thread per connection, so "workers" means nothing to it."""

from peers import which, write

TITLE = "stunnel"

CONFIG = """\
foreground = yes
pid =
debug = 0
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[bench]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{backend}
cert = {pem}
key = {pem}
sslVersionMin = TLSv1.2
curves = X25519:P-256
"""


def find():
    return which("stunnel4", "stunnel")


def command(site):
    config = write(site, "stunnel.conf", CONFIG.format(**vars(site)))
    return [find(), config]
