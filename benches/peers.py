"""annals beside MLflow, Weights & Biases, trackio, Aim and DVCLive, in one run on one machine.

    python3 benches/peers.py ANNALS [--quick] [--only NAME…] [--json FILE] [--table FILE]
    python3 benches/peers.py ANNALS --prepare NAME…      # stores of 10,000 runs, without a limit
    python3 benches/peers.py --from FILE --table FILE    # only the page, from earlier results

Each peer is installed from PyPI into an environment of its own, in the user's cache folder, and
runs without a network. `peers/NAME_client.py` is what a user of the tracker would write;
`peers/driver.py` measures it in the tracker's interpreter. ANNALS is a release build.

A point counts as durable at the level that was observed, not at the one that is promised:
`none`, it was lost when all processes were killed at a random moment after the call returned;
`process`, none was lost so; `power`, also no write of the file with the points was unsynced when
the call returned, as strace saw it.

Expected: a durable call of annals is a process and some seven fdatasync, 10 ms; under
`annals run exec` a point is a line in a pipe, 10 us, and groups of points share a commit. Lists
and history are one process without an interpreter. Target: >= 10 x the best peer of the same
durability in every row.

Figures count only on an otherwise idle machine; the load is printed before, during and after. The
whole run takes about 30 minutes once the environments and the stores of 10,000 runs are there;
both are kept in the cache folder. A store that would take more than 10 minutes gets 1,000 runs,
unless it was made by --prepare before, at any load: that of annals takes one to two hours, since
every change writes registry files that name all runs.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "peers"), str(HERE.parent / "src/engine")]
import driver  # noqa: E402
import machine  # noqa: E402
import provision  # noqa: E402
import syncs  # noqa: E402
import table  # noqa: E402

PINS = {  # the newest stable releases of 2026-11-30
    "mlflow": "mlflow==3.17.2",  # 3.18.0 needs an mlflow-skinny that PyPI did not have yet
    "wandb": "wandb==0.31.0",
    "trackio": "trackio==0.43.0",
    "aim": "aim==3.29.1",
    "dvclive": "dvclive==3.49.1",
}
TRACKERS = ["annals", "mlflow", "mlflow_file", "wandb", "trackio", "aim", "dvclive"]
SIZES = {"points": 100_000, "seconds": 2.0, "repeats": 5, "kills": 5, "runs": 10_000}
QUICK = {"points": 2_000, "seconds": 0.5, "repeats": 2, "kills": 2, "runs": 50}
HISTORY_SECONDS, READ_SECONDS = 120.0, 40.0
FILL_SECONDS, FILL_PARTS, OPERATION_SECONDS = 600, 20, 900
SMALL_RUNS, SYNC_CALLS, PAUSE_SECONDS = 20, 50, 0.001
BELOW = 0.1
MEMORY = pathlib.Path("/dev/shm")


class Failed(Exception):
    pass


class Tracker:
    """A tracker, its interpreter, and how its operations are run."""

    def __init__(self, name, options, scratch):
        self.name, self.scratch = name, scratch
        self.module = __import__(f"{name}_client")
        self.made, self.python = {}, sys.executable
        if self.module.PACKAGE:
            self.made = environment(self.module.PACKAGE)
            self.python = str(cache() / self.module.PACKAGE / "venv/bin/python")
        self.program = str(pathlib.Path(options.annals).resolve())
        self.fence = machine.isolated()

    def variables(self, store):
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        home = pathlib.Path(f"{store}-home")
        home.mkdir(parents=True, exist_ok=True)
        own = {"HOME": str(home), "ANNALS": self.program, "PYTHONDONTWRITEBYTECODE": "1"}
        return kept | own | self.module.ENVIRONMENT

    def start(self, operation, store, prefix=(), **arguments):
        result = self.scratch / f"{self.name}-result.json"
        result.unlink(missing_ok=True)
        words = [*prefix, *self.fence, self.python, str(HERE / "peers/driver.py"), self.name,
                 operation, str(store), str(result), json.dumps(arguments)]
        with open(self.scratch / f"{self.name}.log", "ab") as log:
            return subprocess.Popen(words, env=self.variables(store), stdout=log, stderr=log,
                                    stdin=subprocess.DEVNULL, cwd=self.scratch)

    def run(self, operation, store, prefix=(), **arguments):
        process = self.start(operation, store, prefix, **arguments)
        try:
            code = process.wait(OPERATION_SECONDS)
        except subprocess.TimeoutExpired:
            code = f"no end after {OPERATION_SECONDS} s"
        machine.kill_all()
        if code != 0:
            log = (self.scratch / f"{self.name}.log").read_text(errors="replace")
            raise Failed(f"{operation}: {code}: {(log.strip().splitlines() or [''])[-1][:200]}")
        return json.loads((self.scratch / f"{self.name}-result.json").read_text())

    def index(self, store):
        """Makes what was written visible, where a tracker needs that."""
        if hasattr(self.module.Client, "index"):
            self.run("index", store)

    def store(self, name):
        return self.scratch / f"{self.name}-{name}"

    def new_store(self, name):
        """An empty store; of peers a copy of one, since MLflow takes seconds to make its own."""
        store, empty = self.store(name), self.store("empty")
        shutil.rmtree(store, ignore_errors=True)
        if self.module.PACKAGE:
            if not empty.exists():
                self.run("make", empty)
            shutil.copytree(empty, store)
        return store


# --------------------------------------------------------------------------------- environments

def cache():
    wanted = hashlib.sha256(json.dumps([PINS, sys.version]).encode()).hexdigest()[:16]
    return provision.cache_folder() / f"peers-{wanted}"


def environment(package):
    """What is installed for a peer; made now if it is missing."""
    place = cache() / package
    note = place / "made.json"
    if not note.exists():
        print(f"{package}: making its environment (once)", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        venv.create(place / "venv", with_pip=True)
        bare = machine.disk(place)
        pip = [place / "venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        done = subprocess.run([*pip, "install", "--quiet", PINS[package]], capture_output=True,
                              text=True)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise Failed(f"pip cannot install {PINS[package]}: {' '.join(lines[-1:])[:200]}")
        listed = subprocess.run([*pip, "list", "--format", "json"], capture_output=True, text=True,
                                check=True)
        made = {"bytes": machine.disk(place) - bare, "packages": len(json.loads(listed.stdout)) - 1}
        note.write_text(json.dumps(made))
    return json.loads(note.read_text())


def installed(tracker):
    if tracker.module.PACKAGE:
        return tracker.made | {"version": PINS[tracker.module.PACKAGE].split("==")[1]}
    version = subprocess.run([tracker.program, "--version"], capture_output=True, text=True)
    return {"version": version.stdout.split()[1], "packages": 0,
            "bytes": os.stat(tracker.program).st_blocks * 512}


# -------------------------------------------------------------------------------------- writing

def writing(tracker, size):
    """Rates of writing, the memory of the writers, and a store with one long series."""
    found = tracker.run("write", tracker.new_store("write"), repeats=size["repeats"],
                        points=size["points"], seconds=size["seconds"])
    rates = {name: statistics.median(found[name]) if found[name] else None
             for name in ("each", "batch", "accepted", "stored")}
    store = tracker.new_store("history")
    with machine.Peak() as peak:
        long = tracker.run("history", store, points=size["points"], seconds=HISTORY_SECONDS)
    tracker.index(store)
    taken = machine.disk(store)
    return rates | {"spread": {name: [min(found[name]), max(found[name])] for name in rates
                               if found[name]},
                    "write_rss": peak.bytes, "series_points": long["points"],
                    "series_bytes": taken}


def killed(tracker, mode, victim):
    """Acknowledged points, and those of them that are lost after `kill -9` at a random moment."""
    store, file = tracker.new_store("kill"), tracker.scratch / "acknowledged"
    file.unlink(missing_ok=True)
    process = tracker.start("acknowledge", store, mode=mode, file=str(file), pause=PAUSE_SECONDS,
                            points=10_000_000)
    until = time.monotonic() + 120
    while not file.exists() or file.stat().st_size == 0:
        if process.poll() is not None or time.monotonic() > until:
            machine.kill_all()
            raise Failed(f"no point was acknowledged in the mode {mode}")
        time.sleep(0.01)
    time.sleep(random.uniform(0.5, 2.0))
    if victim == "all":
        machine.kill_all()
    else:
        os.kill(struct.unpack("<qq", file.read_bytes())[0], 9)
        process.wait()
        settle = time.monotonic() + 10
        while machine.descendants(os.getpid()) and time.monotonic() < settle:
            machine.reap()
        machine.kill_all()
    last = struct.unpack("<qq", file.read_bytes())[1]
    tracker.index(store)
    steps = set(tracker.run("steps", store)["steps"])
    return {"acknowledged": last, "lost": sum(1 for step in range(1, last + 1)
                                              if step not in steps)}


def synced(tracker, mode):
    """Whether points were on disk when a call returned and when `finish` did, seen by strace."""
    trace = tracker.scratch / f"{tracker.name}-{mode}.trace"
    store = tracker.new_store(f"trace-{mode}")
    found = tracker.run("acknowledge", store, prefix=[*syncs.TRACE, str(trace)], mode=mode,
                        file=str(tracker.scratch / "traced"), pause=PAUSE_SECONDS,
                        points=SYNC_CALLS)
    # A supervised script ends before its supervisor does, which is what the user waits for.
    finished = float("inf") if tracker.module.SUPERVISED else found["finished"]
    text, data = trace.read_text(errors="replace"), tracker.module.DATA
    trace.unlink()
    return {"per_call": syncs.count(text, found["began"], found["returned"]) / SYNC_CALLS,
            "returned": not syncs.unsynced(text, data, found["returned"]),
            "finished": not syncs.unsynced(text, data, finished)}


def durability(tracker, size, traced):
    found = {}
    each, stream = tracker.module.EACH, tracker.module.STREAM
    modes = (["each"] if each else []) + (["stream"] if stream != each else [])
    for mode in modes:
        kills = [killed(tracker, mode, "all") for _ in range(size["kills"])]
        sync = synced(tracker, mode) if traced else None
        lost = sum(kill["lost"] for kill in kills)
        level = "none" if lost else "power" if sync and sync["returned"] else "process"
        found[mode] = {"kills": kills, "sync": sync, "level": level}
    found.setdefault("stream", found.get("each"))  # the same call
    if tracker.module.HELPER:
        found["script"] = {"kills": [killed(tracker, "stream", "script")
                                     for _ in range(size["kills"])]}
    sync = found["stream"]["sync"]
    found["stored"] = {"level": "power" if sync and sync["finished"] else "process"}
    if hasattr(tracker.module.Client, "log_many") and traced:
        # Batches are written by the same synchronous path as single points.
        found["stored"]["level"] = found["each"]["level"]
    return found


# -------------------------------------------------------------------------------------- reading

def reading(tracker, what, store, size, expected, **arguments):
    """Seconds of a reading call in new processes, and in one that goes on."""
    found, until = [], time.monotonic() + READ_SECONDS
    for number in range(size["repeats"]):
        if found and time.monotonic() > until:
            break
        repeats = 0 if number else size["repeats"]
        found.append(tracker.run("read", store, what=what, began=time.monotonic(),
                                 repeats=repeats, **arguments))
        if found[-1]["count"] != expected:
            raise Failed(f"{what} found {found[-1]['count']} instead of {expected}")
    fresh = statistics.median(one["fresh"] for one in found)
    return {"fresh": fresh, "warm": found[0]["warm"], "rss": found[-1]["rss"]}


def filled(tracker, count, limit):
    """A store of many small runs, kept in the cache folder, and how many it has.

    It is filled in memory where that can be, which is no measurement, and then copied.
    """
    store = cache() / f"runs-{count}" / tracker.name
    note = pathlib.Path(f"{store}.json")
    if note.exists():
        made = json.loads(note.read_text())
        if made["runs"] == count or limit <= FILL_SECONDS:
            return store, made
    part, made = max(count // FILL_PARTS, 50), {"runs": 0, "seconds": 0.0}
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as work:
        work = pathlib.Path(work) / "store"
        while made["runs"] < count:
            if made["runs"] >= count // 10 and made["seconds"] * count / made["runs"] > limit:
                break
            last = made["runs"] + part
            took = tracker.run("fill", work, first=made["runs"], last=last, count=count)["seconds"]
            made = {"runs": last, "seconds": made["seconds"] + took}
            if limit > FILL_SECONDS:
                print(f"{tracker.name}: {last} runs, {took / part * 1e3:.0f} ms each", flush=True)
        tracker.index(work)
        store.parent.mkdir(exist_ok=True)
        copy(work, store)
    made["bytes"] = machine.disk(store)
    note.write_text(json.dumps(made))
    return store, made


def copy(source, target):
    """A store and the home folder that belongs to it, such as keys."""
    for suffix in ("", "-home"):
        shutil.rmtree(f"{target}{suffix}", ignore_errors=True)
        subprocess.run(["cp", "-a", f"{source}{suffix}", f"{target}{suffix}"], check=True)


def small_runs(tracker, full, runs, size):
    """Small runs per second, in a new store and in a copy of the one that has many."""
    found = {}
    for name, first in (("few", 0), ("full", runs)):
        store = tracker.new_store(name)
        if first:
            copy(full, store)
        made = tracker.run("fill", store, first=first, last=first + SMALL_RUNS, count=size["runs"])
        found[name] = SMALL_RUNS / made["seconds"]
        shutil.rmtree(store)
    return found


def below(runs, count):
    return sum(1 for number in range(runs) if driver.small(number, count) < BELOW)


def lists(tracker, size):
    if tracker.module.LIST is None:
        return {}
    store, made = filled(tracker, size["runs"], FILL_SECONDS)
    return {"runs": made, "small": small_runs(tracker, store, made["runs"], size),
            "list": reading(tracker, "list", store, size, made["runs"]),
            "filter": reading(tracker, "filter", store, size,
                              below(made["runs"], size["runs"]), below=BELOW)}


def measure(tracker, size, traced):
    """All measures of a tracker; one that fails is named with its reason, and ends no other."""
    found = {"installed": installed(tracker), "failed": {}}
    parts = {
        "writing": lambda: {"writing": writing(tracker, size)},
        "durability": lambda: {"durability": durability(tracker, size, traced)},
        "history": lambda: {"history": reading(tracker, "history", tracker.store("history"), size,
                                               found["writing"]["series_points"])},
        "lists": lambda: lists(tracker, size),
    }
    for name, part in parts.items():
        try:
            found |= part()
        except (Failed, KeyError) as error:
            found["failed"][name] = str(error)
            machine.kill_all()
    return found


def all_of(options, size, scratch):
    about = machine.describe(scratch) | {"load_before": machine.load()}
    print(f"load before {about['load_before']}; figures count only on an otherwise idle machine",
          flush=True)
    results, about["load_during"] = {}, []
    whole = {"machine": about, "sizes": size, "quick": options.quick, "trackers": results}
    for name in options.only or TRACKERS:
        began = time.monotonic()
        try:
            tracker = Tracker(name, options, scratch)
            results[name] = measure(tracker, size, about["strace"])
        except Failed as error:
            results[name] = {"error": str(error)}
        finally:
            machine.kill_all()
        about["load_during"].append(machine.load())
        about["load_after"] = machine.load()
        failed = results[name].get("error") or results[name]["failed"] or ""
        print(f"{name}: {time.monotonic() - began:.0f} s, load {about['load_after']} {failed}",
              flush=True)
        save(options, whole)
    print(f"load after {about['load_after']}")
    return whole


def save(options, results):
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1])
    parser.add_argument("annals", nargs="?")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=TRACKERS)
    parser.add_argument("--prepare", nargs="+", choices=TRACKERS)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--table", type=pathlib.Path)
    parser.add_argument("--from", dest="results", type=pathlib.Path)
    parser.add_argument("--folder", help="where stores are written; on the disk to be measured")
    options = parser.parse_args()
    if not options.annals and not options.results:
        parser.error("ANNALS is missing: the path of a release build")
    machine.adopt()
    size = QUICK if options.quick else SIZES
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as scratch:
        scratch = pathlib.Path(scratch)
        for name in options.prepare or []:
            print(name, filled(Tracker(name, options, scratch), size["runs"], float("inf"))[1])
        if options.prepare:
            return
        results = (json.loads(options.results.read_text()) if options.results
                   else all_of(options, size, scratch))
    written = options.table and options.table.is_file()
    page = table.page(results, options.table.read_text() if written else None)
    if options.table:
        options.table.write_text(page)
    else:
        print(page)


if __name__ == "__main__":
    main()
