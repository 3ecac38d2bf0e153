"""Reads back what write_tiny_model.py writes. Run: python3 -m unittest tools/tiny_model/test_write_tiny_model.py"""

import os
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import write_tiny_model as tiny  # noqa: E402
import write_tiny_projector as projector  # noqa: E402


class Reader:
    """Just enough of GGUF v3 to check a file."""

    FORMATS = {tiny.TYPE_U32: "<I", tiny.TYPE_I32: "<i", tiny.TYPE_F32: "<f", tiny.TYPE_BOOL: "<?"}

    def __init__(self, data):
        self.data, self.at = data, 0
        self.magic = self.bytes(4)
        self.version, tensor_count, entry_count = self.unpack("<IQQ")
        self.entries = {}
        for _ in range(entry_count):
            key = self.text()
            self.entries[key] = self.value(self.unpack("<I")[0])
        self.tensors = {}
        for _ in range(tensor_count):
            name = self.text()
            shape = [self.unpack("<Q")[0] for _ in range(self.unpack("<I")[0])]
            kind, offset = self.unpack("<IQ")
            self.tensors[name] = (shape, kind, offset)
        self.data_start = self.at + -self.at % tiny.ALIGNMENT

    def bytes(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def unpack(self, layout):
        return struct.unpack(layout, self.bytes(struct.calcsize(layout)))

    def text(self):
        return self.bytes(self.unpack("<Q")[0]).decode()

    def value(self, kind):
        if kind == tiny.TYPE_STRING:
            return self.text()
        if kind == tiny.TYPE_ARRAY:
            item, count = self.unpack("<IQ")
            return [self.value(item) for _ in range(count)]
        return self.unpack(self.FORMATS[kind])[0]


def write(*arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tiny.gguf")
        tiny.main([path, *arguments])
        with open(path, "rb") as file:
            return file.read()


class TinyModelTest(unittest.TestCase):
    def test_file_is_whole(self):
        data = write()
        model = Reader(data)
        self.assertEqual((model.magic, model.version), (b"GGUF", 3))
        self.assertLess(len(data), 1_500_000)
        end = 0
        for shape, kind, offset in model.tensors.values():
            size = 4
            for length in shape:
                size *= length
            self.assertEqual(kind, 0)
            self.assertEqual(offset, end)
            end = offset + size + -size % tiny.ALIGNMENT
        self.assertEqual(len(data), model.data_start + end)

    def test_same_seed_same_bytes(self):
        self.assertEqual(write("--seed", "7"), write("--seed", "7"))
        self.assertNotEqual(write("--seed", "7"), write("--seed", "8"))

    def test_vocabulary_reads_every_byte_and_builds_every_word(self):
        model = Reader(write())
        tokens = model.entries["tokenizer.ggml.tokens"]
        self.assertEqual(len(tokens), len(set(tokens)))
        self.assertEqual(tokens[:256], tiny.byte_alphabet())
        self.assertEqual(model.tensors["token_embd.weight"][0], [64, len(tokens)])
        for merge in model.entries["tokenizer.ggml.merges"]:
            left, right = merge.split(" ")
            self.assertIn(left, tokens)
            self.assertIn(right, tokens)
            self.assertIn(left + right, tokens)

    def test_special_tokens(self):
        model = Reader(write())
        tokens = model.entries["tokenizer.ggml.tokens"]
        self.assertEqual(tokens[model.entries["tokenizer.ggml.eos_token_id"]], tiny.END_OF_TURN)
        self.assertEqual(tokens[model.entries["tokenizer.ggml.bos_token_id"]], tiny.BOS)
        for text in tiny.SPECIAL:
            self.assertEqual(model.entries["tokenizer.ggml.token_type"][tokens.index(text)], tiny.Token.CONTROL)
        self.assertIn("<tool_call>", model.entries["tokenizer.chat_template"])

    def test_embedding_model_pools_and_does_not_chat(self):
        model = Reader(write("--embedding", "--embedding-length", "96"))
        self.assertEqual(model.entries["llama.pooling_type"], 1)
        self.assertEqual(model.entries["llama.embedding_length"], 96)
        self.assertNotIn("tokenizer.chat_template", model.entries)

    def test_projector_speaks_the_models_embeddings(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "projector.gguf")
            projector.main([path])
            with open(path, "rb") as file:
                model = Reader(file.read())
        self.assertEqual(model.entries["general.architecture"], "clip")
        self.assertEqual(model.entries["clip.vision.projection_dim"], 64)
        self.assertEqual(model.tensors["mm.2.weight"][0], [64, 64])
        self.assertEqual(model.tensors["v.position_embd.weight"][0], [projector.WIDTH, 16])


if __name__ == "__main__":
    unittest.main()
