"""All settings of the gateway, with their environment names, defaults, bounds and descriptions.

Times are in seconds, sizes in bytes. The environment overrides `.env`; command-line options override both.
"""

from __future__ import annotations

from turnwire.gateway.config.server import LogFormat, LogLevel
from turnwire.gateway.config.settings import Config, ConfigError, load_config
from turnwire.gateway.config.sources import environment_name

__all__ = ["Config", "ConfigError", "LogFormat", "LogLevel", "environment_name", "load_config"]
