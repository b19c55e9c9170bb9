"""The line that says why an archive does not answer."""

from __future__ import annotations

import pytest

from turnwire.store.archive.reasons import reason_of

AZURE = """\
Object at location calls/sessions/f7/call-20-f7b45f477646fa1e572f445b/1630752447-0b59b4ec956f.ndjson.zst not found: \
Error performing PUT https://ours.blob.core.windows.net/calls/f7/call-20.ndjson.zst in 3.5ms - Server returned non-2xx \
status code: 404 Not Found: <?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Error>
  <Code>ContainerNotFound</Code>
  <Message>The specified container does not exist.
RequestId:d8abd697-84d8-40f6-976a-b8d24d442ad7
Time:2025-11-29T00:15:29.154Z</Message>
</Error>

Debug source:
NotFound {"""
PLAIN = (
    "Generic GCS error: Error performing POST https://storage.googleapis.com/b/o in 9ms, after 2 retries, "
    "max_retries: 2, retry_timeout: 10s  - Server returned non-2xx status code: "
    '503 Service Unavailable: {\n  "error": "later"\n}'
)
NO_BODY = "Error performing HEAD http://127.0.0.1:9/a in 1ms - Server returned non-2xx status code: 403 Forbidden: "
SILENT = (
    "Generic S3 error: Error performing PUT http://127.0.0.1:1/a in 1ms - HTTP error: error sending request\n\nDebug"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            AZURE,
            "404 Not Found: ContainerNotFound: The specified container does not exist. "
            "(PUT https://ours.blob.core.windows.net/calls/f7/call-20.ndjson.zst)",
        ),
        (PLAIN, '503 Service Unavailable: { "error": "later" } (POST https://storage.googleapis.com/b/o)'),
        (NO_BODY, "403 Forbidden (HEAD http://127.0.0.1:9/a)"),
        (SILENT, SILENT.partition("\n")[0]),
        ("", "OSError"),
    ],
)
def test_the_reason_for_a_failure_begins_with_the_words_of_the_object_store(text: str, reason: str) -> None:
    assert reason_of(OSError(text)) == reason


def test_a_long_answer_is_cut() -> None:
    assert len(reason_of(OSError(f"{NO_BODY}{'x' * 5000}"))) < 400
