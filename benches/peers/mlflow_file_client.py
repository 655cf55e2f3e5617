"""MLflow with a folder as its store, which MLflow keeps working but develops no further."""

import mlflow_client
from mlflow_client import (ACCEPT_SECONDS, BULK, EACH, ENVIRONMENT, FILTER, HELPER, HISTORY,
                           IN_PROCESS, LIST, PACKAGE, STREAM, SUPERVISED)

DATA = r"/metrics/loss$"
__all__ = ["ACCEPT_SECONDS", "BULK", "DATA", "EACH", "ENVIRONMENT", "FILTER", "HELPER", "HISTORY",
           "IN_PROCESS", "LIST", "PACKAGE", "STREAM", "SUPERVISED", "Client"]


class Client(mlflow_client.Client):
    def __init__(self, store):
        super().__init__(store, database=False)
