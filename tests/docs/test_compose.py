"""docker-compose.yml agrees with the files, settings and users it uses."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from tests.support.processes import ROOT
from turnwire.gateway.config import Config, environment_name

TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES: Mapping[str, Mapping[str, Any]] = msgspec.yaml.decode(TEXT)["services"]


def test_the_compose_file_names_the_gateways_of_the_nginx_sample_and_existing_settings() -> None:
    sample = (ROOT / "docs/deploy/nginx.conf").read_text()
    for number in (1, 2):
        assert f"\n  gateway-{number}: *gateway\n" in TEXT
        assert f"server gateway-{number}:3000" in sample
    settings = {environment_name(name) for name in Config.model_fields}
    assert {"MONGODB_URI", "REDIS_URL"} <= settings
    assert "MONGODB_URI: mongodb://mongo:27017" in TEXT
    assert "REDIS_URL: redis://redis:6379" in TEXT


def folders_of_images() -> Iterator[tuple[str, str]]:
    """Return each service with each tmpfs that it has over a folder which its image may have made for root."""
    for name, service in SERVICES.items():
        for each in service.get("tmpfs", ()):
            if each != "/tmp":
                yield name, each


@pytest.mark.parametrize(("name", "tmpfs"), tuple(folders_of_images()))
def test_a_tmpfs_belongs_to_the_user_that_writes_to_it(name: str, tmpfs: str) -> None:
    user, group = SERVICES[name]["user"].split(":")
    assert tmpfs.endswith(f":uid={user},gid={group}")


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "build" not in service])
def test_compose_can_wait_for_what_has_no_check_in_its_image(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_the_proxy_serves_without_tls_and_looks_up_gateways_that_come_and_go() -> None:
    program, flag, script = SERVICES["proxy"]["command"]
    edit, rest = script.split(" > /tmp/nginx.conf && ")
    edit = edit.replace("/sample.conf", str(ROOT / "docs/deploy/nginx.conf"))
    made = subprocess.run([program, flag, edit], capture_output=True, text=True, check=True).stdout
    assert rest.startswith("exec nginx -c /tmp/nginx.conf ")
    assert "ssl" not in made
    for number in (1, 2):
        assert f"\n    server gateway-{number}:3000 resolve max_fails=1 fail_timeout=2s;\n" in made
    assert "\n    least_conn; zone gateways 64k; resolver 127.0.0.11 valid=2s;\n" in made
