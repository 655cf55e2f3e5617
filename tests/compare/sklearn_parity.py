#!/usr/bin/env python3
"""Compares annals with scikit-learn on pipelines that `data/convert/sklearn_text.py` converted.

    environment.py prints the interpreter;  PYTHON sklearn_parity.py ANNALS

Every pipeline is fitted here, dumped by joblib, converted, and asked by both programs: decision
values, probabilities and labels must be equal. What annals would answer differently is refused.
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile

import joblib
import numpy
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

TOLERANCE = 1e-6
CONVERTER = pathlib.Path(__file__).resolve().parents[2] / "data/convert/sklearn_text.py"
WORDS = ("calm quiet gentle kind happy angry rude cruel hate threat worried tired sleep night day "
         "naïve café 東京 ÜBER don't e-mail 🙂 x-ray unbelievable I a").split()


def texts(count, seed):
    chosen = random.Random(seed)
    return [" ".join(chosen.choices(WORDS, k=chosen.randint(1, 40))) for _ in range(count)]


def learned():
    """Texts and labels with something in common."""
    rows = texts(400, 1)
    one = ["rude" if "rude" in row else "tired" if "tired" in row else "fine" for row in rows]
    many = numpy.array([[word in row for word in ("rude", "tired", "kind")] for row in rows])
    return rows, one, many.astype(int)


def converted(pipeline, folder, *arguments):
    """The converter's exit status, and what it said."""
    dumped = folder.with_suffix(".joblib")
    joblib.dump(pipeline, dumped)
    done = subprocess.run([sys.executable, CONVERTER, dumped, folder, *arguments],
                          capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def asked(program, folder, rows):
    lines = folder.with_suffix(".txt")
    lines.write_text("\n".join(rows) + "\n", encoding="utf-8")
    done = subprocess.run([program, "predict", folder, "--file", lines, "--logits", "--format",
                           "json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"annals predict ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare(program, where, name, pipeline, rows, names=None):
    """How far annals is from scikit-learn, at most."""
    folder = where / name
    code, said = converted(pipeline, folder, *(["--labels", ",".join(names)] if names else []))
    if code != 0:
        sys.exit(f"{name}: the converter ended with {code}: {said}")
    answers = asked(program, folder, rows)
    known = names or [str(label) for label in pipeline.classes_]
    theirs = pipeline.decision_function(rows)
    if theirs.ndim == 1:
        theirs = numpy.stack([numpy.zeros(len(rows)), theirs], axis=1)
    ours = numpy.array([answer["logits"] for answer in answers])
    worst = abs(ours - theirs).max()
    if hasattr(pipeline, "predict_proba"):
        shares = [[answer["probabilities"][label] for label in known] for answer in answers]
        worst = max(worst, abs(numpy.array(shares) - pipeline.predict_proba(rows)).max())
    for row, answer, right in zip(rows, answers, pipeline.predict(rows), strict=True):
        if numpy.ndim(right):
            right = [label for label, has in zip(known, right) if has]
        else:
            right = [known[list(pipeline.classes_).index(right)]]
        if answer["labels"] != right:
            sys.exit(f"{name}: {row!r} is {answer['labels']}, scikit-learn says {right}")
    print(f"{name}: {len(rows)} texts, at most {worst:.1e} apart")
    if not worst <= TOLERANCE:
        sys.exit(f"{name}: more than {TOLERANCE} apart")


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    rows, one, many = learned()
    two = [label == "fine" for label in one]
    unseen = texts(200, 2) + ["?!", "I", "nothing of this was seen before"]
    words = {"max_features": 300, "ngram_range": (1, 3)}
    regression = {"C": 1.0, "class_weight": "balanced", "max_iter": 1000}

    def pipeline(model, targets, **settings):
        return make_pipeline(TfidfVectorizer(**{**words, **settings}), model).fit(rows, targets)

    with tempfile.TemporaryDirectory() as folder:
        where = pathlib.Path(folder)
        for name, fitted, names in [
            ("logreg_of_three", pipeline(LogisticRegression(**regression), one), None),
            ("logreg_of_two", pipeline(LogisticRegression(**regression), two), ["other", "fine"]),
            ("svm_of_three", pipeline(LinearSVC(C=1.0), one), None),
            ("svm_of_two", pipeline(LinearSVC(C=1.0), two, ngram_range=(1, 1)), None),
            ("many_labels", pipeline(OneVsRestClassifier(LogisticRegression(**regression)), many),
             ["rude", "tired", "kind"]),
        ]:
            compare(program, where, name, fitted, unseen, names)
        for name, fitted in [
            ("sublinear_tf=True", pipeline(LinearSVC(), one, sublinear_tf=True)),
            ("stop_words='english'", pipeline(LinearSVC(), one, stop_words="english")),
            ("ngram_range=(2, 3)", pipeline(LinearSVC(), one, ngram_range=(2, 3))),
        ]:
            code, said = converted(fitted, where / "refused")
            if code == 0 or name not in said:
                sys.exit(f"{name} was not refused by name: {said}")
        print("3 pipelines that annals would answer differently were refused")


if __name__ == "__main__":
    main()
