"""Clients that come all the time, in processes of their own: each visit is a
connection with a full handshake, one exchange and a clean end.  Each process
makes at least LEAST visits, however fast or slow the machine is."""

import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

LEAST = 30


class Crowd:
    """Visit this port until finish()."""

    def __init__(self, port, ca, processes=2, threads=4):
        command = [sys.executable, str(pathlib.Path(__file__)), str(port), str(ca.file), str(threads)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.processes = [subprocess.Popen(command, **pipes) for _ in range(processes)]
        for process in self.processes:
            assert process.stdout.readline() == "visiting\n"

    def finish(self):
        """(visits, failures as text, seconds of the longest visit)"""
        reports = [json.loads(process.communicate()[0]) for process in self.processes]
        visits = sum(report["visits"] for report in reports)
        return visits, sum((r["failures"] for r in reports), []), max(r["longest"] for r in reports)

    def stop(self):
        for process in self.processes:
            process.kill()
            process.communicate()


def visit(port, context):
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        with context.wrap_socket(sock, server_hostname="localhost") as tls:
            tls.sendall(b"hello")
            assert tls.recv(64) == b"hello"
            tls.unwrap()


def main(port, ca, threads):
    from client import context  # beside this script

    report = {"visits": 0, "failures": [], "longest": 0.0}
    over, lock, first = threading.Event(), threading.Lock(), threading.Event()

    def come_again():
        trusting = context(ca)
        while not over.is_set() or report["visits"] < LEAST:
            began, failure = time.monotonic(), None
            try:
                visit(port, trusting)
            except (OSError, AssertionError) as error:
                failure = repr(error)
            with lock:
                report["visits"] += 1
                report["longest"] = max(report["longest"], time.monotonic() - began)
                report["failures"] += [failure] if failure else []
            first.set()

    workers = [threading.Thread(target=come_again) for _ in range(threads)]
    for worker in workers:
        worker.start()
    first.wait()
    print("visiting", flush=True)
    sys.stdin.read()
    over.set()
    for worker in workers:
        worker.join()
    print(json.dumps(report))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
