"""Queries of usage and costs over a month of 10 million requests, each shape at the most buckets that its width allows.

The rows are those that the requests would have left: for each minute and series a number of requests drawn around a
daily and weekly profile, with what its kind counts; hours, days and costs are their sums. They are written straight into the data
directory of a stopped server.
"""
import itertools
import json
import math
import random
import sqlite3
import time

from processes import BenchError, Hearth, canned_upstream, get, upstream_model
from table import Table

MOST_MILLISECONDS = 200
DAYS, MINUTE, HOUR, DAY = 30, 60, 3600, 86_400
PROJECTS, KEYS, USERS = 12, 48, 30
COMPLETION_MODELS = ["chat-large", "chat-medium", "chat-small", "reasoner", "coder"]
EMBEDDING_MODELS = ["embed-large", "embed-small"]
IMAGE_SOURCES, IMAGE_SIZES = ["image.generation", "image.edit"], ["256x256", "1024x1024"]
MEASURES = ["requests", "input_tokens", "input_cached_tokens", "output_tokens", "input_audio_tokens", "output_audio_tokens",
            "images", "characters", "seconds", "sessions"]


def run(effort):
    # Requests in the month, minutes from one that has any to the next, runs of each query.
    wanted, step, runs = effort.choose((10_000_000, 1, 7), (10_000_000, 1, 3), (100_000, 120, 2))
    upstream = canned_upstream()
    models = upstream_model("canned", upstream.port)
    hearth = Hearth(models)
    folder, keys = hearth.folder, hearth.bootstrap
    hearth.stop()
    end = int(time.time()) // DAY * DAY
    rows, requests = generate(folder / "data" / "hearth.db", keys["organization_id"], end - DAYS * DAY, wanted, step)
    hearth = Hearth(models, folder=folder)
    headers = {"authorization": f"Bearer {keys['admin_key']}"}
    table = Table(f"Usage: a month of {requests / 1e6:.1f} million requests ({rows:,} rows of minutes)",
                  ["query", "pages", "buckets", "results", "slowest ms", "target"],
                  "Over HTTP, to the last byte of the reply: the slowest run of a query's slowest page.")
    for title, path in shapes(end, keys):
        pages = buckets = results = slowest = 0
        page = ""
        while page is not None:
            times, reply = _measure(hearth.port, path + page, headers, runs)
            slowest = max(slowest, *times[1:])
            pages += 1
            buckets += len(reply["data"])
            results += sum(len(bucket["results"]) for bucket in reply["data"])
            page = f"&page={reply['next_page']}" if reply["has_more"] else None
        if results == 0:
            raise BenchError(f"{title}: nothing was found")
        table.add(title, pages, buckets, f"{results:,}", f"{slowest:.0f}", f"< {MOST_MILLISECONDS} ms", holds=slowest < MOST_MILLISECONDS)
    hearth.stop()
    upstream.stop()
    return [table]


def _measure(port, path, headers, runs):
    """(milliseconds of each run, the reply)."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        status, body = get(port, path, timeout=60, headers=headers)
        times.append((time.perf_counter() - began) * 1000)
        if status != 200:
            raise BenchError(f"{path}: {status} {body[:300]}")
    return times, json.loads(body)


def shapes(end, keys):
    """(title, path) of each kind of query."""
    widths = (("1m", 1440, DAY), ("1h", 168, 7 * DAY), ("1d", 31, DAYS * DAY))
    dimensions = ["project_id", "user_id", "api_key_id", "model", "batch"]
    filters = {"project_ids": "proj_3", "user_ids": "user-3", "api_key_ids": "key_3", "models": "chat-small", "batch": "false"}
    for width, limit, span in widths:
        base = f"/v1/organization/usage/completions?start_time={end - span}&end_time={end}&bucket_width={width}&limit={limit}"
        yield f"completions {width}", base
        for dimension in dimensions:
            yield f"completions {width}, by {dimension}", f"{base}&group_by={dimension}"
        yield f"completions {width}, by project_id, model", f"{base}&group_by=project_id&group_by=model"
        yield f"completions {width}, by everything", base + "".join(f"&group_by={dimension}" for dimension in dimensions)
        for name, value in filters.items():
            yield f"completions {width}, {name}", f"{base}&{name}={value}"
        yield f"completions {width}, models, by api_key_id", f"{base}&models=chat-small&group_by=api_key_id"
        base = base.replace("completions", "embeddings")
        yield f"embeddings {width}, by model", f"{base}&group_by=model"
        yield f"images {width}, by source, size", base.replace("embeddings", "images") + "&group_by=source&group_by=size"
        for kind in ("moderations", "images", "audio_speeches", "audio_transcriptions", "vector_stores", "code_interpreter_sessions"):
            yield f"{kind} {width}", base.replace("embeddings", kind)
    base = f"/v1/organization/costs?start_time={end - DAYS * DAY}&end_time={end}&limit=180"
    for groups in ([], ["project_id"], ["line_item"], ["project_id", "line_item"]):
        yield f"costs {', '.join(groups) or 'ungrouped'}", base + "".join(f"&group_by={group}" for group in groups)
    yield "costs project_ids", base + "&project_ids=proj_3"


# ---- the month

def generate(path, organization, start, wanted, step, seed=1):
    """(rows of minutes, requests): about as many requests as wanted, in every step-th minute."""
    chance = random.Random(seed)
    series = list(_series(chance))
    weights = [1 / (rank + 1) ** 0.9 for rank in range(len(series))]
    chance.shuffle(weights)
    profile = [_activity(minute) if minute % step == 0 else 0 for minute in range(DAYS * 1440)]
    scale = wanted / sum(weights) / sum(profile)
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -200000")
    requests = 0

    def minutes():
        nonlocal requests
        for minute, activity in enumerate(profile):
            if activity == 0:
                continue
            bucket = start + minute * MINUTE
            for number, weight in enumerate(weights, 1):
                count = _poisson(chance, weight * activity * scale)
                if count == 0:
                    continue
                requests += count
                kind = series[number - 1][0]
                yield (scopes[kind], bucket, number, *_counts(kind, count, chance))

    scopes = {}
    for number, one in enumerate(series, 1):
        scopes.setdefault(one[0], number)
    with database:
        for number, (kind, *rest) in enumerate(series, 1):
            database.execute("INSERT INTO usage_series VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (number, scopes[kind], organization, kind, *rest))
        columns = ", ".join(MEASURES)
        database.executemany(f"INSERT INTO usage_minutes (scope, bucket, series, {columns}) VALUES ({', '.join('?' * 13)})", minutes())
        sums = ", ".join(f"SUM({measure})" for measure in MEASURES)
        for table, width, source in (("usage_hours", HOUR, "usage_minutes"), ("usage_days", DAY, "usage_hours")):
            database.execute(f"INSERT INTO {table} (scope, bucket, series, {columns}) SELECT scope, bucket - bucket % {width}, series, {sums} "
                             f"FROM {source} GROUP BY 1, 2, 3")
        for item, measure, price in (("input", "input_tokens - t.input_cached_tokens", 500), ("cached input", "input_cached_tokens", 250),
                                     ("output", "output_tokens", 2000)):
            database.execute("INSERT INTO cost_days (organization_id, bucket, project_id, line_item, amount) "
                             f"SELECT d.organization_id, t.bucket, d.project_id, d.model || ', {item}', SUM(t.{measure}) * {price} "
                             "FROM usage_days t JOIN usage_series d ON d.id = t.series GROUP BY 1, 2, 3, 4 HAVING SUM(t."
                             f"{measure}) > 0")
        database.execute("INSERT INTO sequences (organization_id, project_id, name, value) VALUES ('', '', 'usage_series', ?)", (len(series),))
        for project, day in itertools.product(range(PROJECTS), range(DAYS)):
            database.execute("INSERT INTO vector_store_bytes VALUES (?, ?, ?, ?)",
                             (organization, f"proj_{project}", start + day * DAY + 3600, (day + 1) * (project + 1) << 20))
    rows = database.execute("SELECT COUNT(*) FROM usage_minutes").fetchone()[0]
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return rows, requests


def _counts(kind, count, chance):
    """The measures of that many requests."""
    read = count * (200 + int(chance.random() * 1600))
    written = count * (50 + int(chance.random() * 400))
    counts = {"completions": {"input_tokens": read, "input_cached_tokens": read // 3, "output_tokens": written},
              "embeddings": {"input_tokens": read}, "moderations": {"input_tokens": read}, "images": {"images": 2 * count},
              "audio_speeches": {"characters": read}, "audio_transcriptions": {"seconds": written},
              "code_interpreter_sessions": {"sessions": count}}[kind]
    return [count if measure == "requests" else counts.get(measure, 0) for measure in MEASURES]


def _series(chance):
    """(kind, project, user, key, model, batch, source, size)"""
    keys = [(f"proj_{number % PROJECTS}", f"user-{number % USERS}" if number % 4 else "", f"key_{number}") for number in range(KEYS)]
    for index, key in enumerate(keys):
        for model in chance.sample(COMPLETION_MODELS, 1 + index % 3):
            yield ("completions", *key, model, "false", "", "")
        if index % 8 == 7:
            yield ("completions", *key, "chat-large", "true", "", "")
        if index % 3 == 2:
            yield ("embeddings", *key, chance.choice(EMBEDDING_MODELS), "false", "", "")
        if index % 4 == 1:
            yield ("moderations", *key, "moderator", "false", "", "")
            yield ("images", *key, "painter", "false", chance.choice(IMAGE_SOURCES), chance.choice(IMAGE_SIZES))
            yield ("audio_speeches", *key, "speaker", "false", "", "")
            yield ("audio_transcriptions", *key, "listener", "false", "", "")
            yield ("code_interpreter_sessions", *key, "", "false", "", "")


def _activity(minute):
    """Busy days, quiet nights and week-ends."""
    day = 0.35 if minute // 1440 % 7 >= 5 else 1
    return day * (0.25 + max(0, math.sin((minute % 1440 - 360) / 1440 * 2 * math.pi)))


def _poisson(chance, mean):
    if mean > 30:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count
