"""The network: llama's architecture, small. Shapes: tokens [batch, time], states [batch, time, width].

It starts with a circuit that copies, written by hand (`wire_copying`): few examples are too few for a network to find it."""
import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional


@dataclasses.dataclass
class Shape:
    vocabulary: int
    width: int = 416
    layers: int = 6
    heads: int = 16
    kv_heads: int = 4
    head_width: int = 32
    hidden: int = 1024     # of the feed-forward part
    context: int = 3072
    rope_base: float = 100_000_000.0
    epsilon: float = 1e-5


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.q = nn.Linear(shape.width, shape.heads * shape.head_width, bias=False)
        self.k = nn.Linear(shape.width, shape.kv_heads * shape.head_width, bias=False)
        self.v = nn.Linear(shape.width, shape.kv_heads * shape.head_width, bias=False)
        self.out = nn.Linear(shape.heads * shape.head_width, shape.width, bias=False)

    def forward(self, x, cos, sin):
        batch, time, _ = x.shape
        heads = lambda states, count: states.view(batch, time, count, self.shape.head_width).transpose(1, 2)
        q, k, v = heads(self.q(x), self.shape.heads), heads(self.k(x), self.shape.kv_heads), heads(self.v(x), self.shape.kv_heads)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        group = self.shape.heads // self.shape.kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, time, -1))


class FeedForward(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x):
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class Layer(nn.Module):
    def __init__(self, shape, drop_out):
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.attention = Attention(shape)
        self.feed_forward_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.feed_forward = FeedForward(shape)
        self.drop_out = nn.Dropout(drop_out)

    def forward(self, x, cos, sin):
        x = x + self.drop_out(self.attention(self.attention_norm(x), cos, sin))
        return x + self.drop_out(self.feed_forward(self.feed_forward_norm(x)))


class Network(nn.Module):
    def __init__(self, shape, drop_out=0.0):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)   # the output's matrix too
        self.layers = nn.ModuleList(Layer(shape, drop_out) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02)
            if name.endswith(("out.weight", "down.weight")):
                nn.init.normal_(weight, std=0.02 / (2 * shape.layers) ** 0.5)
        angles = torch.outer(torch.arange(shape.context).float(),
                             shape.rope_base ** (-torch.arange(0, shape.head_width, 2).float() / shape.head_width))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, tokens):
        """(states before the output's matrix, since only some become logits; states before each of the LOOKING layers)"""
        x = self.embedding(tokens)
        cos, sin = self.cos[:tokens.shape[1]], self.sin[:tokens.shape[1]]
        tapped = []
        for at, layer in enumerate(self.layers):
            if at in LOOKING:
                tapped.append(x)
            x = layer(x, cos, sin)
        return self.norm(x), tapped

    def looks(self, layer, states, rows, places):
        """How much the head of a LOOKING layer that says what it sees looks from each place to all of its row: [count, time], before softmax.

        `states` are those before that layer."""
        attention, size = self.layers[layer].attention, self.shape.head_width
        read = self.layers[layer].attention_norm(states)
        cos, sin = self.cos[:states.shape[1]], self.sin[:states.shape[1]]
        q, k = (rotate(made(read)[..., -size:], cos, sin) for made in (attention.q, attention.k))
        scores = (q @ k.mT / math.sqrt(size))[rows, places]
        return scores.masked_fill(torch.arange(states.shape[1], device=states.device) > places[:, None], -math.inf)

    def logits(self, states):
        return states @ self.embedding.weight.T


def orthonormal(rows, width):
    return torch.linalg.qr(torch.randn(width, width))[0][:rows]


CONSTANT, FIRST, CODE, GROUPS = 0, 1, 96, 2   # the dimensions that are the same for all tokens and that tell the first one; see below
# Layers whose last head says what it looks at, and how loud: by then a code is a small part of a state. One looks early, so that others
# can work with what it saw; the last knows more of what is wanted.
LOOKING = {3: 80.0, 5: 160.0}


@torch.no_grad()
def wire_copying(network, begin, alike):
    """Induction heads (https://arxiv.org/abs/2209.11895), set by hand: where a token has come before, expect what followed it then.

    Every token has a code of its own in CODE dimensions of its embedding, by chance and for good. In the first layer a head of each of
    GROUPS groups looks one place back and writes that token's code into dimensions that no embedding uses. In the second a head looks
    for the place whose predecessor was the present token, or else at `begin`, which has no code, and writes the code of what is there:
    a prediction. What layers add soon hides whose place it is, so the last dimensions keep a part of that code to which nothing is ever
    added: there the last heads of later layers read what they look at, and predict it. Of each pair in `alike` both have the mean of
    their parts there, and are predicted together: what is said behind a space may be written without one. Where these heads look is
    learned: at first, at `begin`.
    Returns [(weight, where)]: what training must leave as it is."""
    shape, spread, constant = network.shape, 1.0, 10.0
    sharp, match, sink = 60.0, 5.0, 0.4
    size, heads = shape.head_width, shape.heads // shape.kv_heads
    code, plain = slice(2, 2 + CODE), slice(shape.width - size, shape.width)
    unused = slice(plain.start - GROUPS * size, plain.start)
    copied = 0.02 * (unused.start - 2)   # more than what the present token says of itself
    embedding = network.embedding.weight
    embedding.normal_()
    embedding[begin] = embedding[:, :2] = embedding[:, unused] = 0
    embedding[:, code] *= math.sqrt(CODE) / embedding[:, code].norm(dim=1, keepdim=True).clamp(min=1e-6)   # all alike long
    embedding *= spread
    embedding[:, CONSTANT] = constant
    part = orthonormal(size, CODE)
    embedding[:, plain] = embedding[:, code] @ part.T
    for pair in alike:
        both = embedding[pair, plain]
        embedding[pair, plain] = both.sum(0) / both.sum(0).norm() * both.norm(dim=1).mean()
    embedding[begin, FIRST] = first_one = spread * math.sqrt(unused.start - 2)
    after_norm = math.sqrt(shape.width / (constant**2 + first_one**2 + spread**2 * size))
    network.norm.weight.fill_(0.05)   # the embeddings are large beside what the layers add: else their codes would drown
    network.norm.weight[plain] = 0
    first, second = network.layers[0].attention, network.layers[1].attention
    # Of the pairs that RoPE turns, the fast ones tell neighbours apart and the slow ones tell no places apart; the last is the sink's.
    turn = shape.rope_base ** (-torch.arange(0, size, 2).float() / size)
    fast, slow = turn > 0.03, torch.arange(size) >= 2 * int((turn > 0.005).sum())
    slow[-2:] = False
    look = fast * math.sqrt(sharp * math.sqrt(size)) / (constant * after_norm)
    to_begin = math.sqrt(sink * int(slow.sum()) / (constant * first_one)) * match * spread
    held = [(embedding, (slice(None), slice(0, code.stop))), (embedding, (slice(None), plain)), (embedding, begin),
            (network.norm.weight, plain), (network.layers[0].attention_norm.weight, slice(None)), (network.layers[1].attention_norm.weight, slice(None))]
    for at in range(GROUPS):
        of_key, of_head = slice(at * size, (at + 1) * size), slice(at * heads * size, (at * heads + 1) * size)
        place = slice(unused.start + at * size, unused.start + (at + 1) * size)
        read, said = torch.zeros(size, shape.width), torch.zeros(size, shape.width)
        read[:, code], said[:, code] = orthonormal(size, CODE), orthonormal(size, CODE)
        first.q.weight[of_head] = first.k.weight[of_key] = first.out.weight[:, of_head] = 0
        first.q.weight[of_head, CONSTANT][0::2] = look
        first.k.weight[of_key, CONSTANT][0::2], first.k.weight[of_key, CONSTANT][1::2] = look * turn.cos(), look * turn.sin()
        first.v.weight[of_key] = read
        first.out.weight[place, of_head] = torch.eye(size) / after_norm
        second.q.weight[of_head] = match * read * slow[:, None]
        second.k.weight[of_key] = 0
        second.k.weight[of_key, place] = match * torch.diag(slow.float())
        second.q.weight[of_head, CONSTANT][-2] = second.k.weight[of_key, FIRST][-2] = to_begin
        second.v.weight[of_key] = said
        second.out.weight[:, of_head] = copied * spread * said.T
        held += [(first.q.weight, of_head), (first.k.weight, of_key), (first.v.weight, of_key), (first.out.weight, (slice(None), of_head)),
                 (second.q.weight, of_head), (second.k.weight, of_key), (second.v.weight, of_key), (second.out.weight, (slice(None), of_head))]
    last = slice(-size, None)
    for at, loud in LOOKING.items():
        attention, norm = network.layers[at].attention, network.layers[at].attention_norm.weight
        for weight, of in ((attention.q.weight, CONSTANT), (attention.k.weight, FIRST)):
            weight[-2] = 0
            weight[-2, of] = to_begin
        attention.v.weight[last] = 0
        attention.v.weight[last, plain] = torch.eye(size)
        attention.out.weight[:, last] = 0
        attention.out.weight[code, last] = loud * part.T
        held += [(norm, plain), (attention.v.weight, last), (attention.out.weight, (slice(None), last))]
    for layer in network.layers:
        for written in (layer.attention.out.weight, layer.feed_forward.down.weight):
            written[plain] = 0
            held.append((written, plain))
    return held


def rotate(x, cos, sin):
    """RoPE over pairs of neighbours, as llama.cpp turns them for this architecture."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
