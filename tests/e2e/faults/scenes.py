"""One scene for each phase: brings many certificates into it, each with a
fault of its own, and returns what clients get then.  A cell is one of

    staple    a good staple, verified by the client
    revoked   a staple with the status revoked
    nothing   the handshake goes on without
    alert     the handshake is ended
    exit N    the process ended with this status
    refused   the reload was refused; the old configuration serves
    old       the old certificate and its staple serve
"""

import concurrent.futures
import shutil
import ssl

from cryptography import x509

from lib import proxy, responder
from lib.stapled import Refused, status_of
from lib.wait import until

HOUR = 3600
STRICT = ("must", "always")
STATUS = {"good": "staple", "revoked": "revoked", None: "nothing"}


class Scene:
    """Certificates with faults, one mode, one folder, and one responder, which
    has a port for each: most faults are those of a host."""

    def __init__(self, ca, folder, mode, faults, connect):
        self.ca, self.folder, self.faults, self.connect = ca, folder, faults, connect
        self.mode, self.plain = mode.split(",")[0], "plain" in mode
        self.responder = responder.Responder(ca)
        self.running = []
        self.certificates = {fault.name: self.issue(fault, f"f{i}") for i, fault in enumerate(faults)}
        self.base = self.certificate("base")

    def close(self):
        for clinch in self.running:
            clinch.stop()
        self.responder.close()

    # ---- Parts ----

    def certificate(self, label, url=None):
        must_staple = not self.plain and self.mode != "always"
        urls = [self.responder.url if url is None else url] if url != "" else []
        return self.ca.issue(ocsp=urls, must_staple=must_staple, label=f"{self.folder.name}-{label}")

    def issue(self, fault, label):
        return self.certificate(label, self.responder.another_url() if fault.url is None else fault.url)

    def spoil(self, faults=None):
        for fault in faults or self.faults:
            if fault.behaviour:
                self.responder.behave(fault.behaviour, self.certificates[fault.name])

    def config(self, certificates, store=False, url=None, healthy=False):
        """healthy: every responder answers, however slow a loaded machine is.
        Else a fault may be one that only time ends."""
        timeout, start_wait = ("30s", "40s") if healthy else ("3s", "8s")
        text = f"store_dir = {self.folder}/state\n" if store else ""
        text += f"[log]\nlevel = info\n[ocsp]\nmode = {self.mode}\ntimeout = {timeout}\nstart_wait = {start_wait}\n"
        text += f"url = {url}\n" if url else ""
        for name, files in certificates.items():
            text += f"[listener {name.replace(' ', '-').replace(',', '')}]\naccept = 127.0.0.1:0\n"
            text += f"connect = {self.connect}\ncert = {files.pem}\n"
        return text

    def launch(self, label, certificates, **config):
        folder = self.folder / label.replace(" ", "-")
        folder.mkdir()
        self.running.append(proxy.Clinch(folder, self.config(certificates, **config)))
        return self.running[-1]

    @property
    def lively(self):
        """Is any request under way?"""
        return self.mode != "never" and not self.plain

    def cell(self, clinch, fault):
        port = clinch.port(fault.name.replace(" ", "-").replace(",", ""))
        try:
            return STATUS[status_of(port, self.ca)]
        except Refused:
            return "alert"

    def cells(self, clinch, faults=None):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            faults = faults or self.faults
            return dict(zip([fault.name for fault in faults], pool.map(lambda one: self.cell(clinch, one), faults)))

    def ended_or_ready(self, clinch):
        """The exit status as a cell, or None when it serves."""
        until(lambda: clinch.process.poll() is not None or clinch.grep("server started"), "started or ended", 30)
        return None if clinch.process.poll() is None else f"exit {clinch.wait_exit()}"


# ---- Phases ----


def start(scene):
    """Nothing held, the fault there from the beginning."""
    scene.spoil()
    if scene.mode in STRICT:
        return each(scene, lambda fault: alone(scene, fault))
    clinch = scene.launch("start", scene.certificates)
    clinch.ready()
    return scene.cells(clinch)


def alone(scene, fault):
    """A process for this certificate only: it may end."""
    clinch = scene.launch(f"alone-{fault.name}", held(scene, [fault]))
    ended = scene.ended_or_ready(clinch) or scene.cell(clinch, fault)
    clinch.stop()
    return ended


def each(scene, call):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return dict(zip([fault.name for fault in scene.faults], pool.map(call, scene.faults)))


def answerable(scene):
    """Faults whose own responder can send a good response first and fail
    then."""
    return [fault for fault in scene.faults if fault.behaviour]


def unanswerable(scene):
    """Faults whose own responder never sends a response: the held one came
    from a `url` that the configuration no longer has."""
    return [fault for fault in scene.faults if not fault.behaviour]


def held(scene, faults):
    return {fault.name: scene.certificates[fault.name] for fault in faults}


def kept(scene, faults):
    return scene.lively and len(list((scene.folder / "state/ocsp").glob("?" * 64))) == len(faults)


def restart(scene):
    """A valid response on disk, the fault there when the process starts."""
    scene.responder.window(-HOUR, HOUR)  # past its middle: fetched again at once
    for label, faults, url in (("first", answerable(scene), None), ("other", unanswerable(scene), scene.responder.url)):
        clinch = scene.launch(label, held(scene, faults), store=True, url=url, healthy=True).ready()
        already = faults if label == "first" else scene.faults
        until(lambda: not scene.lively or kept(scene, already), "all are kept", 20)
        clinch.terminate()
    scene.responder.window(-60, HOUR)
    scene.spoil()
    alone = [fault for fault in scene.faults if scene.mode in STRICT and fault.name in ("revoked", "no responder")]
    calm = [fault for fault in scene.faults if fault not in alone]
    second = scene.launch("second", held(scene, calm), store=True).ready()
    if scene.lively:
        told(second, calm)
    cells = scene.cells(second, calm)
    cells.update({fault.name: stops(scene, fault) for fault in alone})
    return cells


def stops(scene, fault):
    """A response on disk lets it start; then it ends, or it does not."""
    clinch = scene.launch(f"stops-{fault.name}", held(scene, [fault]), store=True)
    if fault.behaviour:
        return f"exit {clinch.wait_exit(30)}"
    return scene.ended_or_ready(clinch) or scene.cell(clinch, fault)


def told(clinch, faults):
    """The outcome of every one of them is in the log."""
    silent = [fault for fault in faults if fault.behaviour != "good"]
    # Only a certificate without a responder may be reported by these words: for
    # another fault they would end the wait before its outcome is known.
    other = lambda fault: "|has no responder URL" if fault.name == "no responder" else ""
    said = lambda fault: clinch.grep(rf"ocsp .*(outcome={fault.outcome}\b{other(fault)})")
    until(lambda: all(map(said, silent)), "every outcome is logged", 40)


def running(scene, then=None):
    """A valid response in memory, then the fault."""
    cells = {}
    revoked = [fault for fault in scene.faults if fault.name == "revoked" and scene.mode in STRICT]
    # Past its middle in two seconds; held until the last cell is read, or not.
    scene.responder.window(-10, 14) if then else scene.responder.window(-28, 32)
    for label, faults in (("running", answerable(scene)), ("estranged", unanswerable(scene))):
        calm = [fault for fault in faults if fault not in revoked]
        url = scene.responder.url if label == "estranged" else None
        clinch = scene.launch(label, held(scene, calm), url=url, healthy=True).ready()
        calm = grow_impatient(scene, clinch, calm, url)
        scene.spoil(calm)
        if scene.lively:
            told(clinch, calm)
        cells.update(then(scene, clinch, calm) if then else scene.cells(clinch, calm))
    for fault in [] if then else revoked:
        cells[fault.name] = revoked_later(scene, fault)
    return cells


def grow_impatient(scene, clinch, faults, url):
    """The short timeout from now on, and no url: each certificate's own
    responder is asked.  A strict reload refuses a certificate without one."""
    if url and scene.mode in STRICT:
        faults = [fault for fault in faults if fault.url]
    clinch.write(scene.config(held(scene, faults)))
    assert "reloaded" in clinch.reload(), clinch.output()
    return faults


def revoked_later(scene, fault):
    scene.responder.behave("good", scene.certificates[fault.name])
    clinch = scene.launch("revoked", held(scene, [fault]), healthy=True).ready()
    scene.responder.behave("revoked", scene.certificates[fault.name])
    return f"exit {clinch.wait_exit(40)}"


def expired(scene):
    """What was held in `running` has ended and the fault goes on."""

    def wait(scene, clinch, calm):
        failing = [fault for fault in calm if fault.behaviour not in ("good", "revoked")]
        if scene.lively:
            until(lambda: "staple" not in scene.cells(clinch, failing).values(), "they have expired", 40)
        return scene.cells(clinch, failing)

    return running(scene, wait)


def reload(scene):
    """A reload brings a certificate with the fault from the beginning."""
    scene.spoil()
    clinch = scene.launch("reload", {"base": scene.base}, healthy=True).ready()
    if scene.mode not in STRICT:
        clinch.write(scene.config({"base": scene.base, **scene.certificates}))
        assert "reloaded" in clinch.reload(), clinch.output()
        return scene.cells(clinch)
    return {fault.name: brings(scene, clinch, fault) for fault in scene.faults}


def brings(scene, clinch, fault):
    clinch.write(scene.config({"base": scene.base, fault.name: scene.certificates[fault.name]}))
    if "refused" in clinch.reload():
        return "refused"
    return scene.cell(clinch, fault)


def shown(port):
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def renewal(scene):
    """A reload finds another certificate in the place of one that serves."""
    places = {fault.name: scene.certificate(f"place{i}", scene.responder.url) for i, fault in enumerate(scene.faults)}
    olds = {name: files.serial for name, files in places.items()}
    scene.spoil()
    clinch = scene.launch("renewal", {"base": scene.base, **places}, healthy=True).ready()
    clinch.write(scene.config({"base": scene.base, **places}))
    if scene.mode in STRICT:
        return {fault.name: renewed(scene, clinch, places, olds, [fault])[fault.name] for fault in scene.faults}
    return renewed(scene, clinch, places, olds, scene.faults)


def renewed(scene, clinch, places, olds, faults):
    kept = {fault.name: places[fault.name].pem.read_bytes() for fault in faults}
    for fault in faults:
        shutil.copy(scene.certificates[fault.name].pem, places[fault.name].pem)
    refused = "refused" in clinch.reload()
    cells = {}
    for fault in faults:
        old = shown(clinch.port(fault.name.replace(" ", "-").replace(",", ""))) == olds[fault.name]
        cell = scene.cell(clinch, fault)
        cells[fault.name] = ("refused" if refused else "old") if old else cell
        if old and scene.lively:
            assert cell == "staple", (fault.name, cell)
        if refused or old:
            places[fault.name].pem.write_bytes(kept[fault.name])
    return cells


PHASES = {
    "start": start,
    "restart": restart,
    "running": running,
    "expired": expired,
    "reload": reload,
    "renewal": renewal,
}
