"""A topic on loopback that speaks SNS's `Publish`, keeps what was published, and can fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

from tests.support import loopback

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
    with loopback.serving(_Handler, TopicService) as service:
        yield service


class _Handler(loopback.Handler):
    service: TopicService

    def do_POST(self) -> None:  # noqa: N802 the base class calls it so
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        status, text = self.service.answer(parse_qs(raw.decode()))
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
