"""The model's tokenizer: byte-level BPE, trained on its own conversations; llama.cpp's "gpt-2" reads text the same way.

It is made so that things can be copied: digits are never merged, and a space is merged with whole common words only. Behind a space
and behind a quotation mark a name has the same tokens, but for the space of the first one (`alike`)."""
import collections
import json
import pathlib
import random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import chat
import conversations

VOCABULARY, SPACED = 4096, 1000   # of these so many words with their space
SAMPLES = 12_000
SPACE = "\u0120"                   # as byte-level BPE writes it


def tokenizer_of(model):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def spaced_words(texts, tokenizer, names):
    """The commonest words after a space that are one token; no names, and nothing that often begins a longer word."""
    split = tokenizer_of(models.BPE()).pre_tokenizer
    counts = collections.Counter(word[1:] for text in texts for word, _ in split.pre_tokenize_str(text) if word.startswith(SPACE))
    whole, begins = collections.Counter(), collections.Counter()
    for word, count in counts.items():
        pieces = tokenizer.encode(word).tokens
        (whole if len(pieces) == 1 else begins)[pieces[0] if pieces else ""] += count
    return [word for word, count in whole.most_common() if word not in names and begins[word] < 0.05 * count][:SPACED]


def train(path, seed=1):
    maker = conversations.Conversations(random.Random(seed))
    texts = ["".join(text for text, _ in chat.segments(*maker.next()[:2])) for _ in range(SAMPLES)]
    without = tokenizer_of(models.BPE())
    without.pre_tokenizer = pre_tokenizers.Sequence([without.pre_tokenizer, pre_tokenizers.Split(Regex(SPACE), "isolated")])
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - SPACED, special_tokens=chat.SPECIAL, min_frequency=3, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    without.train_from_iterator(texts, trainer)
    learned = json.loads(without.to_str())["model"]
    vocabulary, merges = learned["vocab"], [tuple(merge) for merge in learned["merges"]]
    names = {str(value) for values in maker.tools["values"].values() for value in values}
    for word in spaced_words(texts, without, names):
        vocabulary[SPACE + word] = len(vocabulary)
        merges.append((SPACE, word))
    tokenizer = tokenizer_of(models.BPE(vocabulary, merges))
    tokenizer.add_special_tokens(chat.SPECIAL)
    tokenizer.save(str(path))
    return tokenizer


def load(path):
    return Tokenizer.from_file(str(pathlib.Path(path)))


def alike(tokenizer):
    """[(a word, the same with the space before it)]: what is copied may have stood behind one."""
    known = tokenizer.get_vocab()
    spaced = {token.removeprefix(SPACE): at for token, at in sorted(known.items()) if token.startswith(SPACE)}
    return [(known[word], at) for word, at in spaced.items() if word.isalnum() and word in known]
