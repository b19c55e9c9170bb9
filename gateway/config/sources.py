"""The sources of settings: the environment and `.env`, under a single name for each setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.sources import PydanticBaseEnvSettingsSource

_PLAIN_NAMES: Final = {"host", "port", "mongodb_uri", "mongodb_database", "redis_url", "redis_host", "redis_port"}


def environment_name(field: str) -> str:
    """Return the environment variable that sets this field of Config."""
    return field.upper() if field in _PLAIN_NAMES else f"TURNWIRE_{field.upper()}"


class _OneName(PydanticBaseEnvSettingsSource):
    """A source that looks up a field under its environment name alone.

    With aliases and a prefix, each field would have a second name, such as TURNWIRE_PORT, which Kubernetes sets to a
    URL for any service called turnwire.
    """

    env_vars: Mapping[str, str | None]

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self.env_vars.get(self._apply_case_sensitive(environment_name(field_name))), field_name, False


class _Environment(_OneName, EnvSettingsSource):
    pass


class _EnvFile(_OneName, DotEnvSettingsSource):
    pass


class Settings(BaseSettings):
    """The base of all groups of settings: immutable, read from the environment first, then from `.env`."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, validate_default=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        env_file = dotenv_settings.env_file if isinstance(dotenv_settings, DotEnvSettingsSource) else None
        return init_settings, _Environment(settings_cls), _EnvFile(settings_cls, env_file, "utf-8")
