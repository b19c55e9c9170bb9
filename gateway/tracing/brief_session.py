"""The HTTP session that spans are sent with."""

from __future__ import annotations

from typing import Any, Final

import requests

_MOST_BYTES: Final = 64 * 1024
"""The longest body that is read, so that its connection can be used again."""


class BriefSession(requests.Session):
    """Reads little of the answers, treats a redirect as a failure, and knows why the last request has failed.

    The exporter needs only the status, but `requests` reads every answer to its end, however long it is. The exporter
    does not follow redirects, and treats them as success.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fault = ""
        """Why the last request has failed; empty if it has not. Has no part of a URL, which may hold a secret."""

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """Send a request. Raises RequestException, also for a redirect."""
        try:
            answer = super().request(*args, **options | {"stream": True})
            _read_little(answer)
        except requests.RequestException as error:
            self.fault = type(error).__name__
            raise
        self.fault = "" if answer.ok else f"it answered {answer.status_code}"
        if 300 <= answer.status_code < 400:
            self.fault = f"it answered {answer.status_code}; redirects are not followed"
            raise requests.RequestException(self.fault)
        return answer


def _read_little(answer: requests.Response) -> None:
    """Read the body if it is known to be short. Otherwise, close the connection."""
    length = answer.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length) <= _MOST_BYTES:
        _ = answer.content
    else:
        answer.close()
