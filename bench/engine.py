"""A model through Hearth against the same llama-server without it: same program, same flags, same environment.

The model is large enough for the engine to be what takes time. Both engines stay loaded; the sides take turns.
"""
import json
import os
import pathlib
import subprocess
import sys

from processes import ROOT, BenchError, Hearth, Process, free_port, load, work_folder
from table import Table, median

LEAST_RATIO = 0.97
CLIENTS = [1, 4, 16]
SLOTS = 16


def run(effort):
    # The width of the tiny model's layout: 2,048 make as much work for each token as a small real model.
    repetitions, tokens, embedding_length = effort.choose((5, 64, 2048), (2, 32, 2048), (1, 4, 128))
    folder = work_folder("engine")
    model = write_model(embedding_length)
    hearth = Hearth(f'[models."bench"]\nfile = {json.dumps(str(model))}\nslots = {SLOTS}\ncontext = 512\n',
                    f"[engines]\nllama_server = {json.dumps(llama_server())}\n")
    direct = start_direct(engine_of(hearth))
    body_file = folder / "body.json"
    body_file.write_text(json.dumps({
        "model": "bench", "stream": True, "stream_options": {"include_usage": True}, "temperature": 0, "max_tokens": tokens,
        "logit_bias": {str(end_of_turn_token()): -100}, "messages": [{"role": "user", "content": "Tell me a long story."}]},
        separators=(",", ":")))
    table = Table("Engine: streamed chat completions", ["clients", "tokens/s direct", "tokens/s Hearth", "ratio",
                                                        "first token direct", "first token Hearth", "target"],
                  f"A model of {model.stat().st_size >> 20} MiB, {tokens} tokens a reply; the first token in milliseconds (median).")
    for clients in CLIENTS:
        requests = 3 if clients == 1 else 1
        pairs = []
        for turn in range(repetitions + 1):
            sides = {}
            for name, process in (("direct", direct), ("hearth", hearth))[:: 1 if turn % 2 else -1]:
                result = load(process.port, body_file, clients, "--requests", requests, key=getattr(process, "key", ""))
                if result["failed"] or result["tokens"] != clients * requests * tokens:
                    raise BenchError(f"{name}: {result['tokens']} tokens, {result['failed']} failed: {result['reasons']}")
                sides[name] = (result["tokens"] / result["seconds"], result["first_p50"])
            pairs.append(sides)
        pairs = pairs[1:]
        rate = {name: median(pair[name][0] for pair in pairs) for name in ("direct", "hearth")}
        first = {name: median(pair[name][1] for pair in pairs) for name in ("direct", "hearth")}
        ratio = median(pair["hearth"][0] / pair["direct"][0] for pair in pairs)
        table.add(clients, f"{rate['direct']:,.0f}", f"{rate['hearth']:,.0f}", f"{ratio:.3f}", f"{first['direct']:.1f}",
                  f"{first['hearth']:.1f}", f"≥ {LEAST_RATIO}", holds=ratio >= LEAST_RATIO)
    direct.stop()
    hearth.stop()
    return [table]


def llama_server():
    if program := os.environ.get("HEARTH_LLAMA_SERVER"):
        return program
    result = subprocess.run([ROOT / "third_party" / "llama_cpp.sh"], check=True, stdout=subprocess.PIPE, text=True)
    return result.stdout.strip().splitlines()[-1] + "/llama-server"


def write_model(embedding_length):
    path = ROOT / "build" / f"bench-{embedding_length}.gguf"
    writer = ROOT / "tools" / "tiny_model" / "write_tiny_model.py"
    if not path.exists() or path.stat().st_mtime < writer.stat().st_mtime:
        print("bench: writing the model", file=sys.stderr)
        subprocess.run([sys.executable, writer, path, "--embedding-length", str(embedding_length)], check=True)
    return path


def end_of_turn_token():
    """A bias of -100 on it makes the model go on to the end."""
    sys.path.insert(0, str(ROOT / "tools" / "tiny_model"))
    import write_tiny_model
    tokens, _ = write_tiny_model.make_vocabulary()
    return next(at for at, token in enumerate(tokens) if token.spelling == write_tiny_model.END_OF_TURN)


def engine_of(hearth):
    """The process id of the engine that Hearth runs."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                head, tail = (entry / "stat").read_text().rsplit(")", 1)
            except OSError:
                continue
            if head.endswith("(llama-server") and int(tail.split()[1]) == hearth.process.pid:
                found.append(int(entry.name))
    if len(found) != 1:
        raise BenchError(f"Hearth runs {len(found)} engines")
    return found[0]


def start_direct(pid):
    """The same engine once more, on a port instead of Hearth's socket."""
    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    pairs = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    program = os.readlink(f"/proc/{pid}/exe")
    arguments, skip = [], False
    for word in words[1:]:
        if skip:
            skip = False
        elif word in ("--host", "--port", "--api-key", "--api-key-file"):
            skip = True
        else:
            arguments.append(word)
    environment = {k: v for k, v in environment.items() if k not in ("LLAMA_API_KEY", "LLAMA_ARG_HOST", "LLAMA_ARG_PORT")}
    port = free_port()
    return Process("llama-server", [program, *arguments, "--host", "127.0.0.1", "--port", port], port, "/health", environment)
