"""Hides passwords and credentials in text for people."""

from __future__ import annotations

import re
from typing import Final

_URI_PASSWORD: Final = re.compile(r"(\w+://[^\s:/@]*:)[^\s@/]+@")
_CREDENTIAL: Final = re.compile(
    r"\b(tw_[A-Za-z0-9._-]{1,64}_)[A-Za-z0-9]{32,}|\b(eyJ)[A-Za-z0-9_-]{0,1024}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
)


def hide_password(text: str) -> str:
    """Return the text with the password of every URI replaced by `***`."""
    return _URI_PASSWORD.sub(r"\1***@", text)


def hide_credentials(text: str) -> str:
    """Return the text with the secret of every API key, and every token, replaced by `***`."""
    return _CREDENTIAL.sub(lambda found: f"{found[1] or found[2]}***", text)
