"""A server on loopback that answers with what a test wrote down, byte for byte."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Script:
    """What is answered next, and what was asked."""

    def __init__(self, url):
        self.url = url
        self.answers = []
        self.asked = []

    def says(self, *events, status=200, headers=None):
        """The next answer: events of a stream, or the JSON of an error."""
        if status == 200 and events and "type" in events[0]:
            body = b"".join(
                f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events
            )
            sent = {"content-type": "text/event-stream"}
        else:
            body, sent = json.dumps(events[0]).encode(), {"content-type": "application/json"}
        self.answers.append((status, {**sent, **(headers or {})}, body))

    def fails(self, status, kind, message, **headers):
        """The next answer: an error in the words of the Messages API."""
        error = {"type": "error", "error": {"type": kind, "message": message}}
        body = json.dumps(error).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append((status, {"content-type": "application/json", **names}, body))


@contextmanager
def serving():
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            length = int(self.headers["content-length"])
            body = json.loads(self.rfile.read(length))
            script.asked.append((self.path, dict(self.headers), body))
            status, headers, answer = script.answers.pop(0)
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    script = Script(f"http://127.0.0.1:{http.server_port}")
    thread = Thread(target=http.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield script
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
