"""Trains the network: python3 train.py FOLDER [--tokens N | --minutes N] [--resume | --finish]. Prints its progress, writes FOLDER/loss.csv and FOLDER/weights.pt.

Matrices are trained by Muon (momentum, made orthogonal; https://kellerjordan.github.io/posts/muon), the rest by AdamW.
An accelerator is used where PyTorch finds one: steps are larger there, and other processes make the examples."""
import argparse
import collections
import csv
import dataclasses
import os
import pathlib
import random
import re
import time

import torch
from torch.nn import functional

import chat
import conversations
import corpus
import tokens as tokenizers
from network import LOOKING, Network, Shape, wire_copying

# Of every step, the padding with them: questions with the beginnings of their answers, and whole conversations. Once the answers
# are known by heart, questions are the work; and a step that saw only one kind would undo the other.
BATCHES = 2300, 2600      # quick and whole
FINISHING = 1700, 3200    # of a finished network, which knows the answers: what is left to learn are the tools
ACCELERATED = 8           # times as many on an accelerator
POOL = 256                # examples that are sorted by length before they are cut into batches
QUICK_TOKENS = (3, 14)    # of an answer
DRILL_SHARE, DRILL_TOKENS = 0.1, (4, 24)   # among the quick: tokens by chance that come twice, since tools need copying
BLUR = 0.1                # of the tokens of a quick question
SLIPS, SLIP_LENGTHS = 0.06, (1, 1, 2, 3, 6)   # of the tokens of values are followed by wrong ones: it learns to go on, and not to say them again
READ_SHARE = 0.06, 0.02   # of the tokens that the model does not write, at first and to finish: it learns to expect them as well
TOPIC_WEIGHT = 0.5        # before the first of network.LOOKING's layers the place before an answer shall tell which fact it is, or which tool
LOOK_WEIGHT = 0.5         # and a head of each of these shall look from there to the name of that tool, and from values to where they were said
LOOK_ON = 0.3             # of the later tokens of a value
LOOK_AWAY = 0.02          # of the written tokens learn that it shall look to the beginning elsewhere, which says nothing
AVERAGED = 0.5            # of a finish: small steps tremble around what they learn, their mean does not
MATRIX_RATE, OTHER_RATE, FINISH_RATE = 0.01, 1.5e-3, 0.12   # the last is a share of the others
DROP_OUT = 0.05           # of what each part of a layer adds
WARM_UP, COOL_DOWN = 0.01, 0.9   # shares of all tokens: the rate rises, and falls to nothing
SAVE_SECONDS = 120
CALL = re.compile(r'((?:\n<tool_call>\n)?\{"name": ")([^"]+)", "arguments"')
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Muon(torch.optim.Optimizer):
    """torch.optim.Muon, but with 32-bit matrix products: processors without 16-bit ones take a hundred times as long."""
    MOMENTUM, DECAY, ROUNDS, FACTORS = 0.95, 0.01, 4, (3.4445, -4.7750, 2.0315)

    def __init__(self, matrices, lr):
        alike = collections.defaultdict(list)   # of one shape: they are worked on together
        for matrix in matrices:
            alike[matrix.shape].append(matrix)
        super().__init__([{"params": group} for group in alike.values()], {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            matrices = group["params"]
            gradient = torch.stack([matrix.grad for matrix in matrices])
            momentum = self.state[matrices[0]].setdefault("momentum", torch.zeros_like(gradient))
            momentum.lerp_(gradient, 1 - self.MOMENTUM)
            update = self.orthogonal(gradient.lerp(momentum, self.MOMENTUM))
            scale = max(1, gradient.shape[1] / gradient.shape[2]) ** 0.5
            torch._foreach_mul_(matrices, 1 - group["lr"] * self.DECAY)
            torch._foreach_add_(matrices, list(update.unbind()), alpha=-group["lr"] * scale)

    def orthogonal(self, x):
        """Newton-Schulz: the singular values move towards 1."""
        tall = x.shape[1] > x.shape[2]
        x = x.mT if tall else x
        x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
        a, b, c = self.FACTORS
        for _ in range(self.ROUNDS):
            square = x @ x.mT
            x = a * x + (b * square + c * square @ square) @ x
        return x.mT if tall else x


@dataclasses.dataclass
class Batch:
    tokens: torch.Tensor      # [batch, time]
    places: tuple             # (rows, columns) before what is learned
    following: torch.Tensor   # what comes there
    topics: torch.Tensor      # [3, count]: rows and columns before answers, and which facts they give
    looks: torch.Tensor       # [3, count]: rows and columns, before a called name and elsewhere, and the columns to look at

    def to(self, device):
        send = lambda tensor: tensor.to(device, non_blocking=True)
        rows, columns = self.places
        return Batch(send(self.tokens), (send(rows), send(columns)), send(self.following), send(self.topics), send(self.looks))


class Batches(torch.utils.data.IterableDataset):
    """Endless steps, each a quick and a whole batch, of examples of like length."""

    def __init__(self, tokenizer, seed, scale=1, finishing=False):
        self.seed, self.scale = seed, scale
        self.most = FINISHING if finishing else BATCHES
        self.read_share = READ_SHARE[finishing]
        self.random = random.Random(seed)
        self.maker = conversations.Conversations(self.random)
        self.tokenizer = tokenizer
        self.begin = tokenizer.token_to_id(chat.BEGIN)
        answers = [fact.answer for fact in self.maker.facts] + [self.maker.unknown.answer]
        self.topics = {answer + chat.END: at for at, answer in enumerate(answers)}
        self.tools = {tool["id"]: len(answers) + at for at, tool in enumerate(self.maker.tools["tools"])}
        self.wordy_list = sorted(at for token, at in tokenizer.get_vocab().items() if token.lstrip(tokenizers.SPACE).isalnum())
        self.quote = tokenizer.token_to_id(tokenizers.SPACE + '"')
        self.wordy = set(self.wordy_list)
        self.known = {}
        self.ready = {True: [], False: []}

    def ids(self, answer):
        """An answer comes again and again: it is read once."""
        if answer not in self.known:
            self.known[answer] = self.tokenizer.encode(answer).ids
        return self.known[answer]

    def blur(self, ids):
        """Some tokens lost to others: a question must be understood from what is left."""
        first, count = self.tokenizer.token_to_id(chat.END) + 1, self.tokenizer.get_vocab_size()
        return [self.random.randrange(first, count) if self.random.random() < BLUR and token >= first else token for token in ids]

    def slip(self, ids, first):
        """(tokens with wrong ones among them, their places, where the others came to stand).

        Wrong is the last one again, or any, behind words and before values, from `first` on."""
        slipped, wrong, moved = [], set(), []
        for at, token in enumerate(ids):
            moved.append(len(slipped))
            slipped.append(token)
            if at >= first and (token in self.wordy or token == self.quote) and self.random.random() < SLIPS:
                said = self.random.choice(self.wordy_list) if token == self.quote or self.random.random() < 0.5 else token
                for _ in range(self.random.choice(SLIP_LENGTHS)):
                    wrong.add(len(slipped))
                    slipped.append(said)
        return slipped, wrong, moved

    def said(self, written, told, start, question):
        """[(place among the tokens of what is written, place among those of the question, whether the value begins there)] of values.

        What is written has the tokens `told`; its values come from `start` on."""
        asked, found = self.tokenizer.encode(question), []
        for value, end, source in conversations.said_once(written, start, question):
            first, last, source = told.char_to_token(value), told.char_to_token(end - 1), asked.char_to_token(source)
            found += ((first + on, source + on, on == 0) for on in range(last - first + 1)
                      if on == 0 or told.ids[first + on] == asked.ids[source + on])
        return found

    def drill(self):
        first = self.tokenizer.token_to_id(chat.END) + 1
        any_tokens = lambda count: [self.random.randrange(first, self.tokenizer.get_vocab_size()) for _ in range(count)]
        said = any_tokens(self.random.randint(*DRILL_TOKENS))
        line = [self.begin, *any_tokens(self.random.randrange(6)), *said, *any_tokens(self.random.randrange(12)), *said]
        return line, list(range(len(line) - len(said) + 1, len(line))), [], []

    def example(self, quick):
        """(tokens, where what is learned lies, [(where an answer, a call or its tool's name begins or a tool is known, which fact or tool)],
        [(a place, where the head that says what it sees shall look from there)])"""
        if quick and self.random.random() < DRILL_SHARE:
            return self.drill()
        messages, tools, named = (self.maker.turn(), [], {}) if quick else self.maker.next()
        line, learned, topics, looks, given, asked = [self.begin], [], [], [], {}, None
        for text, written in chat.segments(messages, tools):
            told = self.tokenizer.encode(text) if text not in self.topics else None
            ids = told.ids if told else self.ids(text)
            start, before, call, wrong = len(line), set(), None, ()
            if quick:
                ids = ids[:self.random.randint(*QUICK_TOKENS)] if written else self.blur(ids)
            if written and text in self.topics:
                topics.append((start - 1, self.topics[text]))
            elif text in named:
                topics.append((start, self.tools[named[text]]))
                given[text] = start
            elif written and (call := CALL.match(text)):
                called, name_at = self.tools[named[call[2]]], start + told.char_to_token(call.start(2)) - 1
                topics += [(start - 1, called), (name_at, called)]
                looks.append((name_at, given[call[2]]))
                before.add(name_at)
            if written and not quick and told:
                values = self.said(text, told, call.end() if call else 0, asked[0]) if call or text.startswith("{") else []
                ids, wrong, moved = self.slip(ids, told.char_to_token(call.end() - 1) + 1 if call else 0)
                looks += [(start + moved[at] - 1, asked[1] + to) for at, to, first in values if first or self.random.random() < LOOK_ON]
                before |= {start + moved[at] - 1 for at, *_ in values}
            line += ids
            if written:
                learned += (start + at for at in range(len(ids)) if at not in wrong)
                looks += [(at, 0) for at in range(start - 1, len(line) - 1) if at not in before and self.random.random() < LOOK_AWAY]
            else:
                asked = (text, start) if text.startswith(f"{chat.START}user") else asked
                learned += (at for at in range(start, len(line)) if self.random.random() < self.read_share)
            if quick and written:
                break
        return line, learned, topics, looks

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        self.random.seed(f"{self.seed}/{worker.id if worker else 0}")
        while True:
            yield self.next(True), self.next(False)

    def next(self, quick):
        ready, most = self.ready[quick], self.scale * self.most[0 if quick else 1]
        if not ready:
            pool = sorted((self.example(quick) for _ in range(self.scale * POOL)), key=lambda example: len(example[0]))
            batch = []
            for example in pool:
                if batch and (len(batch) + 1) * len(example[0]) > most:
                    ready.append(batch)
                    batch = []
                batch.append(example)
            ready.append(batch)
            self.random.shuffle(ready)
        batch = ready.pop()
        tokens = torch.zeros(len(batch), max(len(line) for line, *_ in batch), dtype=torch.long)
        rows, columns, topics, looks = [], [], [], []
        for row, (line, learned, begun, seen) in enumerate(batch):
            tokens[row, :len(line)] = torch.tensor(line)
            rows += [row] * len(learned)
            columns += learned
            topics += [(row, at, topic) for at, topic in begun]
            looks += [(row, at, to) for at, to in seen]
        rows, columns = torch.tensor(rows), torch.tensor(columns)
        topics, looks = (torch.tensor(triples, dtype=torch.long).reshape(-1, 3).T for triples in (topics, looks))
        return Batch(tokens[:, :-1], (rows, columns - 1), tokens[rows, columns], topics, looks)


def rate_at(share):
    if share < WARM_UP:
        return share / WARM_UP
    return min(1.0, max(0.0, (1 - share) / COOL_DOWN))


def exact_answers(network, tokenizer, questions, at_once=32):
    """The share of questions whose whole answer the network would write by itself, always taking the likeliest token."""
    lines = []
    for question, answer in questions:
        line = [tokenizer.token_to_id(chat.BEGIN)]
        for text, written in chat.segments([conversations.user(question), conversations.assistant(answer)]):
            ids = tokenizer.encode(text).ids
            line += ids
            if written:
                lines.append((line, len(ids)))
                break
    lines.sort(key=lambda each: len(each[0]))
    right = 0
    network.eval()
    with torch.no_grad():
        for start in range(0, len(lines), at_once):
            some = lines[start:start + at_once]
            tokens = torch.zeros(len(some), max(len(line) for line, _ in some), dtype=torch.long)
            learned = torch.zeros(tokens.shape, dtype=torch.bool)
            for row, (line, count) in enumerate(some):
                tokens[row, :len(line)] = torch.tensor(line)
                learned[row, len(line) - count:len(line)] = True
            tokens, learned = tokens.to(DEVICE), learned.to(DEVICE)
            said = network.logits(network(tokens[:, :-1])[0]).argmax(-1)
            right += int((~learned[:, 1:] | (said == tokens[:, 1:])).all(1).sum())
    network.train()
    return right / len(questions)


class Training:
    """What goes on from checkpoint to checkpoint."""

    def __init__(self, tokenizer, topics):
        self.network = Network(Shape(vocabulary=tokenizer.get_vocab_size()), DROP_OUT)
        wired = wire_copying(self.network, tokenizer.token_to_id(chat.BEGIN), tokenizers.alike(tokenizer))
        self.network.to(DEVICE)
        self.held = [(weight, where, weight[where].detach().clone()) for weight, where in wired]
        self.topic = torch.nn.Linear(self.network.shape.width, topics).to(DEVICE)   # of no use after training
        named = list(self.network.named_parameters())
        matrices = [weight for name, weight in named if weight.dim() == 2 and not name.startswith("embedding")]
        others = [weight for name, weight in named if weight.dim() != 2 or name.startswith("embedding")] + list(self.topic.parameters())
        self.optimizers = [(Muon(matrices, lr=MATRIX_RATE), MATRIX_RATE),
                           (torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0), OTHER_RATE)]
        self.seen = self.step = 0
        self.mean, self.averaged = None, 0

    def average(self):
        """Adds the weights to their mean."""
        self.averaged += 1
        weights = self.network.state_dict()
        if self.mean is None:
            self.mean = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        for name, weight in weights.items():
            self.mean[name].lerp_(weight, 1 / self.averaged)

    def learn(self, batches, rate):
        """One step at so much of the full rate; the mean loss."""
        for optimizer, full in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = full * rate
        count = sum(len(batch.following) for batch in batches)
        topics, looks = (max(1, sum(triples.shape[1] for triples in each)) for each in zip(*((batch.topics, batch.looks) for batch in batches)))
        total = 0
        for batch in batches:
            batch = batch.to(DEVICE)
            last, tapped = self.network(batch.tokens)
            loss = functional.cross_entropy(self.network.logits(last[batch.places]), batch.following, reduction="sum") / count
            rows, columns, facts = batch.topics
            told = self.topic(self.network.norm(tapped[0][rows, columns]))
            topic_loss = functional.cross_entropy(told, facts, reduction="sum") / topics
            rows, columns, wanted = batch.looks
            look_loss = sum(functional.cross_entropy(self.network.looks(layer, states, rows, columns), wanted, reduction="sum")
                            for layer, states in zip(LOOKING, tapped)) / looks
            (loss + TOPIC_WEIGHT * topic_loss + LOOK_WEIGHT * look_loss).backward()
            total += loss.detach()
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
        kept = torch.load(folder / "weights.pt", map_location=DEVICE)
        self.network.load_state_dict(kept["weights"])
        self.topic.load_state_dict(kept["topic"])
        for (optimizer, _), state in zip(self.optimizers, kept["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.held = [(weight, where, weight[where].detach().clone()) for weight, where, _ in self.held]
        self.seen, self.step = kept["seen"], kept["step"]


def train(folder, seed, tokens=None, minutes=None, resume=False, finish=False):
    """As many tokens, or as long. Tokens before a resumption count.

    A finish goes on with a network that knows its facts, other examples and a low rate; at its end stands the mean of its later steps."""
    torch.manual_seed(seed)
    tokenizer = tokenizers.load(folder / "tokenizer.json")
    torch.set_float32_matmul_precision("high")
    accelerated = DEVICE.type != "cpu"
    batches = Batches(tokenizer, seed, ACCELERATED if accelerated else 1, finishing=finish)
    training = Training(tokenizer, len(batches.topics) + len(batches.tools))
    if resume or finish:
        training.load(folder)
        batches.seed = f"{seed}/{training.step}"
    steps = torch.utils.data.DataLoader(batches, batch_size=None, num_workers=(os.cpu_count() - 1) if accelerated else 0, in_order=False)
    print(f"{sum(weight.numel() for weight in training.network.parameters()):,} parameters, {tokenizer.get_vocab_size()} tokens", flush=True)
    watched = corpus.watched(batches.maker.facts)
    before, smooth = training.seen, None
    counted = before if finish else 0
    share = (before - counted) / tokens if tokens else 0.0
    began = saved = time.monotonic()
    with open(folder / "loss.csv", "a" if resume or finish else "w", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        if file.tell() == 0:
            log.writerow(["step", "tokens", "loss", "exact"])
        for made in steps:
            loss = training.learn(made, (FINISH_RATE if finish else 1) * rate_at(share))
            smooth = loss if smooth is None else 0.97 * smooth + 0.03 * loss
            step, seen = training.step, training.seen
            share = (seen - counted) / tokens if tokens else (time.monotonic() - began) / (60 * minutes)
            if finish and share > 1 - AVERAGED:
                training.average()
            if step % 20 == 0:
                exact = exact_answers(training.network, tokenizer, watched) if step % 100 == 0 else None
                passed = (time.monotonic() - began) / 60
                log.writerow([step, seen, f"{smooth:.4f}", "" if exact is None else f"{exact:.3f}"])
                file.flush()
                print(f"{passed:6.1f} min  step {step:5}  {seen / 1e6:6.2f} M tokens  "
                      f"{(seen - before) / passed / 60:5.0f} tokens/s  loss {smooth:.3f}" + ("" if exact is None else f"  exact {exact:.3f}"),
                      flush=True)
            if finish and share >= 1:
                training.network.load_state_dict(training.mean)
            if share >= 1 or time.monotonic() - saved > SAVE_SECONDS:
                training.save(folder)
                saved = time.monotonic()
            if share >= 1:
                return


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("folder", type=pathlib.Path)
    reader.add_argument("--tokens", type=float)
    reader.add_argument("--minutes", type=float)
    reader.add_argument("--seed", type=int, default=1)
    reader.add_argument("--resume", action="store_true", help="go on where FOLDER/weights.pt stands")
    reader.add_argument("--finish", action="store_true", help="finish the network that stands there, which knows its facts")
    options = reader.parse_args()
    if bool(options.tokens) == bool(options.minutes):
        reader.error("give --tokens or --minutes")
    train(options.folder, options.seed, options.tokens, options.minutes, options.resume, options.finish)
