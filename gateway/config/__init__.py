"""Every setting of the gateway: its environment name, default, bounds and what it is for.

Times are in seconds, sizes in bytes. The environment wins over `.env`, options of the command line win over both.
"""

from __future__ import annotations

from turnwire.gateway.config.server import LogFormat, LogLevel
from turnwire.gateway.config.settings import Config, ConfigError, load_config
from turnwire.gateway.config.sources import environment_name

__all__ = ["Config", "ConfigError", "LogFormat", "LogLevel", "environment_name", "load_config"]
