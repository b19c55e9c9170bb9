"""Messages of both sockets about the token of a connection, which may expire while the connection is open."""

from __future__ import annotations

from turnwire.protocol.shape import Shape, Timestamp


class Expiring(Shape, tag_field="type", tag="expiring"):
    """A warning that the token of this connection expires soon. Without a newer `auth`, the gateway closes with
    4402."""

    expires_at: Timestamp


class Auth(Shape, tag_field="type", tag="auth"):
    """A newer token for this connection, of the same subject."""

    token: str


class Authenticated(Shape, tag_field="type", tag="authenticated"):
    """The answer to `auth`: the connection may stay open until the time given."""

    expires_at: Timestamp
