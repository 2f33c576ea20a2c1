"""The clock of a process under libfaketime."""

import glob
import os
import shutil

import pytest

needs_faketime = pytest.mark.skipif(
    not shutil.which("faketime") or bool(os.environ.get("CLINCH_SANITIZED")),
    reason="libfaketime and sanitizers do not go together",
)


class Clock:
    """The clock of a process under libfaketime, moved by a file."""

    def __init__(self, folder):
        self.file = folder / "clock"
        self.set(0)

    def set(self, seconds):
        text = f"{seconds:+d}s"
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text + "\n")
        os.replace(fresh, self.file)

    def env(self):
        library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
        if not os.path.exists(library):
            library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")[0]
        return {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
