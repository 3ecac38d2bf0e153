"""Conversations as the model sees them: the same text that its chat template makes, which `evaluate.py` compares.

The template is nearly the one of the tests' tiny model: ChatML, with tools in the system turn and calls as JSON in <tool_call>.
Below each tool stands its name once more: a small network reads forwards, and there it knows what the tool is for."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "tiny_model"))
import write_tiny_model  # noqa: E402

CHAT_TEMPLATE = write_tiny_model.CHAT_TEMPLATE.replace("(tool | tojson)", "(tool | tojson) + '\\n' + tool.function.name")

BEGIN, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = [BEGIN, START, END]


def tool_text(tool):
    return json.dumps(tool, ensure_ascii=False)


def call_object(name, arguments):
    return f'{{"name": "{name}", "arguments": {json.dumps(arguments, ensure_ascii=False)}}}'


def call_text(name, arguments):
    return f"\n<tool_call>\n{call_object(name, arguments)}\n</tool_call>"


def forced_call(name, arguments):
    """A call that the client demands: the server begins it, and ends it after the object."""
    return [("<tool_call>\n", False), (call_object(name, arguments), True), (f"\n</tool_call>{END}\n", False)]


def system_texts(system, tools):
    """The system turn in pieces; the tools' names are pieces of their own."""
    pieces, text = [], f"{START}system\n{system}"
    if tools:
        text += "\n\nYou can call these functions:\n<tools>"
        for tool in tools:
            pieces += [f"{text}\n{tool_text(tool)}\n", tool["function"]["name"]]
            text = ""
        text = '\n</tools>\n\nTo call one, answer with:\n<tool_call>\n{"name": NAME, "arguments": OBJECT}\n</tool_call>'
    return [*pieces, f"{text}{END}\n"]


def segments(messages, tools=()):
    """[(text, whether the model wrote it)]; the model writes an assistant's text and the end of its turn.

    Of a call that is `forced` it writes the object alone."""
    parts = []
    system = ""
    if messages[0]["role"] == "system":
        system, messages = messages[0]["content"], messages[1:]
    if system or tools:
        parts += [(text, False) for text in system_texts(system, tools)]
    for message in messages:
        if message["role"] == "assistant":
            parts.append((f"{START}assistant\n", False))
            text = message.get("content") or ""
            if message.get("forced"):
                parts += forced_call(*message["calls"][0])
                continue
            for name, arguments in message.get("calls", ()):
                text += call_text(name, arguments)
            parts.append((text + END, True))
            parts.append(("\n", False))
        elif message["role"] == "tool":
            parts.append((f"{START}user\n<tool_response>\n{message['content']}\n</tool_response>{END}\n", False))
        else:
            parts.append((f"{START}{message['role']}\n{message['content']}{END}\n", False))
    return parts
