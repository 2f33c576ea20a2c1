"""A web server with the certificates of authorities (AIA caIssuers).

    depot.put("/ca.crt", der)          from now on GET /ca.crt returns this
    depot.url("/ca.crt")               where that is

Whatever was fetched stands in depot.fetched.
"""

import http.server
import threading


class Depot:
    """Serves on a port of the kernel's choice until closed."""

    def __init__(self):
        self.files, self.fetched = {}, []
        self.accepts = []  # the Accept header of each request
        self.gate = threading.Event()  # cleared: requests wait for it
        self.gate.set()
        self._start(0)

    def put(self, path, body=b"", status=200, **headers):
        self.files[path] = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return self.url(path)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def stop(self):
        """From now on connections are refused; start() takes the port again."""
        self._server.shutdown()
        self._server.server_close()

    def start(self):
        self._start(self.port)

    def close(self):
        self.gate.set()
        self.stop()

    def _start(self, port):
        depot = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, body, headers = depot.files.get(self.path, (404, b"", {}))
                depot.fetched.append(self.path)
                depot.accepts.append(self.headers.get("Accept"))
                depot.gate.wait(20)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
