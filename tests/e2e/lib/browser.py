"""A headless Chromium, driven through the W3C protocol of its chromedriver."""

import base64
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request

from .wait import until

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    # No name is looked up, whatever the browser does beside the page.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class Browser:
    """One page.  `folder` is empty: it takes the profile and every other file."""

    def __init__(self, folder):
        self.folder = folder
        self._first = None  # script of run_first()
        self.process = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"},
        )
        try:
            self.session = None
            self.root = self._started()
            self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": self._capabilities()}})["sessionId"]
        except BaseException:
            self.close()
            raise

    def _started(self):
        printed = []
        for line in self.process.stdout:
            printed.append(line)
            if found := re.search(r"started successfully on port (\d+)", line):
                return f"http://127.0.0.1:{found.group(1)}"
        raise AssertionError("chromedriver ended:\n" + "".join(printed))

    def _capabilities(self):
        return {
            "browserName": "chrome",
            "goog:chromeOptions": {
                "binary": shutil.which("chromium"),
                "args": [*FLAGS, f"--user-data-dir={self.folder}/profile"],
            },
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:2000]}") from None

    def _do(self, path, body):
        return self._call("POST", f"/session/{self.session}{path}", body)

    def cdp(self, command, **parameters):
        return self._do("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, url):
        self._do("/url", {"url": url})
        if self._first:
            self.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=self._first)
            self._first = None

    def run(self, script, *arguments):
        """The value of a function body in the page."""
        return self._do("/execute/sync", {"script": script, "args": list(arguments)})

    def value(self, expression):
        return self.run(f"return {expression}")

    def until(self, expression, what=None, deadline=20.0):
        """Poll until the expression is true in the page; return its value."""
        return until(lambda: self.value(expression), what or expression, deadline)

    def text(self, selector="body"):
        """What is shown there; "" where there is nothing."""
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(one => one.innerText)", selector)

    def screen(self, width, height, scale=1):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)

    def media(self, scheme="light", motion="no-preference"):
        """What the system prefers: "light" or "dark", "no-preference" or "reduce"."""
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features.items()])

    def run_first(self, script):
        """In the next page that is opened, before its own scripts."""
        self._first = self.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"]

    def type(self, selector, text):
        """Replace what stands in an input."""
        self.run(
            """const one = document.querySelector(arguments[0]);
            one.value = arguments[1];
            one.dispatchEvent(new Event("input", { bubbles: true }));""",
            selector,
            text,
        )

    def key(self, name, text=""):
        for kind in ("keyDown", "keyUp"):
            self.cdp("Input.dispatchKeyEvent", type=kind, key=name, code=name, text=text if kind == "keyDown" else "", windowsVirtualKeyCode=13)

    def names(self, role):
        """The names that the accessibility tree has for the things of a role."""
        self.cdp("Accessibility.enable")
        nodes = self.cdp("Accessibility.getFullAXTree")["nodes"]
        return [one.get("name", {}).get("value", "") for one in nodes if one.get("role", {}).get("value") == role and not one["ignored"]]

    def screenshot(self, file, whole=False):
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def log(self, kind):
        """Lines of "browser" (the console) or "performance" since the last call."""
        return self._do("/se/log", {"type": kind})

    def console(self):
        return [f"{line['level']}: {line['message']}" for line in self.log("browser")]

    def requests(self):
        """(method, URL) of what the page asked for since the last call."""
        found = []
        for line in self.log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                request = message["params"]["request"]
                found.append((request["method"], request["url"]))
        return found

    def close(self):
        try:
            if self.session:
                self._call("DELETE", f"/session/{self.session}")
        finally:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
