"""Trains the network: python3 train.py FOLDER [--tokens N] [--resume]. Prints its progress, writes FOLDER/loss.csv and FOLDER/weights.pt.

Matrices are trained by Muon (momentum, made orthogonal; https://kellerjordan.github.io/posts/muon), the rest by AdamW."""
import argparse
import csv
import dataclasses
import pathlib
import random
import time

import torch
from torch.nn import functional

import chat
import conversations
import tokens as tokenizers
from network import Network, Shape, wire_copying

# Of every step, the padding with them: questions with the beginnings of their answers, and whole conversations. Once the answers
# are known by heart, questions are the work; and a step that saw only one kind would undo the other.
QUICK_BATCH, WHOLE_BATCH = 2300, 1800
POOL = 512                # examples that are sorted by length before they are cut into batches
QUICK_TOKENS = (3, 14)    # of an answer
DRILL_SHARE, DRILL_TOKENS = 0.1, (4, 24)   # among the quick: tokens by chance that come twice, since tools need copying
READ_SHARE = 0.06         # of the tokens that the model does not write: it learns to expect them as well
TOPIC_LAYER, TOPIC_WEIGHT = 3, 0.5   # after so many layers the place before an answer shall tell which fact it is
MATRIX_RATE, OTHER_RATE = 0.01, 1.5e-3
WARM_UP, COOL_DOWN = 0.01, 0.9   # shares of all tokens: the rate rises, and falls to nothing


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


@dataclasses.dataclass
class Batch:
    tokens: torch.Tensor      # [batch, time]
    places: tuple             # (rows, columns) before what is learned
    following: torch.Tensor   # what comes there
    topics: torch.Tensor      # [3, count]: rows and columns before answers, and which facts they give


class Batches:
    """Endless batches of examples of like length."""

    def __init__(self, tokenizer, seed):
        self.random = random.Random(seed)
        self.maker = conversations.Conversations(self.random)
        self.tokenizer = tokenizer
        self.begin = tokenizer.token_to_id(chat.BEGIN)
        answers = [fact.answer for fact in self.maker.facts] + [self.maker.unknown.answer]
        self.topics = {answer + chat.END: at for at, answer in enumerate(answers)}
        self.known = {}
        self.ready = {True: [], False: []}

    def ids(self, text):
        """Answers come again and again: they are read once."""
        if text not in self.known:
            if len(self.known) > 50_000:
                self.known.clear()
            self.known[text] = self.tokenizer.encode(text).ids
        return self.known[text]

    def drill(self):
        first = self.tokenizer.token_to_id(chat.END) + 1
        any_tokens = lambda count: [self.random.randrange(first, self.tokenizer.get_vocab_size()) for _ in range(count)]
        said = any_tokens(self.random.randint(*DRILL_TOKENS))
        line = [self.begin, *any_tokens(self.random.randrange(6)), *said, *any_tokens(self.random.randrange(12)), *said]
        return line, list(range(len(line) - len(said) + 1, len(line))), []

    def example(self, quick):
        """(tokens, where what is learned lies, [(where an answer is about to begin, its fact)])"""
        if quick and self.random.random() < DRILL_SHARE:
            return self.drill()
        messages, tools = (self.maker.turn(), []) if quick else self.maker.next()
        line, learned, topics = [self.begin], [], []
        for text, written in chat.segments(messages, tools):
            ids = self.ids(text) if written else self.tokenizer.encode(text).ids
            if written and text in self.topics:
                topics.append((len(line) - 1, self.topics[text]))
            if quick and written:
                ids = ids[:self.random.randint(*QUICK_TOKENS)]
            learned += range(len(line), len(line) + len(ids)) if written else \
                (at for at in range(len(line), len(line) + len(ids)) if self.random.random() < READ_SHARE)
            line += ids
            if quick and written:
                break
        return line, learned, topics

    def next(self, quick):
        ready, most = self.ready[quick], QUICK_BATCH if quick else WHOLE_BATCH
        if not ready:
            pool = sorted((self.example(quick) for _ in range(POOL)), key=lambda example: len(example[0]))
            batch = []
            for example in pool:
                if batch and (len(batch) + 1) * len(example[0]) > most:
                    ready.append(batch)
                    batch = []
                batch.append(example)
            ready.append(batch)
            self.random.shuffle(ready)
        batch = ready.pop()
        tokens = torch.zeros(len(batch), max(len(line) for line, _, _ in batch), dtype=torch.long)
        rows, columns, topics = [], [], []
        for row, (line, learned, begun) in enumerate(batch):
            tokens[row, :len(line)] = torch.tensor(line)
            rows += [row] * len(learned)
            columns += learned
            topics += [(row, at, topic) for at, topic in begun]
        rows, columns = torch.tensor(rows), torch.tensor(columns)
        return Batch(tokens[:, :-1], (rows, columns - 1), tokens[rows, columns], torch.tensor(topics, dtype=torch.long).reshape(-1, 3).T)


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


class Training:
    """What goes on from checkpoint to checkpoint."""

    def __init__(self, tokenizer, topics):
        self.network = Network(Shape(vocabulary=tokenizer.get_vocab_size()))
        wired = wire_copying(self.network, tokenizer.token_to_id(chat.BEGIN))
        self.held = [(weight, where, weight[where].detach().clone()) for weight, where in wired]
        self.topic = torch.nn.Linear(self.network.shape.width, topics)   # of no use after training
        named = list(self.network.named_parameters())
        matrices = [weight for name, weight in named if weight.dim() == 2 and not name.startswith("embedding")]
        others = [weight for name, weight in named if weight.dim() != 2 or name.startswith("embedding")] + list(self.topic.parameters())
        self.optimizers = [(Muon(matrices, lr=MATRIX_RATE), MATRIX_RATE),
                           (torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0), OTHER_RATE)]
        self.seen = self.step = 0

    def learn(self, batches, share):
        """One step; the mean loss."""
        for optimizer, rate in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * rate_at(share)
        count, topics = sum(len(batch.following) for batch in batches), sum(batch.topics.shape[1] for batch in batches)
        total = 0
        for batch in batches:
            states, tapped = self.network(batch.tokens, TOPIC_LAYER)
            loss = functional.cross_entropy(self.network.logits(states[batch.places]), batch.following, reduction="sum") / count
            rows, columns, facts = batch.topics
            told = self.topic(self.network.norm(tapped[rows, columns]))
            (loss + TOPIC_WEIGHT * functional.cross_entropy(told, facts, reduction="sum") / max(topics, 1)).backward()
            total += loss.item()
            self.seen += batch.tokens.numel()
        for weight, where, _ in self.held:
            weight.grad[where] = 0
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer, _ in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        with torch.no_grad():
            for weight, where, kept in self.held:
                weight[where] = kept
        self.step += 1
        return total

    def save(self, folder):
        kept = {"shape": vars(self.network.shape), "weights": self.network.state_dict(), "topic": self.topic.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer, _ in self.optimizers], "seen": self.seen, "step": self.step}
        torch.save(kept, folder / "weights.part")
        (folder / "weights.part").rename(folder / "weights.pt")

    def load(self, folder):
        kept = torch.load(folder / "weights.pt")
        self.network.load_state_dict(kept["weights"])
        self.topic.load_state_dict(kept["topic"])
        for (optimizer, _), state in zip(self.optimizers, kept["optimizers"]):
            optimizer.load_state_dict(state)
        self.held = [(weight, where, weight[where].detach().clone()) for weight, where, _ in self.held]
        self.seen, self.step = kept["seen"], kept["step"]


def train(folder, budget, seed, resume=False):
    torch.manual_seed(seed)
    tokenizer = tokenizers.load(folder / "tokenizer.json")
    batches = Batches(tokenizer, seed)
    training = Training(tokenizer, len(batches.topics))
    if resume:
        training.load(folder)
        batches.random.seed(f"{seed}/{training.step}")
    print(f"{sum(weight.numel() for weight in training.network.parameters()):,} parameters, {tokenizer.get_vocab_size()} tokens", flush=True)
    facts = batches.maker.facts
    watched = random.Random(7).sample([(question, fact.answer) for fact in facts for question in fact.held_out], 120)
    began, before, smooth = time.monotonic(), training.seen, None
    with open(folder / "loss.csv", "a" if resume else "w", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        if not resume:
            log.writerow(["step", "tokens", "loss", "exact"])
        while (share := training.seen / budget) < 1:
            loss = training.learn([batches.next(True), batches.next(False)], share)
            smooth = loss if smooth is None else 0.97 * smooth + 0.03 * loss
            step, seen = training.step, training.seen
            if step % 20 == 0:
                exact = exact_answers(training.network, tokenizer, watched) if step % 100 == 0 else None
                minutes = (time.monotonic() - began) / 60
                log.writerow([step, seen, f"{smooth:.4f}", "" if exact is None else f"{exact:.3f}"])
                file.flush()
                print(f"{minutes:6.1f} min  step {step:5}  {seen / 1e6:6.2f} M tokens  "
                      f"{(seen - before) / minutes / 60:5.0f} tokens/s  loss {smooth:.3f}" + ("" if exact is None else f"  exact {exact:.3f}"),
                      flush=True)
            if step % 100 == 0:
                training.save(folder)
    training.save(folder)


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("folder", type=pathlib.Path)
    reader.add_argument("--tokens", type=float, default=12e6)
    reader.add_argument("--seed", type=int, default=1)
    reader.add_argument("--resume", action="store_true", help="go on where FOLDER/weights.pt stands")
    options = reader.parse_args()
    train(options.folder, options.tokens, options.seed, options.resume)
