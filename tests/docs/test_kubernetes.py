"""The Kubernetes manifests of docs/deploy have the shapes of the API, and agree with each other and the gateway."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pytest
import yaml
from lightkube.models.apps_v1 import Deployment
from lightkube.models.autoscaling_v2 import HorizontalPodAutoscaler
from lightkube.models.core_v1 import Container, PodSpec

from tests.support.processes import ROOT
from turnwire.gateway.access.door import _PROBES
from turnwire.gateway.config import Config, environment_name
from turnwire.gateway.running.serve import _STOP_SECONDS
from turnwire.gateway.telemetry.metrics import Metrics

DEPLOY: Final = ROOT / "docs" / "deploy"
MANIFESTS: Final[list[Mapping[str, Any]]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def model_of(manifest: Mapping[str, Any]) -> type[Any]:
    """Return the shape that the API gives this kind."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    module = importlib.import_module(f"lightkube.models.{group or 'core'}_{version}")
    model: type[Any] = getattr(module, manifest["kind"])
    return model


def shaped(manifest: Mapping[str, Any]) -> Any:
    """Return the manifest as its kind. Raises ValidationError for a wrong type or a missing field, AssertionError for a
    field that the kind does not have."""
    resource = msgspec.convert(manifest, model_of(manifest))
    assert msgspec.to_builtins(resource) == manifest
    return resource


def one(kind: str) -> Any:
    (found,) = (shaped(manifest) for manifest in MANIFESTS if manifest["kind"] == kind)
    return found


@pytest.fixture
def pod() -> PodSpec:
    deployment: Deployment = one("Deployment")
    assert deployment.spec is not None
    assert deployment.spec.template.spec is not None
    return deployment.spec.template.spec


@pytest.fixture
def container(pod: PodSpec) -> Container:
    (only,) = pod.containers
    return only


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: str(manifest["kind"]))
def test_each_manifest_has_the_shape_of_its_kind(manifest: Mapping[str, Any]) -> None:
    shaped(manifest)


def test_a_field_that_the_kind_does_not_have_is_found() -> None:
    wrong = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {}, "spec": {"maxUnavailble": 1}}
    with pytest.raises(AssertionError):
        shaped(wrong)
    with pytest.raises(msgspec.ValidationError):
        shaped(wrong | {"spec": "no"})


def test_all_kubernetes_objects_select_the_pods_of_the_deployment() -> None:
    deployment = one("Deployment")
    labels = deployment.spec.template.metadata.labels
    assert deployment.spec.selector.matchLabels == labels
    assert one("Service").spec.selector == labels
    assert one("PodDisruptionBudget").spec.selector.matchLabels == labels
    assert one("HorizontalPodAutoscaler").spec.scaleTargetRef.name == deployment.metadata.name


def test_settings_are_settings_of_the_gateway(container: Container) -> None:
    known = {environment_name(name) for name in Config.model_fields}
    assert set(one("ConfigMap").data) <= known
    assert {each.name for each in container.env or ()} <= known | {"POD_IP"}


def test_probes_ask_what_answers_every_host_without_a_credential(container: Container) -> None:
    probes = (container.startupProbe, container.livenessProbe, container.readinessProbe)
    paths = [probe.httpGet.path for probe in probes if probe is not None and probe.httpGet is not None]
    assert paths == ["/health/live", "/health/live", "/health/ready"]
    assert set(paths) == _PROBES


def test_a_pod_has_time_to_leave_its_service_and_to_drain(pod: PodSpec, container: Container) -> None:
    assert container.lifecycle is not None
    assert container.lifecycle.preStop is not None
    assert container.lifecycle.preStop.exec is not None
    _, pause = container.lifecycle.preStop.exec.command or ["sleep", "0"]
    assert pod.terminationGracePeriodSeconds is not None
    assert pod.terminationGracePeriodSeconds > float(pause) + _STOP_SECONDS + 5


def test_a_pod_runs_as_the_user_of_the_image_with_no_rights(pod: PodSpec, container: Container) -> None:
    (user,) = set(re.findall(r"^USER (\d+):", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert pod.securityContext is not None
    assert str(pod.securityContext.runAsUser) == user
    assert container.securityContext is not None
    assert container.securityContext.readOnlyRootFilesystem
    assert container.securityContext.capabilities is not None
    assert container.securityContext.capabilities.drop == ["ALL"]


def test_the_autoscaler_goes_by_a_metric_that_the_gateway_exports_and_the_adapter_passes_on() -> None:
    autoscaler: HorizontalPodAutoscaler = one("HorizontalPodAutoscaler")
    assert autoscaler.spec is not None
    names = [each.pods.metric.name for each in autoscaler.spec.metrics or () if each.pods is not None]
    (rule,) = yaml.safe_load((DEPLOY / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    assert names == [rule["name"]["as"]] == [rule["seriesQuery"].partition("{")[0]]
    assert set(names) <= {family.name for family in Metrics().registry.collect()}
