"""Two servers on one PostgreSQL behave as one."""
import concurrent.futures
import json
import time
import unittest

from support import postgres, tenants
from support.hearth import Hearth, chat, eventually, upstream_model
from support.upstream import CannedUpstream


class Replicas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = CannedUpstream()
        cls.addClassCleanup(cls.upstream.close)
        cls.database = postgres.Database(postgres.server_url())
        cls.addClassCleanup(cls.database.drop)
        cls.servers = [Hearth(models=upstream_model("up", [cls.upstream.base_url]), database=cls.database.url) for _ in range(2)]
        for server in cls.servers:                                 # both at once: one of them makes the tables and the keys
            server.start(wait=None)
            cls.addClassCleanup(server.__exit__, None)
        for server in cls.servers:
            server.wait_for("/readyz")
        first = [server for server in cls.servers if server.bootstrap_path.exists()]
        assert len(first) == 1, f"{len(first)} servers made the first keys"
        cls.servers[0].keys = cls.servers[1].keys = json.loads(first[0].bootstrap_path.read_text())

    def store(self, server, **more):
        reply = server.post("/v1/chat/completions", chat("Hi", "up", store=True, **more))
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json()["id"]

    def test_what_one_has_stored_the_other_reads_at_once(self):
        for number in range(20):
            writer, reader = self.servers[number % 2], self.servers[1 - number % 2]
            made = self.store(writer, metadata={"number": str(number)})
            reply = reader.get(f"/v1/chat/completions/{made}")
            self.assertEqual((reply.status, reply.json()["metadata"]), (200, {"number": str(number)}))
            self.assertEqual(reader.request("DELETE", f"/v1/chat/completions/{made}").status, 200)
            self.assertEqual(writer.get(f"/v1/chat/completions/{made}").status, 404)

    def test_a_key_revoked_on_one_is_refused_by_the_other_within_a_second(self):
        here, there = self.servers
        for _ in range(3):
            project, secret, account = tenants.add_project(here)
            headers = {"authorization": f"Bearer {secret}"}
            for server in self.servers:
                for _ in range(3):
                    self.assertEqual(server.get("/v1/models", headers=headers).status, 200)
            tenants.remove_service_account(here, project, account)
            revoked = time.monotonic()
            for server in (there, here):
                eventually(lambda at=server: at.get("/v1/models", headers=headers).status == 401, 1.0, "the refusal")
            self.assertLess(time.monotonic() - revoked, 1.5)

    def test_both_write_at_once_and_lists_miss_nothing(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda number: self.store(self.servers[number % 2], metadata={"case": "both"}), range(60)))
        self.assertEqual(len(set(made)), 60)
        for server in self.servers:
            listed, after = [], ""
            while True:
                page = server.get(f"/v1/chat/completions?metadata[case]=both&limit=7{after}").json()
                listed += [item["id"] for item in page["data"]]
                if not page["has_more"]:
                    break
                after = f"&after={page['last_id']}"
            self.assertEqual(sorted(listed), sorted(made))


if __name__ == "__main__":
    unittest.main()
