"""Messages of both sockets about the token of a connection, which may end before the connection does."""

from __future__ import annotations

from turnwire.protocol.shape import Shape, Timestamp


class Expiring(Shape, tag_field="type", tag="expiring"):
    """The token of this connection expires soon: answer with `auth`, or be closed with 4402."""

    expires_at: Timestamp


class Auth(Shape, tag_field="type", tag="auth"):
    """Another token for this connection, of the same subject."""

    token: str


class Authenticated(Shape, tag_field="type", tag="authenticated"):
    """The token has been taken; the connection may live until then."""

    expires_at: Timestamp
