"""What authentication, limits and usage cost a request: Hearth with them against Hearth without, in front of an upstream that
answers at once; and what prices and a budget add. A closed loop at 1 and at 32 connections; all take turns in every
repetition, short ones, so that what else the machine does meets them alike."""
import json

from gateway import request_body
from processes import HIGH_LIMITS, BenchError, Hearth, canned_upstream, load, post, upstream_model, work_folder
from table import Table, median

MOST_RATIO = 1.15  # of the latency at 32 connections
BARE = "[auth]\nenabled = false\n[limits]\nenabled = false\n[usage]\nenabled = false\n"
CONNECTIONS = (1, 32)


def run(effort):
    repetitions, seconds = effort.choose((30, 1), (10, 1), (1, 0.1))
    body_file = work_folder("overhead") / "plain.json"
    body_file.write_text(json.dumps(request_body(False), separators=(",", ":")))
    upstream = canned_upstream()
    models = upstream_model("canned", upstream.port)
    prices = "price_input = 0.1\nprice_output = 0.2\n"
    full, bare = Hearth(models), Hearth(models, BARE)
    priced = Hearth(models + prices, HIGH_LIMITS + "monthly_budget = 1000000000\n")
    for hearth in (full, priced, bare):
        status, reply = post(hearth.port, "/v1/chat/completions", request_body(False), hearth.headers)
        if status != 200:
            raise BenchError(f"Hearth answers {status}: {reply[:300]}")
    table = Table("Overhead: authentication, limits and usage",
                  ["connections", "with", "mean with, µs", "mean without, µs", "cost of a request, µs", "with / without", "target"],
                  "Plain chat completions, closed loop: mean latency = connections / rate. The cost is the difference of 1 / rate.")
    for connections in CONNECTIONS:
        rates = {full: [], priced: [], bare: []}
        for turn in range(repetitions + 1):  # the first round warms up
            for hearth in (full, bare, priced) if turn % 2 else (priced, bare, full):
                result = load(hearth.port, body_file, connections, "--seconds", seconds, key=hearth.key)
                if result["failed"]:
                    raise BenchError(f"{result['reasons']}")
                rates[hearth].append(result["requests"] / result["seconds"])
        without = rates[bare][1:]
        for hearth, what in ((full, "authentication, limits, usage"), (priced, "these, prices and a budget")):
            ours = rates[hearth][1:]
            ratio = median(theirs / mine for mine, theirs in zip(ours, without))
            cost = median(1e6 / mine - 1e6 / theirs for mine, theirs in zip(ours, without))
            judged = hearth is full and connections == 32
            table.add(connections, what, *(f"{1e6 * connections / median(values):,.0f}" for values in (ours, without)), f"{cost:.1f}",
                      f"{ratio:.3f}", f"≤ {MOST_RATIO}" if judged else "", holds=ratio <= MOST_RATIO if judged else None)
    for process in (bare, full, priced, upstream):
        process.stop()
    return [table]
