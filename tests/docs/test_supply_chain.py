"""What the image is made of is named by digests, and what runs it gives it no more than it needs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.processes import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("server", "build", "audit")
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ;[^\\]*)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")
COMPOSE = msgspec.yaml.decode((ROOT / "docker-compose.yml").read_bytes())
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def lock_lines(name: str) -> list[str]:
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def locked(name: str) -> dict[str, list[str]]:
    """Package → its versions, of which an older Python may have another."""
    found: dict[str, list[str]] = {}
    for line in lock_lines(name):
        if pinned := PINNED.match(line):
            found.setdefault(canonicalize_name(pinned[1]), []).append(pinned[2])
    return found


def required(extra: str) -> Iterator[Requirement]:
    """What the project and an extra of it ask for."""
    for text in PROJECT["project"]["dependencies"]:
        yield Requirement(text)
    for text in PROJECT["project"]["optional-dependencies"][extra]:
        requirement = Requirement(text)
        if requirement.name != "turnwire":
            yield requirement
        for other in sorted(requirement.extras) if requirement.name == "turnwire" else ():
            yield from required(other)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_versions_and_digests_and_nothing_else(name: str) -> None:
    odd = [line for line in lock_lines(name) if not PINNED.match(line) and not HASH.match(line)]
    assert odd == []
    assert len(locked(name)) > 3
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    assert "://" not in text


@pytest.mark.parametrize("extra", ["server", "otel", "archive"])
def test_the_lock_of_the_image_is_what_the_project_asks_for(extra: str) -> None:
    versions = locked("server")
    wrong = [
        str(requirement)
        for requirement in required(extra)
        for version in versions.get(canonicalize_name(requirement.name), ["0"])
        if not requirement.specifier.contains(version, prereleases=True)
    ]
    assert wrong == []
    assert not set(versions) & {"turnwire", "pytest", "secantusdb"}


def test_the_lock_of_the_build_is_what_the_project_is_built_with() -> None:
    for text in PROJECT["build-system"]["requires"]:
        requirement = Requirement(text)
        (version,) = locked("build")[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version)


def test_the_image_is_made_of_digests_and_has_a_user_of_its_own() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.13-slim@sha256:[0-9a-f]{64}", bases[0])
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line]
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert not re.search(r"^ADD ", DOCKERFILE, re.MULTILINE)
    assert (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()[1] == "*", "but what is named after it"


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_has_no_rights_and_a_bound_of_memory(name: str) -> None:
    service: dict[str, Any] = COMPOSE["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["user"].rpartition(":")[2] not in ("0", "root")
    assert "privileged" not in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_gateways_ask_for_a_key_and_alone_reach_the_database() -> None:
    services = COMPOSE["services"]
    for name in ("gateway-1", "gateway-2"):
        environment = services[name]["environment"]
        assert "TURNWIRE_AUTH" not in environment
        (secret,) = services[name]["secrets"]
        assert environment["TURNWIRE_API_KEYS_FILE"] == f"/run/secrets/{secret}"
        assert COMPOSE["secrets"][secret] == {"file": "./keys.ndjson"}
        assert services[name]["networks"] == ["inside", "front"]
    assert services["mongo"]["networks"] == services["redis"]["networks"] == ["inside"]
    assert services["proxy"]["networks"] == ["front"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert "keys.ndjson" in (ROOT / ".gitignore").read_text(encoding="utf-8")


def test_the_public_ci_looks_for_known_vulnerabilities_and_writes_the_bill_of_materials() -> None:
    jobs = msgspec.yaml.decode(WORKFLOW.encode())["jobs"]
    runs = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    assert any("make" in run and run.endswith(" audit") for run in runs)
    assert any("make" in run and run.endswith(" sbom") for run in runs)
    actions = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert [action for action in actions if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action)] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "pip-audit --strict" in makefile
    assert "cyclonedx-py requirements" in makefile
