"""DVCLive without DVC: plain files in a folder for each run.

Runs are listed and filtered by DVC experiments in a git repository; plain files have no query.
"""

import pathlib

EACH = STREAM = "`log_metric`, `next_step`"
BULK = "`log_metric` with `step` set, then `end`"
LIST = FILTER = None
HISTORY = "`parse_metrics`"
DATA = r"/loss\.tsv$"
PACKAGE = "dvclive"
HELPER = False
IN_PROCESS = True
SUPERVISED = False
ENVIRONMENT = {"DVC_NO_ANALYTICS": "1"}


class Client:
    def __init__(self, store):
        self.store = pathlib.Path(store).resolve()
        self.store.mkdir(parents=True, exist_ok=True)

    def start(self, name, rate, mode):
        from dvclive import Live
        self.live = Live(str(self.store / name), save_dvc_exp=False, dvcyaml=None)
        self.live.log_param("lr", rate)

    def log(self, step, value):
        self.live.step = step
        self.live.log_metric("loss", value)
        self.live.next_step()

    log_each = log

    def log_many(self, points):
        for step, value in points:
            self.live.step = step
            self.live.log_metric("loss", value)

    def finish(self, mode):
        self.live.end()

    def history(self):
        from dvclive import Live
        from dvclive.utils import parse_metrics
        [folder] = self.store.iterdir()
        live = Live(str(folder), resume=True, save_dvc_exp=False, dvcyaml=None)
        [rows] = parse_metrics(live)[0].values()
        return [(int(row["step"]), float(row["loss"])) for row in rows]
