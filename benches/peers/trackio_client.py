"""trackio with its local SQLite database; a thread writes what was logged every half second."""

import os
import pathlib

EACH = None
STREAM = "`trackio.log`"
BULK = "`trackio.log`, then `finish`"
LIST = "`Api().runs`"
FILTER = "SQL, as `trackio query`"
HISTORY = "`get_metric_values`"
DATA = r"\.db(-wal)?$"
PACKAGE = "trackio"
HELPER = False
IN_PROCESS = True
SUPERVISED = False
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
QUIET = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}


class Client:
    def __init__(self, store):
        folder = pathlib.Path(store).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["TRACKIO_DIR"] = str(folder)
        import trackio
        from trackio.sqlite_storage import SQLiteStorage
        self.trackio, self.storage = trackio, SQLiteStorage

    def start(self, name, rate, mode):
        self.trackio.init(project="bench", name=name, config={"lr": rate}, **QUIET)

    def log(self, step, value):
        self.trackio.log({"loss": value}, step=step)

    def finish(self, mode):
        self.trackio.finish()

    def fill(self, runs):
        for name, value in runs:
            self.storage.bulk_log("bench", name, [{"loss": value}], steps=[1],
                                  config={"lr": value}, run_id=name)

    def list(self):
        return len(self.trackio.Api().runs("bench"))

    def filter(self, below):
        found = self.storage.query_project(
            "bench", "SELECT DISTINCT run_id FROM metrics "
            f"WHERE json_extract(metrics, '$.loss') < {below}")
        return found["row_count"]

    def history(self):
        run = self.trackio.Api().runs("bench")[0]
        values = self.storage.get_metric_values("bench", run.name, "loss", run_id=run.id)
        return [(value["step"], value["value"]) for value in values]
