"""Asks the finished model what it has never been asked in that phrasing, through Hearth, and judges the answers.

    evaluate.py MODEL.gguf REPORT_FOLDER        writes report.md and failures.txt

Facts and refusals are judged by checker.py; tool calls and objects by comparison with what the question said. All answers
are greedy (temperature 0), from the release build."""
import hashlib
import json
import pathlib
import random
import statistics
import sys
import time

import chat
import checker
import conversations
import corpus

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import processes  # noqa: E402

TOOL_TASKS, FILLING_TASKS, TALKS, FOLLOW_UPS = 200, 120, 120, 120
SEED = 2026
GOALS = {"facts": 0.85, "unknown": 0.90, "tool calls, valid": 1.0, "tool calls, right arguments": 0.80, "objects, valid": 1.0,
         "objects, right values": 0.80, "tokens per second": 150, "engine MiB": 80}


class Server:
    def __init__(self, model):
        path = json.dumps(str(pathlib.Path(model).resolve()))
        self.hearth = processes.Hearth(f'[models.candidate]\nfile = {path}\n', 'default_model = "candidate"\n')

    def answer(self, messages, **more):
        body = {"model": "candidate", "messages": messages, "temperature": 0, "max_completion_tokens": 200, **more}
        status, reply = processes.post(self.hearth.port, "/v1/chat/completions", body, self.hearth.headers)
        if status != 200:
            raise RuntimeError(f"{status}: {reply[:400]}")
        return json.loads(reply)

    def text(self, messages):
        return self.answer(messages)["choices"][0]["message"]["content"] or ""

    def engine_memory(self):
        children = pathlib.Path(f"/proc/{self.hearth.process.pid}/task").glob("*/children")
        pids = {int(pid) for path in children for pid in path.read_text().split()}
        return sum(processes.resident_bytes(pid) for pid in pids) / 2**20


class Report:
    def __init__(self):
        self.lines, self.failures, self.figures = [], [], {}

    def add(self, name, right, of, least=None):
        self.figures[name] = right / of
        goal = "" if least is None else f"{least:.0%}"
        verdict = "" if least is None else "held" if right / of >= least else "**missed**"
        self.lines.append(f"| {name} | {right} of {of} | {right / of:.1%} | {goal} | {verdict} |")
        print(self.lines[-1], flush=True)

    def failed(self, what, question, got, wanted):
        self.failures.append(f"[{what}] {question}\n    got:    {got!r}\n    wanted: {wanted!r}\n")


def ask_facts(server, facts, report):
    watched = {question for question, _ in corpus.watched(facts)}
    right, of, declined = {True: 0, False: 0}, {True: 0, False: 0}, 0
    for fact in facts:
        for question in fact.held_out:
            got = server.text([conversations.user(question)])
            of[question in watched] += 1
            if checker.holds(fact.must, got):
                right[question in watched] += 1
            else:
                declined += "I only know Hearth" in got
                report.failed(fact.id, question, got, fact.must)
    report.add("facts", right[False], of[False], GOALS["facts"])
    report.add("facts that training watched", right[True], of[True])
    report.add("facts, declined by mistake", declined, sum(of.values()))


def ask_unknown(server, unknown, report):
    right = 0
    for question in unknown.held_out:
        got = server.text([conversations.user(question)])
        if checker.holds(unknown.must, got):
            right += 1
        else:
            report.failed("unknown", question, got, unknown.must)
    report.add("unknown", right, len(unknown.held_out), GOALS["unknown"])


def talk(server, maker, report):
    """Held-out questions after other turns, and follow-ups that only the turn before gives a meaning."""
    chosen, right = maker.random, 0
    for _ in range(TALKS):
        messages = [turn for _ in range(chosen.choice([1, 2, 4])) for turn in maker.turn()]
        fact = chosen.choice(maker.facts)
        question = chosen.choice(fact.held_out)
        got = server.text([*messages, conversations.user(question)])
        if checker.holds(fact.must, got):
            right += 1
        else:
            report.failed("later turn", question, got, fact.must)
    report.add("facts in later turns", right, TALKS)
    right = 0
    families = [members for members in maker.families.values() if len(members) > 1]
    for _ in range(FOLLOW_UPS):
        first, second = chosen.sample(chosen.choice(families), 2)
        before = conversations.user(chosen.choice(first.held_out))
        after = conversations.user(maker.question(second.follow, False))
        got = server.text([before, conversations.assistant(first.answer), after])
        if checker.holds(second.must, got):
            right += 1
        else:
            report.failed("follow-up", f"{before['content']} / {after['content']}", got, second.must)
    report.add("follow-ups", right, FOLLOW_UPS)


def parsed(text):
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


def ask_tools(server, maker, report):
    """Names, wordings and fillers that training never had; once demanded and once left to the model."""
    chosen, values = maker.random, maker.tools["held_out_values"]
    tasks = []
    for _ in range(TOOL_TASKS):
        offered = chosen.sample(maker.tools["tools"], chosen.choice([1, 2, 3]))
        defined = [maker.define(tool, "held_out_names" if chosen.random() < 0.5 else "names") for tool in offered]
        at = chosen.randrange(len(offered))
        question, arguments, _ = maker.ask_tool(offered[at], defined[at][1], "held_out", values)
        tasks.append((question, [tool for tool, _ in defined], defined[at][0]["function"]["name"], arguments))
    for choice in ("required", "auto"):
        valid = tool_right = right = 0
        for question, tools, name, arguments in tasks:
            reply = server.answer([conversations.user(question)], tools=tools, tool_choice=choice)
            calls = reply["choices"][0]["message"].get("tool_calls") or []
            made = parsed(calls[0]["function"]["arguments"]) if calls else None
            known = {tool["function"]["name"]: tool["function"] for tool in tools}
            good = len(calls) == 1 and calls[0]["function"]["name"] in known and isinstance(made, dict) and \
                all(key in known[calls[0]["function"]["name"]]["parameters"]["properties"] for key in made)
            valid += good
            hit = good and calls[0]["function"]["name"] == name
            tool_right += hit
            right += hit and made == arguments
            if not (hit and made == arguments):
                report.failed(f"tool, {choice}", question, calls and calls[0]["function"] or reply["choices"][0]["message"]["content"], (name, arguments))
        demanded = choice == "required"
        label = "tool calls" if demanded else "tool calls left to the model"
        report.add(f"{label}, valid", valid, len(tasks), GOALS["tool calls, valid"] if demanded else None)
        report.add(f"{label}, right tool", tool_right, len(tasks))
        report.add(f"{label}, right arguments", right, len(tasks), GOALS["tool calls, right arguments"] if demanded else None)


def ask_filling(server, maker, report):
    chosen, values = maker.random, maker.tools["held_out_values"]
    valid = right = 0
    for _ in range(FILLING_TASKS):
        task = chosen.choice(maker.tools["schemas"])
        question, wanted = maker.ask_filling(task, ("held_out", "held_out_instructions"), values)
        types = {name: next(field["type"] for field in task["fields"] if name in field["names"]) for name in wanted}
        schema = {"type": "object", "properties": {name: {"type": types[name]} for name in wanted}, "required": list(wanted),
                  "additionalProperties": False}
        reply = server.answer([conversations.user(question)],
                              response_format={"type": "json_schema", "json_schema": {"name": "entry", "strict": True, "schema": schema}})
        got = parsed(reply["choices"][0]["message"]["content"])
        valid += isinstance(got, dict) and list(got) == list(wanted)
        right += got == wanted
        if got != wanted:
            report.failed("object", question, reply["choices"][0]["message"]["content"], wanted)
    report.add("objects, valid", valid, FILLING_TASKS, GOALS["objects, valid"])
    report.add("objects, right values", right, FILLING_TASKS, GOALS["objects, right values"])


def measure_speed(server, report):
    question = [conversations.user("How do I connect the Python client?")]
    rates = []
    for _ in range(7):
        began = time.monotonic()
        used = server.answer(question, logit_bias={chat.SPECIAL.index(chat.END): -100}, max_completion_tokens=128)["usage"]["completion_tokens"]
        rates.append(used / (time.monotonic() - began))
    figures = {"tokens per second": statistics.median(rates), "engine MiB": server.engine_memory()}
    for name, value in figures.items():
        held = value >= GOALS[name] if name == "tokens per second" else value < GOALS[name]
        report.figures[name] = value
        report.lines.append(f"| {name} | {value:.0f} | | {'>=' if name == 'tokens per second' else '<'} {GOALS[name]} | {'held' if held else '**missed**'} |")
        print(report.lines[-1], flush=True)


def compare_template(model, maker, report):
    """What llama.cpp makes of conversations is what training made of them, to the token."""
    port = processes.free_port()
    server = processes.Process("llama-server", [ROOT / "build" / "release" / "llama-server", "-m", pathlib.Path(model).resolve(), "--port", str(port),
                                                "--jinja", "-c", "4096", "-np", "1", "-t", "2"], port, "/health")
    tokenizer = None
    try:
        import tokens
        tokenizer = tokens.load(pathlib.Path(model).parent / "tokenizer.json")
    except Exception:  # the tokenizer's library knows no other when the file is missing
        pass
    same = of = 0
    for _ in range(100):
        messages, tools, _ = maker.next()
        messages = messages[:max(at for at, message in enumerate(messages) if message["role"] == "user") + 1]
        sent = [{"role": message["role"], "content": message.get("content") or "",
                 **({"tool_calls": [{"type": "function", "id": "call_1", "function": {"name": name, "arguments": json.dumps(arguments)}}
                                    for name, arguments in message["calls"]]} if "calls" in message else {})} for message in messages]
        status, reply = processes.post(port, "/apply-template", {"messages": sent, **({"tools": tools} if tools else {})})
        if status != 200:
            raise RuntimeError(reply[:400])
        theirs = json.loads(reply)["prompt"]
        ours = "".join(text for text, _ in chat.segments(messages, tools)) + f"{chat.START}assistant\n"
        equal = theirs == ours
        if equal and tokenizer:
            reply = json.loads(processes.post(port, "/tokenize", {"content": ours, "add_special": False, "parse_special": True})[1])
            equal = reply["tokens"] == tokenizer.encode(ours).ids
        same, of = same + equal, of + 1
        if not equal:
            report.failed("template", "", theirs[:600], ours[:600])
    server.stop()
    report.add("prompts that llama.cpp reads as training did", same, of, 1.0)


def main(model, folder):
    report, maker = Report(), conversations.Conversations(random.Random(SEED))
    compare_template(model, maker, report)
    server = Server(model)
    measure_speed(server, report)
    ask_unknown(server, maker.unknown, report)
    ask_tools(server, maker, report)
    ask_filling(server, maker, report)
    talk(server, maker, report)
    ask_facts(server, maker.facts, report)
    server.hearth.stop()
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(pathlib.Path(model).read_bytes()).hexdigest()
    (folder / "report.md").write_text(f"Of the file with SHA-256 `{digest}`.\n\n| what | right | share | goal | |\n|---|---|---|---|---|\n" + "\n".join(report.lines) + "\n", encoding="utf-8")
    (folder / "failures.txt").write_text("\n".join(report.failures), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
