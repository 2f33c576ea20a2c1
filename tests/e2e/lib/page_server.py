"""The status page behind a server of ours, which gives it a document that no
clinch would: for hostile, huge and incomplete ones."""

import http.server
import json
import pathlib
import threading

PAGE = pathlib.Path(__file__).resolve().parents[3] / "src" / "admin" / "page.html"


class PageServer:
    """GET / is the page, GET status is `document`: a dict, bytes, or a function
    that returns one of them."""

    def __init__(self, document, status=200):
        self.document, self.status = document, status
        self.asked = []  # methods and paths
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_GET(self):
                outer._answer(self)

            def do_POST(self):
                outer._answer(self)

        self._handler = Handler
        self._open(0)

    def _open(self, port):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def _answer(self, handler):
        self.asked.append((handler.command, handler.path))
        if handler.path == "/":
            return self._send(handler, 200, "text/html; charset=utf-8", PAGE.read_bytes())
        if handler.path != "/status":
            return self._send(handler, 404, "text/plain", b"")
        made = self.document() if callable(self.document) else self.document
        body = made if isinstance(made, bytes) else json.dumps(made).encode()
        self._send(handler, self.status, "application/json", body)

    @staticmethod
    def _send(handler, status, kind, body):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def stop(self):
        """From now on connections are refused; start() takes the port again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def start(self):
        self._open(self.port)

    close = stop
