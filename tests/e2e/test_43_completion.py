"""etc/bash-completion/clinch: what bash offers is what the program takes."""

import pathlib
import re
import shlex
import subprocess

import pytest

from lib import proxy

FILE = pathlib.Path(__file__).parents[2] / "etc" / "bash-completion" / "clinch"


def offered(*words, folder="/"):
    """The words that bash offers in place of the last one, after `clinch`."""
    line = shlex.join([proxy.BINARY, *words])
    script = f'. "$0"; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _clinch; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-u", "-c", script, FILE], capture_output=True, text=True, cwd=folder, timeout=30)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return set(done.stdout.split())


def said():
    return subprocess.run([proxy.BINARY, "--help"], capture_output=True, text=True, check=True).stdout


def commands():
    """The commands of the usage lines, as {"healthcheck": set(), "staple": {"check", "fetch"}}."""
    found = {}
    for first, second in re.findall(r"^ +clinch ([a-z]+)(?: ([a-z]+)\b)?", said(), re.M):
        found.setdefault(first, set()).update({second} - {""})
    return found


def test_every_command_is_offered():
    """Proves that no command of --help is missing, and its second words."""
    assert set(commands()) >= {"healthcheck", "staple"}
    assert offered("") >= set(commands())
    for command, seconds in commands().items():
        assert seconds <= offered(command, ""), command


def test_every_option_is_offered():
    """Proves that each option of --help is offered, with clinch alone or with a command."""
    options = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", said(), re.M))
    assert len(options) > 5
    everywhere = offered("--").union(*(offered(command, "--") for command in commands()))
    assert everywhere == options


@pytest.mark.parametrize(
    "words, expect",
    [
        (("--",), {"--config", "--test", "--print-config", "--list-keys", "--version", "--help"}),
        (("healthcheck", "--"), {"--config", "--listener", "--timeout"}),
        (("staple", "check", "--"), {"--output", "--url", "--ca-file", "--store-dir", "--timeout"}),
        (("sta",), {"staple", "status"}),
            (("sto",), set()),
        (("staple", "f"), {"fetch"}),
        (("staple", "check", "x", "f"), set()),
        (("staple", "check", "--url", ""), set()),
        (("healthcheck", "--timeout", ""), set()),
    ],
)
def test_a_command_has_its_own_options(words, expect, tmp_path):
    """Proves that an option is offered where it is taken, and nothing for a value that has no list."""
    assert offered(*words, folder=tmp_path) == expect


def test_values(listener, tmp_path):
    """Proves files and folders where --help has FILE and DIR, and the names of listeners for NAME."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.ini").write_text(listener("127.0.0.1:9", name="shop") + listener("127.0.0.1:9", name="mail"))
    assert offered("-c", "f", folder=tmp_path) == {"file.ini", "folder"}
    assert offered("staple", "check", "--store-dir", "f", folder=tmp_path) == {"folder"}
    assert offered("staple", "check", "fi", folder=tmp_path) == {"file.ini"}
    assert offered("healthcheck", "-c", "file.ini", "--listener", "", folder=tmp_path) == {"shop", "mail"}
