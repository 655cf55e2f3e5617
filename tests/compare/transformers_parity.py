#!/usr/bin/env python3
"""Compares annals with Transformers, both ways, on small random models made here.

    environment.py prints the interpreter;  PYTHON transformers_parity.py ANNALS

A model made by `transformers` must get the same logits from `annals predict`; fine-tuned by
`annals train` it must load in `transformers` and get the same logits there, for one label a text
and for many; and so must a model that annals trained from nothing, tokenizer included. The gradients
of one update are those of `transformers`, whoever multiplies the matrices.
"""

import csv
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error",
                  HF_HUB_DISABLE_PROGRESS_BARS="1")
import safetensors.torch  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

TOLERANCE = 1e-5
TOXIC = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
WORDS = ("calm quiet gentle kind happy angry rude cruel hate threat worried tired sleep night day "
         "naïve café 東京 don't e-mail 🙂 x-ray unbelievable counterproductive").split()
SIZES = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 40}


def texts(count, seed):
    chosen = random.Random(seed)
    made = [" ".join(chosen.choices(WORDS, k=chosen.randint(1, 60))) for _ in range(count - 3)]
    return made + ["?!", "Zürich\u200dzwei", "w" * 101]


def annals(program, folder, *arguments):
    """Runs the program; what it printed on standard output."""
    done = subprocess.run([program, *map(str, arguments)], cwd=folder, capture_output=True, text=True,
                          timeout=300)
    if done.returncode != 0:
        sys.exit(f"annals {arguments[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def compare(program, where, model, asked, name):
    """The logits of `model`, a folder, by both programs."""
    lines = where / "texts.txt"
    lines.write_text("\n".join(asked) + "\n")
    printed = annals(program, where, "predict", model, "--file", lines, "--logits", "--format",
                     "json")
    ours = [json.loads(line)["logits"] for line in printed.splitlines()]
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(model).eval()
    worst = 0.0
    with torch.no_grad():
        for text, row in zip(asked, ours, strict=True):
            tokens = tokenizer(text, return_tensors="pt", truncation=True)
            logits = theirs(**tokens).logits[0].tolist()
            assert len(logits) == len(row), (name, len(logits), len(row))
            worst = max([worst, *(abs(a - b) for a, b in zip(logits, row, strict=True))])
    print(f"{name}: {len(asked)} texts, logits within {worst:.1e}")
    assert worst <= TOLERANCE, name


def random_model(folder, vocabulary, labels, multi):
    """A model with weights wide enough that each of them matters."""
    torch.manual_seed(7)
    config = transformers.DistilBertConfig(
        vocab_size=len(vocabulary), num_labels=len(labels), **SIZES,
        id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)},
        problem_type="multi_label_classification" if multi else "single_label_classification")
    model = transformers.DistilBertForSequenceClassification(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = transformers.DistilBertTokenizerFast(vocab=str(folder / "vocab.txt"),
                                                     model_max_length=40)
    tokenizer.save_pretrained(folder)


def rows(path, multi):
    """Labelled texts for a training of seconds."""
    chosen = random.Random(5)
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["text", *TOXIC] if multi else ["text", "label"])
        for text in texts(120, 3):
            flags = [chosen.randint(0, 1) for _ in TOXIC]
            out.writerow([text, *flags] if multi else [text, ["calm", "upset"][flags[0]]])


def weights_of(program, where, run):
    shown = json.loads(annals(program, where, "show", run, "--format", "json"))
    found = list((where / shown["folder"] / "checkpoints").glob("*/model.safetensors"))
    assert len(found) >= 1, shown["folder"]
    return sorted(found)[-1].parent


def gradients(program, where):
    """The gradients of all rows at once, which annals' first moments hold a tenth of."""
    labelled = [(text, ["calm", "upset"][number % 2]) for number, text in enumerate(texts(40, 9))]
    for part, some in (("train", labelled), ("valid", labelled[:9]), ("test", labelled[9:18])):
        with open(where / f"{part}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *some])
    still = [f"{key}=0" for key in ("model.dropout", "model.attention_dropout",
                                    "distilbert.classifier_dropout", "training.gradient_clip_norm",
                                    "training.warmup_fraction", "training.weight_decay")]
    once = ["training.num_epochs=1", "training.batch_size=64", "model.max_seq_length=40", *still]
    annals(program, where, "train", "--config", "distilbert", "--name", "one", "--init", "theirs",
           "--data", "train.csv", "--valid", "valid.csv", "--test", "test.csv",
           "--labels", "calm,upset",
           *(word for setting in once for word in ("--set", setting)))
    folder = where / json.loads(annals(program, where, "show", "one", "--format", "json"))["folder"]
    moments = safetensors.torch.load_file(
        folder / "checkpoints/step-00000001/optimizer.safetensors")
    config = transformers.AutoConfig.from_pretrained(
        where / "theirs", dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(where / "theirs",
                                                                            config=config).train()
    tokenizer = transformers.AutoTokenizer.from_pretrained(where / "theirs")
    tokens = tokenizer([text for text, _ in labelled], return_tensors="pt", truncation=True,
                       padding=True)
    model(**tokens, labels=torch.tensor([int(label == "upset") for _, label in labelled])).loss.backward()
    worst = 0.0
    for name, weights in model.named_parameters():
        apart = (moments[f"{name}.first"] * 10 - weights.grad).abs().max().item()
        worst = max(worst, apart / max(weights.grad.abs().max().item(), 1e-6))
    print(f"gradients of {len(labelled)} rows: within {worst:.1e} of the largest of each tensor")
    assert worst <= 1e-4


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    letters = sorted({letter for word in WORDS for letter in word.lower()} | set("zwurich?!"))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS[:20], *letters,
                  *("##" + letter for letter in letters)]
    vocabulary = list(dict.fromkeys(vocabulary))
    with tempfile.TemporaryDirectory() as scratch:
        for multi in (False, True):
            kind = "many labels" if multi else "one label"
            where = pathlib.Path(scratch) / kind.replace(" ", "_")
            where.mkdir()
            annals(program, where, "init")
            labels = TOXIC if multi else ["calm", "upset"]
            random_model(where / "theirs", vocabulary, labels, multi)
            compare(program, where, where / "theirs", texts(60, 1), f"{kind}, made by transformers")
            if not multi:
                gradients(program, where)
            rows(where / "rows.csv", multi)
            columns = ["--label-columns", ",".join(TOXIC)] if multi else ["--labels", "calm,upset"]
            data = ["--data", "rows.csv", "--text-column", "text", *columns]
            if not multi:
                data += ["--label-column", "label"]
            config = "toxicity_multi_head" if multi else "distilbert"
            quick = ["--set", "training.num_epochs=1", "--set", "training.batch_size=8",
                     "--set", "training.learning_rate=0.01", "--set", "model.max_seq_length=40"]
            annals(program, where, "train", "--config", config, "--name", "tuned", "--init",
                   "theirs", *data, *quick)
            compare(program, where, weights_of(program, where, "tuned"), texts(60, 2),
                    f"{kind}, fine-tuned by annals")
            small = ["--set", "model.n_embd=32", "--set", "model.n_layer=1", "--set",
                     "model.num_heads=2", "--set", "distilbert.hidden_dim=48", "--set",
                     "model.vocab_size=150"]
            annals(program, where, "train", "--config", config, "--name", "scratch", *data, *quick,
                   *small)
            compare(program, where, weights_of(program, where, "scratch"), texts(60, 2),
                    f"{kind}, made by annals")


if __name__ == "__main__":
    main()
