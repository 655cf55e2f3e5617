"""Weights & Biases offline: points go to its service process, which writes a `.wandb` file.

Offline runs have no query of their own: they are listed and filtered on the server, after an
upload. The history is read here from the file, which is a log of blocks of 32 KiB as LevelDB
writes it, with a protobuf message in each record.
"""

import json
import os
import pathlib
import struct

EACH = None
STREAM = "`run.log`"
BULK = "`run.log`, then `finish`"
LIST = FILTER = None
HISTORY = "records of the `.wandb` file"
DATA = r"\.wandb$"
PACKAGE = "wandb"
HELPER = True
IN_PROCESS = True
SUPERVISED = False
ENVIRONMENT = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
BLOCK, HEAD = 32 * 1024, 7
FULL, LAST = 1, 4


def records(data):
    at, part = HEAD, b""
    while at + HEAD <= len(data):
        left = BLOCK - at % BLOCK
        size, kind = struct.unpack_from("<HB", data, at + 4) if left >= HEAD else (0, 0)
        if kind == 0:
            at += left
            continue
        part += data[at + HEAD:at + HEAD + size]
        at += HEAD + size
        if kind in (FULL, LAST):
            if at <= len(data):
                yield part
            part = b""


class Client:
    def __init__(self, store):
        self.store = pathlib.Path(store).resolve()
        for kind in ("DIR", "CACHE_DIR", "CONFIG_DIR", "DATA_DIR"):
            os.environ[f"WANDB_{kind}"] = str(self.store)
        self.store.mkdir(parents=True, exist_ok=True)

    def start(self, name, rate, mode):
        import wandb
        settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="off",
                                  disable_git=True, disable_code=True)
        self.run = wandb.init(project="bench", name=name, config={"lr": rate}, mode="offline",
                              settings=settings)

    def log(self, step, value):
        self.run.log({"loss": value}, step=step)

    def finish(self, mode):
        self.run.finish()

    def history(self):
        from wandb.proto import wandb_internal_pb2
        points = []
        for file in self.store.glob("wandb/offline-run*/*.wandb"):
            for record in records(file.read_bytes()):
                message = wandb_internal_pb2.Record.FromString(record)
                if message.WhichOneof("record_type") == "history":
                    items = {item.key or item.nested_key[0]: item.value_json
                             for item in message.history.item}
                    if "loss" in items:
                        points.append((message.history.step.num, json.loads(items["loss"])))
        return points
