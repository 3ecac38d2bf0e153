"""hearth admin: people, keys and restoring access, while a server is running."""
import os
import re
import subprocess
import unittest

from support import paths
from support.browser import Browser
from support.hearth import SANITIZER_REPORT, Hearth, upstream_model
from support.raw_http import request

PASSWORD = "correct horse battery"


class AdminCommand(unittest.TestCase):
    database = "sqlite"

    @classmethod
    def setUpClass(cls):
        cls.server = Hearth(engine=False, models=upstream_model("up", ["http://127.0.0.1:9/v1"]), database=cls.database).start(wait="alive")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.server.remove()

    def admin(self, *arguments, status=0, given="", data=None):
        variables = {key: value for key, value in os.environ.items() if not key.startswith("HEARTH_")}
        if self.server.database_url and not data:
            variables["HEARTH_DATABASE_URL"] = self.server.database_url
        command = [paths.BINARY, "admin", *arguments, "--data", data or self.server.data, "--set", f"server.listen={self.server.listen}"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=variables, timeout=60, input=given)
        self.assertIsNone(SANITIZER_REPORT.search(done.stderr), done.stderr)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        if status:
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            self.assertTrue(done.stderr.startswith("hearth: "), done.stderr)
        return done.stderr if status else done.stdout

    def api(self, method, path, body=None, key=None):
        return self.server.request(method, path, body, headers={"authorization": f"Bearer {key or self.server.keys['admin_key']}"})

    def events(self, query):
        return self.api("GET", f"/v1/organization/audit_logs?{query}").json()["data"]

    def login_status(self, email, password=PASSWORD):
        return Browser(self.server.target).submit("/login", {"email": email, "password": password}).status

    def test_owners_and_users(self):
        self.admin("create-owner", "owner@example.org", "--name", "Olga", "--password-stdin", given=PASSWORD + "\n")
        self.assertEqual(self.login_status("owner@example.org"), 200)
        self.admin("create-owner", "owner@example.org", "--password-stdin", given=PASSWORD + "\n", status=1)
        project = self.server.keys["project_id"]
        printed = self.admin("add-user", "reader@example.org", "--project", f"{project}:owner", "--link")
        link = re.search(r"/password/reset\?token=\w+", printed).group()
        browser = Browser(self.server.target)
        page = browser.get(link)
        browser.submit("/password/reset", page.form("/password/reset") | {"password": PASSWORD, "password_again": PASSWORD})
        self.assertEqual(Browser(self.server.target).get(link).status, 404)
        self.assertEqual(self.login_status("reader@example.org"), 200)
        users = self.admin("users")
        self.assertRegex(users, r"(?m)^owner@example\.org +owner .*Olga$")
        self.assertRegex(users, r"(?m)^reader@example\.org +reader ")
        self.assertIn(project, self.admin("projects"))
        member = next(user for user in self.api("GET", f"/v1/organization/projects/{project}/users").json()["data"]
                      if user["email"] == "reader@example.org")
        self.assertEqual(member["role"], "owner")
        added = self.events("actor_emails[]=reader@example.org&event_types[]=user.added")
        self.assertEqual(added[0]["actor"]["session"]["user_agent"], "hearth admin")
        for wrong in (("no address",), ("x@example.org", "--role", "king"), ("x@example.org", "--project", "proj_none"),
                      ("x@example.org", "--project", f"{project}:king")):
            self.admin("add-user", *wrong, "--link", status=1)
        self.admin("add-user", "x@example.org", "--password-stdin", given="short\n", status=1)
        self.admin("add-user", "x@example.org", "--password-stdin", "--link", status=2)

    def test_invitations(self):
        self.api("POST", "/v1/organization/invites", {"email": "ann@example.org", "role": "reader"})
        link = self.admin("invite-link", "ann@example.org").strip()
        self.assertTrue(link.startswith(f"http://{self.server.listen}/invites/accept?token="), link)
        path = link[link.index("/invites"):]
        self.assertEqual(Browser(self.server.target).get(path).status, 200)
        self.admin("invite-link", "ann@example.org")
        self.assertEqual(Browser(self.server.target).get(path).status, 404)
        self.admin("accept-invite", "ann@example.org", "--name", "Ann", "--password-stdin", given=PASSWORD)
        self.assertEqual(self.login_status("ann@example.org"), 200)
        self.admin("invite-link", "ann@example.org", status=1)
        self.assertEqual(len(self.events("actor_emails[]=ann@example.org&event_types[]=invite.accepted")), 1)

    def test_passwords(self):
        self.admin("add-user", "bob@example.org", "--password-stdin", given=PASSWORD)
        browser = Browser(self.server.target)
        browser.submit("/login", {"email": "bob@example.org", "password": PASSWORD})
        self.admin("reset-password", "bob@example.org", "--password-stdin", given="a second password\n")
        self.assertIn("Log in", browser.get("/account").text)
        self.assertEqual(self.login_status("bob@example.org", "a second password"), 200)
        link = self.admin("reset-password", "bob@example.org", "--link").strip()
        self.assertIn("/password/reset?token=", link)
        self.admin("reset-password", "nobody@example.org", "--link", status=1)

    def test_keys(self):
        project = self.server.keys["project_id"]
        key = self.admin("mint-key", "--admin", "--name", "Lost and found").strip()
        self.assertRegex(key, r"^sk-admin-\w{48}$")
        self.assertEqual(self.api("GET", "/v1/organization/audit_logs", key=key).status, 200)
        key = self.admin("mint-key", "--project", project, "--name", "Robot").strip()
        self.assertEqual(self.api("GET", "/v1/models", key=key).status, 200)
        self.admin("add-user", "carl@example.org", "--project", project, "--password-stdin", given=PASSWORD)
        key = self.admin("mint-key", "--project", project, "--name", "Laptop", "--user", "carl@example.org").strip()
        self.assertRegex(key, r"^sk-proj-\w{48}$")
        self.assertEqual(self.api("GET", "/v1/models", key=key).status, 200)
        self.admin("mint-key", "--admin", "--name", "x", "--user", "carl@example.org", status=1)
        self.admin("mint-key", "--project", "proj_none", "--name", "x", status=1)
        self.admin("mint-key", "--name", "x", status=2)
        self.admin("mint-key", "--admin", "--project", project, "--name", "x", status=2)
        listed = self.admin("keys")
        for words in ("Lost and found", "Robot", "Laptop", "carl@example.org"):
            self.assertIn(words, listed)
        created = self.events("actor_emails[]=carl@example.org&event_types[]=api_key.created")
        self.assertEqual(len(created), 1)

    def test_budgets_and_certificates(self):
        project = self.server.keys["project_id"]
        for amount in ("12.5", "0", "none", "default"):
            self.admin("budget", project, amount)
        for amount in ("much", "1e99", "nan", "5x"):
            self.admin("budget", project, amount, status=1)
        self.admin("budget", "proj_none", "1", status=1)
        self.assertEqual(len(self.events(f"project_ids[]={project}&event_types[]=project.updated")), 4)
        self.assertIn("0 certificate", self.admin("certificates", "deactivate-all"))

    def test_without_a_database(self):
        self.assertIn("first start", self.admin("users", data=self.server.folder / "nothing", status=1))
        self.assertFalse((self.server.folder / "nothing").exists())

    def test_the_first_keys_still_work(self):
        self.assertEqual(request(self.server.target, "GET", "/v1/models", headers={"authorization": f"Bearer {self.server.api_key}"}).status, 200)


class AdminCommandOnPostgres(AdminCommand):
    database = "postgres"


if __name__ == "__main__":
    unittest.main()
