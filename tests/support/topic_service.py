"""A topic on loopback that speaks SNS's `Publish`, keeps what was published, and can fail."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

POLL_S = 0.02
NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"


class TopicService:
    """Topics by their ARNs.

    Attributes:
        endpoint: Where it listens.
        published: ARN and message of each publication, in order, every repetition counted.
        failing: Whether SNS answers with an error of its own, and keeps nothing.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.published: list[tuple[str, str]] = []
        self.failing = False

    def answer(self, form: dict[str, list[str]]) -> tuple[int, str]:
        """Return the status and the XML of one request."""
        assert form["Action"] == ["Publish"]
        if self.failing:
            error = "<Error><Type>Receiver</Type><Code>InternalError</Code></Error>"
            return 500, f'<ErrorResponse xmlns="{NAMESPACE}">{error}</ErrorResponse>'
        self.published.append((form["TopicArn"][0], form["Message"][0]))
        result = "<PublishResult><MessageId>1</MessageId></PublishResult>"
        return 200, f'<PublishResponse xmlns="{NAMESPACE}">{result}</PublishResponse>'


@contextmanager
def running() -> Iterator[TopicService]:
    """Run a topic service on a free loopback port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    service = TopicService(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"service": service})
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    service: TopicService
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        status, text = self.service.answer(parse_qs(raw.decode()))
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Stay silent."""
