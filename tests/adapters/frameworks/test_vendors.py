"""The vendors' own SDKs accept the messages of our tests, and their objects are mapped as the messages are."""

from __future__ import annotations

from typing import Any

import pytest
from deepgram.agent.v1 import types as deepgram
from pydantic import TypeAdapter
from retell.lib import verify
from retell.types import WebCallResponse
from vapi import types as vapi

from tests.adapters.mapping import Clock, mapped
from tests.adapters.vendor_messages import DEEPGRAM, DEEPGRAM_REQUEST, RETELL_TRANSCRIPT, VAPI_CALL, retell
from turnwire.adapters import retell as of_retell
from turnwire.adapters import vapi as of_vapi
from turnwire.adapters.deepgram import DeepgramMapper

WHOLE = [*DEEPGRAM, (4.0, DEEPGRAM_REQUEST)]

VAPI_TYPES = {
    "status-update": vapi.ServerMessageStatusUpdate,
    "speech-update": vapi.ServerMessageSpeechUpdate,
    "transcript": vapi.ServerMessageTranscript,
    "tool-calls": vapi.ServerMessageToolCalls,
    "conversation-update": vapi.ServerMessageConversationUpdate,
    "user-interrupted": vapi.ServerMessageUserInterrupted,
    "end-of-call-report": vapi.ServerMessageEndOfCallReport,
}


def test_objects_of_deepgrams_sdk_are_mapped_like_plain_messages() -> None:
    objects: list[tuple[float, Any]] = [
        (at, TypeAdapter(getattr(deepgram, f"AgentV1{message['type']}")).validate_python(message))
        for at, message in WHOLE
    ]
    clock, other = Clock(), Clock()
    assert (
        mapped(DeepgramMapper(clock=clock), clock, objects).items
        == mapped(DeepgramMapper(clock=other), other, WHOLE).items
    )


@pytest.mark.parametrize("body", VAPI_CALL, ids=lambda body: body["message"]["type"])
def test_vapis_sdk_has_every_field_the_adapter_reads(body: dict[str, Any]) -> None:
    message = body["message"]
    typed = TypeAdapter(VAPI_TYPES[message["type"]]).validate_python(message)
    again = typed.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert of_vapi.webhook({"message": again}).items == of_vapi.webhook(body).items


def test_retells_sdk_has_every_field_the_adapter_reads() -> None:
    body = retell(
        "call_analyzed",
        RETELL_TRANSCRIPT,
        disconnection_reason="user_hangup",
        call_analysis={"call_summary": "A table.", "user_sentiment": "Positive", "call_successful": True},
        llm_token_usage={"average": 100.0, "num_requests": 2.0, "values": [90.0, 110.0]},
    )
    typed = WebCallResponse.model_validate(body["call"]).model_dump(mode="json", exclude_none=True)
    assert of_retell.webhook({"event": body["event"], "call": typed}).items == of_retell.webhook(body).items


def test_the_example_checks_the_same_signature_as_retells_sdk() -> None:
    import time  # noqa: PLC0415

    from examples.retell_webhook import signature  # noqa: PLC0415

    stamp = str(int(time.time() * 1000))
    assert verify('{"a": 1}', "key", "v={},d={}".format(stamp, signature(b'{"a": 1}', "key", stamp)))
