"""Hitch: one process per worker."""

from peers import which, write

TITLE = "hitch"

CONFIG = """\
frontend = {{ host = "127.0.0.1" port = "{port}" }}
backend = "[127.0.0.1]:{backend}"
pem-file = "{pem}"
workers = {workers}
backlog = 4096
daemon = off
user = "{user}"
group = "{group}"
tls-protos = TLSv1.2 TLSv1.3
ecdh-curve = "X25519:prime256v1"
log-level = 0
"""


def find():
    return which("hitch")


def command(site):
    config = write(site, "hitch.conf", CONFIG.format(**vars(site)))
    return [find(), "--config=" + config]
