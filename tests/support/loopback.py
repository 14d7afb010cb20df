"""A service of a test on a free loopback port, and how its answers leave."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

POLL_S = 0.02
"""How soon a service notices that it is to stop: most tests have some of their own."""


class Handler(BaseHTTPRequestHandler):
    """Keeps connections, sends headers and body together, and stays silent."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # or each answer waits for a delayed ACK

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    """A race opens all its connections at once."""


@contextmanager
def serving[Service](
    handler: type[BaseHTTPRequestHandler], service_at: Callable[[str], Service]
) -> Iterator[Service]:
    """Run a service until the block ends.

    Args:
        handler: Handles each request; finds the service as its own ``service``.
        service_at: Makes the service of an origin such as ``http://127.0.0.1:4711``.
    """
    server = _Server(("127.0.0.1", 0), handler)
    service = service_at(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = type("Handler", (handler,), {"service": service})
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
