"""Projects do not see each other, keys end at once, and fine-tuned models belong to their project."""
import unittest

from support import paths, tenants
from support.hearth import Hearth, chat, eventually, upstream_model
from support.upstream import CannedUpstream


class Tenants(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = CannedUpstream()
        cls.addClassCleanup(cls.upstream.close)
        cls.server = Hearth(models=upstream_model("up", [cls.upstream.base_url])).start()
        cls.addClassCleanup(cls.server.__exit__, None)

    def as_other(self, secret):
        return {"authorization": f"Bearer {secret}"}

    def test_another_projects_objects_are_not_found(self):
        _, other, _ = tenants.add_project(self.server)
        made = self.server.post("/v1/chat/completions", chat("Hi", "up", store=True, metadata={"case": "mine"})).json()["id"]
        for method, path, body in (("GET", f"/v1/chat/completions/{made}", None), ("DELETE", f"/v1/chat/completions/{made}", None),
                                   ("POST", f"/v1/chat/completions/{made}", {"metadata": {"stolen": "yes"}}),
                                   ("GET", f"/v1/chat/completions/{made}/messages", None)):
            with self.subTest(f"{method} {path}"):
                reply = self.server.request(method, path, body, self.as_other(other))
                self.assertEqual((reply.status, reply.error["code"]), (404, "not_found"))
        for query in ("", "?metadata[case]=mine", "?limit=100&order=desc"):
            self.assertEqual(self.server.get(f"/v1/chat/completions{query}", headers=self.as_other(other)).json()["data"], [])
        reply = self.server.get(f"/v1/chat/completions?after={made}", headers=self.as_other(other))
        self.assertEqual(reply.status, 400, "its ids do not even mark a place in a list")
        self.assertEqual(self.server.get(f"/v1/chat/completions/{made}").json()["metadata"], {"case": "mine"})

    def test_a_revoked_key_ends_at_once(self):
        project, secret, account = tenants.add_project(self.server)
        headers = self.as_other(secret)
        for _ in range(3):
            reply = self.server.get("/v1/models", headers=headers | {"openai-project": project})
            self.assertEqual(reply.status, 200)
        tenants.remove_service_account(self.server, project, account)
        reply = self.server.get("/v1/models", headers=headers)
        self.assertEqual((reply.status, reply.error["code"]), (401, "invalid_api_key"))

    def test_an_archived_projects_keys_end(self):
        project, secret, _ = tenants.add_project(self.server)
        self.assertEqual(self.server.get("/v1/models", headers=self.as_other(secret)).status, 200)
        tenants.archive(self.server, project)
        self.assertEqual(self.server.get("/v1/models", headers=self.as_other(secret)).status, 401)

    def test_a_fine_tuned_model_is_its_projects_and_can_be_deleted(self):
        name = "ft:tiny:tests::1"
        tenants.add_fine_tuned_model(self.server, name, paths.chat_model())
        project, member, _ = tenants.add_project(self.server)
        owner = tenants.add_user(self.server, "tuner@example.org")
        tenants.administer(self.server, "POST", f"/projects/{project}/users", {"user_id": owner, "role": "owner"})
        other, _ = tenants.add_user_key(self.server, owner, project)
        eventually(lambda: self.server.get(f"/v1/models/{name}").status == 200, 15, "the model")
        self.assertEqual(self.server.post("/v1/chat/completions", chat(model=name, max_completion_tokens=2)).status, 200)
        self.assertTrue(self.server.engines())
        for method, path, body in (("GET", f"/v1/models/{name}", None), ("DELETE", f"/v1/models/{name}", None),
                                   ("POST", "/v1/chat/completions", chat(model=name))):
            reply = self.server.request(method, path, body, self.as_other(other))
            self.assertEqual((reply.status, reply.error["code"]), (404, "model_not_found"), method)
        reply = self.server.request("DELETE", f"/v1/models/{name}", headers=self.as_other(member))
        self.assertEqual((reply.status, reply.error["code"]), (403, "insufficient_permissions"), "only owners delete models")
        reply = self.server.request("DELETE", f"/v1/models/{name}")
        self.assertEqual((reply.status, reply.json()), (200, {"id": name, "object": "model", "deleted": True}))
        self.assertEqual(self.server.get(f"/v1/models/{name}").status, 404)
        self.assertEqual(self.server.post("/v1/chat/completions", chat(model=name)).status, 404)
        eventually(lambda: not self.server.engines(), 15, "the end of its engine")


if __name__ == "__main__":
    unittest.main()
