"""From results to a table, judged by the goals."""

import statistics

import chart


def dig(result, path):
    for name in path.split("."):
        if not isinstance(result, dict) or name not in result:
            return None
        result = result[name]
    return result


class Results:
    """{row: {server: [result of each round]}}"""

    def __init__(self, rows):
        self.rows = rows

    def of(self, row, server, path):
        """The median, None if it was not measured."""
        values = [dig(r, path) for r in self.rows.get(row, {}).get(server, [])]
        values = [v for v in values if v is not None]
        return statistics.median(values) if values else None

    def wrong(self, row, server):
        """What was lost or repeated in any round, in words."""
        counts = {}
        for result in self.rows.get(row, {}).get(server, []):
            for name, n in (result.get("wrong") or {}).items():
                if isinstance(n, int) and n > 0:
                    counts[name] = counts.get(name, 0) + n
            if result.get("timed_out"):
                counts["timed out"] = counts.get("timed out", 0) + 1
        return ", ".join("%s %d" % (k, v) for k, v in counts.items())


def number(value, digits=3):
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return "{:,.0f}".format(value)
    return "{:.{}g}".format(value, digits) if abs(value) < 100 else "{:.0f}".format(value)


COLUMNS = [  # title, row, path, factor
    ("idle bytes per connection", "idle", "memory.pss_per_conn", 1),
    ("connections/s", "idle", "connects_per_s", 1),
    ("flood, deliveries/s", "flood", "deliveries_per_s", 1),
    ("CPU per delivery, µs", "flood", "cpu_us_per_delivery", 1),
    ("flood, window 1024", "flood_deep", "deliveries_per_s", 1),
    ("20/s: CPU per delivery, µs", "paced20", "cpu_us_per_delivery", 1),
    ("p50, ms", "paced20", "latency_us.p50", 0.001),
    ("p99, ms", "paced20", "latency_us.p99", 0.001),
    ("200/s: p50, ms", "paced200", "latency_us.p50", 0.001),
    ("p99, ms", "paced200", "latency_us.p99", 0.001),
]


def comparison(results, servers):
    lines = ["| | " + " | ".join(c[0] for c in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for key, title in servers:
        cells = []
        for _, row, path, factor in COLUMNS:
            value = results.of(row, key, path)
            mark = "\\*" if value is not None and results.wrong(row, key) else ""
            cells.append(number(value * factor if value is not None else None) + mark)
        lines.append("| %s | %s |" % (title, " | ".join(cells)))
    return lines


class Goal:
    def __init__(self, what, value, unit, *bounds):
        self.what, self.value, self.unit, self.bounds = what, value, unit, bounds

    def line(self):
        shown = "%s %s" % (number(self.value), self.unit) if self.value is not None else "not measured"
        words, verdicts = [], []
        for text, limit, at_most in self.bounds:
            if limit is None:
                words.append(text + " (not measured)")
                continue
            words.append("%s %s = %s" % ("≤" if at_most else "≥", text, number(limit)))
            if self.value is not None:
                verdicts.append(self.value <= limit if at_most else self.value >= limit)
        verdict = "–" if not verdicts else "yes" if all(verdicts) else "**no**"
        return "| %s | %s | %s | %s |" % (self.what, "; ".join(words), shown, verdict)


def scaled(value, factor, add=0):
    return None if value is None else value * factor + add


def goals(r):
    """The goals, with bounds relative to what the same run has measured."""
    def ms(row, server, which):
        return scaled(r.of(row, server, "latency_us." + which), 0.001)

    def per_s(row, server):
        return r.of(row, server, "deliveries_per_s")

    at_speed = per_s("flood", "evhub_sql")
    best = max((v for v in (per_s("flood", "evhub"), per_s("flood_deep", "evhub")) if v), default=None)
    ceiling = r.of("flood", "ceiling", "deliveries_per_s")
    cpu = "cpu_us_per_delivery"
    one_of = r.of("one_18000", "evhub", "cpu_us_per_event"), r.of("one_100", "evhub", "cpu_us_per_event")
    return [
        Goal("idle memory per connection, 10,000 connections", r.of("idle", "evhub", "memory.pss_per_conn"),
             "bytes", ("2.6 KiB", 2662, True),
             ("0.25 × Nchan", scaled(r.of("idle", "nchan2", "memory.pss_per_conn"), 0.25), True)),
        Goal("flood, 1,000 subscribers, control socket, durable, 32 requests in flight", per_s("flood", "evhub"),
             "deliveries/s", ("20 × Nchan", scaled(per_s("flood", "nchan2"), 20), False),
             ("1.25 × Bun", scaled(per_s("flood", "bun"), 1.25), False),
             ("4 million × ceiling / 180,000", scaled(ceiling, 4e6 / 180e3), False)),
        Goal("the same, 1,024 in flight", per_s("flood_deep", "evhub"),
             "deliveries/s", ("20 × Nchan, 32 in flight", scaled(per_s("flood", "nchan2"), 20), False),
             ("1.25 × Bun", scaled(per_s("flood_deep", "bun"), 1.25), False),
             ("4 million × ceiling / 180,000", scaled(ceiling, 4e6 / 180e3), False)),
        Goal("flood by INSERT in transactions of 100", at_speed, "deliveries/s",
             ("0.8 of the better line above", scaled(best, 0.8), False)),
        Goal("20 events/s, 1,000 subscribers: CPU per delivery", r.of("paced20", "evhub_live", cpu), "µs",
             ("1.10 × ceiling", scaled(r.of("paced20", "ceiling", cpu), 1.10), True),
             ("Bun", r.of("paced20", "bun", cpu), True), ("Nchan", r.of("paced20", "nchan2", cpu), True)),
        Goal("the same: latency p50", ms("paced20", "evhub_live", "p50"), "ms",
             ("1.15 × ceiling", scaled(ms("paced20", "ceiling", "p50"), 1.15), True)),
        Goal("the same: latency p99", ms("paced20", "evhub_live", "p99"), "ms",
             ("1.5 × ceiling", scaled(ms("paced20", "ceiling", "p99"), 1.5), True)),
        Goal("100 subscribers, 200 events/s by INSERT: latency p50", ms("paced200", "evhub_sql", "p50"), "ms",
             ("ceiling + 0.3 ms", scaled(ms("paced200", "ceiling", "p50"), 1, 0.3), True)),
        Goal("the same: latency p99", ms("paced200", "evhub_sql", "p99"), "ms",
             ("ceiling + 3 ms", scaled(ms("paced200", "ceiling", "p99"), 1, 3), True)),
        Goal("authenticated connections, rows committed", r.of("idle", "evhub", "connects_per_s"), "per s",
             ("0.6 × Nchan", scaled(r.of("idle", "nchan2", "connects_per_s"), 0.6), False)),
        Goal("`POST /unsubscribe` through lighttpd, 32 at a time, 10,000 clients",
             r.of("unsubscribe", "evhub", "per_s"), "per s", ("5,000", 5000, False)),
        Goal("the same: p99", ms("unsubscribe", "evhub", "p99"), "ms", ("20 ms", 20, True)),
        Goal("18,000 connections, 20 events/s to 1 %: p99", ms("one_percent", "evhub", "p99"), "ms",
             ("5 ms", 5, True)),
        Goal("the same: CPU", r.of("one_percent", "evhub", "cpu_percent"), "% of a core", ("10 %", 10, True)),
        Goal("start to ready, 1 million events", r.of("start", "evhub", "ms"), "ms", ("200 ms", 200, True)),
        Goal("both programs, stripped", scaled(r.of("size", "evhub", "bytes"), 1 / 1024), "KiB",
             ("400 KiB", 400, True)),
        Goal("CPU per event: 1 client of 18,000 matches", one_of[0], "µs",
             ("2 × that of 1 among 100", scaled(one_of[1], 2), True)),
        Goal("10,000 come back at once, each resuming 100 events: p99 of the others",
             ms("storm", "evhub", "p99"), "ms", ("50 ms", 50, True)),
        Goal("the same: connections that failed or did not resume",
             None if r.of("storm", "evhub", "not_resumed") is None else
             r.of("storm", "evhub", "not_resumed") + r.of("storm", "evhub", "wrong.failed") +
             r.of("storm", "evhub", "wrong.lost"), "", ("0", 0, True)),
        Goal("wake-ups of an idle daemon", r.of("wakeups", "evhub", "per_s"), "per s",
             ("the safety net, twice a second", 2, True)),
    ]


def markdown(rows, servers, machine, notes):
    results = Results(rows)
    lines = ["# How fast evhub is", "",
             "Made by `make %s`. Medians of %d round%s, all servers interleaved in one run; events carry "
             "200 bytes; each server is pinned to one CPU and the load client to another. Absolute "
             "figures differ from machine to machine and from run to run: look at the ratios."
             % (machine["target"], machine["rounds"], "" if machine["rounds"] == 1 else "s"), "",
             "![deliveries per second](flood.svg)", "", "## The goals", "",
             "| what | goal | measured | reached |", "|---|---|---|---|"]
    lines += [g.line() for g in goals(results)]
    lines += ["", "## Side by side", ""] + comparison(results, servers)
    bad = ["- %s, %s: %s" % (title, row, results.wrong(row, key)) for row in rows for key, title in servers
           if results.wrong(row, key)]
    if bad:
        lines += ["", "\\* Not everything arrived, once, in order:", ""] + bad
    lines += ["", "## Left out", ""] + ["- " + n for n in notes] if notes else []
    lines += ["", "## The machine", ""] + ["- %s: %s" % (k, v) for k, v in machine.items()
                                            if k not in ("target", "rounds")]
    return "\n".join(lines) + "\n"


def svg(rows, servers):
    results = Results(rows)
    bars = []
    for key, title in servers:
        for row, more in (("flood", ""), ("flood_deep", ", 1,024 in flight")):
            value = results.of(row, key, "deliveries_per_s")
            if value:
                bars.append((title + more, value, key.startswith("evhub")))
    return chart.bars("Deliveries per second: a flood to 1,000 subscribers, 200-byte events", bars)
