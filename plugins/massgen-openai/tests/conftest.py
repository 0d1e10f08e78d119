"""A server on loopback that answers with what it is told, and keeps what it was asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest


class Asked(NamedTuple):
    path: str
    headers: dict
    body: dict


class Canned:
    def __init__(self, url):
        self.url = url
        self.asked = []
        self.status, self.headers, self.answer = 200, {}, b""

    def says(self, answer, status=200, **headers):
        """What the next requests get: bytes, an object as JSON, or a list of them as a stream."""
        if isinstance(answer, list):
            lines = [f"data: {json.dumps(event)}\n\n" for event in answer]
            answer, headers = "".join(lines).encode(), {"content-type": "text/event-stream"}
        elif not isinstance(answer, bytes):
            answer = json.dumps(answer).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.status, self.headers, self.answer = status, names, answer


@pytest.fixture(name="canned")
def _canned():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            served.asked.append(Asked(self.path, headers, body))
            self.send_response(served.status)
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(served.answer)))
            self.end_headers()
            self.wfile.write(served.answer)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        served = Canned(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
