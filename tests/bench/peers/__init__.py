"""One module per proxy, each with the same interface:

TITLE             the name in the table
find()            the path of its program, or None
command(site)     write its configuration below site.folder, and return the
                  arguments that start it in the foreground
VERSION           optional: the argument that prints its version (default: -v)
PORT_LINE         optional: a pattern whose group "port" is found in what the
                  program writes to stderr; site.port is 0 for such a one
"""

import importlib
import os
import shutil

NAMES = ["haproxy", "hitch", "nginx", "stunnel", "clinch"]
# Modules with rows of their own, beside a single peer.
SPECIAL = ["unstapled", "control"]


def load(name):
    return importlib.import_module("peers." + name)


def which(*names):
    """The first of these programs, daemons' folders included."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    return None


def write(site, name, text):
    path = os.path.join(site.folder, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path
