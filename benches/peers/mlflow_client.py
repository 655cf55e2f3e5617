"""MLflow through its client, with a local SQLite database or a local folder as its store."""

import pathlib

EACH = "`log_metric`"
STREAM = "`log_metric(synchronous=False)`"
BULK = "`log_batch` of 1,000"
LIST = FILTER = "`search_runs`"
HISTORY = "`get_metric_history`"
DATA = r"/mlflow\.db$"
PACKAGE = "mlflow"
HELPER = False
IN_PROCESS = True
SUPERVISED = False
# The queue of the asynchronous call is stored far more slowly than it is filled.
ACCEPT_SECONDS = 0.5
ENVIRONMENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true",
               "MLFLOW_ALLOW_FILE_STORE": "true"}


class Client:
    def __init__(self, store, database=True):
        from mlflow.tracking import MlflowClient
        place = pathlib.Path(store).resolve()
        place.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{place / 'mlflow.db'}" if database else (place / "runs").as_uri()
        self.client = MlflowClient(tracking_uri=uri)
        found = self.client.get_experiment_by_name("bench")
        folder = (place / "files").as_uri()
        self.experiment = (found.experiment_id if found else
                           self.client.create_experiment("bench", artifact_location=folder))

    def start(self, name, rate, mode):
        self.run = self.client.create_run(self.experiment, run_name=name).info.run_id
        self.client.log_param(self.run, "lr", rate)
        self.waiting = None

    def log_each(self, step, value):
        self.client.log_metric(self.run, "loss", value, step=step)

    def log_batch(self, step, values):
        from mlflow.entities import Metric
        metrics = [Metric(name, value, 0, step) for name, value in values.items()]
        self.client.log_batch(self.run, metrics=metrics)

    def log(self, step, value):
        self.waiting = self.client.log_metric(self.run, "loss", value, step=step,
                                              synchronous=False)

    def log_many(self, points):
        from mlflow.entities import Metric
        for first in range(0, len(points), 1000):
            part = points[first:first + 1000]
            metrics = [Metric("loss", value, 0, step) for step, value in part]
            self.client.log_batch(self.run, metrics=metrics)

    def finish(self, mode):
        if self.waiting:
            self.waiting.wait()
        self.client.set_terminated(self.run)

    def fill(self, runs):
        from mlflow.entities import Metric, Param
        for name, value in runs:
            run = self.client.create_run(self.experiment, run_name=name).info.run_id
            self.client.log_batch(run, [Metric("loss", value, 0, 1)], [Param("lr", str(value))])
            self.client.set_terminated(run)

    def search(self, condition):
        found, token = 0, None
        while True:
            page = self.client.search_runs([self.experiment], condition, max_results=10_000,
                                           page_token=token)
            found, token = found + len(page), page.token
            if not token:
                return found

    def list(self):
        return self.search("")

    def filter(self, below):
        return self.search(f"metrics.loss < {below}")

    def history(self):
        run = self.client.search_runs([self.experiment], max_results=1)[0].info.run_id
        return [(point.step, point.value)
                for point in self.client.get_metric_history(run, "loss")]
