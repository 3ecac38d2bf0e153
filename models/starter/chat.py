"""Conversations as the model sees them: the same text that its chat template makes, which `evaluate.py` compares.

The template is the one of the tests' tiny model: ChatML, with tools in the system turn and calls as JSON in <tool_call>."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "tiny_model"))
from write_tiny_model import CHAT_TEMPLATE  # noqa: E402

BEGIN, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = [BEGIN, START, END]


def tool_text(tool):
    return json.dumps(tool, ensure_ascii=False)


def call_text(name, arguments):
    return f'\n<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments, ensure_ascii=False)}}}\n</tool_call>'


def system_text(system, tools):
    if not tools:
        return system
    listed = "".join("\n" + tool_text(tool) for tool in tools)
    return (f"{system}\n\nYou can call these functions:\n<tools>{listed}\n</tools>\n\nTo call one, answer with:\n"
            '<tool_call>\n{"name": NAME, "arguments": OBJECT}\n</tool_call>')


def segments(messages, tools=()):
    """[(text, whether the model wrote it)]; the model writes an assistant's text and the end of its turn."""
    parts = []
    if messages[0]["role"] == "system":
        parts.append((f"{START}system\n{system_text(messages[0]['content'], tools)}{END}\n", False))
        messages = messages[1:]
    elif tools:
        parts.append((f"{START}system\n{system_text('', tools)}{END}\n", False))
    for message in messages:
        if message["role"] == "assistant":
            parts.append((f"{START}assistant\n", False))
            text = message.get("content") or ""
            for name, arguments in message.get("calls", ()):
                text += call_text(name, arguments)
            parts.append((text + END, True))
            parts.append(("\n", False))
        elif message["role"] == "tool":
            parts.append((f"{START}user\n<tool_response>\n{message['content']}\n</tool_response>{END}\n", False))
        else:
            parts.append((f"{START}{message['role']}\n{message['content']}{END}\n", False))
    return parts
