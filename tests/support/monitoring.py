"""The alert rules and the board of docs/deploy, and what their PromQL asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import promql_parser
import yaml
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import AggModifierType, AggregateExpr, Expr, VectorSelector

from tests.support.processes import ROOT

DEPLOY: Final = ROOT / "docs" / "deploy"
_BY_PROMETHEUS: Final = {"job", "instance"}
"""The labels that Prometheus adds to each series."""
_QUERY: Final = re.compile(r"label_values\((.+), (\w+)\)")

Series = dict[str, set[str]]
"""The name of a sample → its labels."""


def alerts() -> list[Mapping[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def board() -> Mapping[str, Any]:
    made: Mapping[str, Any] = json.loads((DEPLOY / "grafana.json").read_text())
    return made


def expressions() -> Iterator[str]:
    """Return all PromQL of both, with values in place of the board's variables."""
    yield from (rule["expr"] for rule in alerts())
    for panel in board()["panels"]:
        yield from (_filled_in(target["expr"]) for target in panel.get("targets", ()))
    for variable in board()["templating"]["list"]:
        if variable["type"] == "query":
            asked = _QUERY.fullmatch(variable["query"]["query"])
            assert asked, variable
            yield _filled_in(f"group by ({asked[2]}) ({asked[1]})")


def _filled_in(expression: str) -> str:
    return expression.replace("$__rate_interval", "1m").replace("$", "")


def asked_for(expression: str) -> Series:
    """Return what the expression selects, matches and groups by. Raises ValueError if it is not PromQL."""
    found: Series = {}

    def add(selector: Expr, labels: set[str]) -> None:
        if isinstance(selector, VectorSelector):
            matched = {matcher.name for matcher in selector.matchers.matchers}
            assert selector.name is not None
            found.setdefault(selector.name, set()).update((matched | labels) - _BY_PROMETHEUS)

    def visit(each: Expr) -> None:
        add(each, set())
        if isinstance(each, AggregateExpr) and each.modifier is not None:
            assert each.modifier.type == AggModifierType.By
            labels = set(each.modifier.labels)
            promql_parser.walk(each.expr, lambda inner: add(inner, labels))

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def exported(text: str) -> Series:
    """Return what a Prometheus text holds."""
    found: Series = {"up": set()}  # by Prometheus itself
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found
