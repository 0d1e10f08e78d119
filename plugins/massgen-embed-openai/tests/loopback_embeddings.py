"""A real embeddings server on loopback that answers what a test scripts."""

from __future__ import annotations

import json
import math
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIZE = 8


def vector_of(text):
    vector = [0.0] * SIZE
    for place, letter in enumerate(text[:2000]):
        vector[(ord(letter) * 31 + place % 5) % SIZE] += 1.0
    norm = math.hypot(*vector) or 1.0
    return [value / norm for value in vector]


def answer(*vectors):
    rows = [{"index": n, "embedding": v} for n, v in enumerate(vectors)]
    return {"object": "list", "data": rows}


class Script(ThreadingHTTPServer):
    """Answers each request by the next of `steps`, a function of the handler; else rightly."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.steps = []
        self.paths = []
        self.clients = []
        self.asked = threading.Event()
        self.requests = []  # (body, headers) of each
        self.ended = threading.Event()
        self.lock = threading.Lock()

    def handle_error(self, request, client_address):
        """A client that hung up, as it should when a call is cancelled."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def inputs(self):
        return [body["input"] for body, _ in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Script

    def do_POST(self):
        content = self.rfile.read(int(self.headers["content-length"]))
        self.body = json.loads(content.decode())
        with self.server.lock:
            self.server.paths.append(self.path)
            self.server.clients.append(self.client_address)
            self.server.requests.append((self.body, dict(self.headers)))
            step = self.server.steps.pop(0) if self.server.steps else right
        step(self)
        self.server.asked.set()

    def send(self, status, content, *, length=None, **headers):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        return None


def right(handler):
    handler.send(200, answer(*map(vector_of, handler.body["input"])))


def status(code, message="", *, length=None, **headers):
    """A step that refuses with an error object as OpenAI sends it."""
    error = {"error": {"message": message, "type": "error", "code": None}}
    return lambda handler: handler.send(code, error, length=length, **headers)


def body(content, *, length=None):
    """A step that answers 200 with this."""

    def step(handler):
        handler.send(200, content, length=length)
        if length is not None:
            handler.close_connection = True

    return step


def stall(handler):
    """A step that says nothing until the server ends."""
    handler.server.ended.wait(30)
    handler.close_connection = True


@contextmanager
def serving():
    with Script() as script:
        thread = threading.Thread(target=script.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield script
        finally:
            script.ended.set()
            script.shutdown()
            thread.join()
