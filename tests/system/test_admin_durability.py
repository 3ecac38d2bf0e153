"""kill -9 while the organization changes: what was acknowledged holds after the restart, nothing is half done, and every
change has its audit event."""
import collections
import random
import threading
import time
import unittest

from support import tenants
from support.hearth import Hearth, upstream_model

ROUNDS = 4
WORKERS = 4
ROUND_SECONDS = 1.5
LIMIT, MEMBER = "rl-up", "max_requests_per_1_minute"


class Known:
    """What one worker was told, and what it asked for without an answer."""

    def __init__(self):
        self.working = {}                       # secret of an account → its id
        self.ended = {}                         # the same, of deleted ones
        self.admin_keys = {}                    # secret of an admin key → its id
        self.ended_admin_keys = {}
        self.name = None                        # the project's, as it was last acknowledged
        self.role = None                        # of the worker's user in the project
        self.limit = None                       # requests a minute of the project
        self.asked = collections.defaultdict(set)   # what may or may not have happened


class Worker(threading.Thread):
    def __init__(self, server, number, project, user, known, seed):
        super().__init__(daemon=True)
        self.server, self.number, self.project, self.user, self.known = server, number, project, user, known
        self.random = random.Random(seed)
        self.fault = None
        self.changes = 0

    def admin(self, method, path, body=None):
        reply = self.server.request(method, f"/v1/organization{path}", body, tenants.admin_headers(self.server), timeout=20)
        if reply is None or not reply.complete:
            raise ConnectionError("no whole reply")
        if reply.status != 200:
            raise AssertionError(f"{method} {path}: {reply.status} {reply.body[:300]!r}")
        return reply.json()

    def run(self):
        try:
            while True:
                self.change()
                self.changes += 1
        except (OSError, ConnectionError, ValueError):
            pass                                # the server was killed
        except Exception as fault:              # pylint: disable=broad-except
            self.fault = fault

    def change(self):
        known, what = self.known, self.random.choice(("account", "account", "end account", "admin key", "end admin key", "rename", "role", "limit"))
        if what == "account":
            made = self.admin("POST", f"/projects/{self.project}/service_accounts", {"name": "w"})
            known.working[made["api_key"]["value"]] = made["id"]
        elif what == "end account" and known.working:
            secret = self.random.choice(sorted(known.working))
            account = known.working.pop(secret)
            known.asked["accounts"].add(secret)
            self.admin("DELETE", f"/projects/{self.project}/service_accounts/{account}")
            known.asked["accounts"].discard(secret)
            known.ended[secret] = account
        elif what == "admin key":
            made = self.admin("POST", "/admin_api_keys", {"name": "w"})
            known.admin_keys[made["value"]] = made["id"]
        elif what == "end admin key" and known.admin_keys:
            secret = self.random.choice(sorted(known.admin_keys))
            key = known.admin_keys.pop(secret)
            known.asked["admin_keys"].add(secret)
            self.admin("DELETE", f"/admin_api_keys/{key}")
            known.asked["admin_keys"].discard(secret)
            known.ended_admin_keys[secret] = key
        elif what == "rename":
            name = f"name {self.random.randrange(10**9)}"
            known.asked["names"] = {name}
            known.name = self.admin("POST", f"/projects/{self.project}", {"name": name})["name"]
            known.asked["names"] = set()
        elif what == "role":
            role = "member" if known.role == "owner" else "owner"
            known.asked["roles"] = {role}
            known.role = self.admin("POST", f"/projects/{self.project}/users/{self.user}", {"role": role})["role"]
            known.asked["roles"] = set()
        elif what == "limit":
            limit = self.random.randrange(1000, 10**6)
            known.asked["limits"] = {limit}
            shown = self.admin("POST", f"/projects/{self.project}/rate_limits/{LIMIT}", {MEMBER: limit})
            known.limit = shown[MEMBER]
            known.asked["limits"] = set()


class AdminDurability(unittest.TestCase):
    database = "sqlite"

    def test_kill_9_while_the_organization_changes(self):
        server = Hearth(models=upstream_model("up", ["http://127.0.0.1:9/v1"]), engine=False, database=self.database).start(wait="alive")
        self.addCleanup(server.__exit__, None)
        places = []
        for number in range(WORKERS):
            project = tenants.administer(server, "POST", "/projects", {"name": f"Project {number}"})["id"]
            user = tenants.add_user(server, f"worker-{number}@example.org")
            tenants.administer(server, "POST", f"/projects/{project}/users", {"user_id": user, "role": "member"})
            known = Known()
            known.name, known.role = f"Project {number}", "member"
            known.limit = tenants.administer(server, "POST", f"/projects/{project}/rate_limits/{LIMIT}", {MEMBER: 1000})[MEMBER]
            places.append((project, user, known))
        changes = 0
        for turn in range(ROUNDS):
            workers = [Worker(server, number, *place, seed=100 * turn + number) for number, place in enumerate(places)]
            for worker in workers:
                worker.start()
            time.sleep(ROUND_SECONDS)
            server.kill()
            for worker in workers:
                worker.join(30)
                self.assertFalse(worker.is_alive())
                if worker.fault:
                    raise worker.fault
            changes += sum(worker.changes for worker in workers)
            server.start(wait="alive")
            for place in places:
                self.check(server, *place)
            self.check_events(server)
        self.assertGreater(changes, 5 * ROUNDS, "too little happened for this to show anything")

    def works(self, server, path, secret):
        status = server.get(path, headers={"authorization": f"Bearer {secret}"}).status
        self.assertIn(status, (200, 401))
        return status == 200

    def check(self, server, project, user, known):
        for path, working, ended, asked in (("/v1/models", known.working, known.ended, known.asked["accounts"]),
                                            ("/v1/organization/projects", known.admin_keys, known.ended_admin_keys, known.asked["admin_keys"])):
            for secret in working:
                self.assertTrue(self.works(server, path, secret), "an acknowledged key does not work")
            for secret in ended:
                self.assertFalse(self.works(server, path, secret), "an acknowledged revocation does not hold")
            asked.clear()                       # its fate is open; check_events sees that it is one or the other
        shown = tenants.administer(server, "GET", f"/projects/{project}")
        self.assertIn(shown["name"], {known.name} | known.asked["names"])
        known.name, known.asked["names"] = shown["name"], set()
        member = tenants.administer(server, "GET", f"/projects/{project}/users/{user}")
        self.assertIn(member["role"], {known.role} | known.asked["roles"])
        known.role, known.asked["roles"] = member["role"], set()
        (limit,) = tenants.administer(server, "GET", f"/projects/{project}/rate_limits")["data"]
        self.assertIn(limit[MEMBER], {known.limit} | known.asked["limits"])
        known.limit, known.asked["limits"] = limit[MEMBER], set()

    def check_events(self, server):
        """The replayed events give the current state."""
        accounts, keys, names, roles, limits = set(), set(), {}, {}, {}
        for kind, details, project in tenants.audit_events(server):
            subject = details["id"]
            if kind == "service_account.created":
                accounts.add(subject)
            elif kind == "service_account.deleted":
                accounts.remove(subject)
            elif kind == "api_key.created":
                keys.add(subject)
            elif kind == "api_key.deleted":
                keys.remove(subject)
            elif kind == "project.created":
                names[subject] = details["data"]["name"]
            elif kind == "project.updated":
                names[subject] = details["changes_requested"]["title"]
            elif kind == "user.added":
                roles[subject] = details["data"]["role"]
            elif kind == "user.updated":
                roles[subject] = details["changes_requested"]["role"]
            elif kind == "rate_limit.updated":
                limits[project] = details["changes_requested"][MEMBER]
        there = tenants.facts(server)
        self.assertEqual(there["accounts"], accounts)
        self.assertEqual(there["keys"], keys)
        self.assertEqual(there["names"], names)
        self.assertEqual(there["roles"], roles)
        self.assertEqual(there["limits"], limits)
        self.assertEqual(there["keys_without_owner"], 0)


class AdminDurabilityOnPostgres(AdminDurability):
    database = "postgres"


if __name__ == "__main__":
    unittest.main()
