"""Fixtures: the image that scripts/image/make built, and containers of it.
scripts/image/test runs these tests, as root and in a network of their own."""

import json
import os
import pathlib
import tarfile

import container
import dockerfile
import pytest

pytest_plugins = ["e2e.conftest"]
BUILT = pathlib.Path(os.environ.get("CLINCH_IMAGE", dockerfile.TOP / "build/image"))


@pytest.fixture(scope="session")
def root():
    assert (BUILT / "root/usr/sbin/clinch").exists(), f"no image in {BUILT}: build it with scripts/image/make"
    return BUILT / "root"


@pytest.fixture(scope="session")
def blobs(root):
    """The files of the image's archive, by name."""
    with tarfile.open(BUILT / "image.tar") as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}


@pytest.fixture(scope="session")
def configured(blobs):
    """How the image runs, as a container engine reads it."""
    manifest = json.loads(blobs["manifest.json"])[0]
    return json.loads(blobs[manifest["Config"]])["config"]


@pytest.fixture(scope="session")
def sbom(root):
    return json.loads((root / "usr/share/doc/clinch/sbom.spdx.json").read_text())


@pytest.fixture(scope="session")
def static(sbom):
    """Is libcurl linked statically?"""
    return sbom["comment"] == "libcurl: static"


@pytest.fixture
def certs(tmp_path):
    """The folder that is mounted with certificates."""
    folder = tmp_path / "certs"
    folder.mkdir()
    return folder


@pytest.fixture
def store(root, tmp_path):
    """An empty volume, as an engine makes it from the folder of the image."""
    return container.volume(root / "var/lib/clinch", tmp_path / "store")


@pytest.fixture
def start(root, configured, certs, store, tmp_path):
    """start(variables): a container of the image that ends with the test."""
    started = []

    def run(variables, user=None, ready=True, **options):
        folder = tmp_path / f"container{len(started)}"
        mounts = [(certs, "/certs", True), (store, "/var/lib/clinch", False), *options.pop("mounts", ())]
        user = user or tuple(map(int, configured["User"].split(":")))
        started.append(container.Container(root, configured, folder, variables, user, mounts, **options))
        return started[-1].ready() if ready else started[-1]

    yield run
    for one in started:
        one.stop()
