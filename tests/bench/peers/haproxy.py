"""HAProxy, mode tcp."""

from peers import which, write

TITLE = "haproxy"

CONFIG = """\
global
    nbthread {workers}
    maxconn {connections}
    tune.ssl.default-dh-param 2048
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:{port} ssl crt {crt} curves {groups} backlog 4096
    server backend 127.0.0.1:{backend}
"""


def find():
    return which("haproxy")


def command(site):
    crt = site.many.folder if site.many else site.pem
    text = CONFIG.format(crt=crt, **vars(site))
    config = write(site, "haproxy.cfg", text)
    return [find(), "-db", "-q", "-f", config]
