"""nginx with its stream module."""

import os

from peers import which, write

TITLE = "nginx"
MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

CONFIG = """\
{load}
user {user} {group};
daemon off;
pid {folder}/nginx.pid;
error_log /dev/null crit;
worker_processes {workers};
worker_rlimit_nofile {sockets};
events {{ worker_connections {sockets}; }}
stream {{
    server {{
        listen 127.0.0.1:{port} ssl reuseport backlog=4096;
        ssl_certificate {pem};
        ssl_certificate_key {pem};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519:P-256;
        ssl_session_tickets on;
        ssl_handshake_timeout 60s;
        proxy_timeout 1h;
        proxy_pass 127.0.0.1:{backend};
    }}
}}
"""


def find():
    return which("nginx")


def command(site):
    load = "load_module %s;" % MODULE if os.path.exists(MODULE) else ""
    text = CONFIG.format(load=load, **vars(site))
    config = write(site, "nginx.conf", text)
    return [find(), "-e", "/dev/null", "-p", site.folder, "-c", config]
