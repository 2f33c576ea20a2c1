"""The Dockerfile, which no machine without a container engine can build: the
parts of it that can be checked without one."""

import json
import pathlib
import re

import dockerfile
import pytest


@pytest.fixture(scope="module")
def stages():
    return dockerfile.read()


def test_two_stages(stages):
    """Proves that the base is an argument without a digest, and that the image
    begins with nothing."""
    assert [one.base for one in stages] == ["debian:13-slim", "scratch"]
    assert dockerfile.read(given={"BASE": "debian@sha256:0"})[0].base == "debian@sha256:0"


def test_build_lines_are_scripts(stages):
    """Proves that each RUN line is one call of a script that exists, which is
    what scripts/image/make runs too."""
    commands = stages[0].all("RUN")
    assert [line.split()[0] for line in commands] == [
        "scripts/install-deps",
        "scripts/image/build-curl",
        "scripts/image/compile",
        "scripts/image/root",
    ]
    for line in commands:
        script = dockerfile.TOP / line.split()[0]
        assert script.stat().st_mode & 0o111 and not re.search(r"[;&|]", line), line


def test_what_is_copied_exists(stages):
    """Proves that COPY finds its files, before the line that needs them."""
    copied = [dockerfile.TOP / path for line in stages[0].all("COPY") for path in line.split()[:-1]]
    assert copied and all(path.exists() for path in copied)
    order = [word for word, _ in stages[0].steps if word in ("COPY", "RUN")]
    assert order == ["COPY", "RUN", "COPY", "RUN", "COPY", "RUN", "RUN"]


def test_the_root_is_what_was_assembled(stages):
    """Proves that the final stage takes the folder that the last line filled."""
    folder = stages[0].last("RUN").split()[-1]
    source = f"{stages[0].last('WORKDIR')}/{folder}/"
    assert stages[1].all("COPY") == [f"--from={stages[0].name} {source} /"]


def test_how_it_runs(stages):
    """Proves the agreed interface: user, port, signal, health check, entry
    point, and a program that is started once while the image is built."""
    found = dockerfile.config(stages[1])
    assert found["User"] == "65532:65532"
    assert found["ExposedPorts"] == {"8443/tcp": {}}
    assert found["StopSignal"] == "SIGTERM"
    assert found["Entrypoint"] == ["/usr/sbin/clinch"]
    assert found["Healthcheck"]["Test"] == ["CMD", "/usr/sbin/clinch", "healthcheck"]
    assert json.loads(stages[1].last("RUN"))[0] == "/usr/sbin/clinch"
    assert set(dict(stages[1].steps)) <= {"ARG", "LABEL", "COPY", "USER", "STOPSIGNAL", "EXPOSE", "RUN", "HEALTHCHECK", "ENTRYPOINT"}


def test_the_archive_runs_the_same_way(stages, configured):
    """Proves that the image made without an engine has the configuration of
    the Dockerfile; labels differ in the arguments alone."""
    expected = dockerfile.config(stages[1])
    assert {name: configured[name] for name in expected if name != "Labels"} == {
        name: expected[name] for name in expected if name != "Labels"
    }
    assert expected["Labels"].keys() - configured["Labels"].keys() <= {"org.opencontainers.image.base.name"}


def test_the_version_is_the_sources(stages):
    """Proves that the default of VERSION follows configure.ac."""
    text = (dockerfile.TOP / "configure.ac").read_text()
    assert stages[1].arguments["VERSION"] == re.search(r"AC_INIT\(\[clinch\], \[([^]]+)\]", text)[1]


def test_the_context_is_clean():
    """Proves that neither builds nor the history are sent to the engine."""
    ignored = pathlib.Path(dockerfile.TOP / ".dockerignore").read_text().split("\n")
    assert {".git", "build"} <= set(ignored)
