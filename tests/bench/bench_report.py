"""From rounds to medians, checks against targets, Markdown and JSON."""

import contextlib
import json
import os
import platform
import statistics

# figure, heading, digits; a column is shown when a row has the figure
COLUMNS = (
    ("cpu", "CPU %", 2), ("process", "process %", 2), ("origin_process", "origin %", 2),
    ("softirq", "ksoftirqd %", 2),
    ("user_share", "user, % of process", 1), ("busiest_thread", "busiest thread %", 2),
    ("sends", "sends /viewer s", 2), ("reads", "reads /viewer s", 2), ("video_p50", "video p50 ms", 2),
    ("video_p99", "video p99 ms", 2), ("audio_p50", "audio p50 ms", 2), ("audio_p99", "audio p99 ms", 2),
    ("first_key_p50", "first key p50 ms", 2), ("first_key_p99", "first key p99 ms", 2),
    ("quiet_p99", "quiet p99 ms", 2), ("storm_p99", "storm p99 ms", 2),
    ("settled_p99", "settled p99 ms", 2), ("kib_each", "KiB each", 2),
    ("pss_kib", "PSS KiB", 0), ("n_threads", "threads", 0), ("switches", "switches /s", 0),
    ("fetch_p99", "segment p99 ms", 2), ("requests", "requests /s", 0), ("kbps", "kbit/s a viewer", 0),
    ("load_cpu", "load's core %", 0))
WITH_SPREAD = {"cpu", "process", "kib_each"}


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, len(values) * percent // 100)]


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def medians(result):
    """{row: {figure: spread}} over the rounds."""
    found = {}
    for one in result["rounds"]:
        for row, figures in one.items():
            for figure, value in figures.items():
                if isinstance(value, (int, float)):
                    found.setdefault(row, {}).setdefault(figure, []).append(value)
    return {row: {figure: spread(values) for figure, values in figures.items()}
            for row, figures in found.items()}


def value_of(check, one):
    """The checked value in one round, or None when the round lacks it."""
    value = one.get(check.row, {}).get(check.figure)
    if value is None or check.ref is None:
        return value
    other = one.get(check.ref, {}).get(check.ref_figure or check.figure)
    if other is None:
        return None
    if check.minus:
        return value - other
    return value / other if other else None


def judge(check, rounds):
    """One line of the targets."""
    values = [value for value in (value_of(check, one) for one in rounds) if value is not None]
    line = {"what": check.what, "unit": check.unit, "limit": check.limit, "equal": check.equal}
    if not values:
        return line | {"verdict": "not measured"}
    line |= spread(values)
    if check.limit is None:
        return line | {"verdict": "no target"}
    if check.equal:
        off = abs(line["median"] - 1)
        good, missed = off <= check.limit, f"off by {100 * off:.1f} %"
    else:
        good = line["median"] <= check.limit
        missed = f"over by {100 * (line['median'] / check.limit - 1):.0f} %"
    return line | {"verdict": "ok" if good else f"missed: {missed}"}


def finish(result, table):
    result["medians"] = medians(result)
    result["checks"] = [judge(check, result["rounds"]) for check in table.checks]
    return result


def markdown_table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)


def cell(figures, figure, digits):
    if figure not in figures:
        return ""
    found = figures[figure]
    text = f"{found['median']:.{digits}f}"
    if figure in WITH_SPREAD and found["n"] > 1:
        text += f" ({found['min']:.{digits}f} to {found['max']:.{digits}f})"
    return text


def target_text(check):
    if check["limit"] is None:
        return ""
    if check["equal"]:
        return f"1 +- {100 * check['limit']:g} %"
    return f"<= {check['limit']:g} {check['unit']}".strip()


def check_row(check):
    if "median" not in check:
        return check["what"], target_text(check), "", "", check["verdict"]
    value = f"{check['median']:.3g} {check['unit']}".strip()
    return (check["what"], target_text(check), value, f"{check['min']:.3g} to {check['max']:.3g}",
            check["verdict"])


def section(key, result):
    """Markdown of one table."""
    rows = result["medians"]
    columns = [c for c in COLUMNS if any(c[0] in figures for figures in rows.values())]
    parts = [f"### {key}: {result['title']}", ""]
    parts += [f"{result['pairs']} rounds of {result['seconds']:g} s, {result['when']}, `{result['command']}`."
              f" Runs that did not count: {len(result['invalid'])}. {result['note']}".rstrip(), ""]
    parts.append(markdown_table(["server", *(c[1] for c in columns)], [
        [row, *(cell(figures, c[0], c[2]) for c in columns)] for row, figures in rows.items()]))
    if result["checks"]:
        parts += ["", markdown_table(["figure", "target", "median", "spread", "verdict"],
                                     map(check_row, result["checks"]))]
    for bad in result["invalid"]:
        parts.append(f"\n- did not count: {bad['row']}, round {bad['round']}: {bad['why']}")
    return "\n".join(parts) + "\n"


def document(store):
    """All that was measured, as Markdown."""
    head = "; ".join(f"{key}: {value}" for key, value in store["machine"].items())
    return "\n".join([f"Machine: {head}.", "", *(section(*item) for item in store["tables"].items())])


def machine(versions):
    model = "?"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"CPU": model, "cores": os.cpu_count(), "kernel": platform.release(), **versions}


def load_store(path):
    """What the JSON file has already; empty when there is none."""
    with contextlib.suppress(FileNotFoundError):
        with open(path) as file:
            return json.load(file)
    return {"machine": {}, "tables": {}}


def write(path, text):
    """Whole or not at all."""
    with open(f"{path}.part", "w") as file:
        file.write(text)
    os.replace(f"{path}.part", path)
