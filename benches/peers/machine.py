"""The machine: its description and load, and the processes below this one with their memory."""

import ctypes
import datetime
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import threading
import time

SUBREAPER = 36
SAMPLE_SECONDS = 0.05
SYNCS = 200


def adopt():
    """Orphans of processes that this one starts become its children, so that all are found."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def descendants(pid):
    found = []
    for file in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(word) for word in file.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def kill_all():
    """Kills everything below this process, and waits for it."""
    while pids := descendants(os.getpid()):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        reap()


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
    time.sleep(0.01)


class Peak:
    """The most memory that all processes below this one had at once: the sum of their RSS."""

    def __enter__(self):
        self.bytes, self.ended = 0, threading.Event()
        self.thread = threading.Thread(target=self.sample)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def sample(self):
        page = os.sysconf("SC_PAGESIZE")
        while not self.ended.wait(SAMPLE_SECONDS):
            total = 0
            for pid in descendants(os.getpid()):
                try:
                    total += int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
                except (OSError, IndexError):
                    pass
            self.bytes = max(self.bytes, total)


def disk(folder):
    """Bytes that the files below `folder` take on disk."""
    files = (os.lstat(os.path.join(root, name))
             for root, _, names in os.walk(folder) for name in names)
    return sum(found.st_blocks * 512 for found in files)


def load():
    return round(os.getloadavg()[0], 2)


def sync_seconds(folder):
    """Median seconds to append 200 bytes to a file and fdatasync it: the limit of this disk."""
    path, times = pathlib.Path(folder) / "sync", []
    with open(path, "wb", buffering=0) as file:
        for _ in range(SYNCS):
            began = time.monotonic()
            file.write(bytes(200))
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - began)
    path.unlink()
    return statistics.median(times)


def describe(folder):
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.+)", info)
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "cpu": model[1] if model else platform.machine(), "cores": os.cpu_count(),
        "memory": int(memory[1]) * 1024,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sync_seconds": sync_seconds(folder),
        "isolated": bool(isolated()), "strace": bool(shutil.which("strace")),
    }


def isolated():
    """Words that start a command without a network, where the kernel lets a user do so."""
    words = ["unshare", "--net", "--map-root-user"]
    if shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True,
                                                  check=False).returncode == 0:
        return words
    return []
