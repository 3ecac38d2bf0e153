"""Users of the organization and members of its projects: roles that hold, and what goes with those who leave."""
import time
import unittest

from support import tenants
from support.hearth import Hearth, upstream_model


class People(unittest.TestCase):
    database = "sqlite"

    @classmethod
    def setUpClass(cls):
        cls.server = Hearth(models=upstream_model("up", ["http://127.0.0.1:9/v1"]), engine=False, database=cls.database).start(wait="alive")
        cls.addClassCleanup(cls.server.__exit__, None)
        cls.owner = tenants.add_user(cls.server, "Owner@Example.org", "owner", "The owner")

    def admin(self, method, path, body=None, key=None):
        headers = {"authorization": f"Bearer {key}"} if key else tenants.admin_headers(self.server)
        return self.server.request(method, f"/v1/organization{path}", body, headers)

    def refused(self, reply, status, code, param=None):
        self.assertEqual((reply.status, reply.error["code"], reply.error["param"]), (status, code, param))

    def works(self, secret):
        return self.server.get("/v1/models", headers={"authorization": f"Bearer {secret}"}).status == 200

    def test_users_are_found_listed_and_filtered(self):
        first = tenants.add_user(self.server, "List-One@example.org", name="One")
        second = tenants.add_user(self.server, "list-two@example.org", name="Two")
        shown = self.admin("GET", f"/users/{first}").json()
        self.assertEqual({key: shown[key] for key in shown if key != "added_at"},
                         {"object": "organization.user", "id": first, "name": "One", "email": "List-One@example.org", "role": "reader"})
        self.assertAlmostEqual(shown["added_at"], time.time(), delta=60)
        for query in ("emails=LIST-two@example.org&emails=list-one@EXAMPLE.org", "emails[]=list-one@example.org&emails[]=list-two@example.org"):
            page = self.admin("GET", f"/users?{query}").json()
            self.assertEqual([user["id"] for user in page["data"]], [first, second])
            self.assertEqual((page["object"], page["first_id"], page["last_id"], page["has_more"]), ("list", first, second, False))
        page = self.admin("GET", "/users?limit=1").json()
        self.assertEqual((page["data"][0]["id"], page["has_more"]), (self.owner, True))
        seen, after = [], self.owner
        while True:
            page = self.admin("GET", f"/users?limit=1&after={after}").json()
            seen += [user["id"] for user in page["data"]]
            if not page["has_more"]:
                break
            after = page["last_id"]
        self.assertLess(seen.index(first), seen.index(second))
        self.refused(self.admin("GET", f"/users?emails=list-one@example.org&after={second}"), 400, "invalid_value", "after")

    def test_the_last_owner_stays(self):
        reader = tenants.add_user(self.server, "second@example.org")
        self.refused(self.admin("POST", f"/users/{self.owner}", {"role": "reader"}), 400, "last_owner", "role")
        self.refused(self.admin("DELETE", f"/users/{self.owner}"), 400, "last_owner", "user_id")
        reply = self.admin("POST", f"/users/{self.owner}", {"role": "owner"})
        self.assertEqual((reply.status, reply.json()["role"]), (200, "owner"))
        self.assertEqual(self.admin("POST", f"/users/{reader}", {"role": "owner"}).json()["role"], "owner")
        self.assertEqual(self.admin("POST", f"/users/{self.owner}", {"role": "reader"}).json()["role"], "reader")
        self.assertEqual(self.admin("POST", f"/users/{self.owner}", {"role": "owner"}).json()["role"], "owner")
        self.assertEqual(self.admin("DELETE", f"/users/{reader}").json(),
                         {"object": "organization.user.deleted", "id": reader, "deleted": True})

    def test_an_admin_key_can_do_what_its_owner_can(self):
        person = tenants.add_user(self.server, "keyed@example.org", "owner", "Keyed")
        project = tenants.administer(self.server, "POST", "/projects", {"name": "Theirs"})["id"]
        key, key_id = tenants.add_user_key(self.server, person)
        made = self.admin("POST", "/admin_api_keys", {"name": "of a person"}, key).json()
        self.assertEqual({name: made["owner"][name] for name in ("type", "object", "id", "name", "role")},
                         {"type": "user", "object": "organization.user", "id": person, "name": "Keyed", "role": "owner"})
        self.assertEqual(self.admin("POST", f"/users/{person}", {"role": "reader"}).status, 200)
        self.assertEqual(self.admin("GET", "/users", key=key).status, 200)
        self.assertEqual(self.admin("GET", "/users", key=made["value"]).status, 200)
        for method, path, body in (("POST", "/projects", {"name": "x"}), ("GET", "/admin_api_keys", None), ("GET", f"/projects/{project}", None),
                                   ("DELETE", f"/users/{self.owner}", None)):
            self.refused(self.admin(method, path, body, key), 403, "insufficient_permissions")
        self.admin("POST", f"/projects/{project}/users", {"user_id": person, "role": "member"})
        self.assertEqual(self.admin("GET", f"/projects/{project}/users", key=key).status, 200)
        self.refused(self.admin("POST", f"/projects/{project}", {"name": "x"}, key), 403, "insufficient_permissions")
        self.admin("POST", f"/projects/{project}/users/{person}", {"role": "owner"})
        self.assertEqual(self.admin("POST", f"/projects/{project}", {"name": "x"}, key).status, 200)
        self.assertEqual(self.admin("DELETE", f"/users/{person}").status, 200)
        for secret in (key, made["value"]):
            self.refused(self.admin("GET", "/users", key=secret), 401, "invalid_api_key")
        self.refused(self.admin("GET", f"/admin_api_keys/{key_id}"), 404, "not_found", "key_id")

    def test_members_of_a_project(self):
        one, two = (tenants.add_user(self.server, f"member-{name}@example.org", name=name) for name in ("one", "two"))
        project = tenants.administer(self.server, "POST", "/projects", {"name": "Members"})["id"]
        made = self.admin("POST", f"/projects/{project}/users", {"user_id": two, "role": "member"}).json()
        self.assertEqual({name: made[name] for name in made if name != "added_at"},
                         {"object": "organization.project.user", "id": two, "name": "two", "email": "member-two@example.org", "role": "member"})
        self.admin("POST", f"/projects/{project}/users", {"user_id": one, "role": "owner"})
        self.refused(self.admin("POST", f"/projects/{project}/users", {"user_id": one, "role": "member"}), 400, "already_member", "user_id")
        page = self.admin("GET", f"/projects/{project}/users?limit=1").json()
        self.assertEqual(([user["id"] for user in page["data"]], page["has_more"]), ([two], True))
        page = self.admin("GET", f"/projects/{project}/users?limit=1&after={two}").json()
        self.assertEqual(([user["id"] for user in page["data"]], page["has_more"]), ([one], False))
        self.assertEqual(self.admin("GET", f"/projects/{project}/users/{one}").json()["role"], "owner")
        for role in ("owner", "owner", "member"):
            self.assertEqual(self.admin("POST", f"/projects/{project}/users/{two}", {"role": role}).json()["role"], role)
        elsewhere = tenants.administer(self.server, "POST", "/projects", {"name": "Elsewhere"})["id"]
        self.refused(self.admin("GET", f"/projects/{elsewhere}/users/{one}"), 404, "not_found", "user_id")
        self.refused(self.admin("GET", f"/projects/{elsewhere}/users?after={one}"), 400, "invalid_value", "after")
        self.assertEqual(self.admin("DELETE", f"/projects/{project}/users/{one}").json(),
                         {"object": "organization.project.user.deleted", "id": one, "deleted": True})
        self.refused(self.admin("GET", f"/projects/{project}/users/{one}"), 404, "not_found", "user_id")
        tenants.archive(self.server, project)
        self.assertEqual(self.admin("GET", f"/projects/{project}/users/{two}").status, 200)
        self.refused(self.admin("DELETE", f"/projects/{project}/users/{two}"), 400, "project_archived", "project_id")

    def test_who_leaves_a_project_loses_the_keys_in_it(self):
        person = tenants.add_user(self.server, "leaver@example.org", name="Leaver")
        first, second = (tenants.administer(self.server, "POST", "/projects", {"name": name})["id"] for name in ("first", "second"))
        for project in (first, second):
            self.admin("POST", f"/projects/{project}/users", {"user_id": person, "role": "member"})
        in_first, first_id = tenants.add_user_key(self.server, person, first)
        in_second, second_id = tenants.add_user_key(self.server, person, second)
        shown = self.admin("GET", f"/projects/{first}/api_keys/{first_id}").json()
        self.assertIsNone(shown["last_used_at"])
        self.assertEqual((shown["owner"]["type"], shown["owner"]["user"]["id"], shown["owner"]["user"]["role"]), ("user", person, "member"))
        self.assertTrue(self.works(in_first) and self.works(in_second))
        self.assertAlmostEqual(self.admin("GET", f"/projects/{first}/api_keys/{first_id}").json()["last_used_at"], time.time(), delta=60)
        self.admin("DELETE", f"/projects/{first}/users/{person}")
        self.assertFalse(self.works(in_first))
        self.assertTrue(self.works(in_second))
        self.admin("POST", f"/projects/{first}/users", {"user_id": person, "role": "member"})
        self.assertFalse(self.works(in_first), "a key that was revoked stays so")
        self.assertEqual(self.admin("DELETE", f"/projects/{second}/api_keys/{second_id}").json(),
                         {"object": "organization.project.api_key.deleted", "id": second_id, "deleted": True})
        self.assertFalse(self.works(in_second))
        self.admin("DELETE", f"/users/{person}")
        self.refused(self.admin("GET", f"/projects/{first}/users/{person}"), 404, "not_found", "user_id")
        kinds = [(kind, details["id"]) for kind, details, _ in tenants.audit_events(self.server)]
        for event in (("api_key.deleted", first_id), ("api_key.deleted", second_id), ("user.deleted", person)):
            self.assertIn(event, kinds)

    def test_a_user_cannot_be_invited_again(self):
        tenants.add_user(self.server, "Here@Example.org")
        self.refused(self.admin("POST", "/invites", {"email": "here@example.org", "role": "reader"}), 400, "user_exists", "email")


class PeopleOnPostgres(People):
    database = "postgres"


class Invites(unittest.TestCase):
    def test_an_invite_expires_and_an_accepted_one_stays(self):
        with Hearth(models=upstream_model("up", ["http://127.0.0.1:9/v1"]), engine=False).start(wait="alive") as server:
            def admin(method, path, body=None):
                return server.request(method, f"/v1/organization{path}", body, tenants.admin_headers(server))

            made = admin("POST", "/invites", {"email": "a@example.org", "role": "reader"}).json()
            self.assertEqual(made["expires_at"] - made["invited_at"], 7 * 24 * 3600)
            tenants.age_invite(server, made["id"], 8 * 24 * 3600)
            self.assertEqual(admin("GET", f"/invites/{made['id']}").json()["status"], "expired")
            again = admin("POST", "/invites", {"email": "a@example.org", "role": "reader"}).json()
            self.assertEqual(again["status"], "pending")
            self.assertEqual([invite["status"] for invite in admin("GET", "/invites").json()["data"]], ["expired", "pending"])
            self.assertEqual(admin("DELETE", f"/invites/{made['id']}").status, 200)
            tenants.accept_invite(server, again["id"])
            shown = admin("GET", f"/invites/{again['id']}").json()
            self.assertEqual(shown["status"], "accepted")
            self.assertAlmostEqual(shown["accepted_at"], time.time(), delta=60)
            reply = admin("DELETE", f"/invites/{again['id']}")
            self.assertEqual((reply.status, reply.error["code"], reply.error["param"]), (400, "invite_accepted", "invite_id"))

    def test_the_lifetime_is_a_setting(self):
        server = Hearth(models=upstream_model("up", ["http://127.0.0.1:9/v1"]), engine=False, settings={"invites.lifetime": "90m"})
        with server.start(wait="alive"):
            made = tenants.administer(server, "POST", "/invites", {"email": "a@example.org", "role": "owner"})
            self.assertEqual(made["expires_at"] - made["invited_at"], 90 * 60)


if __name__ == "__main__":
    unittest.main()
