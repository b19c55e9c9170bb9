"""The settings as a whole, and reading them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from turnwire.gateway.config.access import AccessSettings
from turnwire.gateway.config.bounds import BoundSettings
from turnwire.gateway.config.keeping import KeepingSettings
from turnwire.gateway.config.server import ServerSettings
from turnwire.gateway.config.sources import environment_name
from turnwire.gateway.config.times import TimeSettings

_SECRET: Final = {"MONGODB_URI", "REDIS_URL", "TURNWIRE_JWKS"}
"""Settings that may hold a password, so that error messages do not repeat their values."""


class ConfigError(Exception):
    """A setting whose value cannot be used. The text names the variable and is for people."""


class Config(KeepingSettings, TimeSettings, BoundSettings, AccessSettings, ServerSettings):
    """All settings, fixed for the life of the process. `Config()` reads the environment; `load_config` also `.env`."""


def load_config(env_file: Path | None = Path(".env"), **overrides: Any) -> Config:
    """Return the settings from `.env`, overridden by the environment, overridden by `overrides` that are not None.

    Raises ConfigError with one line for each bad value.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Config(_env_file=env_file, **given)
    except ValidationError as error:
        raise ConfigError("\n".join(_wrong_values(error))) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{env_file} is not UTF-8 text") from None


def _wrong_values(error: ValidationError) -> list[str]:
    lines = []
    for wrong in error.errors(include_url=False):
        message = wrong["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        message = message.partition(", unable to parse")[0]
        if not wrong["loc"]:
            lines.append(message)
            continue
        name = environment_name(str(wrong["loc"][0]))
        given = "" if name in _SECRET else f" (given: {str(wrong['input'])[:100]!r})"
        lines.append(f"{name}: {message}{given}")
    return lines
