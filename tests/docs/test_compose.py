"""docker-compose.yml agrees with the files and settings it uses."""

from __future__ import annotations

from tests.support.processes import ROOT
from turnwire.gateway.config import Config, environment_name


def test_the_compose_file_names_the_gateways_of_the_nginx_sample_and_existing_settings() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    sample = (ROOT / "docs/deploy/nginx.conf").read_text()
    for number in (1, 2):
        assert f"\n  gateway-{number}: *gateway\n" in compose
        assert f"server gateway-{number}:3000" in sample
    settings = {environment_name(name) for name in Config.model_fields}
    assert {"MONGODB_URI", "REDIS_URL"} <= settings
    assert "MONGODB_URI: mongodb://mongo:27017" in compose
    assert "REDIS_URL: redis://redis:6379" in compose
