"""Refusals become HTTP answers with their own status and headers."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from turnwire.gateway.access.refusals import Refusal, forbidden, no_credential, rate_limited
from turnwire.gateway.http.error_answers import error_answer
from turnwire.protocol.errors import ErrorCode, InvalidMessage


def answer(error: Exception) -> tuple[web.Response, Any]:
    response = error_answer(make_mocked_request("GET", "/sessions"), error)
    assert isinstance(response.body, bytes)
    return response, json.loads(response.body)


def test_a_refused_credential_is_answered_401_with_a_challenge() -> None:
    response, envelope = answer(no_credential())
    assert (response.status, envelope["code"]) == (401, "unauthenticated")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="turnwire"'


def test_an_exceeded_rate_is_answered_429_with_the_time_to_wait() -> None:
    response, envelope = answer(rate_limited("requests", "slow down", 6.2, {"RateLimit": '"requests";r=0;t=7'}))
    assert (response.status, envelope["code"]) == (429, "rate_limited")
    assert response.headers["Retry-After"] == "7"
    assert response.headers["RateLimit"] == '"requests";r=0;t=7'


def test_a_foreign_host_is_answered_421() -> None:
    response, envelope = answer(Refusal(ErrorCode.INVALID_MESSAGE, "host", "not here", status=421))
    assert (response.status, envelope["error"]) == (421, "Misdirected Request")


def test_other_refusals_are_answered_with_the_status_of_their_code() -> None:
    assert answer(forbidden("scope", "no"))[0].status == 403
    assert answer(InvalidMessage("no"))[0].status == 400
