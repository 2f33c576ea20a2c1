"""nginx with its stream module; with many names its http module, whose server
blocks have names.  (A variable in ssl_certificate would load at every
handshake what is to be loaded at the start.)"""

import os

from peers import which, write

TITLE = "nginx"
MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

MAIN = """\
{load}
user {user} {group};
daemon off;
pid {folder}/nginx.pid;
error_log /dev/null crit;
worker_processes {workers};
worker_rlimit_nofile {sockets};
events {{ worker_connections {sockets}; }}
"""
STREAM = """\
stream {{
    server {{
        listen 127.0.0.1:{port} ssl reuseport backlog=4096;
        ssl_certificate {pem};
        ssl_certificate_key {pem};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve {groups};
        ssl_session_tickets on;
        ssl_handshake_timeout 60s;
        proxy_timeout 1h;
        proxy_pass 127.0.0.1:{backend};
    }}
}}
"""
HTTP = """\
http {{
    access_log off;
    server_names_hash_max_size {hash};
    server_names_hash_bucket_size 128;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ecdh_curve {groups};
    server {{ listen 127.0.0.1:{port} ssl reuseport backlog=4096 default_server;
        ssl_certificate {pem}; ssl_certificate_key {pem}; return 404; }}
{servers}
}}
"""
SERVER = """\
    server {{ listen 127.0.0.1:{port} ssl; server_name {name};
        ssl_certificate {path}; ssl_certificate_key {path};
        location / {{ proxy_pass http://127.0.0.1:{backend}; }} }}
"""


def find():
    return which("nginx")


def servers(site):
    return "".join(
        SERVER.format(name=name, path=path, **vars(site))
        for name, path in zip(site.many.names, site.many.paths))


def command(site):
    load = "load_module %s;" % MODULE if os.path.exists(MODULE) else ""
    text = MAIN.format(load=load, **vars(site))
    if site.many:
        text += HTTP.format(servers=servers(site),
                            hash=4 * len(site.many.names), **vars(site))
    else:
        text += STREAM.format(**vars(site))
    config = write(site, "nginx.conf", text)
    return [find(), "-e", "/dev/null", "-p", site.folder, "-c", config]
