"""Trains the network: python3 train.py FOLDER [--tokens N]. Prints its progress, writes FOLDER/loss.csv and FOLDER/weights.pt.

Matrices are trained by Muon (momentum, made orthogonal; https://kellerjordan.github.io/posts/muon), the rest by AdamW."""
import argparse
import csv
import pathlib
import random
import time

import torch
from torch.nn import functional

import chat
import conversations
import tokens as tokenizers
from network import Network, Shape

BATCH = 4096          # tokens of a step, the padding with them
POOL = 512            # conversations that are sorted by length before they are cut into batches
QUICK_SHARE = 0.55    # of one question and the beginning of its answer: once the answers are known by heart, questions are the work
QUICK_TOKENS = (6, 20)
READ_SHARE = 0.06     # of the tokens that the model does not write: it learns to expect them as well
MATRIX_RATE, OTHER_RATE = 0.02, 3e-3
WARM_UP, COOL_DOWN = 0.02, 0.6   # shares of all tokens: the rate rises, and falls to nothing


class Muon(torch.optim.Optimizer):
    """torch.optim.Muon, but with 32-bit matrix products: processors without 16-bit ones take a hundred times as long."""
    MOMENTUM, DECAY, ROUNDS, FACTORS = 0.95, 0.01, 4, (3.4445, -4.7750, 2.0315)

    def __init__(self, matrices, lr):
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix]
                momentum = state.setdefault("momentum", torch.zeros_like(matrix))
                momentum.lerp_(matrix.grad, 1 - self.MOMENTUM)
                update = self.orthogonal(matrix.grad.lerp(momentum, self.MOMENTUM))
                matrix.mul_(1 - group["lr"] * self.DECAY)
                matrix.add_(update, alpha=-group["lr"] * max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5)

    def orthogonal(self, x):
        """Newton-Schulz: the singular values move towards 1."""
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x
        x = x / (x.norm() + 1e-7)
        a, b, c = self.FACTORS
        for _ in range(self.ROUNDS):
            square = x @ x.T
            x = a * x + (b * square + c * square @ square) @ x
        return x.T if tall else x


class Batches:
    """Endless batches of conversations of like length: (tokens, positions that are learned, what follows there)."""

    def __init__(self, tokenizer, seed):
        self.random = random.Random(seed)
        self.maker = conversations.Conversations(self.random)
        self.tokenizer = tokenizer
        self.begin = tokenizer.token_to_id(chat.BEGIN)
        self.known = {}
        self.ready = []

    def ids(self, text):
        """Answers come again and again: they are read once."""
        if text not in self.known:
            if len(self.known) > 50_000:
                self.known.clear()
            self.known[text] = self.tokenizer.encode(text).ids
        return self.known[text]

    def example(self):
        quick = self.random.random() < QUICK_SHARE
        messages, tools = (self.maker.turn(), []) if quick else self.maker.next()
        line, learned = [self.begin], []
        for text, written in chat.segments(messages, tools):
            ids = self.ids(text) if written else self.tokenizer.encode(text).ids
            if quick and written:
                ids = ids[:self.random.randint(*QUICK_TOKENS)]
            learned += range(len(line), len(line) + len(ids)) if written else \
                (at for at in range(len(line), len(line) + len(ids)) if self.random.random() < READ_SHARE)
            line += ids
            if quick and written:
                break
        return line, learned

    def next(self):
        if not self.ready:
            pool = sorted((self.example() for _ in range(POOL)), key=lambda example: len(example[0]))
            batch = []
            for example in pool:
                if batch and (len(batch) + 1) * len(example[0]) > BATCH:
                    self.ready.append(batch)
                    batch = []
                batch.append(example)
            self.ready.append(batch)
            self.random.shuffle(self.ready)
        batch = self.ready.pop()
        longest = max(len(line) for line, _ in batch)
        tokens = torch.zeros(len(batch), longest, dtype=torch.long)
        rows, columns = [], []
        for row, (line, learned) in enumerate(batch):
            tokens[row, :len(line)] = torch.tensor(line)
            rows += [row] * len(learned)
            columns += learned
        rows, columns = torch.tensor(rows), torch.tensor(columns)
        return tokens[:, :-1], (rows, columns - 1), tokens[rows, columns]


def rate_at(share):
    if share < WARM_UP:
        return share / WARM_UP
    return min(1.0, max(0.0, (1 - share) / COOL_DOWN))


def exact_answers(network, tokenizer, questions):
    """The share of questions whose whole answer the network would write by itself, always taking the likeliest token."""
    right = 0
    network.eval()
    with torch.no_grad():
        for question, answer in questions:
            parts = chat.segments([conversations.user(question), conversations.assistant(answer)])
            line = [tokenizer.token_to_id(chat.BEGIN)]
            for text, written in parts:
                if written:
                    start = len(line)
                    end = start + len(tokenizer.encode(text).ids)
                line += tokenizer.encode(text).ids
            states = network(torch.tensor([line[:end]]))[0, start - 1:end - 1]
            right += bool((network.logits(states).argmax(-1) == torch.tensor(line[start:end])).all())
    network.train()
    return right / len(questions)


def train(folder, budget, seed):
    torch.manual_seed(seed)
    tokenizer = tokenizers.load(folder / "tokenizer.json")
    network = Network(Shape(vocabulary=tokenizer.get_vocab_size()))
    batches = Batches(tokenizer, seed)
    matrices = [weight for name, weight in network.named_parameters() if weight.dim() == 2 and not name.startswith("embedding")]
    others = [weight for name, weight in network.named_parameters() if weight.dim() != 2 or name.startswith("embedding")]
    optimizers = [(Muon(matrices, lr=MATRIX_RATE), MATRIX_RATE),
                  (torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0), OTHER_RATE)]
    print(f"{sum(weight.numel() for weight in network.parameters()):,} parameters, {tokenizer.get_vocab_size()} tokens", flush=True)
    facts = batches.maker.facts
    watched = random.Random(7).sample([(question, fact.answer) for fact in facts for question in fact.held_out], 120)
    began, seen, step, smooth = time.monotonic(), 0, 0, None
    with open(folder / "loss.csv", "w", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        log.writerow(["minutes", "step", "tokens", "loss", "exact"])
        while (share := seen / budget) < 1:
            for optimizer, rate in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate * rate_at(share)
            tokens, places, following = batches.next()
            loss = functional.cross_entropy(network.logits(network(tokens)[places]), following)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            for optimizer, _ in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            step, seen = step + 1, seen + tokens.numel()
            smooth = loss.item() if smooth is None else 0.97 * smooth + 0.03 * loss.item()
            if step % 20 == 0:
                exact = exact_answers(network, tokenizer, watched) if step % 200 == 0 else None
                minutes = (time.monotonic() - began) / 60
                log.writerow([f"{minutes:.2f}", step, seen, f"{smooth:.4f}", "" if exact is None else f"{exact:.3f}"])
                file.flush()
                print(f"{minutes:6.1f} min  step {step:5}  {seen / 1e6:6.2f} M tokens  "
                      f"{seen / minutes / 60:5.0f} tokens/s  loss {smooth:.3f}" + ("" if exact is None else f"  exact {exact:.3f}"),
                      flush=True)
            if step % 200 == 0:
                save(network, folder)
    save(network, folder)


def save(network, folder):
    torch.save({"shape": vars(network.shape), "weights": network.state_dict()}, folder / "weights.part")
    (folder / "weights.part").rename(folder / "weights.pt")


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("folder", type=pathlib.Path)
    reader.add_argument("--tokens", type=float, default=6e6)
    reader.add_argument("--seed", type=int, default=1)
    options = reader.parse_args()
    train(options.folder, options.tokens, options.seed)
