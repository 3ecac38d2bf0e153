"""The model's tokenizer: byte-level BPE, trained on its own conversations; llama.cpp's "gpt-2" reads text the same way.

Digits are never merged: a number is copied digit by digit."""
import pathlib
import random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import chat
import conversations

VOCABULARY = 4096
SAMPLES = 12_000


def untrained():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train(path, seed=1):
    maker = conversations.Conversations(random.Random(seed))

    def texts():
        for _ in range(SAMPLES):
            yield "".join(text for text, _ in chat.segments(*maker.next()))

    tokenizer = untrained()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=chat.SPECIAL, min_frequency=3, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.save(str(path))
    return tokenizer


def load(path):
    return Tokenizer.from_file(str(pathlib.Path(path)))
