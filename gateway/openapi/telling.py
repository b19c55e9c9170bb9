"""The routes of webhooks, in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from turnwire.gateway.openapi.examples import TIME
from turnwire.gateway.openapi.parts import JSON, operation, parameter
from turnwire.gateway.openapi.schemas import Schema, ref, simplify
from turnwire.protocol.rights import Scope
from turnwire.protocol.telling import shapes

_ID: Final = "wh_3f8a2c61b9d04e5f8a7b"
_URL: Final = "https://example.com/turnwire"
_EVENTS: Final = ["session.completed", "session.failed", "error", "tool.failed"]
_WEBHOOK: Final[Schema] = {
    "webhookId": _ID,
    "url": _URL,
    "events": _EVENTS,
    "description": None,
    "createdAt": TIME,
    "state": "active",
    "disabledAt": None,
    "disabledReason": None,
    "waiting": 0,
    "failing": 0,
    "deliveredAt": TIME,
    "lastError": None,
    "toldUntil": TIME,
}
_EXAMPLES: Final[dict[str, Schema]] = {
    "NewWebhook": {"url": _URL, "events": _EVENTS},
    "AmendWebhook": {"enabled": True},
    "RotateWebhook": {"overlapSeconds": shapes.DEFAULT_OVERLAP_SECONDS},
    "ReplayWebhook": {"since": TIME},
    "Webhook": _WEBHOOK,
    "WebhookWithSecret": {**_WEBHOOK, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    "WebhookList": {"webhooks": [_WEBHOOK]},
    "WebhookTrial": {"taken": True, "tookMs": 42, "error": None},
}
_SENT: Final = (shapes.NewWebhook, shapes.AmendWebhook, shapes.RotateWebhook, shapes.ReplayWebhook)
_ANSWERED: Final = (shapes.Webhook, shapes.WebhookWithSecret, shapes.WebhookList, shapes.WebhookTrial)
_NEEDS: Final = f"Needs `{Scope.ADMIN}`."


def webhook_paths(read_errors: Sequence[int], write_errors: Sequence[int]) -> Schema:
    """Return the routes. `read_errors` and `write_errors`: the statuses of every route that reads, and of every one
    that writes."""
    one = [parameter("webhookId", "The id of the webhook.", {"type": "string"}, place="path", example=_ID)]
    unknown = (*read_errors, 404)
    written = (*write_errors, 404)
    return {
        "/webhooks": {"get": _list(read_errors), "post": _add(write_errors)},
        "/webhooks/{webhookId}": {
            "parameters": one,
            "get": _read(unknown),
            "patch": _amend(written),
            "delete": _remove(read_errors),
        },
        "/webhooks/{webhookId}/rotate": {"parameters": one, "post": _rotate(written)},
        "/webhooks/{webhookId}/test": {"parameters": one, "post": _test(unknown)},
        "/webhooks/{webhookId}/replay": {"parameters": one, "post": _replay(written)},
    }


def webhook_schemas() -> dict[str, Schema]:
    """Return the bodies of the routes, by name."""
    _, made = msgspec.json.schema_components((*_SENT, *_ANSWERED), ref_template="#/components/schemas/{name}")
    for kind in _ANSWERED:
        made[kind.__name__]["required"] = list(made[kind.__name__]["properties"])
    for name, schema in made.items():
        simplify(schema)
        schema["examples"] = [_EXAMPLES[name]]
    _set_limits(made)
    return made


def _set_limits(made: dict[str, Schema]) -> None:
    names = {"type": "string", "pattern": shapes.EVENTS_PATTERN, "maxLength": shapes.MAX_NAME_CHARS}
    events = {"type": "array", "items": names, "minItems": 1, "maxItems": shapes.MAX_EVENTS}
    for name in ("NewWebhook", "AmendWebhook"):
        made[name]["properties"]["url"] |= {"format": "uri", "maxLength": shapes.MAX_URL_CHARS}
        made[name]["properties"]["events"] = events
    made["ReplayWebhook"]["properties"]["since"] |= {"format": "date-time"}


def _content(name: str) -> Schema:
    return {JSON: {"schema": ref(name), "example": _EXAMPLES[name]}}


def _answer(text: str, name: str) -> Schema:
    return {"description": text, "content": _content(name)}


def _operation(
    operation_id: str, summary: str, text: str, answers: Schema, errors: Sequence[int], **more: Any
) -> Schema:
    return operation(operation_id, summary, f"{text} {_NEEDS}", tag="Webhooks", answers=answers, errors=errors, **more)


def _body(name: str, *, required: bool = True) -> Schema:
    return {"required": required, "content": _content(name)}


def _list(errors: Sequence[int]) -> Schema:
    answers = {"200": _answer("All webhooks.", "WebhookList")}
    return _operation("listWebhooks", "List webhooks", "All webhooks, and their state.", answers, errors)


def _add(errors: Sequence[int]) -> Schema:
    answers = {
        "201": _answer("The new webhook, with its secret.", "WebhookWithSecret"),
        "200": {
            **_answer("A webhook with this id exists already, and stays as it is.", "Webhook"),
            "headers": {"Idempotent-Replayed": {"$ref": "#/components/headers/IdempotentReplayed"}},
        },
    }
    return _operation(
        "addWebhook",
        "Add a webhook",
        "From now on, the messages of these types are sent to the URL. `events` are types such as `session.completed`, "
        "`error` or `user_speech`, beginnings such as `tool.*`, or `*`. The secret is shown only now.",
        answers,
        errors,
        requestBody=_body("NewWebhook"),
    )


def _read(errors: Sequence[int]) -> Schema:
    answers = {"200": _answer("The webhook.", "Webhook")}
    return _operation("readWebhook", "Read a webhook", "The webhook, and its state.", answers, errors)


def _amend(errors: Sequence[int]) -> Schema:
    return _operation(
        "amendWebhook",
        "Change a webhook",
        "Changes the given fields. `enabled: true` restarts a disabled webhook where it stopped.",
        {"200": _answer("The webhook.", "Webhook")},
        errors,
        requestBody=_body("AmendWebhook"),
    )


def _remove(errors: Sequence[int]) -> Schema:
    answers: Schema = {"204": {"description": "There is no such webhook any more."}}
    return _operation("removeWebhook", "Remove a webhook", "Safe to repeat.", answers, errors)


def _rotate(errors: Sequence[int]) -> Schema:
    return _operation(
        "rotateWebhook",
        "Rotate the secret",
        "Messages are signed with the new secret, and for `overlapSeconds` with the older one as well.",
        {"200": _answer("The webhook, with its new secret.", "WebhookWithSecret")},
        errors,
        requestBody=_body("RotateWebhook", required=False),
    )


def _test(errors: Sequence[int]) -> Schema:
    answers = {"200": _answer("The result of the message.", "WebhookTrial")}
    return _operation("testWebhook", "Send a test message", "One of the type `webhook.test`.", answers, errors)


def _replay(errors: Sequence[int]) -> Schema:
    return _operation(
        "replayWebhook",
        "Send again",
        "Sends everything since this time again, with the same message ids. Enables the webhook.",
        {"200": _answer("The webhook.", "Webhook")},
        errors,
        requestBody=_body("ReplayWebhook"),
    )
