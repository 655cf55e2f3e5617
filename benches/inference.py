"""One text at a time through 66 M weights of DistilBERT: annals, PyTorch eager, ONNX Runtime.

    python benches/inference.py ANNALS [ROUNDS] [THREADS]

The interpreter is the one that `tests/compare/environment.py` prints. Random weights, a text of 32
tokens, tokenising included, every program loaded once and asked in turn, so that what else the
machine does falls on all alike. annals is asked through the pipe of `predict --file - --batch 1`.

Expected: 2.7 GFLOP at 850 GFLOP/s are 3.2 ms on the four cores this was written for, and reading
170 MB of weights once takes as long again. Targets: annals >= 1.1 x PyTorch eager and >= 0.6 x
ONNX Runtime. oneDNN multiplies here; eager PyTorch goes through MKL, which is slow on AMD. annals'
threads spin between layers only where the machine was idle in the minute before.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
import onnxruntime  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: E402

TOKENS = 32
CALLS = 10  # in a row, per round


def make_model(folder):
    """A model of the size of distilbert-base with random weights, in the layout of Hugging Face."""
    torch.manual_seed(1)
    config = transformers.DistilBertConfig(attention_dropout=0.0, num_labels=2)
    model = transformers.DistilBertForSequenceClassification(config).eval()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"w{number}" for number in range(config.vocab_size - len(words))]
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)},
                                           unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_max_length=512)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return model, fast


def annals(program, folder):
    """A function from a text to logits, and the process behind it."""
    process = subprocess.Popen(
        [program, "predict", folder, "--file", "-", "--batch", "1", "--logits", "--format", "json"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def ask(text):
        process.stdin.write(text + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())["logits"]

    return ask, process


def eager(model, tokenizer):
    def ask(text):
        with torch.inference_mode():
            return model(**tokenizer(text, return_tensors="pt")).logits[0].tolist()

    return ask


def onnx(model, tokenizer, path, threads):
    example = tokenizer("w1 w2 w3", return_tensors="pt")

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids, mask):
            return self.model(input_ids=ids, attention_mask=mask).logits

    axes = {"ids": {1: "cols"}, "mask": {1: "cols"}}
    torch.onnx.export(Logits().eval(), (example["input_ids"], example["attention_mask"]), path,
                      input_names=["ids", "mask"], output_names=["logits"], dynamic_axes=axes,
                      dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def ask(text):
        tokens = tokenizer(text, return_tensors="np")
        given = {"ids": tokens["input_ids"], "mask": tokens["attention_mask"]}
        return session.run(None, given)[0][0].tolist()

    return ask


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    cores = sorted(os.sched_getaffinity(0))
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else len(cores)
    os.sched_setaffinity(0, cores[:threads])  # annals takes as many threads as it has cores
    torch.set_num_threads(threads)
    text = " ".join(f"w{number * 37}" for number in range(TOKENS - 2))
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place) / "model"
        model, tokenizer = make_model(folder)
        ours, process = annals(program, folder)
        asked = {"annals": ours, "PyTorch eager": eager(model, tokenizer),
                 "ONNX Runtime fp32": onnx(model, tokenizer, f"{place}/model.onnx", threads)}
        right = asked["PyTorch eager"](text)
        seconds = {name: [] for name in asked}
        per_round = {name: [] for name in asked}
        for name, ask in asked.items():
            apart = max(abs(a - b) for a, b in zip(ask(text), right, strict=True))
            print(f"{name}: logits within {apart:.1e} of PyTorch eager")
        for _ in range(rounds):
            for name, ask in asked.items():
                time.sleep(0.05)  # the threads of the one before still spin
                ask(text)
                calls = []
                for _ in range(CALLS):
                    begun = time.perf_counter()
                    ask(text)
                    calls.append(time.perf_counter() - begun)
                seconds[name] += calls
                per_round[name].append(statistics.median(calls))
        process.stdin.close()
        process.wait()
    print(f"{threads} threads, {TOKENS} tokens, {rounds} rounds of {CALLS} calls")
    for name, times in seconds.items():
        pairs = zip(per_round[name], per_round["annals"], strict=True)
        ratio = statistics.median(theirs / ours for theirs, ours in pairs)
        print(f"{name}: p50 {statistics.median(times) * 1e3:.1f} ms, least {min(times) * 1e3:.1f} "
              f"ms; annals is {ratio:.2f} x as fast (median of pairs)")


if __name__ == "__main__":
    main()
