#!/usr/bin/env python3
"""Makes annals' files of a scikit-learn text pipeline: TF-IDF and a linear model.

    python data/convert/sklearn_text.py MODEL.joblib FOLDER [--labels NAME,NAME,...]

Run it with the Python that made the pipeline, and only on a file that you trust: to read a pickle
is to run what stands in it. annals itself never does that; `annals predict FOLDER "a text"` reads
the four files written here and says what the pipeline says.

What it takes: a Pipeline of TfidfVectorizer and LogisticRegression or LinearSVC, or
OneVsRestClassifier around one of them for texts that may have many labels. The vectoriser must cut
texts as annals does: lower case, words of two letters and more, n-grams from 1 on, smoothed idf, L2
norm. Anything else is refused by name, since annals would answer differently.

--labels names the classes in their order, where the pipeline knows them by number only.
"""

import argparse
import json
import pathlib
import struct
import sys

# What TfidfVectorizer must be set to. The features kept and the longest n-gram are free.
SETTINGS = {
    "input": "content", "encoding": "utf-8", "strip_accents": None, "lowercase": True,
    "preprocessor": None, "tokenizer": None, "analyzer": "word", "stop_words": None,
    "token_pattern": r"(?u)\b\w\w+\b", "binary": False, "norm": "l2", "use_idf": True,
    "smooth_idf": True, "sublinear_tf": False,
}
KINDS = {"LogisticRegression": "tfidf_logreg", "LinearSVC": "tfidf_svm"}


def refuse(why):
    sys.exit(f"error: {why}")


def check_vectorizer(vectorizer):
    if type(vectorizer).__name__ != "TfidfVectorizer":
        refuse(f"the pipeline begins with {type(vectorizer).__name__}, TfidfVectorizer expected")
    found = vectorizer.get_params()
    for name, wanted in SETTINGS.items():
        if found[name] != wanted:
            refuse(f"TfidfVectorizer has {name}={found[name]!r}, annals has {wanted!r}")
    if found["ngram_range"][0] != 1:
        refuse(f"TfidfVectorizer has ngram_range={found['ngram_range']}, annals begins at 1")


def linear_models(model):
    """The linear models of a classifier, and whether a text may have any number of labels."""
    name = type(model).__name__
    if name == "OneVsRestClassifier" and model.multilabel_:
        return model.estimators_, True
    if name not in KINDS:
        refuse(f"the pipeline ends with {name}; known are {', '.join(KINDS)} and, for texts of many "
               "labels, OneVsRestClassifier around them")
    if name == "LogisticRegression" and len(model.classes_) > 2 and (
            model.solver == "liblinear" or getattr(model, "multi_class", None) == "ovr"):
        refuse("LogisticRegression fitted one class against the rest has other probabilities than "
               "annals, which takes all classes together")
    return [model], False


def output(model):
    """Weights and intercepts of a linear model, a row for each output."""
    kind = type(model).__name__
    if kind not in KINDS:
        refuse(f"OneVsRestClassifier holds {kind}; known are {', '.join(KINDS)}")
    weights = [[float(number) for number in row] for row in model.coef_]
    intercept = model.intercept_ if hasattr(model.intercept_, "__len__") else [model.intercept_]
    return KINDS[kind], weights, [float(number) for number in intercept]


def safetensors(tensors):
    """The bytes of named lists of float64 in the layout of safetensors."""
    header, data = {}, b""
    for name, shape, numbers in tensors:
        packed = struct.pack(f"<{len(numbers)}d", *numbers)
        offsets = [len(data), len(data) + len(packed)]
        header[name] = {"dtype": "F64", "shape": shape, "data_offsets": offsets}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def label_names(model, given):
    classes = [str(label) for label in model.classes_]
    if not given:
        return classes
    names = given.split(",")
    if len(names) != len(classes) or len(set(names)) != len(names):
        refuse(f"--labels names {names}, the model has the classes {classes}")
    return names


def convert(pipeline, given_labels):
    """The files by name."""
    if not hasattr(pipeline, "steps") or len(pipeline.steps) != 2:
        refuse("a Pipeline of TfidfVectorizer and a linear model expected, "
               f"found {type(pipeline).__name__}")
    (_, vectorizer), (_, model) = pipeline.steps
    check_vectorizer(vectorizer)
    models, many = linear_models(model)
    kinds, weights, intercept = set(), [], []
    for single in models:
        kind, rows, numbers = output(single)
        kinds.add(kind)
        weights += rows
        intercept += numbers
    labels = label_names(model, given_labels)
    two = not many and len(labels) == 2
    if len(kinds) != 1 or len(weights) != len(intercept) or len(weights) != (1 if two else len(labels)):
        refuse(f"{len(weights)} outputs of {sorted(kinds)} do not fit {len(labels)} labels")
    # annals wants terms in the order of their code points.
    columns = sorted((term, int(column)) for term, column in vectorizer.vocabulary_.items())
    order = [column for _, column in columns]
    ngram_max = int(vectorizer.ngram_range[1])
    (kind,) = kinds
    tensors = [
        ("idf", [len(order)], [float(vectorizer.idf_[column]) for column in order]),
        ("intercept", [len(intercept)], intercept),
        ("weight", [len(weights), len(order)], [row[column] for row in weights for column in order]),
    ]
    terms = {"model": kind, "two_classes": two, "ngram_max": ngram_max,
             "terms": [term for term, _ in columns]}
    names = {"classes": labels, "multi_label": many}
    config = (f"model:\n  architecture: {kind}\ntfidf:\n"
              f"  max_features: {len(order)}\n  ngram_max: {ngram_max}\n"
              "description: converted from scikit-learn\n")
    return {
        "model.safetensors": safetensors(tensors),
        "vectorizer.json": json.dumps(terms, ensure_ascii=False).encode(),
        "labels.json": json.dumps(names, ensure_ascii=False, indent=2).encode() + b"\n",
        "config.yaml": config.encode(),
    }


def main():
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("model", help="what joblib.dump wrote, from a source that you trust")
    reader.add_argument("folder", type=pathlib.Path, help="a folder to make")
    reader.add_argument("--labels", help="names of the classes in their order")
    arguments = reader.parse_args()
    import joblib  # here, so that --help needs no scikit-learn
    files = convert(joblib.load(arguments.model), arguments.labels)
    arguments.folder.mkdir(parents=True)
    for name, content in files.items():
        (arguments.folder / name).write_bytes(content)
    print(f"{arguments.folder}: " + ", ".join(f"{name} ({len(content)} bytes)"
                                               for name, content in files.items()))


if __name__ == "__main__":
    main()
