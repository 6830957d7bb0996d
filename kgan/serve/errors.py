"""What a server answers instead of a result."""

from __future__ import annotations

from kgan.errors import UserError


class Refusal(UserError):
    """A request that is not answered as asked: its HTTP status, the sentence, and the gRPC code by name."""

    code = "RESOURCE_EXHAUSTED"

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Status(Refusal):
    """As TensorFlow Serving says it: a gRPC code by name, which has its HTTP status, and its text."""

    HTTP = {  # noqa: RUF012  # a table
        "INVALID_ARGUMENT": 400,
        "FAILED_PRECONDITION": 400,
        "OUT_OF_RANGE": 400,
        "NOT_FOUND": 404,
        "RESOURCE_EXHAUSTED": 429,
        "INTERNAL": 500,
        "UNIMPLEMENTED": 501,
        "UNAVAILABLE": 503,
        "DEADLINE_EXCEEDED": 504,
    }

    def __init__(self, code: str, text: str) -> None:
        super().__init__(self.HTTP[code], text)
        self.code = code
