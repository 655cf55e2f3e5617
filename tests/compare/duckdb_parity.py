"""The same questions, asked of `annals query` and of DuckDB over the Parquet export.

Usage: duckdb_parity.py ANNALS [WORKSPACE]. Without a workspace, makes one with two runs, a refusal
and a promotion. Ends with exit code 1 at the first answer that differs.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

QUESTIONS = [
    "SELECT kind, count(*) AS n FROM events GROUP BY kind ORDER BY kind",
    "SELECT count(*) AS n, min(position) AS a, max(position) AS b FROM events",
    "SELECT kind, provenance, count(*) AS n FROM events WHERE position BETWEEN 5 AND 40"
    " GROUP BY kind, provenance ORDER BY kind, provenance",
    "SELECT position, stream, revision, actor, identity, invocation FROM events"
    " WHERE kind = 'run.artifact_stored' ORDER BY position",
    "SELECT position, payload FROM events ORDER BY position",
    "SELECT run, name, split, value, step, epoch FROM metrics WHERE kind = 'run.finished'"
    " ORDER BY run, name, split",
    "SELECT name, split, count(*) AS n, min(value) AS low, max(value) AS high, sum(step) AS steps"
    " FROM metrics GROUP BY name, split ORDER BY name, split",
    "SELECT r.experiment_id, m.value FROM runs r JOIN metrics m ON m.run = r.run"
    " WHERE m.name = 'accuracy' AND m.split = 'test' AND m.kind = 'run.finished'"
    " ORDER BY r.experiment_id",
    "SELECT experiment_id, status, category, seed, leaked_rows, steps, epochs, weights FROM runs"
    " ORDER BY position",
    "SELECT p.name, p.value, count(*) AS n FROM params p GROUP BY p.name, p.value"
    " ORDER BY p.name, p.value",
    "SELECT name, status, requested_by, approvals, approvers FROM promotions ORDER BY position",
    "SELECT decision, approver, identity FROM approvals ORDER BY position",
    "SELECT name, number, version, path, policy_revision FROM models ORDER BY position",
    "SELECT rule, value, revision FROM policies ORDER BY revision, rule",
    "SELECT role, path, digest, bytes FROM files ORDER BY position, role, path",
    "SELECT purpose, mode, status, files, bytes FROM moves ORDER BY position",
    "SELECT verb, words, outcome, exit_code FROM invocations ORDER BY position",
    "SELECT run, step, digest, best, pruned_position FROM train_checkpoints ORDER BY position, step",
    "SELECT a.name, a.digest, f.path FROM artifacts a JOIN files f ON f.digest = a.digest"
    " AND f.role = 'production' ORDER BY a.position, f.path",
    "SELECT size, note FROM log_checkpoints ORDER BY size",
]


def make_workspace(annals, root):
    env = {"PATH": "/usr/bin:/bin", "HOME": str(root), "ANNALS_ACTOR": "mara"}
    ward = root / "ward"
    ward.mkdir()

    def run(*args, codes=(0,)):
        done = subprocess.run([annals, *args], cwd=ward, env=env, capture_output=True, text=True)
        if done.returncode not in codes:
            sys.exit(f"annals {' '.join(args)}: {done.returncode}\n{done.stderr}")

    run("init")
    for name, seed in [("one", "1"), ("two", "2")]:
        run("train", "--config", "toy", "--name", name, "--sample-size", "600", "--seed", seed,
            "--category", "baseline")
    run("promote", "one", codes=(5,))
    run("policy", "set", "production_promotion.allow_synthetic", "true")
    run("promote", "one", "--as", "night")
    return ward


def same(a, b):
    if isinstance(a, float) or isinstance(b, float):
        return a is not None and b is not None and math.isclose(a, b, rel_tol=1e-12, abs_tol=0)
    if isinstance(b, bool):
        b = int(b)
    return a == b


def main():
    annals = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        ward = Path(sys.argv[2]) if len(sys.argv) > 2 else make_workspace(annals, root)

        def call(*args):
            env = {**os.environ, "HOME": str(root)}
            return subprocess.run([annals, *args], cwd=ward, check=True, stdout=subprocess.PIPE,
                                  text=True, env=env).stdout

        described = json.loads(call("query", "--tables", "--format", "json"))
        tables = [table["table"] for table in described]
        columns = root / "columns"
        call("export", "parquet", str(columns))
        database = duckdb.connect()
        for table in tables:
            database.execute(f"CREATE VIEW {table} AS SELECT * FROM '{columns}/{table}.parquet'")
        compared = 0
        for question in QUESTIONS:
            rows = json.loads(call("query", question, "-n", "1000000", "--format", "json"))
            ours = [list(row.values()) for row in rows]
            # SQLite and DuckDB put nulls at different ends unless asked.
            theirs = database.execute("SET default_null_order = 'nulls_first'").execute(question)
            theirs = [list(row) for row in theirs.fetchall()]
            if len(ours) != len(theirs):
                sys.exit(f"{question}: {len(ours)} rows, DuckDB has {len(theirs)}")
            for mine, other in zip(ours, theirs, strict=True):
                if not all(same(a, b) for a, b in zip(mine, other, strict=True)):
                    sys.exit(f"{question}:\n  annals {mine}\n  DuckDB {other}")
            compared += len(ours)
        types = database.execute("SELECT typeof(recorded), typeof(envelope) FROM events LIMIT 1")
        recorded, envelope = types.fetchone()
        if not recorded.startswith("TIMESTAMP") or envelope != "BLOB":
            sys.exit(f"events: recorded is {recorded}, envelope is {envelope}")
    print(f"{len(QUESTIONS)} questions, {compared} rows: annals and DuckDB agree")


if __name__ == "__main__":
    main()
