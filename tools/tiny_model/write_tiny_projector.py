#!/usr/bin/env python3
"""Writes a tiny image projector (mmproj) for the tiny model, so that image input can be tested without a real one.

    write_tiny_projector.py OUT.gguf [--seed N] [--embedding-length N]

A LLaVA projector with random weights: 32 x 32 pixels in 8 x 8 patches, two layers, a two-layer perceptron into the
embeddings of write_tiny_model.py. It turns every image into 16 embeddings, and sees nothing in them.
"""

import argparse
import array
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from write_tiny_model import TYPE_BOOL, TYPE_F32, TYPE_STRING, TYPE_U32, gguf_bytes, write_file  # noqa: E402

IMAGE, PATCH, WIDTH, HIDDEN, LAYERS, HEADS = 32, 8, 32, 64, 2, 2


def metadata(embedding_length):
    vision = "clip.vision."
    return [
        ("general.architecture", TYPE_STRING, "clip"),
        ("general.name", TYPE_STRING, "hearth-tiny-projector"),
        ("general.file_type", TYPE_U32, 0),
        ("clip.has_vision_encoder", TYPE_BOOL, True),
        ("clip.projector_type", TYPE_STRING, "mlp"),
        ("clip.use_gelu", TYPE_BOOL, True),
        (vision + "image_size", TYPE_U32, IMAGE),
        (vision + "patch_size", TYPE_U32, PATCH),
        (vision + "embedding_length", TYPE_U32, WIDTH),
        (vision + "feed_forward_length", TYPE_U32, HIDDEN),
        (vision + "projection_dim", TYPE_U32, embedding_length),
        (vision + "block_count", TYPE_U32, LAYERS),
        (vision + "attention.head_count", TYPE_U32, HEADS),
        (vision + "attention.layer_norm_epsilon", TYPE_F32, 1e-5),
        (vision + "image_mean", TYPE_F32, [0.5, 0.5, 0.5]),
        (vision + "image_std", TYPE_F32, [0.5, 0.5, 0.5]),
    ]


def tensors(embedding_length, seed):
    source = random.Random(seed)
    out = {}

    def noise(name, *shape):
        size = 1
        for length in shape:
            size *= length
        out[name] = (list(shape), array.array("f", (source.gauss(0.0, 0.1) for _ in range(size))))

    def linear(name, inputs, outputs):
        noise(name + ".weight", inputs, outputs)
        noise(name + ".bias", outputs)

    def norm(name):
        out[name + ".weight"] = ([WIDTH], array.array("f", [1.0] * WIDTH))
        out[name + ".bias"] = ([WIDTH], array.array("f", [0.0] * WIDTH))

    noise("v.patch_embd.weight", PATCH, PATCH, 3, WIDTH)
    noise("v.position_embd.weight", WIDTH, (IMAGE // PATCH) ** 2)
    for layer in range(LAYERS):
        prefix = f"v.blk.{layer}."
        norm(prefix + "ln1")
        norm(prefix + "ln2")
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            linear(prefix + part, WIDTH, WIDTH)
        linear(prefix + "ffn_up", WIDTH, HIDDEN)
        linear(prefix + "ffn_down", HIDDEN, WIDTH)
    linear("mm.0", WIDTH, embedding_length)
    linear("mm.2", embedding_length, embedding_length)
    return out


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Writes a tiny image projector with random weights.")
    parser.add_argument("out", help="the file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--embedding-length", type=int, default=64, help="that of the model (default 64)")
    options = parser.parse_args(arguments)
    write_file(options.out, gguf_bytes(metadata(options.embedding_length), tensors(options.embedding_length, options.seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
