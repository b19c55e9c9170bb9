"""REST route for commands to the bot of a session."""

from __future__ import annotations

from aiohttp import web

from turnwire.gateway.access.guard import principal_of
from turnwire.gateway.clock import utc_now
from turnwire.gateway.http.answers import json_answer
from turnwire.gateway.http.body import BodyReader
from turnwire.gateway.http.query import session_id_of
from turnwire.gateway.sessions.requests import Requests
from turnwire.protocol.bodies import CommandAnswer, CommandIn
from turnwire.protocol.control.commands import Command, check_command, standard_payload, ttl_of
from turnwire.protocol.messages import Limits
from turnwire.protocol.rights import Scope


class CommandRoutes:
    """`/sessions/{id}/commands`."""

    def __init__(self, limits: Limits, bodies: BodyReader, requests: Requests) -> None:
        self._limits = limits
        self._bodies = bodies
        self._requests = requests

    async def command(self, request: web.Request) -> web.Response:
        session_id = session_id_of(request, self._limits)
        principal = principal_of(request)
        principal.require(Scope.COMMAND, session_id)
        body = await self._bodies.decode(request, CommandIn)
        check_command(body.command_id, body.command, body.payload, body.by, self._limits)
        expires_at = utc_now() + ttl_of(body.command, body.ttl_ms)
        payload = standard_payload(body.command, body.payload)
        by = body.by or principal.known_as
        command = Command(body.command_id, body.command, payload, by, expires_at)
        answer = await self._requests.command(session_id, command)
        outcome = answer.outcome
        shape = CommandAnswer(outcome.command_id, outcome.state, outcome.message)
        return json_answer(shape, status=202, replayed=answer.replayed)
