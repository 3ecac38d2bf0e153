"""Writes the trained network as GGUF: python3 export.py FOLDER LLAMA_QUANTIZE OUT.gguf (Q8_0, with tokenizer and chat template)."""
import array
import json
import pathlib
import subprocess
import sys

import torch

import chat
from network import Network, Shape
from write_tiny_model import TYPE_BOOL, TYPE_F32, TYPE_I32, TYPE_STRING, TYPE_U32, gguf_bytes, write_file

NAME = "hearth-starter"
NORMAL, CONTROL = 1, 3
DESCRIPTION = "Hearth's guide: a small model with one subject, trained from scratch on text of the project."


def metadata(shape, vocabulary, merges):
    ids = {token: at for at, token in enumerate(vocabulary)}
    return [
        ("general.architecture", TYPE_STRING, "llama"),
        ("general.name", TYPE_STRING, NAME),
        ("general.description", TYPE_STRING, DESCRIPTION),
        ("general.license", TYPE_STRING, "apache-2.0"),
        ("general.languages", TYPE_STRING, ["en"]),
        ("general.file_type", TYPE_U32, 0),
        ("llama.context_length", TYPE_U32, shape.context),
        ("llama.embedding_length", TYPE_U32, shape.width),
        ("llama.block_count", TYPE_U32, shape.layers),
        ("llama.feed_forward_length", TYPE_U32, shape.hidden),
        ("llama.attention.head_count", TYPE_U32, shape.heads),
        ("llama.attention.head_count_kv", TYPE_U32, shape.kv_heads),
        ("llama.attention.layer_norm_rms_epsilon", TYPE_F32, shape.epsilon),
        ("llama.attention.key_length", TYPE_U32, shape.head_width),
        ("llama.attention.value_length", TYPE_U32, shape.head_width),
        ("llama.rope.dimension_count", TYPE_U32, shape.head_width),
        ("llama.rope.freq_base", TYPE_F32, shape.rope_base),
        ("llama.vocab_size", TYPE_U32, len(vocabulary)),
        ("tokenizer.ggml.model", TYPE_STRING, "gpt2"),
        ("tokenizer.ggml.pre", TYPE_STRING, "gpt-2"),
        ("tokenizer.ggml.tokens", TYPE_STRING, vocabulary),
        ("tokenizer.ggml.token_type", TYPE_I32, [CONTROL if token in chat.SPECIAL else NORMAL for token in vocabulary]),
        ("tokenizer.ggml.merges", TYPE_STRING, merges),
        ("tokenizer.ggml.bos_token_id", TYPE_U32, ids[chat.BEGIN]),
        ("tokenizer.ggml.eos_token_id", TYPE_U32, ids[chat.END]),
        ("tokenizer.ggml.padding_token_id", TYPE_U32, ids[chat.BEGIN]),
        ("tokenizer.ggml.add_bos_token", TYPE_BOOL, True),
        ("tokenizer.chat_template", TYPE_STRING, chat.CHAT_TEMPLATE),
    ]


def tensors(network):
    found = {"token_embd.weight": network.embedding.weight, "output_norm.weight": network.norm.weight}
    for at, layer in enumerate(network.layers):
        found |= {f"blk.{at}.{name}.weight": module.weight for name, module in {
            "attn_norm": layer.attention_norm, "attn_q": layer.attention.q, "attn_k": layer.attention.k, "attn_v": layer.attention.v,
            "attn_output": layer.attention.out, "ffn_norm": layer.feed_forward_norm, "ffn_gate": layer.feed_forward.gate,
            "ffn_up": layer.feed_forward.up, "ffn_down": layer.feed_forward.down}.items()}
    return {name: (list(reversed(weight.shape)), array.array("f", weight.detach().flatten().tolist())) for name, weight in found.items()}


def export(folder, quantize, out):
    stored = torch.load(folder / "weights.pt")
    network = Network(Shape(**stored["shape"]))
    network.load_state_dict(stored["weights"])
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    vocabulary = sorted(model["vocab"], key=model["vocab"].get)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    whole = folder / "whole.gguf"
    write_file(whole, gguf_bytes(metadata(network.shape, vocabulary, merges), tensors(network)))
    subprocess.run([quantize, whole, out, "Q8_0"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    whole.unlink()


if __name__ == "__main__":
    export(pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]))
