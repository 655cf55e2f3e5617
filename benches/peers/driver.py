"""One operation of one tracker, in the interpreter of that tracker's environment.

    python driver.py CLIENT OPERATION STORE RESULT ARGUMENTS

The result is written to the file RESULT as JSON, since trackers print. Clocks are monotonic, thus
the same in every process of the machine.
"""

import importlib
import importlib.metadata
import json
import math
import os
import pathlib
import re
import resource
import statistics
import struct
import subprocess
import sys
import time

BATCH, BULK_POINTS, WARM_SECONDS = 100, 10_000, 20.0
now = time.monotonic


def value_of(step):
    return 1.0 / step


def small(number, count):
    """The learning rate and the loss of one of many small runs: spread evenly, in no order."""
    return number * 7919 % count / count


def loop(log, points, seconds):
    """Calls `log` for one step after another; the steps and the seconds that they took."""
    began, step = now(), 0
    until = began + seconds
    while step < points:
        step += 1
        log(step, value_of(step))
        if now() > until:
            break
    return step, now() - began


def each(client, points, seconds):
    """Calls that are as durable when they return as the tracker can: of a point, and of many."""
    client.start("each", 0.1, "each")
    steps, took = loop(client.log_each, points, seconds)
    found = {"each": steps / took}
    if hasattr(client, "log_batch"):
        def log(step, value):
            client.log_batch(step, {f"m{number}": value for number in range(BATCH)})
        steps, took = loop(log, max(points // BATCH, 1), seconds)
        found["batch"] = steps * BATCH / took
    client.finish("each")
    return found


def bulk(client, points, seconds):
    """Points by the fastest call; the seconds end when `finish` has returned."""
    client.start("bulk", 0.1, "bulk")
    began, step = now(), 0
    while step < points and now() - began < seconds:
        last = min(step + BULK_POINTS, points)
        client.log_many([(step, value_of(step)) for step in range(step + 1, last + 1)])
        step = last
    client.finish("bulk")
    return {"points": step, "stored": step / (now() - began)}


def stream(client, points, seconds):
    """Points one by one: how fast the loop went, and how fast with `finish`."""
    client.start("stream", 0.1, "stream")
    began = now()
    steps, took = loop(client.log, points, seconds)
    client.finish("stream")
    return {"points": steps, "began": began, "accepted": steps / took,
            "stored": steps / (now() - began)}


class Driver:
    def __init__(self, words):
        self.words = words
        name, self.operation, self.store, self.result, arguments = words
        self.module = importlib.import_module(f"{name}_client")
        self.arguments = json.loads(arguments)
        self.inside = "ANNALS_RUN" in os.environ

    def client(self):
        return self.module.Client(self.store)

    def again(self, operation=None, **arguments):
        """The command that runs an operation as a script which the tracker supervises."""
        client, words = self.client(), [sys.argv[0], *self.words]
        words[2] = operation or words[2]
        words[5] = json.dumps(self.arguments | arguments)
        return client.supervised(words)

    def run(self):
        result = getattr(self, self.operation)(**self.arguments)
        if result is not None:
            pathlib.Path(self.result).write_text(json.dumps(result))

    def one_stream(self, points, seconds):
        if not self.module.SUPERVISED or self.inside:
            return stream(self.client(), points, seconds)
        command = self.again("one_stream", points=points, seconds=seconds)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        ended = now()
        result = json.loads(pathlib.Path(self.result).read_text())
        return result | {"stored": result["points"] / (ended - result["began"])}

    def write(self, repeats, points, seconds):
        """Rates of every way to write, each time in a new run."""
        rates = {"each": [], "batch": [], "accepted": [], "stored": []}
        self.arguments = {}
        client = self.client()
        for _ in range(repeats):
            found = self.one_stream(points, getattr(self.module, "ACCEPT_SECONDS", seconds))
            if hasattr(client, "log_many"):
                found |= bulk(self.client(), points, seconds)
            if self.module.EACH:
                found |= each(self.client(), points, seconds)
            for name, values in rates.items():
                if name in found:
                    values.append(found[name])
        return rates | {"points": found["points"]}

    def history(self, points, seconds):
        """One long series, by the fastest way to write it."""
        client = self.client()
        if hasattr(client, "log_many"):
            return bulk(client, points, seconds)
        self.arguments = {}
        return self.one_stream(points, seconds)

    def make(self):
        self.client()
        return {}

    def fill(self, first, last, count):
        began = now()
        self.client().fill([(f"run{number}", small(number, count))
                            for number in range(first, last)])
        return {"seconds": now() - began}

    def index(self):
        self.client().index()
        return {}

    def read(self, what, began, repeats, below=None):
        """Seconds since the process was started, then of the same call again."""
        client = self.client()

        def call():
            started = now()
            found = client.filter(below) if what == "filter" else getattr(client, what)()
            return found, now() - started

        found, took = call()
        fresh = now() - began if self.module.IN_PROCESS else took
        warm, until = [], now() + WARM_SECONDS
        while len(warm) < repeats and (not warm or now() < until):
            warm.append(call()[1])
        if what == "history":
            for wanted, (step, value) in enumerate(sorted(found), 1):
                if step != wanted or not math.isclose(value, value_of(step)):
                    raise ValueError(f"step {step} is {value}, not step {wanted}")
        count = found if isinstance(found, int) else len(found)
        return {"fresh": fresh, "warm": statistics.median(warm) if warm else None, "count": count,
                "rss": self.peak()}

    def steps(self):
        """Which steps a new process finds."""
        return {"steps": sorted({step for step, _ in self.client().history()})}

    def peak(self):
        if not self.module.IN_PROCESS:
            return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        status = pathlib.Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024

    def acknowledge(self, mode, file, pause, points):
        """Writes until it is killed, or `points` points; `file` has the last returned step."""
        if mode == "stream" and self.module.SUPERVISED and not self.inside:
            command = self.again()
            os.execv(command[0], command)
        client = self.client()
        client.start("killed", 0.1, mode)
        log = client.log_each if mode == "each" else client.log
        with open(file, "wb", buffering=0) as output:
            began = time.time()
            for step in range(1, points + 1):
                log(step, value_of(step))
                os.pwrite(output.fileno(), struct.pack("<qq", os.getpid(), step), 0)
                time.sleep(pause)
            returned = time.time()
            client.finish(mode)
        return {"began": began, "returned": returned, "finished": time.time()}


if __name__ == "__main__":
    Driver(sys.argv[1:]).run()
