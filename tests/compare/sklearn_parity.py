#!/usr/bin/env python3
"""Compares annals with scikit-learn on pipelines that `data/convert/sklearn_text.py` converted.

    environment.py prints the interpreter;  PYTHON sklearn_parity.py ANNALS

Every pipeline is fitted here, dumped by joblib, converted, and asked by both programs: decision
values, probabilities and labels must be equal. What annals would answer differently is refused.
Then both fit the same rows with random settings: decision values must be equal, and so must the
scores that annals records and those that scikit-learn computes from the same answers.
"""

import csv
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

import joblib
import numpy
from sklearn import metrics
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

TOLERANCE = 1e-6
TRAINED = 1e-3
SETTINGS = 24
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
            right = [label for label, has in zip(known, right, strict=True) if has]
        else:
            right = [known[list(pipeline.classes_).index(right)]]
        if answer["labels"] != right:
            sys.exit(f"{name}: {row!r} is {answer['labels']}, scikit-learn says {right}")
    print(f"{name}: {len(rows)} texts, at most {worst:.1e} apart")
    if not worst <= TOLERANCE:
        sys.exit(f"{name}: more than {TOLERANCE} apart")


def weights(kind, counts):
    balanced = sum(counts) / (len(counts) * numpy.array(counts))
    of = {"none": numpy.ones(len(counts)), "balanced": balanced, "sqrt_balanced": balanced**0.5}
    return dict(enumerate(of[kind].tolist()))


def reference(architecture, c, kind, matrix, truth, rows):
    """Decision values of scikit-learn for `rows`; `truth` is a class each, or a column a label."""
    def model(class_weight):
        if architecture == "tfidf_svm":
            return LinearSVC(C=c, class_weight=class_weight, dual=False, tol=1e-9, max_iter=100_000)
        return LogisticRegression(C=c, class_weight=class_weight, solver="newton-cg", tol=1e-9,
                                  max_iter=100_000)
    if truth.ndim == 1:
        by = "balanced" if kind == "balanced" else weights(kind, numpy.bincount(truth))
        return model(by).fit(matrix, truth).decision_function(rows)
    columns = []
    for has in truth.T:
        by = weights(kind, [len(has) - has.sum(), has.sum()])
        columns.append(model(by).fit(matrix, has).decision_function(rows))
    return numpy.stack(columns, axis=1)


def trained(program, where, number):
    """Trains with settings that follow from `number`, and compares with scikit-learn."""
    chosen = random.Random(number)
    architecture = chosen.choice(["tfidf_svm", "tfidf_logreg"])
    classes, many = chosen.randint(2, 5), chosen.random() < 0.4
    kind, ngrams = chosen.choice(["none", "balanced", "sqrt_balanced"]), chosen.randint(1, 3)
    c = float(f"{10 ** chosen.uniform(-4, 4):.2g}")
    labels = [f"label{label}" for label in range(classes)]

    def table(name, count, seed, lacks=None):
        rows, has = texts(count, seed), numpy.zeros((count, classes), int)
        draw = random.Random(seed)
        for row, text in enumerate(rows):
            known = [word in text for word in WORDS[:classes]]
            if many:
                has[row] = [yes if draw.random() < 0.9 else not yes for yes in known]
            else:
                likely = known.index(True) if True in known else 0
                has[row, likely if draw.random() < 0.8 else draw.randrange(classes)] = 1
        if lacks is not None:
            has[has[:, lacks] == 1] = numpy.eye(classes, dtype=int)[(lacks + 1) % classes]
        has[:classes if lacks is None else 0] = numpy.eye(classes, dtype=int)[: classes if lacks is None else 0]
        with open(where / name, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", *labels] if many else ["text", "label"])
            for text, of in zip(rows, has, strict=True):
                writer.writerow([text, *of] if many else [text, labels[int(of.argmax())]])
        return rows, has if many else has.argmax(axis=1)

    rows, truth = table("train.csv", chosen.randint(60, 200), number * 10)
    table("valid.csv", 20, number * 10 + 1)
    # In every other case no test row has the last label.
    table("test.csv", 30, number * 10 + 2, classes - 1 if number % 2 and not many else None)
    run = ["--config", architecture, "--data", "train.csv", "--valid", "valid.csv", "--test", "test.csv",
           "--name", f"case{number}", "--set", f"tfidf.c={c}", "--set", f"tfidf.ngram_max={ngrams}",
           "--set", f"training.class_weights={kind}", "--set", "tfidf.max_features=1000000"]
    run += ["--label-columns", ",".join(labels)] if many else []
    done = subprocess.run([program, "train", *run], cwd=where, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"annals train ended with {done.returncode}: {done.stderr}")
    vectorizer = TfidfVectorizer(ngram_range=(1, ngrams))
    matrix = vectorizer.fit_transform(rows)
    unseen = texts(40, number * 10 + 3)
    (where / "unseen.txt").write_text("\n".join(unseen) + "\n", encoding="utf-8")
    done = subprocess.run([program, "predict", f"case{number}", "--file", "unseen.txt", "--logits",
                           "--format", "json"], cwd=where, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"annals predict ended with {done.returncode}: {done.stderr}")
    ours = numpy.array([json.loads(line)["logits"] for line in done.stdout.splitlines()])
    theirs = reference(architecture, c, kind, matrix, truth, vectorizer.transform(unseen))
    if theirs.ndim == 1:
        theirs = numpy.stack([numpy.zeros(len(unseen)), theirs], axis=1)
    worst = abs(ours - theirs).max()
    what = f"{architecture} {kind} c={c} ngrams={ngrams} labels={classes}{' many' if many else ''}"
    print(f"{what}: at most {worst:.1e} apart")
    if not worst <= TRAINED:
        sys.exit(f"{what}: more than {TRAINED} apart")
    scores(program, where, f"case{number}", labels, many, what)


def scores(program, where, name, labels, many, what):
    """The scores that a run recorded of its test rows, and those of its answers."""
    done = subprocess.run([program, "show", name, "--format", "json"], cwd=where, capture_output=True,
                          text=True)
    shown = json.loads(done.stdout)
    found = {metric["key"]["name"]: metric["value"] for metric in shown["metrics"]
             if metric["key"]["split"] == "test"}
    answers = next(where.glob(f"**/{name}_*/results/test_predictions.jsonl"))
    answers = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    def column(key):
        if many:
            return numpy.array([[label in row[key] for label in labels] for row in answers]).astype(int)
        return numpy.array([labels.index(row[key][0]) for row in answers])
    truth, said = column("labels"), column("predicted")
    expected = {"accuracy": metrics.accuracy_score(truth, said)}
    for score in ("f1", "precision", "recall"):
        for kind in ("macro", "weighted"):
            compute = getattr(metrics, f"{score}_score")
            expected[f"{score}_{kind}"] = compute(truth, said, average=kind, zero_division=0)
    if not many:
        expected["balanced_accuracy"] = metrics.balanced_accuracy_score(truth, said)
        expected["mcc"] = metrics.matthews_corrcoef(truth, said)
    for score, value in expected.items():
        if not abs(found[score] - value) < 1e-9:
            sys.exit(f"{what}: {score} {found[score]}, scikit-learn computes {value}")


def main():
    warnings.simplefilter("ignore")
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
        ward = where / "ward"
        ward.mkdir()
        done = subprocess.run([program, "init"], cwd=ward, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"annals init ended with {done.returncode}: {done.stderr}")
        for number in range(SETTINGS):
            trained(program, ward, number)


if __name__ == "__main__":
    main()
