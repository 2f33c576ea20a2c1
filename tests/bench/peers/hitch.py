"""Hitch: one process per worker."""

from peers import which, write

TITLE = "hitch"
VERSION = "--version"

CONFIG = """\
frontend = {{ host = "127.0.0.1" port = "{port}" }}
backend = "[127.0.0.1]:{backend}"
{certificates}
workers = {workers}
backlog = 4096
daemon = off
user = "{user}"
group = "{group}"
tls-protos = TLSv1.2 TLSv1.3
ecdh-curve = "{groups}"
log-level = 0
"""


def find():
    return which("hitch")


def command(site):
    found = 'pem-file = "%s"' % site.pem
    if site.many:
        found = 'pem-dir = "%s"' % site.many.folder
    text = CONFIG.format(certificates=found, **vars(site))
    config = write(site, "hitch.conf", text)
    return [find(), "--config=" + config]
