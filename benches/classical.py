"""TF-IDF with logistic regression, annals against scikit-learn, interleaved in one run.

    python benches/classical.py ANNALS DATA.csv[.gz] TEXT_COLUMN LABEL_COLUMN [ROUNDS]

Needs scikit-learn (an environment of its own). Both learn from the same rows to the optimum: the
objective says whether they did. Fitting includes the vectoriser; of annals it is the time that the
run records, which includes writing the model and scoring 7,000 rows. One prediction is measured
with the model loaded: in scikit-learn by a call, in annals by the slope over many lines of one
process.

Expected: scikit-learn spends 2.6 s on tokens in Python and 0.4 to 12 s on the fit; a tree of words
and a Newton step in Rust need 0.2 s. Targets: fit >= 5 x lbfgs and >= 1.5 x newton-cg; prediction
>= 100 x.
"""

import csv
import gzip
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def read(path, text, label):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        return [(row[text], row[label]) for row in csv.DictReader(file)]


def is_test(row):
    return int.from_bytes(hashlib.sha256(str(row).encode()).digest()[:8], "big") % 5 == 0


def fit(solver, rows):
    begin = time.perf_counter()
    model = make_pipeline(
        TfidfVectorizer(max_features=10_000, ngram_range=(1, 3)),
        LogisticRegression(C=1.0, class_weight="balanced", solver=solver, tol=1e-6, max_iter=5_000),
    )
    model.fit([text for text, _ in rows], [label for _, label in rows])
    return time.perf_counter() - begin, model


def annals(program, root, *args):
    env = {"HOME": root, "PATH": os.environ["PATH"], "USER": "bench"}
    done = subprocess.run([program, *args], cwd=root, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"annals {' '.join(args)}\n{done.stderr}")
    return done.stdout


def seconds_per_line(program, root, run, texts):
    """The slope between few and many lines: starting and loading cost the same in both."""
    times = []
    for count in (len(texts) // 10, len(texts)):
        path = os.path.join(root, "lines.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(" ".join(text.split()) + "\n" for text in texts[:count])
        begin = time.perf_counter()
        annals(program, root, "predict", run, "--file", path)
        times.append((count, time.perf_counter() - begin))
    (few, short), (many, long) = times
    return (long - short) / (many - few)


def main():
    program, path, text, label = sys.argv[1:5]
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    program = os.path.abspath(program)
    rows = read(path, text, label)
    train = [row for index, row in enumerate(rows) if not is_test(index)]
    test = [row for index, row in enumerate(rows) if is_test(index)]
    found = {"annals": [], "newton-cg": [], "lbfgs": []}
    single = {"annals": [], "scikit-learn": []}
    with tempfile.TemporaryDirectory() as root:
        annals(program, root, "init", "--project", "bench")
        for _ in range(rounds):
            run = json.loads(
                annals(
                    program, root, "train", "--config", "tfidf_logreg", "--name", "bench",
                    "--data", os.path.abspath(path), "--text-column", text,
                    "--label-column", label, "--set", "data.split.valid_fraction=0.0001",
                    "--format", "json",
                )
            )
            found["annals"].append(run["duration_seconds"])
            for solver in ("newton-cg", "lbfgs"):
                seconds, model = fit(solver, train)
                found[solver].append(seconds)
            times = []
            for line, _ in test[:500]:
                begin = time.perf_counter()
                model.predict_proba([line])
                times.append(time.perf_counter() - begin)
            single["scikit-learn"].append(statistics.median(times))
            texts = [line for line, _ in rows]
            single["annals"].append(seconds_per_line(program, root, run["experiment_id"], texts))
    ours = statistics.median(found["annals"])
    print(f"annals       fit {ours:7.3f} s")
    for solver, target in (("newton-cg", 1.5), ("lbfgs", 5.0)):
        theirs = statistics.median(found[solver])
        print(f"{solver:<12} fit {theirs:7.3f} s  {theirs / ours:6.1f} x (at least {target} x)")
    ours, theirs = (statistics.median(single[name]) for name in ("annals", "scikit-learn"))
    print(f"one text     annals {ours * 1e6:.1f} us, scikit-learn {theirs * 1e6:.0f} us: "
          f"{theirs / ours:.0f} x (at least 100 x)")


if __name__ == "__main__":
    main()
