"""Makes the starter model anew: tokenizer, training and its finish, GGUF, evaluation, loss plot. `./dev train` calls it.

    rebuild.py WORK_FOLDER LLAMA_QUANTIZE [--tokens N | --minutes N] [--seed N]

Everything is written to WORK_FOLDER; at the end the model, its checksum, the report and the plot are copied beside this file."""
import argparse
import csv
import hashlib
import pathlib
import shutil

import matplotlib

import evaluate
import export
import tokens
import train

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
MODEL = f"{export.NAME}.gguf"
FINISH_SHARE = 0.25   # of the tokens or minutes before


def plot(log, out):
    with open(log, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure, left = pyplot.subplots(figsize=(8, 4.5))
    left.plot([int(row["tokens"]) / 1e6 for row in rows], [float(row["loss"]) for row in rows], color="tab:blue")
    left.set(xlabel="million tokens", ylabel="loss (smoothed)", yscale="log")
    right = left.twinx()
    exact = [(int(row["tokens"]) / 1e6, float(row["exact"])) for row in rows if row["exact"]]
    right.plot(*zip(*exact), color="tab:orange", marker="o", markersize=3)
    right.set(ylabel="held-out questions answered word by word", ylim=(0, 1))
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def main():
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("work", type=pathlib.Path)
    reader.add_argument("quantize", type=pathlib.Path)
    reader.add_argument("--tokens", type=float, help="to train on (default: 200 million; days, without an accelerator)")
    reader.add_argument("--minutes", type=float, help="to train, instead")
    reader.add_argument("--seed", type=int, default=1)
    options = reader.parse_args()
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    print("training the tokenizer", flush=True)
    tokens.train(work / "tokenizer.json", options.seed)
    amounts = {"minutes": options.minutes} if options.minutes else {"tokens": options.tokens or 200e6}
    train.train(work, options.seed, **amounts)
    print("finishing", flush=True)
    train.train(work, options.seed, **{unit: FINISH_SHARE * amount for unit, amount in amounts.items()}, finish=True)
    export.export(work, options.quantize, work / MODEL)
    print("evaluating", flush=True)
    evaluate.main(work / MODEL, work)
    plot(work / "loss.csv", work / "loss.png")
    for name in (MODEL, "report.md", "failures.txt", "loss.png"):
        shutil.copy(work / name, HERE / name)
    digest = hashlib.sha256((HERE / MODEL).read_bytes()).hexdigest()
    (HERE / f"{export.NAME}.sha256").write_text(f"{digest}  {MODEL}\n", encoding="utf-8")
    print(f"{HERE / MODEL}: {digest}; MODEL_CARD.md names figures and checksum: bring them up to date")


if __name__ == "__main__":
    main()
