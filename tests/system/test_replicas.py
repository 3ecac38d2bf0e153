"""Two servers on one PostgreSQL behave as one."""
import concurrent.futures
import json
import os
import subprocess
import time
import unittest

from support import certificates, paths, postgres, tenants
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

    # ---- a change of the administration on one server holds on the other within a second

    def ask(self, server, secret, path="/v1/chat/completions"):
        fields = {"authorization": f"Bearer {secret}"}
        return server.post(path, chat("Hi", "up"), headers=fields) if path.endswith("completions") else server.get(path, headers=fields)

    def soon(self, server, secret, expected, path="/v1/chat/completions"):
        """`expected`: the status, or the status and the error's code."""
        def found():
            reply = self.ask(server, secret, path)
            return expected == (reply.status if isinstance(expected, int) else (reply.status, reply.status >= 400 and reply.error["code"]))
        eventually(found, 1.0, f"{expected} on {path}")

    def both_ways(self):
        return (self.servers, self.servers[::-1])

    def test_a_rate_limit(self):
        for here, there in self.both_ways():
            project, secret, _ = tenants.add_project(here)
            self.assertEqual(self.ask(there, secret).header("x-ratelimit-limit-requests"), "10000")
            for most in (7, 70):
                tenants.administer(here, "POST", f"/projects/{project}/rate_limits/rl-up", {"max_requests_per_1_minute": most})
                eventually(lambda: self.ask(there, secret).header("x-ratelimit-limit-requests") == str(most), 1.0, "the limit")
            tenants.administer(here, "POST", f"/projects/{project}/rate_limits/rl-up", {"max_requests_per_1_minute": 0})
            self.soon(there, secret, (429, "rate_limit_exceeded"))

    def test_roles(self):
        """The roles of a person in the organization and in a project, and the end of both."""
        for number, (here, there) in enumerate(self.both_ways()):
            project, _, _ = tenants.add_project(here)
            if not number:
                tenants.add_user(here, "stays@example.org", "owner")      # the last owner cannot be demoted
            user = tenants.add_user(here, f"person-{number}@example.org", "owner")
            admin_secret, _ = tenants.add_user_key(here, user)
            owners, shared, members = "/v1/organization/admin_api_keys", f"/v1/organization/projects/{project}", "/v1/models"
            self.soon(there, admin_secret, 200, owners)
            for role, status in (("reader", 403), ("owner", 200), ("reader", 403)):
                tenants.administer(here, "POST", f"/users/{user}", {"role": role})
                self.soon(there, admin_secret, status, owners)
            self.assertEqual(self.ask(there, admin_secret, shared).status, 403, "no member of the project")
            tenants.administer(here, "POST", f"/projects/{project}/users", {"user_id": user, "role": "member"})
            self.soon(there, admin_secret, 200, shared)
            secret, _ = tenants.add_user_key(here, user, project)
            self.soon(there, secret, 200, members)
            rename = lambda: there.post(shared, {"name": "Renamed"}, headers={"authorization": f"Bearer {admin_secret}"}).status
            self.assertEqual(rename(), 403, "a member only")
            tenants.administer(here, "POST", f"/projects/{project}/users/{user}", {"role": "owner"})
            eventually(lambda: rename() == 200, 1.0, "the project's owner may")
            tenants.administer(here, "DELETE", f"/projects/{project}/users/{user}")
            self.soon(there, secret, (401, "invalid_api_key"), members)
            self.soon(there, admin_secret, 403, shared)
            self.soon(there, admin_secret, 200, "/v1/organization/users")
            tenants.administer(here, "DELETE", f"/users/{user}")
            self.soon(there, admin_secret, (401, "invalid_api_key"), "/v1/organization/users")

    def test_an_archived_project(self):
        for here, there in self.both_ways():
            project, secret, _ = tenants.add_project(here)
            self.assertEqual([self.ask(server, secret, "/v1/models").status for server in self.servers], [200, 200])
            tenants.archive(here, project)
            for path in ("/v1/models", "/v1/chat/completions"):
                self.soon(there, secret, (401, "invalid_api_key"), path)
            self.assertEqual(there.request("POST", f"/v1/organization/projects/{project}", {"name": "x"},
                                           tenants.admin_headers(there)).error["code"], "project_archived")

    def test_an_admin_key(self):
        for here, there in self.both_ways():
            made = tenants.administer(here, "POST", "/admin_api_keys", {"name": "short"})
            self.soon(there, made["value"], 200, "/v1/organization/users")
            tenants.administer(here, "DELETE", f"/admin_api_keys/{made['id']}")
            self.soon(there, made["value"], (401, "invalid_api_key"), "/v1/organization/users")

    def test_a_budget_of_the_command_line(self):
        project, secret, _ = tenants.add_project(self.servers[0])
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HEARTH_")}
        for amount, expected in (("0", (429, "insufficient_quota")), ("1000", 200), ("0", (429, "insufficient_quota")), ("none", 200)):
            done = subprocess.run([paths.BINARY, "admin", "budget", project, amount, "--data", str(self.servers[0].data)], capture_output=True,
                                  text=True, timeout=60, env=environment | {"HEARTH_DATABASE_URL": self.database.url})
            self.assertEqual(done.returncode, 0, done.stderr)
            for server in self.servers:
                self.soon(server, secret, expected)

    def test_a_projects_certificate(self):
        """The servers listen without TLS, where nobody can show one: the project's keys are refused while one is active."""
        for number, (here, there) in enumerate(self.both_ways()):
            project, secret, _ = tenants.add_project(here)
            text = certificates.authority(here.folder, f"root-{number}").text
            certificate = tenants.administer(here, "POST", "/certificates", {"name": "root", "content": text})["id"]
            self.soon(there, secret, 200, "/v1/models")
            for how, expected in (("activate", (401, "client_certificate_required")), ("deactivate", 200)):
                tenants.administer(here, "POST", f"/projects/{project}/certificates/{how}", {"certificate_ids": [certificate]})
                for server in (there, here):
                    self.soon(server, secret, expected, "/v1/models")

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
