"""stunnel: one thread per connection, so "workers" means nothing to it."""

from peers import which, write

TITLE = "stunnel"
VERSION = "-version"

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
curves = {groups}
"""
# A section for each name beside the one that listens.
SITE = """\
[site{number}]
sni = bench:{name}
connect = 127.0.0.1:{backend}
cert = {path}
sslVersionMin = TLSv1.2
curves = {groups}
"""


def find():
    return which("stunnel4", "stunnel")


def command(site):
    text = CONFIG.format(**vars(site))
    if site.many:
        text += "".join(
            SITE.format(number=i, name=name, path=path, backend=site.backend)
            for i, (name, path) in enumerate(
                zip(site.many.names, site.many.paths)))
    config = write(site, "stunnel.conf", text)
    return [find(), config]
