"""What `strace` saw of a tracker's files: were the points on disk when a call returned?"""

import re

CALLS = "write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,msync,sync_file_range"
TRACE = ["strace", "-f", "-y", "-ttt", "-s", "0", "-e", f"trace={CALLS}", "-o"]
LINE = re.compile(r"^\d+ +(?P<at>[\d.]+) (?P<call>\w+)\(\d+<(?P<file>[^>]*)>")


def unsynced(trace, data, until):
    """Files matching `data` that were written and not synced before the time `until`."""
    dirty, written = set(), False
    for line in trace.splitlines():
        found = LINE.match(line)
        if not found or float(found["at"]) > until or not re.search(data, found["file"]):
            continue
        if "write" in found["call"]:
            dirty.add(found["file"])
            written = True
        else:
            dirty.discard(found["file"])
    return dirty if written else {"nothing was written"}


def count(trace, begin, end):
    """How often anything was synced between two times."""
    found = (LINE.match(line) for line in trace.splitlines())
    return sum(1 for line in found
               if line and "sync" in line["call"] and begin <= float(line["at"]) <= end)
