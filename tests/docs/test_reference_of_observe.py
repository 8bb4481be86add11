"""The reference of telemetry and integrations names all that there is."""

import re
from pathlib import Path

import pytest

from postroom import Runtime
from postroom.integrations import webhooks
from postroom.integrations.webhooks import Webhook
from postroom.observe import opentelemetry
from postroom.observe.prometheus import RuntimeCollector

DOCS = Path(__file__).parent.parent.parent / "docs"
REFERENCE = DOCS / "reference"
OBSERVE = (REFERENCE / "observe.md").read_text(encoding="utf-8")
INTEGRATIONS = (REFERENCE / "integrations.md").read_text(encoding="utf-8")

PACKAGES = {"postroom_actors"}  # what else has such a name

STATUS = re.compile(r"^\| (\d{3}) \| (.+?) \|$", re.MULTILINE)


def test_the_table_of_prometheus_metrics_names_each_with_its_kind() -> None:
    told = dict(re.findall(r"^\| `(postroom_\w+)` \| (\w+) \|", OBSERVE, re.MULTILINE))
    assert told == {metric.name: metric.type for metric in RuntimeCollector(Runtime()).collect()}


def test_the_other_pages_name_no_prometheus_metric_that_is_not_there() -> None:
    there = {sample.name for metric in RuntimeCollector(Runtime()).collect() for sample in metric.samples} | {
        metric.name for metric in RuntimeCollector(Runtime()).collect()
    }
    told = {
        name
        for page in DOCS.rglob("*.md")
        for name in re.findall(r"`(postroom_[a-z_]+)(?:\{[^`]*)?`", page.read_text(encoding="utf-8"))
    }
    assert "postroom_mailbox_length" in told
    assert told - there - PACKAGES == set()


def test_the_table_of_opentelemetry_metrics_names_each() -> None:
    source = Path(opentelemetry.__file__).read_text(encoding="utf-8")
    made = set(re.findall(r"create_\w+\(\s*\"([\w.]+)\"", source))
    told = re.findall(r"^\| `((?:messaging|postroom)\.[\w.]+)` \| (?:counter|histogram)", OBSERVE, re.MULTILINE)
    assert set(told) == made


def test_the_table_of_statuses_has_each_that_a_webhook_is_answered_with() -> None:
    source = Path(webhooks.__file__).read_text(encoding="utf-8")
    answered = set(re.findall(r"(?:_refused\(|Answer\(|else )(\d{3})|\b(202) if", source))
    told = dict(STATUS.findall(INTEGRATIONS.split("## Webhooks")[1]))
    assert {status for pair in answered for status in pair if status} == told.keys()


@pytest.mark.parametrize("status", STATUS.findall(INTEGRATIONS.split("## Webhooks")[1]), ids=lambda row: str(row[0]))
def test_the_module_tells_the_same_statuses(status: tuple[str, str]) -> None:
    assert f"| {status[0]} |" in (webhooks.__doc__ or "")


def test_every_option_of_a_webhook_is_in_its_docstring() -> None:
    for name in Webhook.__annotations__:
        assert re.search(rf"\b{name}\b.*:", Webhook.__doc__ or "")
