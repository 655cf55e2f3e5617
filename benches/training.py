"""Training in annals against PyTorch, pair by pair in one run: loop, step, memory.

    python benches/training.py ANNALS loop NETWORK DATA.csv TEXT LABEL [SEEDS [ROWS [EPOCHS]]]
    python benches/training.py ANNALS step [STEPS] [THREADS]
    python benches/training.py ANNALS memory [STEPS] [THREADS]

The interpreter is the one that `tests/compare/environment.py` prints. Both sides learn the same
rows with the same tokens, sizes, rate and threads.

loop: NETWORK is `distilbert` (256 numbers, 3 layers) or `baseline_small`, from scratch, texts of
mixed length, against the Trainer of Transformers with its default collator and with lengths
grouped. Rows per second are of the updates on both sides; those of annals are told again for the
whole run with validation, training checkpoints and test. Expected: padding is most of the work of
the default collator (2.3 numbers for each token; grouped 1.1). Targets: >= 2.0 x and >= 1.15 x, at
equal macro F1 on the validation rows, the best epoch's on both sides. Measured on the tweets, four
idle cores, 5 seeds, 3 epochs: `distilbert` 2.33 and 1.36 (4,000 rows; F1 0.572 against 0.575 and
0.563), `baseline_small` 2.80 and 1.63 (3,000 rows; 0.660 against 0.651 and 0.667).

step: a DistilBERT of 66 M weights, 16 texts of 128 tokens, against a plain loop in eager PyTorch
with fused AdamW and clipping. Expected: 0.5 TFLOP, which oneDNN does in 0.7 s on the four cores this
was written for and MKL, which eager PyTorch calls, in 1.9 s; both spend 0.4 s besides. Target
>= 1.0 x.

memory: the most memory that `medium_model` takes for 16 texts of 512 tokens, against the same
encoder in PyTorch. Expected: weights, gradients and moments of 28 M weights and the numbers kept
for the way back are the same; PyTorch adds Python and its libraries. Target <= 0.8 x.
"""

import collections
import csv
import gzip
import html
import json
import os
import pathlib
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error",
                  TOKENIZERS_PARALLELISM="false")

WIDTH, LAYERS, HEADS, HIDDEN, VOCABULARY = 256, 3, 4, 1024, 10_000
LENGTH, BATCH, RATE = 128, 32, 5e-4


def annals(program, folder, *arguments):
    """The run that `annals train` recorded, with its rows per second."""
    done = subprocess.run([program, "train", "--format", "json", *map(str, arguments)], cwd=folder,
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"annals train ended with {done.returncode}: {done.stderr}")
    run = json.loads(done.stdout)
    info = pathlib.Path(folder) / run["folder"] / "results/training_info.json"
    return run | json.loads(info.read_text())


def workspace(program, folder):
    folder.mkdir()
    subprocess.run([program, "init"], cwd=folder, check=True, capture_output=True)
    return folder


def settings(**values):
    return [part for key, value in values.items()
            for part in ("--set", f"{key.replace('__', '.')}={value}")]


def write(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def metric(run, name, split):
    found = [m["value"] for m in run["metrics"]
             if m["key"]["name"] == name and m["key"]["split"] == split]
    return found[0]


def encoder(width, heads, layers, dropout):
    """The layers of our encoder in PyTorch, which drops out in two more places of a layer."""
    import torch
    layer = torch.nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=dropout, activation="gelu", batch_first=True,
        norm_first=True)
    layer.self_attn.dropout = 0.0
    layer.dropout = torch.nn.Identity()
    return torch.nn.TransformerEncoder(layer, layers, torch.nn.LayerNorm(width),
                                       enable_nested_tensor=False)


# ----------------------------------------------------------------------------------------- loop

def clean(text):
    """The text with nothing in it that the two tokenisers would split differently."""
    text = re.sub(r"https?://\S+|www\.\S+", "url", html.unescape(text).lower())
    return re.sub(r"['\u2019_]", "", re.sub(r"@\w+", "user", text)) or "nothing"


def distilbert(folder, labels, counts):
    """The network, untrained, and the tokeniser of the run's folder `config`."""
    import transformers
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    config = transformers.DistilBertConfig.from_pretrained(folder)
    assert (config.dim, config.n_layers, config.num_labels) == (WIDTH, LAYERS, labels)
    model = transformers.DistilBertForSequenceClassification(config)
    return model, tokenizer, lambda text: tokenizer(text, truncation=True, max_length=LENGTH)


def baseline_small(folder, labels, counts):
    """The same of our encoder: pre-norm, mean of the tokens, classes weighed by their rows."""
    import torch
    import transformers
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    tokenizer = transformers.BertTokenizerFast(
        vocab={piece: number for number, piece in enumerate(pieces)})
    assert len(tokenizer) == len(pieces)

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = encoder(WIDTH, HEADS, LAYERS, dropout=0.3)
            self.tokens = torch.nn.Embedding(len(tokenizer), WIDTH)
            self.positions = torch.nn.Embedding(LENGTH, WIDTH)
            for table in (self.tokens, self.positions):
                torch.nn.init.normal_(table.weight, std=0.02)
            self.dropout = torch.nn.Dropout(0.3)
            self.classifier = torch.nn.Linear(WIDTH, labels)
            rows = sum(counts)
            self.weights = torch.tensor([(rows / labels / count) ** 0.5 for count in counts])

        def forward(self, input_ids, attention_mask, labels=None):
            x = self.tokens(input_ids) + self.positions(torch.arange(input_ids.shape[1]))
            x = self.encoder(self.dropout(x), src_key_padding_mask=attention_mask == 0)
            seen = attention_mask.unsqueeze(-1).float()
            pooled = (x * seen).sum(1) / seen.sum(1)
            logits = self.classifier(self.dropout(pooled))
            if labels is None:
                return {"logits": logits}
            loss = torch.nn.functional.cross_entropy(logits, labels, self.weights)
            return {"loss": loss, "logits": logits}

    def encode(text):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = [tokenizer.cls_token_id, *ids][:LENGTH]
        return {"input_ids": ids, "attention_mask": [1] * len(ids)}

    return Encoder(), tokenizer, encode


# The network in PyTorch, warm-up and weight decay, and what annals is told besides.
NETWORKS = {
    "distilbert": (distilbert, 0.06, 0.01, settings(
        model__vocab_size=VOCABULARY, model__n_embd=WIDTH, model__num_heads=HEADS,
        model__n_layer=LAYERS, model__max_seq_length=LENGTH, distilbert__hidden_dim=HIDDEN,
        distilbert__max_position_embeddings=LENGTH, training__batch_size=BATCH,
        training__learning_rate=RATE, training__schedule="linear",
        training__warmup_fraction=0.06)),
    "baseline_small": (baseline_small, 0.1, 0.05, []),
}


def trainer(network, folder, rows, valid, seed, grouped, epochs, threads):
    """Rows per second of the updates of Transformers' Trainer, and its best validation macro F1."""
    import torch
    import transformers
    from sklearn.metrics import f1_score
    torch.set_num_threads(threads)
    transformers.set_seed(seed)
    labels = sorted({label for _, label in rows})
    make, warmup, decay, _ = NETWORKS[network]
    counts = collections.Counter(label for _, label in rows)
    model, tokenizer, encode = make(folder, len(labels), [counts[label] for label in labels])

    def encoded(part):
        return [dict(encode(text)) | {"labels": labels.index(label)} for text, label in part]

    asked = sorted(encoded(valid), key=lambda row: len(row["input_ids"]))

    class Validation(transformers.TrainerCallback):
        """The best F1 of all epochs; the clock stands still meanwhile."""
        best, seconds = 0.0, 0.0

        def on_epoch_end(self, *_, **__):
            begun = time.perf_counter()
            model.eval()
            right, said = [], []
            with torch.inference_mode():
                for first in range(0, len(asked), 2 * BATCH):
                    part = asked[first:first + 2 * BATCH]
                    batch = tokenizer.pad(part, return_tensors="pt")
                    right += batch.pop("labels").tolist()
                    said += model(**batch)["logits"].argmax(-1).tolist()
            model.train()
            self.best = max(self.best, f1_score(right, said, average="macro"))
            self.seconds += time.perf_counter() - begun

    with tempfile.TemporaryDirectory() as scratch:
        arguments = transformers.TrainingArguments(
            scratch, num_train_epochs=epochs, per_device_train_batch_size=BATCH, learning_rate=RATE,
            lr_scheduler_type="linear", weight_decay=decay, seed=seed,
            warmup_steps=int(warmup * epochs * len(rows) / BATCH),
            train_sampling_strategy="group_by_length" if grouped else "random", use_cpu=True,
            save_strategy="no", report_to=[], logging_strategy="no", disable_tqdm=True,
            remove_unused_columns=False)
        validation = Validation()
        loop = transformers.Trainer(
            model, arguments, train_dataset=encoded(rows), processing_class=tokenizer,
            data_collator=transformers.DataCollatorWithPadding(tokenizer), callbacks=[validation])
        begun = time.perf_counter()
        loop.train()
        seconds = time.perf_counter() - begun - validation.seconds
    return len(rows) * epochs / seconds, validation.best


def loop(program, network, data, text, label, seeds=5, count=4000, epochs=3, threads=4):
    opener = gzip.open if data.endswith(".gz") else open
    with opener(data, "rt", encoding="utf-8", newline="") as file:
        rows = [(clean(row[text]), row[label]) for row in csv.DictReader(file)]
    random.Random(0).shuffle(rows)
    valid, test, rows = rows[:1000], rows[1000:1200], rows[1200:1200 + int(count)]
    seeds, epochs, threads, figures = int(seeds), int(epochs), int(threads), []
    with tempfile.TemporaryDirectory() as place:
        folder = workspace(program, pathlib.Path(place) / "ward")
        for name, part in (("train", rows), ("valid", valid), ("test", test)):
            write(folder / f"{name}.csv", part)
        for seed in range(1, seeds + 1):
            run = annals(
                program, folder, "--config", network, "--data", "train.csv", "--valid",
                "valid.csv", "--test", "test.csv", "--threads", threads,
                *settings(training__seed=seed, training__num_epochs=epochs,
                          training__early_stopping__patience=0), *NETWORKS[network][3])
            made = folder / run["folder"] / "config"
            line = {"annals, updates": run["rows_per_second"],
                    "annals, whole run": len(rows) * epochs / run["duration_seconds"]}
            line["F1"] = {"annals": metric(run, "f1_macro", "valid")}
            for name, grouped in (("default", False), ("grouped", True)):
                line[name], line["F1"][name] = trainer(network, made, rows, valid, seed, grouped,
                                                       epochs, threads)
            figures.append(line)
            print(f"seed {seed}: " + ", ".join(
                f"{name} {value:.1f} rows/s" for name, value in line.items() if name != "F1")
                + "; F1 " + ", ".join(f"{name} {f1:.3f}" for name, f1 in line["F1"].items()),
                flush=True)
    for ours in ("annals, updates", "annals, whole run"):
        for theirs in ("default", "grouped"):
            ratio = statistics.median(line[ours] / line[theirs] for line in figures)
            print(f"{ours} / Trainer, {theirs}: {ratio:.2f} (median of {len(figures)} seeds)")
    for name in ("annals", "default", "grouped"):
        values = [line["F1"][name] for line in figures]
        print(f"best validation macro F1, {name}: {statistics.mean(values):.4f} "
              f"({min(values):.4f} to {max(values):.4f})")


# ----------------------------------------------------------------------------------------- step

def step(program, steps=8, threads=4):
    import torch
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    import inference
    steps, threads, rows, length = int(steps), int(threads), 16, 128
    torch.set_num_threads(threads)
    made = [" ".join(f"w{random.Random(i).randint(0, 30_000)}" for i in range(j, j + length))
            for j in range(steps * rows + 40)]
    with tempfile.TemporaryDirectory() as place:
        folder = workspace(program, pathlib.Path(place) / "ward")
        model, tokenizer = inference.make_model(folder / "model")
        labelled = [(text, str(number % 2)) for number, text in enumerate(made)]
        write(folder / "train.csv", labelled[40:])
        write(folder / "valid.csv", labelled[:20])
        write(folder / "test.csv", labelled[20:40])
        ratios = []
        for pair in range(2):
            run = annals(
                program, folder, "--config", "distilbert", "--init", "model", "--data", "train.csv",
                "--valid", "valid.csv", "--test", "test.csv", "--threads", threads, *settings(
                    model__max_seq_length=length, training__batch_size=rows,
                    training__num_epochs=1, training__early_stopping__patience=0,
                    training__schedule="constant"))
            model.train()
            optimizer = torch.optim.AdamW(model.parameters(), 3e-5, weight_decay=0.01, fused=True)
            tokens = tokenizer(made[40:], truncation=True, max_length=length, return_tensors="pt")
            labels = torch.tensor([number % 2 for number in range(steps * rows)])
            begun = time.perf_counter()
            for first in range(0, steps * rows, rows):
                part = slice(first, first + rows)
                optimizer.zero_grad()
                loss = model(input_ids=tokens["input_ids"][part],
                             attention_mask=tokens["attention_mask"][part],
                             labels=labels[part]).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            theirs = steps * rows / (time.perf_counter() - begun)
            ratios.append(run["rows_per_second"] / theirs)
            print(f"pair {pair + 1}: annals {run['rows_per_second']:.2f} rows/s, PyTorch eager "
                  f"{theirs:.2f} rows/s")
    print(f"annals / PyTorch eager: {statistics.median(ratios):.2f} (median of pairs)")


# --------------------------------------------------------------------------------------- memory

def medium(steps, threads):
    """The encoder of `medium_model` in PyTorch, trained for some steps; the most memory it took."""
    import torch
    torch.set_num_threads(threads)
    width, length, rows, vocabulary = 512, 512, 16, 15_000
    body = encoder(width, 8, 6, dropout=0.2)
    tokens, places = torch.nn.Embedding(vocabulary, width), torch.nn.Embedding(length, width)
    classifier = torch.nn.Linear(width, 2)
    parts = torch.nn.ModuleList([body, tokens, places, classifier])
    optimizer = torch.optim.AdamW(parts.parameters(), lr=1e-4, weight_decay=0.05, fused=True)
    for _ in range(steps):
        ids = torch.randint(0, vocabulary, (rows, length))
        hidden = body(tokens(ids) + places(torch.arange(length)),
                      src_key_padding_mask=torch.zeros(rows, length, dtype=torch.bool))
        loss = torch.nn.functional.cross_entropy(classifier(hidden.mean(1)),
                                                 torch.arange(rows) % 2)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def memory(program, steps=4, threads=4):
    steps, threads = int(steps), int(threads)
    chosen = random.Random(0)
    made = [(" ".join(chosen.choices([f"word{n}" for n in range(5_000)], k=600)), str(number % 2))
            for number in range(16 * steps + 40)]
    theirs = int(subprocess.run([sys.executable, __file__, program, "medium", str(steps),
                                 str(threads)], check=True, capture_output=True, text=True).stdout)
    with tempfile.TemporaryDirectory() as place:
        folder = workspace(program, pathlib.Path(place) / "ward")
        write(folder / "train.csv", made[40:])
        write(folder / "valid.csv", made[:20])
        write(folder / "test.csv", made[20:40])
        # annals and its engine are waited for here: the larger of the two is the engine.
        sampled = subprocess.Popen(
            [sys.executable, "-c",
             "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
             "stdout=subprocess.DEVNULL); "
             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)",
             program, "train", "--config", "medium_model", "--data", "train.csv", "--valid",
             "valid.csv", "--test", "test.csv", "--threads", str(threads), "--format", "json",
             *settings(training__num_epochs=1)],
            cwd=folder, stdout=subprocess.PIPE, text=True)
        ours = int(sampled.communicate()[0])
    print(f"most memory: annals-engine {ours} MiB, PyTorch {theirs} MiB, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
    if sys.argv[2] == "medium":
        medium(int(sys.argv[3]), int(sys.argv[4]))
    else:
        {"loop": loop, "step": step, "memory": memory}[sys.argv[2]](PROGRAM, *sys.argv[3:])
