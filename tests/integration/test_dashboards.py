"""etc/grafana and etc/prometheus against the figures that the programs give."""

import json
import os
import re
import shutil
import subprocess

import pytest

import clients
import procs
from clients import API, subscribe

GRAFANA = os.path.join(procs.SOURCE, "etc", "grafana", "evhub.json")
PROMETHEUS = os.path.join(procs.SOURCE, "etc", "prometheus")
METRIC = re.compile(r"\b((?:evhub|process)_[a-z0-9_]+)(\{[^}]*\})?")


def promtool(directory, *argv):
    result = subprocess.run(["promtool", *argv], cwd=directory, capture_output=True, text=True, check=False,
                            timeout=procs.PATIENCE * 2)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def told(request):
    """What a hub on which everything has happened once tells:
    {name: names of labels}."""
    from hub import Hub
    hub = Hub(metrics_users=["prometheus"])
    try:
        hub.start_wsd()
        hub.start_fcgi()
        who = hub.credential()
        ws = subscribe(hub.wsd.listen, who, "pdfm")
        hub.publish("pdfm", "x")
        ws.expect("pdfm", "x")
        with pytest.raises(clients.Refused):
            subscribe(hub.wsd.listen, None)
        hub.sql("DELETE FROM client")
        assert ws.closed()[0] == 1008
        token = hub.credential(user="prometheus", kind="token", scopes="")
        for _ in range(2):
            page = clients.fcgi_request(hub.fcgi_socket, "GET", API + "/metrics", token.headers)
        assert page.status == 200
    except BaseException:
        hub.abandon()
        raise
    hub.stop()
    found = {}
    for line in page.body.decode().splitlines():
        if not line.startswith("#"):
            name, _, rest = line.partition("{")
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', rest.rpartition("}")[0]))
    return found


def check(expression, told):
    """Each metric is told, with the labels that are asked for."""
    names = METRIC.findall(expression)
    assert names, expression
    for name, selector in names:
        assert name in told, f"{name} is told by nobody: {expression}"
        for label in re.findall(r"(\w+)\s*[=!]~?\"", selector or ""):
            assert label in told[name], f"{name} has no label {label}: {expression}"
    grouped = {g.strip() for by in re.findall(r"\bby \(([^)]*)\)", expression) for g in by.split(",")}
    for label in grouped:
        assert any(label in told[name] for name, _ in names), f"no label {label}: {expression}"


def dashboard():
    with open(GRAFANA) as f:
        return json.load(f)


def expressions():
    found = []
    for panel in dashboard()["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel.get("targets", [])]
    return found


def test_dashboard(told):
    assert len(expressions()) > 30
    for _, expression in expressions():
        check(expression, told)
    variables = {v["name"]: v for v in dashboard()["templating"]["list"]}
    name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variables["daemon"]["definition"]).groups()
    assert label in told[name]


def test_dashboard_shows_everything(told):
    """Every family is in it, but for some that say how things are set."""
    shown = {name for _, expression in expressions() for name, _ in METRIC.findall(expression)}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in told}
    missing = families - {re.sub("_(bucket|sum|count)$", "", name) for name in shown}
    assert missing == {"evhub_build_info", "evhub_uptime_seconds", "evhub_draining", "evhub_clients_limit", "evhub_users",
                       "evhub_log_events",
                       "evhub_lagging_events", "evhub_replies_total", "process_virtual_memory_bytes", "process_threads",
                       "process_start_time_seconds"}


def test_dashboard_is_laid_out():
    panels = dashboard()["panels"]
    assert len({p["id"] for p in panels}) == len(panels)
    taken = set()
    for p in panels:
        pos = p["gridPos"]
        cells = {(x, y) for x in range(pos["x"], pos["x"] + pos["w"]) for y in range(pos["y"], pos["y"] + pos["h"])}
        assert pos["x"] + pos["w"] <= 24 and not cells & taken, p["title"]
        taken |= cells


def test_dashboard_queries_are_promql(tmp_path):
    rules = [{"record": f"q:{n}", "expr": e.replace("$__rate_interval", "5m").replace("$daemon", ".*")}
             for n, (_, e) in enumerate(expressions())]
    # JSON is YAML too
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool(tmp_path, "check", "rules", "queries.yml")


def test_alerts(told):
    with open(os.path.join(PROMETHEUS, "evhub.rules.yml")) as f:
        found = re.findall(r"^\s+expr: (.*)$", f.read(), re.M)
    assert len(found) > 8
    for expression in found:
        if not expression.startswith("up{"):
            check(expression, told)


def test_scrape_configuration(tmp_path):
    shutil.copytree(PROMETHEUS, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / "evhub.yml").read_text()
    assert "/etc/prometheus/evhub.token" in text
    (tmp_path / "evhub.yml").write_text(text.replace("/etc/prometheus/evhub.token", "evhub.token"))
    (tmp_path / "evhub.token").write_text("x")
    promtool(tmp_path, "check", "config", "evhub.yml")


TESTS = """
rule_files: [evhub.rules.yml]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - {series: 'evhub_daemon_up{daemon="wsd"}', values: '1x20 0x20'}
      - {series: 'evhub_database_writable{daemon="wsd"}', values: '1x40'}
      - {series: 'evhub_lagging_clients{daemon="wsd"}', values: '20x40'}
      - {series: 'evhub_clients{daemon="wsd"}', values: '100x40'}
      - {series: 'evhub_clients_limit{daemon="wsd"}', values: '100000x40'}
      - {series: 'evhub_delivery_seconds_bucket{daemon="wsd",le="1.000000"}', values: '0+10x40'}
      - {series: 'evhub_delivery_seconds_bucket{daemon="wsd",le="2.500000"}', values: '0+100x40'}
      - {series: 'evhub_delivery_seconds_bucket{daemon="wsd",le="+Inf"}', values: '0+100x40'}
      - {series: 'evhub_refusals_total{daemon="wsd",code="401",reason="invalid_credential"}', values: '0+30x40'}
    alert_rule_test:
      - {eval_time: 9m, alertname: EvhubDaemonDown}
      - eval_time: 15m
        alertname: EvhubDaemonDown
        exp_alerts: [{exp_labels: {severity: critical, daemon: wsd},
          exp_annotations: {summary: The daemon wsd does not answer.,
            description: 'It was killed, or hangs. Its clients have lost their connections or get nothing.'}}]
      - {eval_time: 15m, alertname: EvhubDatabaseNotWritable}
      - {eval_time: 15m, alertname: EvhubAlmostFull}
      - {eval_time: 15m, alertname: EvhubRefusals}
      - eval_time: 15m
        alertname: EvhubClientsLag
        exp_alerts: [{exp_labels: {severity: warning, daemon: wsd},
          exp_annotations: {summary: 20 clients of wsd do not read as fast as events come.}}]
      - eval_time: 15m
        alertname: EvhubSlowDelivery
        exp_alerts: [{exp_labels: {severity: warning, daemon: wsd},
          exp_annotations: {summary: 'It takes 2.483s to deliver an event (p99, wsd).'}}]
"""


def test_alerts_fire(tmp_path):
    shutil.copy(os.path.join(PROMETHEUS, "evhub.rules.yml"), tmp_path)
    (tmp_path / "tests.yml").write_text(TESTS)
    promtool(tmp_path, "test", "rules", "tests.yml")
