"""The access rules: every operation of the contract × every kind of key that should not open it, and those that should.

The operations come from the server's own /openapi.json, so a new one is walked without being named here. An operation that
works on an object (a parameter in its path) needs a row in OBJECTS, or this test fails and says so.
"""
import json
import os
import re
import subprocess
import time
import unittest

from support import certificates, paths, tenants
from support.hearth import Hearth, chat, upstream_model
from support.upstream import CannedUpstream

NOT_LET_IN = (401, 403)


class Operation:
    def __init__(self, method, path, document):
        self.name, self.method, self.path = document["operationId"], method.upper(), path
        self.planned = document.get("x-hearth-status") == "planned"
        self.scheme = next((name for entry in document.get("security", []) for name in entry), None)
        self.role = document.get("x-hearth-role", "member")
        self.parameters = re.findall(r"\{(\w+)\+?\}", path)
        self.group = document["tags"][0]
        described = document["responses"]["default"]["description"]
        self.errors = set(re.findall(r"\w+", described.partition("common codes: ")[2]))

    def __str__(self):
        return f"{self.name} ({self.method} {self.path})"

    def target(self, **values):
        def value_of(found):
            return str(values.get(found[1], "none"))
        path = re.sub(r"\{(\w+)\+?\}", value_of, self.path)
        return path if path.startswith("/v1/") else f"/v1{path}"


class AccessMatrix(unittest.TestCase):
    database = "sqlite"

    @classmethod
    def setUpClass(cls):
        cls.upstream = CannedUpstream()
        cls.addClassCleanup(cls.upstream.close)
        cls.server = Hearth(models=upstream_model("up", [cls.upstream.base_url]), engine=False, database=cls.database).start()
        cls.addClassCleanup(cls.server.__exit__, None)
        document = cls.server.get("/openapi.json").json()
        cls.operations = [Operation(method, path, entry) for path, methods in document["paths"].items()
                          for method, entry in methods.items() if isinstance(entry, dict) and "operationId" in entry]
        cls.by_name = {operation.name: operation for operation in cls.operations}
        cls.admin, cls.key = cls.server.keys["admin_key"], cls.server.keys["api_key"]
        cls.home, cls.other = cls.server.keys["project_id"], cls.make_project("Other")
        cls.make_people()
        cls.make_dead_keys()

    # ---- what the walk needs

    @classmethod
    def ask(cls, key, method, path, body=None, **headers):
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        fields["authorization"] = f"Bearer {key}" if key else None
        fields = {name: value for name, value in fields.items() if value is not None}
        return cls.server.request_as(method, path, body, fields)

    @classmethod
    def administer(cls, method, path, body=None):
        reply = cls.ask(cls.admin, method, f"/v1/organization/{path}", body)
        assert reply.status in (200, 201), f"{method} {path}: {reply.status} {reply.body!r}"
        return reply.json()

    @classmethod
    def make_project(cls, name):
        return cls.administer("POST", "projects", {"name": name})["id"]

    @classmethod
    def make_account(cls, project):
        return cls.administer("POST", f"projects/{project}/service_accounts", {"name": "walker"})

    @classmethod
    def command(cls, *arguments):
        done = subprocess.run([paths.BINARY, "admin", *map(str, arguments), "--config", cls.server.config_path, "--data", cls.server.data],
                              capture_output=True, text=True, timeout=60,
                              env=dict(os.environ) | ({"HEARTH_DATABASE_URL": cls.server.database_url} if cls.server.database_url else {}))
        assert done.returncode == 0, done.stderr
        return done.stdout

    @classmethod
    def mint(cls, *arguments):
        return re.search(r"sk-\S+", cls.command("mint-key", *arguments))[0]

    @classmethod
    def make_person(cls, name, project_role):
        """(user id, admin key, key of the home project) of a reader of the organization. Admin keys are made by owners: the person was
        one, and its rights have shrunk since."""
        email = f"{name}@example.com"
        cls.command("add-user", email, "--role", "owner", "--project", f"{cls.home}:{project_role}")
        keys = [cls.mint(*where, "--name", name, "--user", email) for where in (("--admin",), ("--project", cls.home))]
        user = next(user["id"] for user in cls.administer("GET", "users?limit=100")["data"] if user["email"] == email)
        for key, path in zip(keys, ("/v1/organization/users", "/v1/models")):
            assert cls.ask(key, "GET", path).status == 200, path
        cls.administer("POST", f"users/{user}", {"role": "reader"})
        return user, *keys

    @classmethod
    def make_people(cls):
        """A reader of the organization who is a member of the home project and nowhere else; an owner of that project alone."""
        cls.command("add-user", "boss@example.com", "--role", "owner")       # the last owner cannot be demoted
        cls.other_key = cls.mint("--project", cls.other, "--name", "boss", "--user", "boss@example.com")
        _, cls.readers_admin_key, cls.readers_key = cls.make_person("reader", "member")
        _, cls.leads_admin_key, cls.leads_key = cls.make_person("lead", "owner")

    @classmethod
    def make_dead_keys(cls):
        """{what it is: a secret that opened something once and must open nothing now}"""
        revoked = cls.make_account(cls.home)
        gone = cls.make_project("Gone")
        archived = cls.make_account(gone)["api_key"]["value"]
        admin = cls.administer("POST", "admin_api_keys", {"name": "revoked"})
        user, lefts_admin, left = cls.make_person("left", "member")
        mover, _, moved = cls.make_person("moved", "member")
        for secret in (revoked["api_key"]["value"], archived, left, moved):
            assert cls.ask(secret, "GET", "/v1/models").status == 200
        cls.administer("DELETE", f"projects/{cls.home}/service_accounts/{revoked['id']}")
        cls.administer("POST", f"projects/{gone}/archive")
        cls.administer("DELETE", f"admin_api_keys/{admin['id']}")
        cls.administer("DELETE", f"users/{user}")
        cls.administer("DELETE", f"projects/{cls.home}/users/{mover}")
        cls.dead_keys = {"revoked key": revoked["api_key"]["value"], "key of an archived project": archived, "revoked admin key": admin["value"],
                         "key of a user who was deleted": left, "admin key of a user who was deleted": lefts_admin,
                         "key of a user who left the project": moved, "unknown key": "sk-proj-" + "x" * 48,
                         "expired ephemeral key": tenants.add_ephemeral_key(cls.server, cls.home, seconds=-1)}
        cls.live_ephemeral = tenants.add_ephemeral_key(cls.server, cls.home, seconds=600)

    def walk(self):
        for operation in self.operations:
            with self.subTest(str(operation)):
                yield operation

    def refused(self, reply, status, code, what):
        self.assertEqual((reply.status, reply.error["code"]), (status, code), f"{what}: {reply.body!r}")

    def let_in(self, operation, reply, what):
        """The answer, whatever it is, is not a refusal for lack of rights."""
        self.assertNotIn(reply.status, NOT_LET_IN, f"{what}: {reply.body!r}")
        if operation.planned:
            self.assertEqual(reply.status, 501, what)

    def try_out(self, operation, key, **values):
        """An empty body: rights are looked at before it is."""
        body = {} if operation.method == "POST" else None
        return self.ask(key, operation.method, operation.target(**({"project_id": self.home} | values)), body)

    def admin_operations(self):
        return [operation for operation in self.operations if operation.scheme == "AdminKey"]

    def key_operations(self):
        return [operation for operation in self.operations if operation.scheme == "ApiKey"]

    # ---- the matrix

    def test_the_contract_is_walked_as_a_whole(self):
        self.assertEqual(len(self.operations), 148)
        self.assertEqual(len([operation for operation in self.admin_operations() if "/organization/" in operation.path]), 51)
        self.assertEqual({operation.scheme for operation in self.operations} - {"AdminKey", "ApiKey", "EphemeralKey", None}, set())

    def test_no_key(self):
        for operation in self.walk():
            self.refused(self.try_out(operation, None), 401, None, "no key")

    def test_dead_keys(self):
        for operation in self.walk():
            for what, secret in self.dead_keys.items():
                self.refused(self.try_out(operation, secret), 401, "invalid_api_key", what)

    def test_keys_of_the_wrong_kind(self):
        for operation in self.walk():
            if operation.scheme == "AdminKey":
                for what, key in (("project key", self.key), ("ephemeral key", self.live_ephemeral), ("key of a reader", self.readers_key)):
                    self.refused(self.try_out(operation, key), 403, "missing_scope", what)
            else:
                self.refused(self.try_out(operation, self.admin), 403, "missing_scope", "admin key")
            if operation.scheme == "ApiKey":
                self.refused(self.try_out(operation, self.live_ephemeral), 403, "missing_scope", "ephemeral key")

    def test_a_key_of_another_project_than_the_header_names(self):
        for operation in self.key_operations():
            with self.subTest(str(operation)):
                body = {} if operation.method == "POST" else None
                reply = self.ask(self.other_key, operation.method, operation.target(), body, openai_project=self.home)
                self.refused(reply, 401, "mismatched_project", "another project's key")

    def test_readers_of_the_organization(self):
        """In their own project, and in one that they do not belong to."""
        allowed_at_home = {"reader", "project_member"}
        for operation in self.admin_operations():
            with self.subTest(str(operation)):
                reply = self.try_out(operation, self.readers_admin_key)
                if operation.role in allowed_at_home:
                    self.let_in(operation, reply, "reader at home")
                else:
                    self.refused(reply, 403, "insufficient_permissions", "reader at home")
                if operation.role in ("project_member", "project_owner"):
                    reply = self.try_out(operation, self.readers_admin_key, project_id=self.other)
                    self.refused(reply, 403, "insufficient_permissions", "reader elsewhere")

    def test_owners_of_a_project(self):
        for operation in self.admin_operations():
            with self.subTest(str(operation)):
                reply = self.try_out(operation, self.leads_admin_key)
                if operation.role == "owner":
                    self.refused(reply, 403, "insufficient_permissions", "owner of the project")
                elif operation.name not in ("archive_project",):
                    self.let_in(operation, reply, "owner of the project")
                if operation.role in ("project_member", "project_owner"):
                    reply = self.try_out(operation, self.leads_admin_key, project_id=self.other)
                    self.refused(reply, 403, "insufficient_permissions", "owner of another project")

    def test_members_of_a_project(self):
        for operation in self.key_operations():
            with self.subTest(str(operation)):
                reply = self.try_out(operation, self.readers_key)
                if operation.role == "owner":
                    self.refused(reply, 403, "insufficient_permissions", "member")
                else:
                    self.let_in(operation, reply, "member")
                self.let_in(operation, self.try_out(operation, self.leads_key), "owner of the project")

    # ---- objects of others

    def objects(self):
        """{operation group: {parameter: () → id of an object of the home project}}; bodies that are valid on their own."""
        model = "ft:up:tests::1"
        tenants.add_fine_tuned_model(self.server, model, paths.chat_model())
        completion = self.ask(self.key, "POST", "/v1/chat/completions", chat("Hi", "up", store=True)).json()["id"]
        account = self.make_account(self.home)
        keys = self.administer("GET", f"projects/{self.home}/api_keys?limit=100")["data"]
        users = self.administer("GET", f"projects/{self.home}/users?limit=100")["data"]
        return {"completion_id": completion, "model": model, "service_account_id": account["id"],
                "api_key_id": keys[0]["id"], "key_id": keys[0]["id"], "user_id": users[0]["id"]}

    BODIES = {"update_chat_completion": {"metadata": {"a": "b"}}, "modify_project_user": {"role": "owner"},
              "update_project_rate_limits": {"max_requests_per_1_minute": 1}}

    def test_objects_of_another_project_are_not_found(self):
        ids = self.objects()
        walked = 0
        for operation in self.operations:
            inner = [name for name in operation.parameters if name != "project_id"]
            if operation.planned or not inner or (operation.scheme == "AdminKey" and "project_id" not in operation.parameters):
                continue
            with self.subTest(str(operation)):
                if operation.name == "update_project_rate_limits":
                    continue                                # its ids name models, which every project has
                missing = [name for name in inner if name not in ids]
                self.assertEqual(missing, [], "say in objects() how to make one")
                body = self.BODIES.get(operation.name, {}) if operation.method == "POST" else None
                key = self.admin if operation.scheme == "AdminKey" else self.other_key
                reply = self.ask(key, operation.method, operation.target(**(ids | {"project_id": self.other})), body)
                self.assertEqual(reply.status, 404, reply.body)
                walked += 1
        self.assertGreater(walked, 8)
        for operation in self.key_operations():
            if operation.method == "GET" and not operation.planned and not operation.parameters:
                text = self.ask(self.other_key, "GET", operation.target()).body.decode()
                for name in ("completion_id", "model"):
                    self.assertNotIn(ids[name], text, f"{operation} of another project shows it")

    def test_ids_that_nobody_has_are_not_found(self):
        for operation in self.operations:
            if operation.planned or not operation.parameters:
                continue
            with self.subTest(str(operation)):
                body = self.BODIES.get(operation.name, {"name": "x", "role": "owner", "user_id": "user-none", "certificate_ids": ["cert_none"]})
                body = {name: value for name, value in body.items() if name in self.members_of(operation)} or body
                key = self.admin if operation.scheme == "AdminKey" else self.key
                reply = self.ask(key, operation.method, operation.target(project_id="proj_none"), body if operation.method == "POST" else None)
                self.assertEqual(reply.status, 404, reply.body)

    # ---- archived projects

    def valid_body(self, operation, user_id, certificate_id):
        """What the operation would do if it were allowed."""
        if operation.method != "POST":
            return None
        bodies = {"modify_project": {"name": "Renamed"}, "create_project_user": {"user_id": user_id, "role": "member"},
                  "create_project_service_account": {"name": "New"}, "modify_user": {"role": "owner"}, "modify_certificate": {"name": "Renamed"}}
        if "certificate_ids" in self.members_of(operation):
            return {"certificate_ids": [certificate_id]}
        return bodies.get(operation.name) or self.BODIES.get(operation.name, {})

    def make_closed_project(self):
        """(ids, a user's key and its id) of a project that had one of everything before it was archived."""
        project = self.make_project("Closed")
        account = self.make_account(project)
        number = len(self.administer("GET", "projects?limit=100&include_archived=true")["data"])
        member, stranger = (tenants.add_user(self.server, f"{name}-{number}@example.org") for name in ("member", "stranger"))
        self.administer("POST", f"projects/{project}/users", {"user_id": member, "role": "member"})
        secret, key = tenants.add_user_key(self.server, member, project)
        self.assertEqual(self.ask(secret, "GET", "/v1/models").status, 200)
        text = certificates.authority(self.server.folder, f"closed-{number}").text
        certificate = self.administer("POST", "certificates", {"name": "closed", "content": text})["id"]
        self.administer("POST", f"projects/{project}/certificates/activate", {"certificate_ids": [certificate]})
        self.administer("POST", f"projects/{project}/rate_limits/rl-up", {"max_requests_per_1_minute": 5})
        self.administer("POST", f"projects/{project}/archive")
        return {"project_id": project, "user_id": member, "service_account_id": account["id"], "key_id": account["api_key"]["id"],
                "rate_limit_id": "rl-up", "certificate_id": certificate, "stranger": stranger}, secret, key

    def test_an_archived_project_is_read_and_not_changed(self):
        ids, secret, key = self.make_closed_project()
        inside = [operation for operation in self.admin_operations() if "project_id" in operation.parameters and not operation.planned]
        self.assertGreaterEqual(len(inside), 20)

        def read():
            seen = {}
            for operation in (one for one in inside if one.method == "GET"):
                with self.subTest(str(operation)):
                    reply = self.ask(self.admin, "GET", operation.target(**ids))
                    if "project_archived" in operation.errors:
                        self.refused(reply, 400, "project_archived", operation)
                    else:
                        self.assertEqual(reply.status, 200, reply.body)
                        seen[operation.name] = reply.body
            return seen

        before, changes = read(), 0
        self.assertGreater(len(before), 5)
        for operation in (one for one in inside if one.method != "GET"):
            with self.subTest(str(operation)):
                body = self.valid_body(operation, ids["stranger"] if operation.name == "create_project_user" else ids["user_id"],
                                       ids["certificate_id"])
                reply = self.ask(self.admin, operation.method, operation.target(**ids), body)
                if operation.name == "archive_project":
                    self.assertEqual(reply.body, before["retrieve_project"], "once more is no change")
                elif operation.name == "delete_project_api_key":
                    self.refused(reply, 400, "service_account_key", operation)
                else:
                    self.assertIn("project_archived", operation.errors, "the contract says what becomes of it")
                    self.refused(reply, 400, "project_archived", operation)
                    self.assertEqual(reply.error["param"], "project_id")
                    changes += 1
        self.assertGreater(changes, 8)
        self.assertEqual(read(), before, "nothing has changed")
        self.refused(self.ask(secret, "GET", "/v1/models"), 401, "invalid_api_key", "a member's key")
        # What takes rights away is let through: a person's key is revoked for good.
        path = f"/v1/organization/projects/{ids['project_id']}/api_keys/{key}"
        self.assertEqual([self.ask(self.admin, method, path).status for method in ("DELETE", "GET")], [200, 404])

    # ---- other organizations

    def own_ids(self):
        """What stands in paths, of the first organization."""
        account = self.make_account(self.home)
        invite = self.administer("POST", "invites", {"email": f"{account['id']}@example.org", "role": "reader"})
        key = self.administer("POST", "admin_api_keys", {"name": "mine"})
        text = certificates.authority(self.server.folder, account["id"]).text
        certificate = self.administer("POST", "certificates", {"name": "mine", "content": text})
        user = tenants.add_user(self.server, f"{account['id']}-mine@example.org")
        self.administer("POST", f"projects/{self.home}/users", {"user_id": user, "role": "member"})
        return {"project": self.home, "account": account["id"], "key": account["api_key"]["id"], "admin_key": key["id"], "user": user,
                "invite": invite["id"], "certificate": certificate["id"]}

    @staticmethod
    def in_path(operation, ids):
        return {"project_id": ids["project"], "service_account_id": ids["account"], "user_id": ids["user"], "invite_id": ids["invite"],
                "certificate_id": ids["certificate"], "rate_limit_id": "rl-up",
                "key_id": ids["admin_key" if "admin_api_key" in operation.name else "key"]}

    def test_other_organizations_are_not_there(self):
        """Both ways: what is of the other is not found, not listed, not changed; its own organization has it all the while."""
        theirs, ours = tenants.add_organization(self.server), self.own_ids()
        sides = ((self.admin, ours, theirs), (theirs["admin_secret"], theirs, ours))
        walked = [operation for operation in self.admin_operations() if not operation.planned]
        for key, own, other in sides:
            reads = [operation for operation in walked if operation.method == "GET" and operation.parameters]
            paths_of_own = {operation.name: operation.target(**self.in_path(operation, own)) for operation in reads}
            seen = {name: self.ask(key, "GET", path).status for name, path in paths_of_own.items()}
            self.assertEqual(set(seen.values()), {200}, seen)
            self.walk_ids_of(walked, key, own, other)
            self.walk_lists(walked, key, other)
        for key, own, _ in sides:
            for operation in (one for one in walked if one.method == "GET" and one.parameters):
                with self.subTest(str(operation)):
                    self.assertEqual(self.ask(key, "GET", operation.target(**self.in_path(operation, own))).status, 200, "it is still there")
        for secret in (theirs["secret"], self.key):
            self.assertEqual(self.ask(secret, "GET", "/v1/models").status, 200)

    def walk_ids_of(self, walked, key, own, other):
        count = 0
        for operation in (one for one in walked if one.parameters):
            values = self.in_path(operation, other)
            variants = [values]
            if "project_id" in operation.parameters and set(operation.parameters) - {"project_id", "rate_limit_id"}:
                variants += [values | {"project_id": own["project"]}, self.in_path(operation, own) | {"project_id": other["project"]}]
            for number, variant in enumerate(variants):
                with self.subTest(str(operation), variant=number):
                    body = self.valid_body(operation, own["user"], own["certificate"])
                    reply = self.ask(key, operation.method, operation.target(**variant), body)
                    self.assertEqual(reply.status, 404, reply.body)
                    count += 1
        self.assertGreater(count, 40)
        # The other's ids in bodies, where all else is one's own.
        for operation in (one for one in walked if one.method == "POST"):
            members = self.members_of(operation)
            body = ({"user_id": other["user"], "role": "member"} if "user_id" in members else
                    {"certificate_ids": [other["certificate"]]} if "certificate_ids" in members else
                    {"email": "guest@example.com", "role": "reader", "projects": [{"id": other["project"], "role": "member"}]}
                    if "projects" in members else None)
            if body:
                with self.subTest(str(operation), body=body):
                    reply = self.ask(key, "POST", operation.target(**self.in_path(operation, own)), body)
                    self.assertEqual(reply.status, 404, reply.body)
                    count += 1
        self.assertGreater(count, 46)

    def walk_lists(self, walked, key, other):
        hidden = [other[name] for name in ("organization", "project", "account", "user", "invite", "certificate", "admin_key", "key", "event")
                  if name in other]
        count = 0
        for operation in (one for one in walked if one.method == "GET" and not one.parameters):
            usage = "/usage/" in operation.path or operation.path.endswith("/costs")
            queries = [f"?start_time={int(time.time()) - 3600}&group_by=project_id{more}" for more in ("", f"&project_ids={other['project']}")] \
                if usage else ["?limit=100"]
            if operation.name == "list_projects":
                queries.append("?limit=100&include_archived=true")
            if operation.name == "list_audit_logs":
                queries += [f"?{name}={value}" for name, value in
                            (("project_ids[]", other["project"]), ("resource_ids[]", other["user"]), ("actor_ids[]", other["account"]))]
            if operation.name == "list_users":
                queries += ["?emails=them@example.net"]
            for query in queries:
                with self.subTest(str(operation), query=query):
                    reply = self.ask(key, "GET", operation.target() + query)
                    self.assertEqual(reply.status, 200, reply.body)
                    text = reply.body.decode()
                    self.assertEqual([one for one in hidden if one in text], [], "it shows what is another organization's")
                    count += 1
        self.assertGreater(count, 20)

    def members_of(self, operation):
        document = self.server.get("/openapi.json").json()
        for methods in document["paths"].values():
            for entry in methods.values():
                if isinstance(entry, dict) and entry.get("operationId") == operation.name:
                    schema = json.dumps(entry.get("requestBody", {}))
                    name = re.search(r"#/components/schemas/(\w+)", schema)
                    return set(document["components"]["schemas"][name[1]].get("properties", {})) if name else set()
        return set()


class AccessMatrixOnPostgres(AccessMatrix):
    database = "postgres"


if __name__ == "__main__":
    unittest.main()
