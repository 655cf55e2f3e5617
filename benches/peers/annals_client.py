"""annals as a Python user has it: lines of JSON under `annals run exec`, else one command a call.

Points are printed in a script that `annals run exec` supervises. A call that is durable when it
returns is a process of its own, `annals run log`.
"""

import csv
import json
import os
import pathlib
import subprocess
import sys

EACH = "`annals run log`, one process per point"
STREAM = "`print` of JSON under `annals run exec`"
BULK = "the same, until `annals run exec` returns"
LIST = "`annals list`"
FILTER = "`annals list --where`"
HISTORY = "`annals query`"
DATA = r"/log\.redb$"
PACKAGE = None
HELPER = True
IN_PROCESS = False
# The process that prints begins its series and ends; the time until it is stored includes that.
SUPERVISED = True
ENVIRONMENT = {"ANNALS_ACTOR": "bench"}
POINTS = "FROM metrics WHERE kind = 'run.metrics_recorded' AND name = 'loss'"


class Client:
    def __init__(self, store):
        self.program = os.environ["ANNALS"]
        self.store = pathlib.Path(store)
        if not (self.store / ".annals").exists():
            self.store.mkdir(parents=True, exist_ok=True)
            self.call("init", "--project", "bench")

    def call(self, *words):
        done = subprocess.run([self.program, "-q", *words], cwd=self.store, check=True,
                              stdout=subprocess.PIPE, text=True)
        return done.stdout

    def start(self, name, rate, mode):
        if mode == "each":
            words = ["run", "start", "--name", name, "--param", f"lr={rate}"]
            self.run = json.loads(self.call(*words, "--format", "json"))["experiment_id"]

    def log_each(self, step, value):
        self.call("run", "log", self.run, f"loss={value!r}", "--step", str(step))

    def log_batch(self, step, values):
        words = [f"{name}={value!r}" for name, value in values.items()]
        self.call("run", "log", self.run, *words, "--step", str(step))

    def log(self, step, value):
        print(json.dumps({"loss": value, "step": step}), flush=True)

    def finish(self, mode):
        if mode == "each":
            self.call("run", "finish", self.run)

    def supervised(self, words):
        """The command that runs this script again, under `annals run exec`."""
        return [self.program, "-q", "-C", str(self.store), "run", "exec", "--name", "script", "--",
                sys.executable, *words]

    def fill(self, runs):
        for name, value in runs:
            line = json.dumps({"loss": value, "step": 1})
            self.call("run", "exec", "--name", name, "--param", f"lr={value}", "--", "echo", line)

    def list(self):
        return self.call("list", "--format", "jsonl").count("\n")

    def filter(self, below):
        return self.call("list", "--where", f"loss < {below}", "--format", "jsonl").count("\n")

    def history(self):
        text = self.call("query", f"SELECT step, value {POINTS} ORDER BY step", "-n", "10000000",
                         "--format", "csv")
        return [(int(step), float(value)) for step, value in csv.reader(text.splitlines()[1:])]
