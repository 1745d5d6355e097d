"""A receiver of hooks: an HTTP(S) server that keeps what it was told, checks signatures, and answers as a
test wants it to."""

import hashlib
import hmac
import http.server
import json
import socket
import threading
import time

import harness


class Receiver:
    """secret: requests must be signed with it. answer(path, body) gives (status, JSON or None); it may sleep.
    tls: (certificate, key) files. port 0 = any."""

    def __init__(self, secret=None, answer=None, context=None, port=0):
        self.secret, self.answer, self.context = secret, answer, context
        self.lock = threading.Lock()
        self.requests = []  # (path, body, status), in order
        self.parents = []   # their traceparents, None where there was none
        self.problems = []
        self.connections = set()
        self.server = None
        self.port = port
        self.open()

    def open(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                receiver.connections.add(self.connection)

            def finish(self):
                receiver.connections.discard(self.connection)
                super().finish()

            def do_POST(self):
                receiver._take(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # who asked has gone

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        if self.context:
            self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        """Nobody listens; open() again on the same port."""
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has gone by itself

    def url(self, path="/"):
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}{path}"

    def _take(self, handler):
        raw = handler.rfile.read(int(handler.headers["Content-Length"]))
        problem = self._problem(handler, raw)
        body = json.loads(raw)
        status, answer = self.answer(handler.path, body) if self.answer else (200, None)
        with self.lock:
            if problem:
                self.problems.append(problem)
            self.requests.append((handler.path, body, status))
            self.parents.append(handler.headers["traceparent"])
        text = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
        try:
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(text)))
            handler.end_headers()
            handler.wfile.write(text)
        except OSError:
            handler.close_connection = True  # the node did not wait for it

    def _problem(self, handler, raw):
        if handler.headers["Content-Type"] != "application/json":
            return f"Content-Type {handler.headers['Content-Type']}"
        when = handler.headers["X-Headwater-Timestamp"]
        if abs(time.time() - int(when)) > 60:
            return f"X-Headwater-Timestamp {when}"
        if self.secret is None:
            return handler.headers["X-Headwater-Signature"] and "signed, but there is no secret"
        expected = hmac.new(self.secret.encode(), when.encode() + b"." + raw, hashlib.sha256).hexdigest()
        found = handler.headers["X-Headwater-Signature"]
        return None if found == f"sha256={expected}" else f"X-Headwater-Signature {found}"

    def events(self, *names):
        """What was told and taken, in order, all or of these names."""
        with self.lock:
            told = [event for _, body, status in self.requests if status < 300 for event in body.get("events", ())]
        return [event for event in told if not names or event["event"] in names]

    def questions(self, path=None):
        with self.lock:
            return [body["question"] for at, body, _ in self.requests if "question" in body and path in (None, at)]

    def wait_event(self, name, timeout_s=20, **fields):
        def look():
            return next((e for e in self.events(name) if fields.items() <= e.items()), None)
        return harness.wait_until(look, timeout_s, lambda: f"{name} {fields}; told: {self.events()}")
