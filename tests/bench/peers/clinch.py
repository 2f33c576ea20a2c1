"""clinch itself: the only one that can choose its own port."""

import os
import re

from peers import which, write

TITLE = "clinch"
VERSION = "-V"
PORT_LINE = re.compile(
    r"listener listening.*\baddress=\S*:(?P<port>\d+)")

CONFIG = """\
[global]
threads = {workers}
max_connections = {connections}
[listener bench]
accept = 127.0.0.1:0
connect = 127.0.0.1:{backend}
groups = {groups}
"""
ONE = """\
cert = {cert}
key = {key}
"""
MANY = """\
cert_dir = {many.folder}
"""
STAPLED = """\
ocsp = always
staple_file = {staple}
"""


def find():
    named = os.environ.get("CLINCH")
    if named:
        return named if os.access(named, os.X_OK) else None
    return which("clinch")


def command(site):
    text = CONFIG + (MANY if site.many else ONE)
    text += STAPLED if site.staple else ""
    config = write(site, "clinch.ini", text.format(**vars(site)))
    return [find(), "-c", config]
