"""Folders that change under a running process, as others mount them."""

import os
import shutil
import subprocess

import pytest

needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or subprocess.call(["unshare", "--mount", "true"]) != 0,
    reason="needs the right to make a mount namespace",
)


class Projected:
    """A volume of Kubernetes (Secret, ConfigMap, projected), as the kubelet's
    atomic writer keeps it: names are links through ..data, which leads to a
    folder of one version and is swapped by a rename."""

    def __init__(self, path, mode=0o644):
        self.path, self.mode, self.count = path, mode, 0
        path.mkdir()

    def write(self, files):
        """All files of the next version: {name: bytes}."""
        data = self.path / "..data"
        before = data.resolve() if data.is_symlink() else None
        self.count += 1
        version = self.path / f"..2026_01_01_00_00_00.{self.count}"
        version.mkdir()
        for name, content in files.items():
            (version / name).write_bytes(content)
            (version / name).chmod(self.mode)
        fresh = self.path / "..data_tmp"
        os.symlink(version.name, fresh)
        fresh.rename(data)
        for name in files:
            if not (self.path / name).is_symlink():
                os.symlink(f"..data/{name}", self.path / name)
        for old in self.path.iterdir():
            if old.is_symlink() and not old.name.startswith("..") and old.name not in files:
                old.unlink()
        if before:
            shutil.rmtree(before)
