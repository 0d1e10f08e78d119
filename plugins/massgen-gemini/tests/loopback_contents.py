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

    def says(self, *chunks):
        """The next answer: chunks of a stream."""
        body = b"".join(f"data: {json.dumps(chunk)}\r\n\r\n".encode() for chunk in chunks)
        self.answers.append((200, {"content-type": "text/event-stream"}, body))

    def tells(self, answer):
        """The next answer: JSON."""
        body = json.dumps(answer).encode()
        self.answers.append((200, {"content-type": "application/json"}, body))

    def fails(self, code, status, message, *details, **headers):
        """The next answer: an error in the words of the API."""
        error = {"code": code, "message": message, "status": status}
        if details:
            error["details"] = list(details)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps({"error": error}).encode()
        self.answers.append((code, {"content-type": "application/json", **names}, body))


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
