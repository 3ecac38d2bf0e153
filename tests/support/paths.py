"""Where things are: the program under test, the engine, the models. Environment variables win over the defaults."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
BUILD = pathlib.Path(os.environ.get("HEARTH_BUILD", ROOT / "build" / "asan")).resolve()
TSAN_BUILD, RELEASE_BUILD = ROOT / "build" / "tsan", ROOT / "build" / "release"
BINARY = pathlib.Path(os.environ.get("HEARTH_BINARY", BUILD / "hearth")).resolve()


def cache_folder():
    """Shared by all checkouts of a user: engines, SDKs. Created where missing."""
    if folder := os.environ.get("HEARTH_CACHE"):
        path = pathlib.Path(folder)
    else:
        path = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "hearth"
    path.mkdir(parents=True, exist_ok=True)
    return path


def llama_server():
    """The engine program; built first where this machine has none (once, about twenty minutes)."""
    if program := os.environ.get("HEARTH_LLAMA_SERVER"):
        return pathlib.Path(program)
    result = subprocess.run([ROOT / "third_party" / "llama_cpp.sh"], check=True, stdout=subprocess.PIPE, text=True)
    program = pathlib.Path(result.stdout.strip().splitlines()[-1]) / "llama-server"
    os.environ["HEARTH_LLAMA_SERVER"] = str(program)
    return program


def _written_model(name, *arguments, program="write_tiny_model.py"):
    """A tiny GGUF, written anew whenever its writer is newer."""
    writer = ROOT / "tools" / "tiny_model" / program
    path = BUILD / "test_models" / name
    if not path.exists() or path.stat().st_mtime < writer.stat().st_mtime:
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, writer, path, *arguments], check=True)
    return path


def chat_model():
    return _written_model("tiny.gguf")


def embedding_model():
    return _written_model("tiny_embedding.gguf", "--embedding")


def projector():
    """The projector with which the chat model takes images."""
    return _written_model("tiny_projector.gguf", program="write_tiny_projector.py")


def small_context_model():
    return _written_model("tiny_small_context.gguf", "--context", "128")


def plain_text_model():
    """The chat model without the tokens for filling gaps."""
    path = BUILD / "test_models" / "tiny_plain_text.gguf"
    if not path.exists() or path.stat().st_mtime < chat_model().stat().st_mtime:
        path.write_bytes(chat_model().read_bytes().replace(b"fim_", b"fix_"))
    return path


def trained_model():
    """The small model that was really trained where it lies beside the checkout, else None."""
    path = pathlib.Path(os.environ.get("HEARTH_TRAINED_MODEL", ROOT.parent / "shared" / "models" / "stories260K.gguf"))
    return path if path.exists() else None


def starter_model():
    return ROOT / "models" / "starter" / "hearth-starter.gguf"


def slow_model():
    """A tiny model a hundred times as large: about a thousand tokens a second, so that a stream lasts."""
    return _written_model("tiny_slow.gguf", "--embedding-length", "512")


def end_of_turn_token():
    """The token with which the tiny models end their turn; a bias of -100 on it makes them go on."""
    sys.path.insert(0, str(ROOT / "tools" / "tiny_model"))
    import write_tiny_model
    tokens, _ = write_tiny_model.make_vocabulary()
    return next(at for at, token in enumerate(tokens) if token.spelling == write_tiny_model.END_OF_TURN)
