"""Limits of requests and tokens hold exactly, in one process and in several that share a Redis; what happens while that is away."""
import concurrent.futures
import threading
import time
import unittest

from support import tenants
from support.hearth import Hearth, chat, eventually, upstream_model
from support.raw_http import Connection
from support.redis_server import RedisServer
from support.upstream import CannedUpstream

CLIENTS = 32


def set_limits(server, project, **limits):
    return tenants.administer(server, "POST", f"/projects/{project}/rate_limits/rl-up", limits)


def limited_project(server, **limits):
    """The headers of a key of a new project with these limits for the model `up`."""
    project, secret, _ = tenants.add_project(server)
    if limits:
        set_limits(server, project, **limits)
    return project, {"authorization": f"Bearer {secret}"}


def ask(server, headers, **more):
    return server.post("/v1/chat/completions", chat("Hi", "up", max_completion_tokens=20) | more, headers=headers)


def ask_many(targets, headers, count):
    """Statuses of `count` requests over CLIENTS kept connections, going round the targets."""
    body = chat("Hi", "up", max_completion_tokens=20)
    left, lock, statuses = iter(range(count)), threading.Lock(), []

    def client(number):
        with Connection(targets[number % len(targets)], 60) as connection:
            while True:
                with lock:
                    if next(left, None) is None:
                        return
                status = connection.request("POST", "/v1/chat/completions", body, headers).status
                with lock:
                    statuses.append(status)

    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))
    return statuses, time.monotonic() - start


class RateLimits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = CannedUpstream()
        cls.addClassCleanup(cls.upstream.close)
        cls.server = Hearth(models=upstream_model("up", [cls.upstream.base_url]), engine=False).start()
        cls.addClassCleanup(cls.server.__exit__, None)

    def setUp(self):
        self.upstream.fault = None

    def test_a_thousand_at_once_meet_the_limit_exactly(self):
        _, headers = limited_project(self.server, max_requests_per_1_minute=200)
        before = len(self.upstream.inference_requests())
        statuses, took = ask_many([self.server.target], headers, 1000)
        self.assertLess(took, 55, "all within one window, or the test says nothing")
        self.assertEqual((statuses.count(200), statuses.count(429)), (200, 800))
        self.assertEqual(len(self.upstream.inference_requests()) - before, 200)

    def test_nothing_is_refused_while_there_is_room(self):
        _, headers = limited_project(self.server, max_requests_per_1_minute=1000, max_tokens_per_1_minute=10_000_000)
        statuses, _ = ask_many([self.server.target], headers, 1000)
        self.assertEqual(statuses.count(200), 1000)
        reply = ask(self.server, headers)
        self.assertIn(reply.status, (200, 429))                         # the first may have left the window

    def test_a_refusal_says_when_to_come_again(self):
        project, headers = limited_project(self.server, max_requests_per_1_minute=1)
        self.assertEqual(ask(self.server, headers).status, 200)
        reply = ask(self.server, headers)
        self.assertEqual((reply.status, reply.error["code"], reply.error["type"]), (429, "rate_limit_exceeded", "requests"))
        self.assertIn(project, reply.error["message"])
        self.assertIn("limit 1, used 1, requested 1", reply.error["message"])
        self.assertTrue(1 <= int(reply.header("retry-after")) <= 61)
        self.assertTrue(1000 <= int(reply.header("retry-after-ms")) <= 60_020)
        self.assertEqual(reply.header("x-ratelimit-limit-requests"), "1")
        self.assertEqual(reply.header("x-ratelimit-remaining-requests"), "0")
        self.assertRegex(reply.header("x-ratelimit-reset-requests"), r"^(\d+s|1m\ds|\d+ms)$")

    def test_room_comes_back_after_a_minute(self):
        _, headers = limited_project(self.server, max_requests_per_1_minute=1)
        self.assertEqual(ask(self.server, headers).status, 200)
        wait = int(ask(self.server, headers).header("retry-after-ms")) / 1000
        time.sleep(max(0, wait - 1.5))
        self.assertEqual(ask(self.server, headers).status, 429, "a second before")
        time.sleep(2)
        self.assertEqual(ask(self.server, headers).status, 200, "and after it")

    def test_what_reaches_no_engine_is_not_counted(self):
        _, headers = limited_project(self.server, max_requests_per_1_minute=2)
        for body, status in ((chat("Hi", "nobody"), 404), (chat("Hi", "up", n=0), 400), ({"model": "up"}, 400)):
            for _ in range(3):
                self.assertEqual(self.server.post("/v1/chat/completions", body, headers=headers).status, status)
        self.assertEqual([ask(self.server, headers).status for _ in range(3)], [200, 200, 429])

    def test_a_request_refused_for_its_tokens_is_not_counted(self):
        _, headers = limited_project(self.server, max_requests_per_1_minute=2, max_tokens_per_1_minute=100)
        self.assertEqual(ask(self.server, headers).status, 200)                                     # 11 tokens in the end
        reply = ask(self.server, headers, max_completion_tokens=95)
        self.assertEqual((reply.status, reply.error["type"]), (429, "tokens"))
        self.assertEqual(reply.header("x-ratelimit-remaining-tokens"), "89")
        self.assertEqual([ask(self.server, headers).status for _ in range(2)], [200, 429])

    def test_tokens_count_as_they_were_used(self):
        _, headers = limited_project(self.server, max_tokens_per_1_minute=100)
        replies = [ask(self.server, headers) for _ in range(8)]
        # Each asks for 26 and uses 11: seven fit, the eighth would find 23 left.
        self.assertEqual([reply.status for reply in replies], [200] * 7 + [429])
        self.assertEqual(replies[1].header("x-ratelimit-remaining-tokens"), str(100 - 11 - 26))

    def test_an_estimate_over_the_limit_gets_its_turn(self):
        _, headers = limited_project(self.server, max_tokens_per_1_minute=50)
        self.assertEqual(ask(self.server, headers, max_completion_tokens=4000).status, 200)
        reply = self.server.post("/v1/chat/completions", chat("x" * 400, "up", max_completion_tokens=1), headers=headers)
        self.assertEqual((reply.status, reply.header("x-should-retry")), (429, "false"))
        self.assertIn("Request too large", reply.error["message"])

    def test_a_stream_that_is_left_gives_back_what_it_did_not_use(self):
        project, headers = limited_project(self.server, max_tokens_per_1_minute=1000)
        self.upstream.fault = "slow"
        connection = Connection(self.server.target, 30)
        connection.send(connection.request_bytes("POST", "/v1/chat/completions",
                                                 chat("Hi", "up", max_completion_tokens=900, stream=True), headers))
        head = connection.read_head()
        self.assertEqual(head.status, 200)
        self.assertEqual(head.header("x-ratelimit-remaining-tokens"), "94")
        self.upstream.fault = None
        reply = ask(self.server, headers, max_completion_tokens=500)
        self.assertEqual((reply.status, reply.error["type"]), (429, "tokens"))
        connection.close()
        reply = eventually(lambda: (got := ask(self.server, headers, max_completion_tokens=500)).status == 200 and got, 10,
                           "room after the client left")
        self.assertGreater(int(reply.header("x-ratelimit-remaining-tokens")), 1000 - 506 - 20)

    def test_a_day_has_its_limit_too(self):
        _, headers = limited_project(self.server, max_requests_per_1_day=2)
        replies = [ask(self.server, headers) for _ in range(3)]
        self.assertEqual([reply.status for reply in replies], [200, 200, 429])
        self.assertEqual(replies[0].header("x-ratelimit-limit-requests"), "2")
        self.assertIn("requests per day (RPD)", replies[2].error["message"])
        self.assertGreater(int(replies[2].header("retry-after")), 86_000)
        self.assertRegex(replies[2].header("x-ratelimit-reset-requests"), r"^2[34]h\d+m\d+s$")

    def test_a_change_in_another_process_holds_at_once(self):
        with Hearth(models=upstream_model("up", [self.upstream.base_url]), engine=False, data=self.server.data) as other:
            other.keys = self.server.keys
            project, headers = limited_project(self.server)
            self.assertEqual(ask(self.server, headers).header("x-ratelimit-limit-requests"), "10000")
            set_limits(other, project, max_requests_per_1_minute=7)
            self.assertEqual(ask(self.server, headers).header("x-ratelimit-limit-requests"), "7")

    def test_limits_can_be_switched_off(self):
        with Hearth(models=upstream_model("up", [self.upstream.base_url]), engine=False,
                    settings={"limits.enabled": "false", "limits.requests_per_minute": "1"}) as server:
            for _ in range(3):
                reply = ask(server, None)
                self.assertEqual((reply.status, reply.header("x-ratelimit-limit-requests")), (200, None))


class SharedByTwo:
    """Two processes on one database, and one Redis."""
    database = "sqlite"

    def start(self, failure, url="url", password=None):
        upstream = CannedUpstream()
        self.addCleanup(upstream.close)
        redis = RedisServer(password).start()
        self.addCleanup(redis.__exit__)
        settings = {"limits.redis_url": getattr(redis, url), "limits.redis_failure": failure}
        models = upstream_model("up", [upstream.base_url])
        one = Hearth(models=models, engine=False, settings=settings, database=self.database).start()
        self.addCleanup(one.__exit__, None)
        where = {"database": one.database_url} if one.database_url else {"data": one.data}
        other = Hearth(models=models, engine=False, settings=settings, **where).start()
        self.addCleanup(other.__exit__, None)
        other.keys = one.keys
        return redis, one, other

    def test_one_limit_for_both(self):
        _, one, other = self.start("refuse", "socket_url", "a secret/1")
        _, headers = limited_project(one, max_requests_per_1_minute=5)
        statuses = [ask(server, headers).status for server in (one, other, one, other, one, other, one)]
        self.assertEqual(statuses, [200] * 5 + [429] * 2)
        self.assertEqual(ask(other, headers).header("x-ratelimit-remaining-requests"), "0")

    def test_exact_for_both_under_load(self):
        _, one, other = self.start("refuse")
        _, headers = limited_project(one, max_requests_per_1_minute=100)
        statuses, took = ask_many([one.target, other.target], headers, 500)
        self.assertLess(took, 55)
        self.assertEqual((statuses.count(200), statuses.count(429)), (100, 400))


@unittest.skipUnless(RedisServer.available(), "redis-server is not installed")
class SharedLimitsOnPostgres(SharedByTwo, unittest.TestCase):
    database = "postgres"


@unittest.skipUnless(RedisServer.available(), "redis-server is not installed")
class SharedLimits(SharedByTwo, unittest.TestCase):
    def test_while_redis_is_away_requests_are_refused(self):
        redis, one, other = self.start("refuse")
        _, headers = limited_project(one, max_requests_per_1_minute=100)
        self.assertEqual(ask(one, headers).status, 200)
        redis.kill()
        reply = ask(one, headers)
        self.assertEqual((reply.status, reply.error["code"]), (503, "rate_limits_unavailable"))
        self.assertEqual(reply.header("retry-after"), "1")
        redis.start()
        eventually(lambda: ask(one, headers).status == 200, 15, "an answer after its return")
        eventually(lambda: ask(other, headers).status == 200, 15, "an answer after its return")

    def test_while_redis_is_away_requests_are_let_through(self):
        redis, one, _ = self.start("allow")
        _, headers = limited_project(one, max_requests_per_1_minute=1)
        self.assertEqual([ask(one, headers).status for _ in range(2)], [200, 429])
        redis.kill()
        for _ in range(3):
            reply = ask(one, headers)
            self.assertEqual((reply.status, reply.header("x-ratelimit-limit-requests")), (200, None))
        redis.start()
        eventually(lambda: ask(one, headers).status == 429, 15, "a refusal after its return")

    def test_while_redis_is_away_each_process_counts(self):
        redis, one, other = self.start("local")
        _, headers = limited_project(one, max_requests_per_1_minute=2)
        self.assertEqual([ask(server, headers).status for server in (one, other, one)], [200, 200, 429])
        redis.kill()
        for server in (one, other):
            self.assertEqual([ask(server, headers).status for _ in range(3)], [200, 200, 429])
        redis.start()
        for server in (one, other):
            eventually(lambda: ask(server, headers) and "limits.redis_back" in server.log(), 15, "its return")
        self.assertEqual(ask(one, headers).status, 429, "the two that were let in since are known to both")
        self.assertEqual(ask(other, headers).status, 429)
