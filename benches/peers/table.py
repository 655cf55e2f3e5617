"""The page `src/docs/benchmarks.md`, made from the results of `peers.py` and nothing else."""

import importlib
import re
import textwrap

NAMES = {"annals": "annals", "mlflow": "MLflow (SQLite)", "mlflow_file": "MLflow (files)",
         "wandb": "W&B (offline)", "trackio": "trackio", "aim": "Aim", "dvclive": "DVCLive"}
LEVELS = ["none", "process", "power"]
BEGIN, END = "<!-- peers: begin, written by benches/peers.py -->", "<!-- peers: end -->"
TARGET = 10.0
RUNS, POINTS = ("runs", "runs"), ("writing", "series_points")
NOT_MEASURED, NONE = "not measured", "–"

INTRODUCTION = """\
# Benchmarks

Measurements of annals beside other programs, on one machine, in one run. They can be repeated with
the scripts in `benches/`. Figures of another machine differ; ratios differ less.
"""

LEVELS_TEXT = """\
### Durability

What was observed, not what is promised, when a call of the tracker had returned:

- **none**: acknowledged points were lost when all processes were killed (`kill -9`) at a random
  moment.
- **process**: none was lost so, but the file with the points had writes that were not yet synced:
  a loss of power may lose them.
- **power**: none was lost, and `strace` saw no unsynced write of that file.
"""

CAVEATS = """\
### What to keep in mind

- annals has no Python library. One durable call is a whole process, `annals run log`; peers that
  are libraries pay their start once, which no row but the lists in a new process counts.
- Under `annals run exec` a point is accepted when it is printed. It is in the log within half a
  second. When only the script is killed, everything that it printed is still recorded; when annals
  is killed too, the points of the last half second are lost.
- Starting and ending a run is slow in annals: every change also writes the registry files, which
  grow with the number of runs.
- annals signs and hashes what it records, and keeps what the script printed; the peers do neither.
  The peers show web pages, which were not measured.
- W&B offline lists and filters nothing; its server does, which was not measured. DVCLive leaves
  that to DVC experiments in a git repository, which was not measured.
- MLflow filters by a metric, trackio by SQL over the points, Aim by the parameter with the same
  values, annals by the last value. Aim's runs were indexed first (`aim storage reindex`).
- MLflow's asynchronous call was measured for 0.5 s at a time: its queue is stored far more slowly
  than it is filled.
- MLflow keeps its file store working but develops it no further.
- Small runs have one parameter and one point. They were recorded by the fastest calls of each
  tracker; with trackio that is a function of its storage, below the documented interface.
- The history is read to a list of steps and values in Python, for annals from CSV.
- Memory is the sum of the resident sets of all processes, sampled; shared pages count twice.
"""


def number(value, unit=""):
    if value is None:
        return NONE
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text}{unit}"


def seconds(value):
    if value is None:
        return NONE
    return number(value * 1e3, " ms") if value < 1 else number(value, " s")


def size(value):
    if value is None:
        return NONE
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return number(value / scale, f" {unit}")
    return number(value, " B")


def at(results, *path):
    for key in path:
        if not isinstance(results, dict) or key not in results:
            return None
        results = results[key]
    return results


class Row:
    """One measure: how to find it, how to show it, whether more is better."""

    def __init__(self, name, path, show, more=False, level=None, of=None):
        self.name, self.path, self.show, self.more = name, path, show, more
        self.level, self.of = level, of  # `of` is how many runs or points the measure is of

    def value(self, tracker):
        return self.path(tracker) if callable(self.path) else at(tracker, *self.path)

    def cell(self, tracker, sizes):
        if "error" in tracker:
            return NOT_MEASURED
        value = self.value(tracker)
        text = self.show(value)
        if value is None:
            return text
        if self.level:
            level = at(tracker, "durability", self.level, "level")
            text += f" ({level or 'durability unknown'})"
        count = at(tracker, *self.of) if self.of else None
        unit = "runs" if self.of == RUNS else "points"
        return f"{text} ({count:,} {unit})" if count not in (None, sizes[unit]) else text

    def comparable(self, ours, peer):
        if self.value(peer) is None:
            return False
        if self.of and at(peer, *self.of) != at(ours, *self.of):
            return False
        if not self.level:
            return True
        levels = [at(tracker, "durability", self.level, "level") for tracker in (ours, peer)]
        return None not in levels and LEVELS.index(levels[1]) >= LEVELS.index(levels[0])

    def ratio(self, trackers):
        """How many times better annals is than the best peer that can be compared, and which."""
        ours = trackers.get("annals", {"error": ""})
        if "error" in ours or self.value(ours) is None:
            return None, None
        peers = {name: self.value(peer) for name, peer in trackers.items()
                 if name != "annals" and "error" not in peer and self.comparable(ours, peer)}
        if not peers:
            return None, None
        best = (max if self.more else min)(peers, key=peers.get)
        found = self.value(ours) / peers[best]
        return (found if self.more else 1 / found), best

    def verdict(self, trackers):
        ratio, best = self.ratio(trackers)
        if ratio is None:
            return "no peer to compare with"
        return f"{number(ratio)} x ({NAMES[best]})"


def per(path, count):
    def found(tracker):
        total, parts = at(tracker, *path), at(tracker, *count)
        return total / parts if total and parts else None
    return found


def rate(value):
    return number(value, "/s")


def rows(sizes):
    runs = f"{sizes['runs']:,} runs"
    found = [
        Row("Points, one durable call each", ("writing", "each"), rate, True, "each"),
        Row("Points, 100 in each durable call", ("writing", "batch"), rate, True, "each"),
        Row("Points, until all are stored", ("writing", "stored"), rate, True, "stored"),
        Row("Points accepted", ("writing", "accepted"), rate, True, "stream"),
        Row("Small runs, into a new store", ("small", "few"), rate, True),
        Row(f"Small runs, into a store of {runs}", ("small", "full"), rate, True, of=RUNS),
    ]
    for what, name, of in (("list", f"List {runs}", RUNS), ("filter", f"Filter {runs}", RUNS),
                           ("history", f"History of {sizes['points']:,} points", POINTS)):
        found += [Row(f"{name}, new process", (what, "fresh"), seconds, of=of),
                  Row(f"{name}, running process", (what, "warm"), seconds, of=of)]
    return found + [
        Row("Memory, writing", ("writing", "write_rss"), size, of=POINTS),
        Row(f"Memory, listing {runs}", ("list", "rss"), size, of=RUNS),
        Row("Memory, reading the history", ("history", "rss"), size, of=POINTS),
        Row("Disk per small run", per(("runs", "bytes"), RUNS), size, of=RUNS),
        Row("Disk per point of a long series",
            per(("writing", "series_bytes"), POINTS), size),
        Row("Installed size", ("installed", "bytes"), size),
    ]


def losses(tracker, mode):
    if "error" in tracker:
        return NOT_MEASURED
    kills = at(tracker, "durability", mode, "kills")
    if not kills:
        return NONE
    lost, acknowledged = (sum(kill[key] for kill in kills) for key in ("lost", "acknowledged"))
    return f"{lost:,} of {acknowledged:,}"


def syncs(tracker, mode):
    if "error" in tracker:
        return NOT_MEASURED
    return number(at(tracker, "durability", mode, "sync", "per_call"))


def wrap(text, indent=""):
    return textwrap.fill(text, 100, subsequent_indent=indent, break_on_hyphens=False)


def lines(header, body):
    table = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(row) + " |" for row in table) + "\n"


def about(results):
    machine, trackers = results["machine"], results["trackers"]
    versions = [f"{NAMES[name]} {at(tracker, 'installed', 'version')}"
                for name, tracker in trackers.items() if "error" not in tracker]
    load = machine["load_during"]
    isolation = "without a network" if machine["isolated"] else "with its network left as it was"
    text = (
        f"{machine['date']}; {machine['cpu']}, {machine['cores']} cores, "
        f"{size(machine['memory'])} of memory, {machine['system']}, Python {machine['python']}, "
        f"{isolation}. Appending 200 bytes to a file and syncing it takes "
        f"{seconds(machine['sync_seconds'])}. The load was {machine['load_before']} before, "
        f"{min(load)} to {max(load)} during and {machine['load_after']} after the run, which "
        f"itself is a load of about 1. Medians of {results['sizes']['repeats']} repetitions; "
        "fewer where a call takes more than some 10 s.")
    if results["quick"]:
        text = f"**A trial with small sizes: these figures mean nothing.** {text}"
    return f"{wrap(text)}\n\n{wrap(', '.join(versions))}.\n"


def verdicts(found, trackers):
    reached, missed = [], []
    for row in found:
        ratio, _ = row.ratio(trackers)
        if ratio is not None:
            (reached if ratio >= TARGET else missed).append(f"{row.name}: {row.verdict(trackers)}")
    text = wrap("The goal is ten times the best peer of the same durability in every row. Reached "
                f"in {len(reached)} of {len(reached) + len(missed)} rows that have such a peer.")
    if missed:
        text += "\n\nNot reached:\n\n" + "\n".join(f"- {name}" for name in missed)
    return text + "\n"


def calls(trackers):
    kinds = (("One durable call", "EACH"), ("Accepted", "STREAM"), ("Until stored", "BULK"),
             ("List", "LIST"), ("Filter", "FILTER"), ("History", "HISTORY"))
    modules = {name: importlib.import_module(f"{name}_client") for name in trackers}
    body = [[NAMES[name], *(getattr(module, key) or NONE for _, key in kinds)]
            for name, module in modules.items()]
    return lines(["Calls", *(name for name, _ in kinds)], body)


def failures(trackers):
    """What could not be measured and the reasons, without the paths of this machine."""
    found = []
    for name, tracker in trackers.items():
        parts = {"nothing": tracker["error"]} if "error" in tracker else tracker["failed"]
        for part, reason in parts.items():
            reason = re.sub(r"\S*/\S*", "…", reason)
            text = "not measured" if part == "nothing" else f"{part} not measured"
            found.append(wrap(f"- {NAMES[name]}: {text}: {reason}", "  ") + "\n")
    return "".join(found)


def section(results):
    trackers, sizes = results["trackers"], results["sizes"]
    names = [NAMES[name] for name in trackers]
    found = rows(sizes)
    body = [[row.name, *(row.cell(tracker, sizes) for tracker in trackers.values()),
             row.verdict(trackers)] for row in found]
    kinds = (("each", "One durable call each"), ("stream", "Accepted, all processes killed"),
             ("script", "Accepted, only the script killed"))
    lost = [[name, *(losses(tracker, mode) for tracker in trackers.values())]
            for mode, name in kinds]
    lost += [[f"Syncs per call: {name}", *(syncs(tracker, mode) for tracker in trackers.values())]
             for mode, name in (("each", "durable"), ("stream", "accepted"))]
    return "\n".join([
        "## Beside other trackers\n", about(results), failures(trackers),
        lines(["", *names, "annals against the best"], body), verdicts(found, trackers),
        LEVELS_TEXT, lines(["Points lost after `kill -9`", *names], lost),
        "### Calls\n", calls(trackers), CAVEATS])


def page(results, before=None):
    """The page with its section on peers made anew; other sections of `before` stay."""
    text = f"{BEGIN}\n\n{section(results)}\n{END}"
    if before and BEGIN in before and END in before:
        return re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: text, before,
                      flags=re.DOTALL)
    return f"{before or INTRODUCTION}\n{text}\n"
