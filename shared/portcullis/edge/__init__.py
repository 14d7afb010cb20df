"""The edge: an API Gateway event becomes a validated request, a result or error a response."""

from portcullis.edge.endpoint import endpoint
from portcullis.edge.request import Request
from portcullis.edge.response import Response

__all__ = ["Request", "Response", "endpoint"]
