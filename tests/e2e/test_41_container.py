"""The files that are shipped for containers: the image's configuration, and
the examples for Docker compose and Kubernetes.  Each example is run as it
stands, with its mounts in folders of the test."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest
import yaml

from lib import proxy
from lib.mounts import Projected
from lib.peer import meet
from lib.stapled import status_of
from lib.wait import stays, until

TOP = pathlib.Path(__file__).parents[2]
SHIPPED = (TOP / "etc/docker/clinch.ini").read_text()
STORE = "/var/lib/clinch"
REQUIRED = {"CLINCH_CONNECT", "CLINCH_CERT"}
VARIABLES = set(re.findall(r"\$\{(CLINCH_\w+)", SHIPPED))


@pytest.fixture
def image(launch, tmp_path):
    """image(**variables): clinch with the image's configuration."""
    store = tmp_path / "state"
    store.mkdir()
    text = SHIPPED.replace(STORE, str(store))
    assert text != SHIPPED

    def start(ready=True, **variables):
        variables = {"CLINCH_ACCEPT": "127.0.0.1:0", "CLINCH_LOG_FORMAT": "text", **variables}
        return launch(text, ready=ready, env=variables)

    start.store = store
    return start


def ask(folder, *arguments, **variables):
    """One command with the shipped file, as it stands: (status, stdout, stderr)."""
    file = folder / "shipped.ini"
    file.write_text(SHIPPED)
    return proxy.run("-c", file, *arguments, env=variables)


# ---- The configuration of the image ----


def test_two_variables_are_enough(image, serve, tls, site):
    """Proves that CLINCH_CONNECT and CLINCH_CERT alone serve, a key in the
    certificate's file included."""
    clinch = image(CLINCH_CONNECT=serve().connect, CLINCH_CERT=str(site.pem))
    assert tls(clinch.port()).ping()


def test_a_key_of_its_own_that_others_may_read(image, serve, tls, site, tmp_path):
    """Proves CLINCH_KEY, and that the mode of a mounted secret is no warning."""
    crt, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    shutil.copy(site.crt, crt), shutil.copy(site.key, key)
    key.chmod(0o444)
    clinch = image(CLINCH_CONNECT=serve().connect, CLINCH_CERT=str(crt), CLINCH_KEY=str(key))
    assert tls(clinch.port()).ping()
    assert not clinch.grep(" warning "), clinch.output()


def test_every_line_is_json(image, serve, tls, site):
    """Proves the image's default: whatever a run writes is JSON, line by line."""
    clinch = image(ready=False, CLINCH_CONNECT=serve().connect, CLINCH_CERT=str(site.pem), CLINCH_LOG_FORMAT="")
    clinch.wait_log('"started"')
    one = next(json.loads(line) for line in clinch.grep('"listening"'))
    assert tls(int(one["address"].rsplit(":", 1)[1])).ping()
    assert clinch.terminate() == 0
    assert [json.loads(line)["level"] for line in clinch.lines]
    assert json.loads(clinch.lines[-1])["message"] == "stopped"


@pytest.mark.parametrize("given", [None, ""], ids=["unset", "empty"])
@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_missing_variable_is_one_sentence(tmp_path, site, name, given):
    """Proves one line, with file and line, the variable, and what to put into it;
    exit 2, at a start as in --test."""
    variables = {"CLINCH_CONNECT": "web:80", "CLINCH_CERT": str(site.pem), name: given}
    variables = {key: value for key, value in variables.items() if value is not None}
    state = "empty" if given == "" else "not set"
    for option in ([], ["--test"]):
        status, out, err = ask(tmp_path, *option, **variables)
        assert status == 2 and out == ""
        line, = err.splitlines()
        assert re.search(rf"shipped\.ini:\d+: \w+: the environment variable {name} is {state}: name the \w+", line), line


EFFECTS = {
    "CLINCH_ACCEPT": ("127.0.0.1:9443", "accept = 127.0.0.1:9443", "accept = 8443"),
    "CLINCH_CONNECT": ("web:81", "connect = web:81", "connect = web:80"),
    "CLINCH_CERT": (None, "cert = {site.crt}", "cert = {site.pem}"),
    "CLINCH_KEY": (None, "key = {site.key}", None),
    "CLINCH_ADMIN": ("127.0.0.1:9180", "listen = 127.0.0.1:9180", None),
    "CLINCH_OCSP_MODE": ("must", "mode = must", "mode = auto"),
    "CLINCH_LOG_FORMAT": ("text", "format = text", "format = json"),
    "CLINCH_LOG_LEVEL": ("debug", "level = debug", "level = notice"),
    "CLINCH_DRAIN_TIMEOUT": ("1m", "drain_timeout = 1m", "drain_timeout = 8s"),
}


LISTED = re.findall(r"^#   (CLINCH_\w+)", SHIPPED, re.M)


def test_every_variable_has_its_effect_and_its_default(tmp_path, site):
    """Proves each variable of the file, its default, and that an empty one
    counts as unset; the list at its top is complete."""
    assert set(EFFECTS) == VARIABLES == set(LISTED)
    least = {"CLINCH_CONNECT": "web:80", "CLINCH_CERT": str(site.pem)}
    status, plain, err = ask(tmp_path, "--print-config", **least)
    assert status == 0 and err == ""
    assert f"store_dir = {STORE}" in plain and "output = stderr" in plain
    for name, (value, expect, default) in EFFECTS.items():
        value = value or str({"CLINCH_CERT": site.crt, "CLINCH_KEY": site.key}[name])
        status, out, err = ask(tmp_path, "--print-config", **{**least, name: value})
        assert status == 0, err
        expect = expect.format(site=site)
        assert expect in out.splitlines() and expect not in plain.splitlines(), name
        assert default is None or default.format(site=site) in plain.splitlines(), name
    empty = {name: "" for name in VARIABLES - REQUIRED}
    assert ask(tmp_path, "--print-config", **least, **empty) == (0, plain, "")


def test_the_manual_has_every_variable():
    """Proves that CONTAINERS in clinch(8) lists the variables of the file."""
    section = (TOP / "etc/man/clinch.8").read_text().split(".Sh CONTAINERS")[1].split("\n.Sh ")[0]
    assert re.findall(r"^\.It Ev (\w+)", section, re.M) == LISTED


def test_what_is_printed_reads_back(tmp_path, site):
    """Proves that the output of --print-config is a file to mount in its place."""
    status, once, _ = ask(tmp_path, "--print-config", CLINCH_CONNECT="web:80", CLINCH_CERT=str(site.pem))
    assert status == 0 and "${" not in once
    (tmp_path / "own.ini").write_text(once)
    assert proxy.run("-c", tmp_path / "own.ini", "--print-config") == (0, once, "")


def test_a_must_staple_certificate_over_a_restart_without_its_responder(image, serve, ca, responders):
    """Proves that nothing but the environment and mounted folders keeps a staple."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    variables = {"CLINCH_CONNECT": serve().connect, "CLINCH_CERT": str(site.pem)}
    first = image(**variables)
    assert status_of(first.port(), ca) == "good"
    until((image.store / "ocsp" / site.id).exists, "the response is on disk")
    assert first.terminate() == 0
    responder.stop()
    assert status_of(image(**variables).port(), ca) == "good"


def test_a_tcp_probe_leaves_no_line(image, serve, tls, site):
    """Proves that a liveness probe, which connects and closes, is not logged."""
    clinch = image(CLINCH_CONNECT=serve().connect, CLINCH_CERT=str(site.pem))
    before = list(clinch.lines)
    for _ in range(20):
        socket.create_connection(("127.0.0.1", clinch.port()), 5).close()
    assert tls(clinch.port()).ping()
    assert stays(lambda: clinch.lines == before, 0.5), clinch.output()


def test_a_store_dir_that_cannot_be_written(image, serve, site):
    """Proves that --test and a start agree: status 1, and what to do."""
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere: test_41_pid_1.py has a read-only file system")
    image.store.chmod(0o500)
    clinch = image(ready=False, CLINCH_CONNECT=serve().connect, CLINCH_CERT=str(site.pem))
    assert clinch.wait_exit() == 1
    assert clinch.grep(r"store_dir: .*Permission denied")


# ---- Examples ----


def documents(pattern):
    return [(path.name, one) for path in sorted(TOP.glob(pattern)) for one in yaml.safe_load_all(path.read_text())]


KUBERNETES = documents("etc/kubernetes/*.yaml")
DEPLOYMENTS = [(name, one) for name, one in KUBERNETES if one["kind"] == "Deployment"]
KINDS = {
    "Deployment": "apps/v1",
    "Service": "v1",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}


def seconds(text):
    """Of a duration in the environment or in a compose file."""
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def drain_of(variables):
    default = re.search(r"\$\{CLINCH_DRAIN_TIMEOUT:-(\w+)\}", SHIPPED).group(1)
    return seconds(variables.get("CLINCH_DRAIN_TIMEOUT") or default)


def pod_of(deployment):
    return deployment["spec"]["template"]["spec"]


def clinch_of(deployment):
    """The container that is clinch, beside or before the others."""
    pod = pod_of(deployment)
    one, = [c for c in pod["containers"] + pod.get("initContainers", []) if "/clinch:" in c["image"]]
    return one


def environment(container):
    return {one["name"]: one["value"] for one in container["env"]}


def test_the_kubernetes_files_hold_what_they_should():
    """Proves kinds and versions, and that every deployment has a Service and a
    budget of disruptions that select its pods and name its port."""
    assert {one["kind"] for _, one in KUBERNETES} == set(KINDS)
    for name, one in KUBERNETES:
        assert one["apiVersion"] == KINDS[one["kind"]], name
    assert len(DEPLOYMENTS) == 2
    for name, deployment in DEPLOYMENTS:
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        service, = [one for file, one in KUBERNETES if file == name and one["kind"] == "Service"]
        budget, = [one for file, one in KUBERNETES if file == name and one["kind"] == "PodDisruptionBudget"]
        assert service["spec"]["selector"] == budget["spec"]["selector"]["matchLabels"] == labels
        port, = clinch_of(deployment)["ports"]
        assert [one["targetPort"] for one in service["spec"]["ports"]] == [port["name"]]
    policy, = [one for _, one in KUBERNETES if one["kind"] == "NetworkPolicy"]
    selected = policy["spec"]["podSelector"]["matchLabels"]
    assert selected in [one["spec"]["template"]["metadata"]["labels"] for _, one in DEPLOYMENTS]
    assert policy["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8443}]}]


@pytest.mark.parametrize("deployment", [one for _, one in DEPLOYMENTS], ids=[name for name, _ in DEPLOYMENTS])
def test_a_deployment_agrees_with_the_image(deployment):
    """Proves that variables, ports, paths and times are those of the shipped
    configuration, that mounts can change at run time, and that the pod has no
    more rights than it needs."""
    pod, container = pod_of(deployment), clinch_of(deployment)
    variables = environment(container)
    assert REQUIRED <= set(variables) <= VARIABLES
    default = re.search(r"^accept = \$\{CLINCH_ACCEPT:-(\d+)\}", SHIPPED, re.M).group(1)
    assert [one["containerPort"] for one in container["ports"]] == [int(default)]

    volumes = {one["name"]: one for one in pod["volumes"]}
    mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
    assert f"store_dir = {STORE}\n" in SHIPPED and "emptyDir" in volumes[mounts[STORE]["name"]]
    certs = mounts[os.path.dirname(variables["CLINCH_CERT"])]
    assert certs["readOnly"] and "secret" in volumes[certs["name"]]
    assert os.path.dirname(variables["CLINCH_KEY"]) == certs["mountPath"]
    assert not any("subPath" in one for one in mounts.values()), "it would never be updated"
    # A group may read it, and the pod's processes are of that group.
    assert volumes[certs["name"]]["secret"]["defaultMode"] == 0o440 and pod["securityContext"]["fsGroup"] == 65532

    ends = [seconds_before_end(one) for one in pod["containers"] + pod.get("initContainers", [])]
    assert pod["terminationGracePeriodSeconds"] > drain_of(variables) + max(ends)

    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] and context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False

    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    # Readiness demands a staple; what restarts a container does not.
    assert container["readinessProbe"]["exec"]["command"] == ["/usr/sbin/clinch", "healthcheck"]
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["tcpSocket"] == {"port": container["ports"][0]["name"]}


def seconds_before_end(container):
    """The time that its preStop delays the end of the pod."""
    return container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)


def test_the_sidecar_is_a_native_one():
    """Proves that it starts before the service and is alone in what it shows."""
    deployment = dict(DEPLOYMENTS)["sidecar.yaml"]
    container, = pod_of(deployment)["initContainers"]
    assert container is clinch_of(deployment) and container["restartPolicy"] == "Always"
    assert environment(container)["CLINCH_CONNECT"].startswith("127.0.0.1:")
    service, = pod_of(deployment)["containers"]
    assert "ports" not in service and seconds_before_end(service) > 0
    alone = dict(DEPLOYMENTS)["deployment.yaml"]
    assert "initContainers" not in pod_of(alone) and seconds_before_end(clinch_of(alone)) > 0


@pytest.mark.parametrize("deployment", [one for _, one in DEPLOYMENTS], ids=[name for name, _ in DEPLOYMENTS])
def test_a_deployment_runs_and_its_secret_is_renewed(deployment, image, serve, tls, ca, tmp_path):
    """Proves that the binary serves with the environment and the mounts of the
    deployment, and that a changed Secret is in service without a restart."""
    old, new = ca.issue(label="secret-old"), ca.issue(label="secret-new")
    variables = environment(clinch_of(deployment))
    secret = Projected(tmp_path / "certs", mode=0o440)
    for name in ("CLINCH_CERT", "CLINCH_KEY"):
        variables[name] = variables[name].replace("/etc/clinch/certs", str(secret.path))
    variables["CLINCH_CONNECT"] = serve().connect
    secret.write({"tls.crt": old.crt.read_bytes(), "tls.key": old.key.read_bytes()})
    clinch = image(**variables)
    assert not clinch.grep(" warning "), clinch.output()
    going = tls(clinch.port())
    assert meet(clinch.port()).serial == old.serial
    secret.write({"tls.crt": new.crt.read_bytes(), "tls.key": new.key.read_bytes()})
    until(lambda: meet(clinch.port()).serial == new.serial, "the renewed Secret")
    assert going.ping()
    going.close()
    assert clinch.terminate() == 0


COMPOSE = {name: one for name, one in documents("etc/docker/compose*.yaml")}


def test_the_compose_file_agrees_with_the_image():
    """Proves variables, ports, volumes, times and rights of compose.yaml."""
    compose = COMPOSE["compose.yaml"]
    service = compose["services"]["clinch"]
    variables = service["environment"]
    assert REQUIRED <= set(variables) <= VARIABLES
    assert (TOP / "etc/docker" / service["build"]["context"]).resolve() == TOP.resolve()
    assert [one.split(":")[-1] for one in service["ports"]] == ["8443"]
    mounts = dict(reversed(one.split(":")[:2]) for one in service["volumes"])
    assert mounts[STORE] in compose["volumes"]
    assert mounts[os.path.dirname(variables["CLINCH_CERT"])].startswith("./")
    assert seconds(service["stop_grace_period"]) > drain_of(variables)
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "healthcheck" not in service, "the image has one"
    host, port = variables["CLINCH_CONNECT"].split(":")
    assert host in compose["services"] and host in service["depends_on"] and port == "80"
    assert "ports" not in compose["services"][host]
    shared = set(service["networks"]) & set(compose["services"][host]["networks"])
    assert shared and all(compose["networks"][one]["internal"] for one in shared)


def test_the_commands_of_the_compose_file(image, serve, tmp_path):
    """Proves that the certificate which its first lines make is one to try it
    with: all commands but docker's are run as they stand."""

    def page(sock):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    head = (TOP / "etc/docker/compose.yaml").read_text().split("To try it:")[1].split("\n#\n")[1]
    commands = re.sub(r"^#\s+", "", head, flags=re.M).replace("\\\n", "").splitlines()
    assert sum("docker compose up" in one for one in commands) == 1
    *make, try_it = [one for one in commands if "docker" not in one]
    for one in make:
        subprocess.run(["sh", "-ec", one], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    clinch = image(CLINCH_CONNECT=serve(page).connect, CLINCH_CERT=str(tmp_path / "certs/site.pem"))
    port = clinch.port()
    try_it = try_it.replace("curl", f"curl -sS --noproxy localhost --resolve localhost:{port}:127.0.0.1").replace(":8443", f":{port}")
    done = subprocess.run(["sh", "-c", try_it], cwd=tmp_path, capture_output=True, text=True, timeout=20)
    assert done.stdout == "hello", done.stderr


def test_the_secrets_of_compose(image, serve, tls, site, tmp_path):
    """Proves that the other compose file names secrets that it declares, at the
    paths where they are mounted, and that the binary serves with them."""
    compose = COMPOSE["compose.secrets.yaml"]
    service = compose["services"]["clinch"]
    variables = dict(service["environment"])
    assert set(service["secrets"]) == set(compose["secrets"])
    assert {f"/run/secrets/{one}" for one in service["secrets"]} == {variables["CLINCH_CERT"], variables["CLINCH_KEY"]}
    for name, file in (("CLINCH_CERT", site.crt), ("CLINCH_KEY", site.key)):
        mounted = tmp_path / os.path.basename(variables[name])
        shutil.copy(file, mounted)
        variables[name] = str(mounted)
    clinch = image(CLINCH_CONNECT=serve().connect, **variables)
    assert tls(clinch.port()).ping()
