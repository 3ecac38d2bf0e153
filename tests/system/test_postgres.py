"""What happens to a server on PostgreSQL when that goes away, comes back, or is cut off."""
import signal
import socket
import time
import unittest

from support import postgres
from support.gate import TcpGate
from support.hearth import Hearth, chat, eventually, upstream_model
from support.upstream import CannedUpstream


class OnPostgres(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = CannedUpstream()
        cls.addClassCleanup(cls.upstream.close)
        cls.models = upstream_model("up", [cls.upstream.base_url])

    def store(self, server, text="Hi"):
        return server.post("/v1/chat/completions", chat(text, "up", store=True))

    def assert_unavailable(self, reply):
        self.assertEqual((reply.status, reply.error["code"]), (503, "storage_unavailable"), reply.body)


class Texts(OnPostgres):
    def test_a_nul_is_kept_on_both_databases(self):
        """U+0000 is legal in JSON, and PostgreSQL's TEXT cannot hold it."""
        text, metadata = "before\0after \x01 \x01\x01", {"k\0": "v\0\x01"}
        for database in ("sqlite", "postgres"):
            with self.subTest(database), Hearth(models=self.models, database=database) as server:
                made = server.post("/v1/chat/completions", chat(text, "up", store=True, metadata=metadata))
                self.assertEqual(made.status, 200, made.body)
                path = f"/v1/chat/completions/{made.json()['id']}"
                self.assertEqual(server.get(path).json()["metadata"], metadata)
                self.assertEqual(server.get(f"{path}/messages").json()["data"][0]["content"], text)
                reply = server.post(path, {"metadata": {"k\0": "w\0"}})
                self.assertEqual((reply.status, reply.json()["metadata"]), (200, {"k\0": "w\0"}))
                for unknown in ("/v1/chat/completions/%01", "/v1/chat/completions/%EF%BF%BF", "/v1/chat/completions/%00",
                                "/v1/chat/completions/%FF", "/v1/models/%01", f"{path}/messages?after={made.json()['id']}-99999999999999",
                                f"{path}/messages?after=%01"):
                    self.assertIn(server.get(unknown).status, (400, 404), unknown)


class Faults(OnPostgres):
    def test_a_crash_of_postgresql_costs_503_and_no_restart(self):
        with postgres.PostgresServer() as own, Hearth(models=self.models, database=own.url) as server:
            kept = self.store(server).json()["id"]
            for how in (signal.SIGQUIT, signal.SIGINT):
                own.stop(how)
                self.assert_unavailable(self.store(server))
                self.assert_unavailable(server.get(f"/v1/chat/completions/{kept}"))
                self.assertEqual(server.get("/healthz").status, 200)
                own.start()
                eventually(lambda: server.get(f"/v1/chat/completions/{kept}").status == 200, 10, "its return")
                made = self.store(server)
                self.assertEqual(made.status, 200, made.body)
                self.assertEqual(server.get(f"/v1/chat/completions/{made.json()['id']}").status, 200)
            self.assertNotIn(own.password, server.log())

    def test_a_cut_network_costs_503_and_no_restart(self):
        with postgres.Database(postgres.server_url()) as database:
            port = int(database.url.rpartition(":")[2].partition("/")[0])
            with TcpGate(("127.0.0.1", port)) as gate:
                url = postgres.on_database(database.url, database.name, gate.address[1])
                with Hearth(models=self.models, database=url) as server:
                    kept = self.store(server).json()["id"]
                    gate.refuse = True
                    gate.cut()
                    self.assert_unavailable(self.store(server))
                    self.assert_unavailable(server.get(f"/v1/chat/completions/{kept}"))
                    gate.refuse = False
                    eventually(lambda: server.get(f"/v1/chat/completions/{kept}").status == 200, 10, "its return")
                    # Connections that are cut while idle cost nothing.
                    for _ in range(3):
                        gate.cut()
                        time.sleep(0.1)
                        self.assertEqual(server.get(f"/v1/chat/completions/{kept}").status, 200)
                        self.assertEqual(self.store(server).status, 200)
                    # In the middle of an answer.
                    gate.cut()
                    gate.cut_after = 2000
                    statuses = {self.store(server, "x" * 300).status for _ in range(10)}
                    self.assertTrue(statuses <= {200, 503}, statuses)
                    gate.cut_after = None
                    gate.cut()
                    eventually(lambda: self.store(server).status == 200, 10, "its return")

    def test_a_server_that_cannot_connect_says_why_without_the_password(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            url = f"postgresql://hearth:open-sesame@127.0.0.1:{nobody.getsockname()[1]}/x"
            server = Hearth(models=self.models, database=url)
            try:
                server.start(wait=None)
                self.assertEqual(server.process.wait(30), 1)
                server.process = None
                self.assertIn("cannot open the database", server.log())
                self.assertNotIn("open-sesame", server.log())
            finally:
                server.remove()


if __name__ == "__main__":
    unittest.main()
