"""Aim with a local repository. Runs can be queried once indexed (`aim storage reindex`)."""

import pathlib

EACH = STREAM = "`run.track`"
BULK = "`run.track`, then `close`"
LIST = "`iter_runs`"
FILTER = "`query_runs`"
HISTORY = "`get_metric`"
DATA = r"/seqs/.*\.(log|sst)$"
PACKAGE = "aim"
HELPER = False
IN_PROCESS = True
SUPERVISED = False
ENVIRONMENT = {}
QUIET = {"system_tracking_interval": None, "log_system_params": False,
         "capture_terminal_logs": False}


class Client:
    def __init__(self, store):
        from aim import Repo
        self.store = pathlib.Path(store).resolve()
        self.store.mkdir(parents=True, exist_ok=True)
        self.repo = Repo.from_path(str(self.store), init=True)

    def make(self, name, rate):
        from aim import Run
        run = Run(repo=str(self.store), **QUIET)
        run.name, run["lr"] = name, rate
        return run

    def start(self, name, rate, mode):
        self.run = self.make(name, rate)

    def log(self, step, value):
        self.run.track(value, name="loss", step=step)

    log_each = log

    def log_batch(self, step, values):
        self.run.track(values, step=step)

    def finish(self, mode):
        self.run.close()

    def fill(self, runs):
        for name, value in runs:
            run = self.make(name, value)
            run.track(value, name="loss", step=1)
            run.close()

    def index(self):
        self.repo._recreate_index()

    def list(self):
        return sum(1 for _ in self.repo.iter_runs())

    def filter(self, below):
        from aim.sdk.types import QueryReportMode
        found = self.repo.query_runs(f"run.lr < {below}", report_mode=QueryReportMode.DISABLED)
        return sum(1 for _ in found.iter_runs())

    def history(self):
        from aim.storage.context import Context
        for name in self.repo.list_all_runs():
            run = self.repo.get_run(name)
            metric = run and run.get_metric("loss", Context({}))
            if metric is not None:
                steps, (values, *_) = metric.data.items_list()
                return list(zip(steps, values, strict=True))
        return []
