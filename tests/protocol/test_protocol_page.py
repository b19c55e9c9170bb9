"""docs/protocol.md agrees with the code: messages and their fields, shapes, limits, error codes, examples."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from turnwire.protocol.codec import CODECS
from turnwire.protocol.errors import CloseCode, ErrorCode, TurnwireError
from turnwire.protocol.messages import (
    REF_CHARS,
    Event,
    Limits,
    PublisherCommand,
    PublisherReply,
    Session,
    SubscriberCommand,
    SubscriberPush,
    Summary,
)
from turnwire.protocol.token_messages import Auth

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
GOLDEN = Path(__file__).parent / "golden"


def section(heading: str) -> str:
    """Return the text under a heading, up to the next heading."""
    found = re.search(rf"^(#+) {heading}\n(.*?)(?=^#{{1,2}} |^### |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None, f"there is no section {heading!r}"
    return found[2]


def table(text: str, first: str) -> list[list[str]]:
    """Return the rows of the table whose first column is called `first`."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {first} |"):
            next(lines)
            break
    else:
        raise AssertionError(f"there is no table of {first!r}")
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def code_words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- messages and shapes ---------------------------------------------------------------------------------------------


def fields_of(struct: Any) -> dict[str, bool]:
    """Return the wire names of a Struct's fields, and whether each may be left out."""
    return {field.encode_name: not field.required for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize(
    ("heading", "union"),
    [
        ("A publisher sends", PublisherCommand | Auth),
        ("A publisher gets", PublisherReply),
        ("A subscriber sends", SubscriberCommand | Auth),
        ("A subscriber gets", SubscriberPush),
    ],
)
def test_the_protocol_page_lists_exactly_the_existing_messages_with_their_fields(heading: str, union: Any) -> None:
    listed = {}
    for type_cell, fields_cell, meaning in table(section(heading), "type"):
        (name,) = code_words(type_cell)
        listed[name] = {field.removesuffix("?"): field.endswith("?") for field in code_words(fields_cell)}
        assert meaning
    assert listed == {struct.__struct_config__.tag: fields_of(struct) for struct in get_args(union)}


@pytest.mark.parametrize("shape", [Session, Event, Summary])
def test_the_protocol_page_lists_exactly_the_fields_of_each_shape(shape: Any) -> None:
    listed = [name for row in table(section(shape.__name__), "field") for name in code_words(row[0])]
    assert listed == list(fields_of(shape))


def test_the_protocol_page_lists_the_values_that_a_field_may_have() -> None:
    for shape, name in ((Session, "status"), (Event, "type")):
        (row,) = (row for row in table(section(shape.__name__), "field") if row[0] == f"`{name}`")
        (field,) = (field for field in msgspec.inspect.type_info(shape).fields if field.name == name)  # type: ignore[attr-defined]
        assert set(code_words(row[1])) == set(field.type.values)


def test_the_protocol_page_lists_the_subprotocols() -> None:
    assert {row[0].strip("`") for row in table(section("WebSocket"), "subprotocol")} == CODECS.keys()


# --- limits ----------------------------------------------------------------------------------------------------------


def test_the_protocol_page_has_the_default_limits() -> None:
    limits = Limits()
    rows = {row[2].strip("`"): int(row[1]) for row in table(section("Limits"), "what")}
    assert rows == {
        "TURNWIRE_MAX_ID_CHARS": limits.id_chars,
        "TURNWIRE_MAX_EVENT_BYTES": limits.event_bytes,
        "TURNWIRE_MAX_FRAME_BYTES": limits.frame_bytes,
        "TURNWIRE_MAX_DEPTH": limits.depth,
        "TURNWIRE_MAX_METADATA_BYTES": limits.metadata_bytes,
        "TURNWIRE_MAX_BATCH_EVENTS": limits.batch_events,
        "TURNWIRE_MAX_IN_FLIGHT": limits.in_flight,
        "": REF_CHARS,
    }


# --- errors ----------------------------------------------------------------------------------------------------------


def test_the_protocol_page_lists_exactly_the_error_codes_with_their_facts() -> None:
    listed = {
        row[0].strip("`"): (int(row[1]), int(row[2]), {"yes": True, "no": False}[row[3]])
        for row in table(section("Errors"), "code")
    }
    assert listed == {str(code): (code.facts.status, int(code.facts.close), code.facts.retryable) for code in ErrorCode}


def test_the_protocol_page_lists_exactly_the_close_codes() -> None:
    listed = [int(row[0]) for row in table(section("Liveness and closing"), "close code")]
    assert listed == [int(code) for code in CloseCode]


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_has_the_status_close_code_and_retryable_flag_of_its_code(code: ErrorCode) -> None:
    error = TurnwireError(code, "text")
    assert error.retryable == code.facts.retryable
    assert HTTPStatus(code.facts.status) >= HTTPStatus.BAD_REQUEST
    assert (code.facts.status in (429, 500, 503)) == code.facts.retryable


def test_the_text_of_an_error_is_cut_to_400_characters() -> None:
    error = TurnwireError(ErrorCode.INVALID_MESSAGE, "x" * 401, ["y" * 400, "z" * 1000])
    assert error.message == str(error) == "x" * 399 + "…"
    assert error.details == ["y" * 400, "z" * 399 + "…"]
    assert "400 characters" in section("Limits")


# --- examples --------------------------------------------------------------------------------------------------------


def test_the_examples_on_the_protocol_page_are_exactly_the_golden_frames() -> None:
    blocks = re.findall(r"^```json\n(.*?)^```", section("Examples"), re.DOTALL | re.MULTILINE)
    shown = [line for block in blocks for line in block.splitlines(keepends=True)]
    golden = [path.read_text(encoding="utf-8") for path in GOLDEN.glob("*.json")]
    assert sorted(shown) == sorted(golden)


def test_the_binary_example_on_the_protocol_page_is_the_golden_frame() -> None:
    (block,) = re.findall(r"^```text\n(.*?)^```", section("Examples"), re.DOTALL | re.MULTILINE)
    assert block == (GOLDEN / "ack.msgpack.hex").read_text()


def test_links_within_the_protocol_page_lead_to_its_headings() -> None:
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings
