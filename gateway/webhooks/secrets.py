"""Secrets of endpoints, and signatures, according to the Standard Webhooks specification."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from secrets import token_bytes
from typing import Final

from standardwebhooks import Webhook

from turnwire.gateway.webhooks.messages import Message

_PREFIX: Final = "whsec_"
_BYTES: Final = 32


def new_secret() -> str:
    """Make a secret of 256 bits."""
    return _PREFIX + b64encode(token_bytes(_BYTES)).decode()


def signed(message: Message, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """Return the headers of a message that is sent now, with one signature for each secret."""
    moment = now.replace(microsecond=0)
    text = message.body.decode()
    return {
        "webhook-id": message.id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message.id, moment, text) for secret in secrets),
    }
