#!/usr/bin/env python3
"""Writes `hearth-tiny`: a GGUF model of half a megabyte that loads in llama.cpp and babbles.

    write_tiny_model.py OUT.gguf [--seed N] [--embedding] [--embedding-length N] [--context N]

Tests and benches call it, so that they need no download. The file depends on the arguments only: the same call writes the
same bytes.

How it can babble sentences without training: every token carries its word class in its own dimension of the residual
stream, and the output matrix holds a hand-written table "after this class comes that class". The remaining dimensions
carry noise that two ordinary (random) transformer layers stir, so that the words within a class depend on the whole
text. One attention head compares the full stops so far with the turns of the conversation: the more stops, the likelier
the end of the turn; another does so with quotes, so that JSON strings close. The vocabulary holds all 256 bytes, so
any text can be read and any grammar obeyed.
"""

import argparse
import array
import os
import random
import struct
import sys

# ---------------------------------------------------------------------------------------------------------------- text

WORDS = {
    "opening": ["The", "A", "One", "Every", "My", "Our", "This", "That"],
    "subject_adjective": [" quiet", " wise", " small", " bright", " clever", " patient", " tired", " curious"],
    "subject": [" river", " robot", " teacher", " cat", " sailor", " child", " garden", " machine", " bird", " painter"],
    "verb": [" finds", " sings", " counts", " follows", " paints", " forgets", " opens", " carries", " hears", " keeps"],
    "article": [" the", " a", " every", " another", " some", " her", " his", " their"],
    "object_adjective": [" green", " golden", " broken", " little", " secret", " round", " heavy", " warm"],
    "object": [" door", " song", " map", " letter", " stone", " lamp", " story", " boat", " window", " number"],
    "adverb": [" slowly", " today", " again", " twice", " at night", " with care", " in spring", " for joy"],
    "stop": [".", "!", "?"],
    "next_opening": [" The", " A", " One", " Every", " My", " Our", " This", " That"],
}

BOS, TURN, END_OF_TURN = "<|bos|>", "<|im_start|>", "<|im_end|>"
SPECIAL = [BOS, TURN, END_OF_TURN, "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]

# Characters that JSON gives a meaning; each is a class of its own.
MARKS = {'"': "quote", "{": "brace", "}": "brace_end", "[": "bracket", "]": "bracket_end", ",": "comma", ":": "colon",
         "\n": "newline"}

CLASSES = list(WORDS) + list(MARKS.values()) + ["digit", "letter", "turn", "end_of_turn", "rare"]

# Logits of the next class. What is not named gets NEVER; the order within a row also decides what a grammar, which
# forbids most classes, makes of it: strings close after a full stop, objects and lists close as soon as they may.
NEVER = -9.0
AFTER = {
    "opening": {"subject_adjective": 7, "subject": 7},
    "next_opening": {"subject_adjective": 7, "subject": 7},
    "subject_adjective": {"subject": 8},
    "subject": {"verb": 8},
    "verb": {"article": 8},
    "article": {"object_adjective": 7, "object": 7},
    "object_adjective": {"object": 8},
    "object": {"stop": 8, "adverb": 7},
    "adverb": {"stop": 9},
    "stop": {"next_opening": 8, "end_of_turn": 7, "quote": 7, "brace_end": 2, "bracket_end": 1, "comma": 0},
    "quote": {"opening": 9, "brace_end": 3, "bracket_end": 3, "colon": 2, "comma": 0, "end_of_turn": 4},
    "brace": {"quote": 12, "brace_end": 0},
    "brace_end": {"end_of_turn": 8, "brace_end": 5, "bracket_end": 5, "comma": 1},
    "bracket": {"quote": 11, "digit": 4, "brace": 4, "bracket_end": 1},
    "bracket_end": {"end_of_turn": 8, "brace_end": 5, "bracket_end": 5, "comma": 1},
    "comma": {"quote": 11, "article": 4, "digit": 3},
    "colon": {"quote": 11, "digit": 5, "brace": 3, "bracket": 3, "article": 3},
    "newline": {"opening": 9, "brace": 4, "bracket": 3, "end_of_turn": 0},
    "digit": {"brace_end": 6, "bracket_end": 6, "stop": 3, "comma": 4, "end_of_turn": 6, "digit": 1, "verb": 7},
    "letter": {"verb": 6, "stop": 3, "comma": 1, "quote": 2, "letter": 0, "end_of_turn": 2},
    "turn": {"opening": 8, "letter": -2},
    "end_of_turn": {"opening": 6, "newline": 5},
    "rare": {"opening": 8, "letter": -4},
}

CHAT_TEMPLATE = """\
{%- if messages[0].role == 'system' %}
    {%- set system = messages[0].content %}
    {%- set turns = messages[1:] %}
{%- else %}
    {%- set system = '' %}
    {%- set turns = messages %}
{%- endif %}
{%- if system or tools %}
    {{- '<|im_start|>system\\n' + system }}
    {%- if tools %}
        {{- '\\n\\nYou can call these functions:\\n<tools>' }}
        {%- for tool in tools %}
            {{- '\\n' + (tool | tojson) }}
        {%- endfor %}
        {{- '\\n</tools>\\n\\nTo call one, answer with:\\n<tool_call>\\n{"name": NAME, "arguments": OBJECT}\\n</tool_call>' }}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in turns %}
    {%- if message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' }}
        {%- if message.content %}
            {{- message.content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for call in message.tool_calls %}
                {%- set function = call.function if call.function else call %}
                {{- '\\n<tool_call>\\n{"name": "' + function.name + '", "arguments": ' }}
                {{- function.arguments if function.arguments is string else (function.arguments | tojson) }}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def byte_alphabet():
    """The 256 visible characters that byte-level BPE writes for the bytes 0 to 255."""
    visible = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet, shifted = {}, 0
    for byte in range(256):
        if byte in visible:
            alphabet[byte] = chr(byte)
        else:
            alphabet[byte] = chr(256 + shifted)
            shifted += 1
    return [alphabet[byte] for byte in range(256)]


class Token:
    """One entry of the vocabulary: its spelling in the file, its class, and its type as GGUF numbers it."""

    NORMAL, CONTROL = 1, 3

    def __init__(self, spelling, word_class, kind=NORMAL, built_for_merges=False):
        self.spelling, self.word_class, self.kind = spelling, word_class, kind
        self.built_for_merges = built_for_merges

    def reluctance(self):
        """Logits taken off everywhere, for what should be read but hardly ever said."""
        if self.kind == Token.CONTROL:
            return 0.0 if self.word_class == "end_of_turn" else 20.0
        if self.built_for_merges:
            return 5.0
        return 8.0 if self.word_class == "rare" else 0.0


def class_of_byte(byte):
    character = chr(byte)
    if character in MARKS:
        return MARKS[character]
    if character.isascii() and character.isdigit():
        return "digit"
    if character.isascii() and character.isalpha():
        return "letter"
    return "rare"


def class_of_special(text):
    return {BOS: "turn", TURN: "turn", END_OF_TURN: "end_of_turn"}.get(text, "rare")


def make_vocabulary():
    """Bytes, then words and the pieces their merges need, then special tokens; and the merges that build the words."""
    alphabet = byte_alphabet()
    tokens = {alphabet[byte]: Token(alphabet[byte], class_of_byte(byte)) for byte in range(256)}
    merges = []
    for word_class, words in WORDS.items():
        for word in words:
            # Byte-level BPE never crosses a space: " at night" is one token to write and two pieces to read.
            letters = [alphabet[byte] for byte in word.encode()]
            built = letters[0]
            for letter in letters[1:]:
                merge, built = f"{built} {letter}", built + letter
                if built not in tokens:
                    tokens[built] = Token(built, "letter", built_for_merges=True)
                if merge not in merges:
                    merges.append(merge)
            tokens[built] = Token(built, word_class)
    for text in SPECIAL:
        tokens[text] = Token(text, class_of_special(text), Token.CONTROL)
    return list(tokens.values()), merges


# ------------------------------------------------------------------------------------------------------------- weights

HEADS, KV_HEADS, LAYERS = 4, 2, 2
CLASS_SCALE = 4.0   # an embedding's value in the dimension of its class
NOISE_SCALE = 0.5
NOISE_VARIANCE = 0.8  # of the same dimensions after the two layers
WORD_SCALE = 0.2     # how much the noise decides between the words of a class
WATCH_SCALE = 1.3   # how sharply the watching heads see only what they watch; sharper, they would see one token alone
COUNT_LOGIT = 2.5   # what a text full of stops adds to the end of the turn, at the most
QUOTE_LOGIT = 2.0   # what a text full of JSON adds to the closing quote, at the most


class Weights:
    """Makes the tensors, row by row: `tensor[name] = (rows, columns, floats)`; a row is what one output reads."""

    def __init__(self, tokens, embedding_length, seed):
        self.tokens, self.width = tokens, embedding_length
        self.random = random.Random(seed)
        self.hidden = 2 * embedding_length
        self.head = embedding_length // HEADS
        self.class_dim = {name: at for at, name in enumerate(CLASSES)}
        self.always = len(CLASSES)      # a dimension that is the same for every token: the output's bias
        self.count = self.always + 1    # where the counting head writes
        self.quotes = self.count + 1    # the same for the head that watches quotes
        self.noise = range(self.quotes + 1, embedding_length)

    def gauss(self, scale):
        return self.random.gauss(0.0, scale)

    def rows_into(self, rows, columns, written, read, scale):
        """A random matrix whose rows `written` read the columns `read`; everything else is zero."""
        matrix = array.array("f", bytes(4 * rows * columns))
        for row in written:
            for column in read:
                matrix[row * columns + column] = self.gauss(scale)
        return matrix

    def token_embeddings(self):
        matrix = array.array("f", bytes(4 * len(self.tokens) * self.width))
        for at, token in enumerate(self.tokens):
            row = at * self.width
            matrix[row + self.class_dim[token.word_class]] = CLASS_SCALE
            matrix[row + self.always] = CLASS_SCALE
            for dim in self.noise:
                matrix[row + dim] = self.gauss(NOISE_SCALE)
        return matrix

    def output(self):
        # After the final norm a class dimension holds about `reading`; dividing by it turns the table into logits.
        reading = CLASS_SCALE / (((2 * CLASS_SCALE**2 + len(self.noise) * NOISE_VARIANCE) / self.width) ** 0.5)
        matrix = array.array("f", bytes(4 * len(self.tokens) * self.width))
        for at, token in enumerate(self.tokens):
            row = at * self.width
            matrix[row + self.always] = -token.reluctance() / reading
            for before, following in AFTER.items():
                matrix[row + self.class_dim[before]] = following.get(token.word_class, NEVER) / reading
            if token.word_class == "end_of_turn":
                matrix[row + self.count] = COUNT_LOGIT
            elif token.word_class == "quote":
                matrix[row + self.count] = COUNT_LOGIT
                matrix[row + self.quotes] = QUOTE_LOGIT
            elif token.word_class != "stop":
                for dim in self.noise:
                    matrix[row + dim] = self.gauss(WORD_SCALE)
        return matrix

    def watching_heads(self, query, key, value, output):
        """Head 0 looks at stops and turns alone: +1 for each stop, -1 for each turn, averaged, into `count`.
        Head 1 weighs quotes and braces against turns in the same way, into `quotes`."""
        width, head = self.width, self.head
        watched = ({"stop": 1.0, "turn": -1.0}, {"quote": 1.0, "brace": 1.0, "turn": -1.0})
        for index, (worths, sink) in enumerate(zip(watched, (self.count, self.quotes))):
            watch = head - 1 - index  # the last pair of a head hardly turns with the position
            query[(index * head + watch) * width + self.always] = WATCH_SCALE
            for name, worth in worths.items():
                key[watch * width + self.class_dim[name]] = WATCH_SCALE
                value[index * width + self.class_dim[name]] = worth
            output[sink * width + index * head + index] = 0.4

    def layer(self, index):
        width, head = self.width, self.head
        everything, kv_rows = range(width), KV_HEADS * head
        watches = index == 0
        first, first_kv = (2 * head, head) if watches else (0, 0)  # heads 0 and 1 share keys and values
        query = self.rows_into(width, width, range(first, width), everything, 0.25)
        key = self.rows_into(kv_rows, width, range(first_kv, kv_rows), everything, 0.25)
        value = self.rows_into(kv_rows, width, range(first_kv, kv_rows), self.noise, 0.3)
        output = self.rows_into(width, width, self.noise, range(first, width), 0.05)
        if watches:
            self.watching_heads(query, key, value, output)
        prefix, hidden = f"blk.{index}.", self.hidden
        return {
            prefix + "attn_norm.weight": (1, width, array.array("f", [1.0] * width)),
            prefix + "attn_q.weight": (width, width, query),
            prefix + "attn_k.weight": (kv_rows, width, key),
            prefix + "attn_v.weight": (kv_rows, width, value),
            prefix + "attn_output.weight": (width, width, output),
            prefix + "ffn_norm.weight": (1, width, array.array("f", [1.0] * width)),
            prefix + "ffn_gate.weight": (hidden, width, self.rows_into(hidden, width, range(hidden), everything, 0.15)),
            prefix + "ffn_up.weight": (hidden, width, self.rows_into(hidden, width, range(hidden), self.noise, 0.15)),
            prefix + "ffn_down.weight": (width, hidden, self.rows_into(width, hidden, self.noise, range(hidden), 0.05)),
        }

    def all(self):
        vocabulary, width = len(self.tokens), self.width
        tensors = {"token_embd.weight": (vocabulary, width, self.token_embeddings())}
        for index in range(LAYERS):
            tensors.update(self.layer(index))
        tensors["output_norm.weight"] = (1, width, array.array("f", [1.0] * width))
        tensors["output.weight"] = (vocabulary, width, self.output())
        return tensors


class EmbeddingWeights(Weights):
    """The same network for text embeddings: no classes, so that only which words a text has sets its direction."""

    def token_embeddings(self):
        matrix = array.array("f", (self.gauss(1.0) for _ in range(len(self.tokens) * self.width)))
        return matrix

    def watching_heads(self, query, key, value, output):
        pass


# ---------------------------------------------------------------------------------------------------------------- file

ALIGNMENT = 32
TYPE_U32, TYPE_I32, TYPE_F32, TYPE_BOOL, TYPE_STRING, TYPE_ARRAY = 4, 5, 6, 7, 8, 9


def string_bytes(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def scalar_bytes(kind, value):
    if kind == TYPE_STRING:
        return string_bytes(value)
    return struct.pack({TYPE_U32: "<I", TYPE_I32: "<i", TYPE_F32: "<f", TYPE_BOOL: "<?"}[kind], value)


def entry_bytes(key, kind, value):
    if isinstance(value, list):
        items = b"".join(scalar_bytes(kind, item) for item in value)
        return string_bytes(key) + struct.pack("<IIQ", TYPE_ARRAY, kind, len(value)) + items
    return string_bytes(key) + struct.pack("<I", kind) + scalar_bytes(kind, value)


def padding(size):
    return bytes(-size % ALIGNMENT)


def metadata(tokens, merges, options):
    """The key-value part, in file order: (key, type, value)."""
    place = {token.spelling: at for at, token in enumerate(tokens)}
    head = options.embedding_length // HEADS
    entries = [
        ("general.architecture", TYPE_STRING, "llama"),
        ("general.name", TYPE_STRING, "hearth-tiny-embedding" if options.embedding else "hearth-tiny"),
        ("general.description", TYPE_STRING, "Made by hand, never trained: it only babbles."),
        ("general.license", TYPE_STRING, "apache-2.0"),
        ("general.alignment", TYPE_U32, ALIGNMENT),
        ("general.file_type", TYPE_U32, 0),
        ("llama.context_length", TYPE_U32, options.context),
        ("llama.embedding_length", TYPE_U32, options.embedding_length),
        ("llama.block_count", TYPE_U32, LAYERS),
        ("llama.feed_forward_length", TYPE_U32, 2 * options.embedding_length),
        ("llama.attention.head_count", TYPE_U32, HEADS),
        ("llama.attention.head_count_kv", TYPE_U32, KV_HEADS),
        ("llama.attention.layer_norm_rms_epsilon", TYPE_F32, 1e-5),
        ("llama.rope.dimension_count", TYPE_U32, head),
        ("llama.rope.freq_base", TYPE_F32, 1e6),
        ("llama.vocab_size", TYPE_U32, len(tokens)),
        ("tokenizer.ggml.model", TYPE_STRING, "gpt2"),
        ("tokenizer.ggml.pre", TYPE_STRING, "gpt-2"),
        ("tokenizer.ggml.tokens", TYPE_STRING, [token.spelling for token in tokens]),
        ("tokenizer.ggml.token_type", TYPE_I32, [token.kind for token in tokens]),
        ("tokenizer.ggml.merges", TYPE_STRING, merges),
        ("tokenizer.ggml.bos_token_id", TYPE_U32, place[BOS]),
        ("tokenizer.ggml.eos_token_id", TYPE_U32, place[END_OF_TURN]),
        ("tokenizer.ggml.padding_token_id", TYPE_U32, place[END_OF_TURN]),
        ("tokenizer.ggml.fim_pre_token_id", TYPE_U32, place["<|fim_prefix|>"]),
        ("tokenizer.ggml.fim_suf_token_id", TYPE_U32, place["<|fim_suffix|>"]),
        ("tokenizer.ggml.fim_mid_token_id", TYPE_U32, place["<|fim_middle|>"]),
        ("tokenizer.ggml.add_bos_token", TYPE_BOOL, True),
    ]
    if options.embedding:
        entries.append(("llama.pooling_type", TYPE_U32, 1))
    else:
        entries.append(("tokenizer.chat_template", TYPE_STRING, CHAT_TEMPLATE))
    return entries


def gguf_bytes(entries, tensors):
    """A whole file. `tensors[name] = (shape, floats)`, the fastest dimension first."""
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(entries))]
    head += [entry_bytes(*entry) for entry in entries]
    data, offset = [], 0
    for name, (shape, floats) in tensors.items():
        head.append(string_bytes(name) + struct.pack("<I", len(shape)))
        head.append(struct.pack(f"<{len(shape)}QIQ", *shape, 0, offset))
        if sys.byteorder == "big":
            floats.byteswap()
        raw = floats.tobytes()
        data += [raw, padding(len(raw))]
        offset += len(raw) + len(data[-1])
    start = b"".join(head)
    return start + padding(len(start)) + b"".join(data)


def model_bytes(options):
    tokens, merges = make_vocabulary()
    weights = (EmbeddingWeights if options.embedding else Weights)(tokens, options.embedding_length, options.seed)
    tensors = {name: ([columns] if rows == 1 else [columns, rows], floats)
               for name, (rows, columns, floats) in weights.all().items()}
    return gguf_bytes(metadata(tokens, merges, options), tensors)


def write_file(path, content):
    # Renamed into place: a server may have the old file mapped into its memory.
    unfinished = f"{path}.{os.getpid()}"
    with open(unfinished, "wb") as file:
        file.write(content)
    os.replace(unfinished, path)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description="Writes a tiny GGUF model that babbles.")
    parser.add_argument("out", help="the file to write")
    parser.add_argument("--seed", type=int, default=1, help="other seeds babble other sentences (default 1)")
    parser.add_argument("--embedding", action="store_true", help="write a model for text embeddings (mean pooling)")
    parser.add_argument("--embedding-length", type=int, default=64, help="a multiple of 32, at least 64 (default 64)")
    parser.add_argument("--context", type=int, default=4096, help="context length in tokens (default 4096)")
    options = parser.parse_args(arguments)
    if options.embedding_length < 64 or options.embedding_length % 32:
        parser.error("--embedding-length must be a multiple of 32 and at least 64")
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    write_file(options.out, model_bytes(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
