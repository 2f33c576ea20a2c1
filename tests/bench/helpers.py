"""The programs that a measurement needs: clinch, the load generator and the
backend."""

import os
import shlex
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def choose_clinch(args):
    """The program and the folder it was built in become known."""
    if args.clinch:
        os.environ["CLINCH"] = os.path.abspath(args.clinch)
    elif args.build and "CLINCH" not in os.environ:
        os.environ["CLINCH"] = os.path.join(
            os.path.abspath(args.build), "clinch")
    if not args.build:
        args.build = os.path.dirname(os.environ.get("CLINCH", "")) or "."


def built(args, folder):
    """The folder with the two helpers; they are built when they are not."""
    if os.access(os.path.join(args.build, "tests/bench/load"), os.X_OK):
        return os.path.abspath(args.build)
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "openssl"],
                           capture_output=True, text=True, check=False)
    flags = shlex.split(flags.stdout) or ["-lssl", "-lcrypto"]
    os.makedirs(os.path.join(folder, "tests/bench"))
    for name, sources in (
            ("load", ["load.c", "load_client.c", "load_exchange.c",
                      "load_stream.c"]),
            ("backend", ["backend.c"])):
        subprocess.run(
            [os.environ.get("CC", "cc"), "-std=gnu11", "-O2",
             "-D_GNU_SOURCE=", "-o", os.path.join(folder, "tests/bench", name),
             *(os.path.join(HERE, s) for s in sources), *flags], check=True)
    return folder
