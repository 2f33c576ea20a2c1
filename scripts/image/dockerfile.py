"""What the Dockerfile contains, for scripts/image/stage, scripts/image/archive
and the tests.  It reads the subset that our Dockerfile uses."""

import json
import pathlib
import re
import shlex

TOP = pathlib.Path(__file__).resolve().parents[2]


class Stage:
    """One FROM and what follows it: steps are (instruction, the rest)."""

    def __init__(self, base, name, arguments):
        self.base, self.name = base, name
        self.arguments = arguments  # of ARG, with their defaults
        self.steps = []

    def all(self, instruction):
        return [rest for word, rest in self.steps if word == instruction]

    def last(self, instruction):
        return self.all(instruction)[-1]


def instructions(text):
    """Lines without comments, continued ones joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word.upper(), rest.strip()


def read(path=TOP / "Dockerfile", given=()):
    """The stages; given: values of build arguments, in place of defaults."""
    given = dict(given)
    stages, common = [], {}
    for word, rest in instructions(path.read_text()):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(expand(base, common), name or None, {}))
        elif word == "ARG":
            name, _, value = rest.partition("=")
            arguments = stages[-1].arguments if stages else common
            arguments[name] = given.get(name, value or common.get(name, ""))
        if stages and word != "FROM":
            stages[-1].steps.append((word, rest))
    return stages


def expand(text, arguments):
    return re.sub(r"\$\{?(\w+)\}?", lambda name: arguments[name[1]], text)


def labels(stage):
    """Of the image; without those that are empty."""
    words = [word for line in stage.all("LABEL") for word in shlex.split(line)]
    pairs = dict(expand(word, stage.arguments).split("=", 1) for word in words)
    return {name: value for name, value in pairs.items() if value}


def healthcheck(stage):
    """As a container engine's configuration has it: times in nanoseconds."""
    options, _, command = stage.last("HEALTHCHECK").partition("CMD ")
    times = dict(re.findall(r"--([a-z-]+)=(\d+)s", options))
    names = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod"}
    return {"Test": ["CMD", *json.loads(command)], **{names[one]: int(value) * 10**9 for one, value in times.items()}}


def config(stage):
    """The part of the image's configuration about how to run it."""
    return {
        "User": stage.last("USER"),
        "ExposedPorts": {f"{port}/tcp": {} for port in stage.last("EXPOSE").split()},
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Entrypoint": json.loads(stage.last("ENTRYPOINT")),
        "Healthcheck": healthcheck(stage),
        "StopSignal": stage.last("STOPSIGNAL"),
        "Labels": labels(stage),
    }
