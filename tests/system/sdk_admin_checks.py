"""The admin namespace of the official Python SDK, run like sdk_checks.py."""
import os
import pathlib
import time
import unittest

import openai

BASE_URL, API_KEY, ADMIN_KEY, PROJECT, CERTIFICATE = (os.environ[name] for name in (
    "HEARTH_BASE_URL", "HEARTH_API_KEY", "HEARTH_ADMIN_KEY", "HEARTH_PROJECT", "HEARTH_CERTIFICATE"))
UNIQUE = f"python-{os.getpid()}-{time.time_ns()}"


class AdminSdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, admin_api_key=ADMIN_KEY, max_retries=0, timeout=60)
        cls.addClassCleanup(cls.client.close)
        cls.organization = cls.client.admin.organization
        cls.project = cls.organization.projects.create(name=UNIQUE)

    def test_projects(self):
        projects = self.organization.projects
        made = projects.create(name="Made by an SDK")
        self.assertEqual((made.object, made.status, made.archived_at), ("organization.project", "active", None))
        self.assertEqual(projects.retrieve(made.id).name, "Made by an SDK")
        self.assertEqual(projects.update(made.id, name="Renamed").name, "Renamed")
        more = {projects.create(name=f"page {number}").id for number in range(3)}
        self.assertLessEqual({PROJECT, made.id} | more, {project.id for project in projects.list(limit=2)}, "pages follow each other")
        self.assertEqual(projects.archive(made.id).status, "archived")
        self.assertNotIn(made.id, [project.id for project in projects.list()])
        self.assertIn(made.id, [project.id for project in projects.list(include_archived=True)])
        with self.assertRaises(openai.BadRequestError) as raised:
            projects.update(made.id, name="x")
        self.assertEqual((raised.exception.code, raised.exception.param), ("project_archived", "project_id"))

    def test_service_accounts_and_keys(self):
        projects = self.organization.projects
        project = projects.create(name="Robots").id
        accounts = [projects.service_accounts.create(project, name=f"robot {number}") for number in range(3)]
        self.assertEqual([account.id for account in projects.service_accounts.list(project, limit=1)], [account.id for account in accounts])
        first = accounts[0]
        self.assertEqual((first.role, projects.service_accounts.retrieve(first.id, project_id=project).name), ("member", "robot 0"))
        with openai.OpenAI(base_url=BASE_URL, api_key=first.api_key.value, max_retries=0) as robot:
            self.assertTrue(robot.models.list().data)
            shown = projects.api_keys.retrieve(first.api_key.id, project_id=project)
            self.assertEqual((shown.owner.type, shown.owner.service_account.id), ("service_account", first.id))
            self.assertNotIn(shown.redacted_value, first.api_key.value)
            self.assertEqual(len(list(projects.api_keys.list(project, limit=2))), 3)
            with self.assertRaises(openai.BadRequestError):
                projects.api_keys.delete(first.api_key.id, project_id=project)
            self.assertTrue(projects.service_accounts.delete(first.id, project_id=project).deleted)
            with self.assertRaises(openai.AuthenticationError):
                robot.models.list()

    def test_invites(self):
        invites = self.organization.invites
        made = invites.create(email="sdk@example.org", role="reader", projects=[{"id": PROJECT, "role": "owner"}])
        self.assertEqual((made.status, made.projects[0].id, made.projects[0].role), ("pending", PROJECT, "owner"))
        self.assertEqual(invites.retrieve(made.id).email, "sdk@example.org")
        self.assertIn(made.id, [invite.id for invite in invites.list(limit=1)])
        self.assertTrue(invites.delete(made.id).deleted)
        with self.assertRaises(openai.NotFoundError):
            invites.retrieve(made.id)

    def test_admin_keys(self):
        keys = self.organization.admin_api_keys
        made = keys.create(name="of an SDK")
        self.assertTrue(made.value.startswith("sk-admin-"))
        self.assertEqual(keys.retrieve(made.id).owner.role, "owner")
        self.assertIn(made.id, [key.id for key in keys.list(limit=1, order="desc")])
        with openai.OpenAI(base_url=BASE_URL, admin_api_key=made.value, max_retries=0) as other:
            self.assertTrue(other.admin.organization.admin_api_keys.delete(made.id).deleted)
            with self.assertRaises(openai.AuthenticationError):
                other.admin.organization.users.list()

    def test_users(self):
        users = self.organization.users
        self.assertEqual(users.list(emails=["nobody@example.org", "else@example.org"]).data, [])
        with self.assertRaises(openai.NotFoundError):
            users.retrieve("user-none")

    def test_limits_of_a_project(self):
        limits = self.organization.projects.rate_limits
        limit = next(item for item in limits.list_rate_limits(self.project.id) if item.model == "babble")
        changed = limits.update_rate_limit(limit.id, project_id=self.project.id, max_tokens_per_1_minute=123_456)
        self.assertEqual(changed.max_tokens_per_1_minute, 123_456)

    def test_certificates(self):
        content = pathlib.Path(CERTIFICATE).read_text()
        made = self.organization.certificates.create(certificate=content, name=UNIQUE)
        self.assertEqual(self.organization.certificates.retrieve(made.id).name, UNIQUE)
        self.assertIn(made.id, [item.id for item in self.organization.certificates.list()])
        self.assertEqual(self.organization.certificates.delete(made.id).id, made.id)

    def test_usage_and_costs(self):
        start = int(time.time()) - 86_400
        usage = self.organization.usage
        for ask in (usage.completions, usage.embeddings, usage.moderations, usage.images, usage.audio_speeches,
                    usage.audio_transcriptions, usage.vector_stores, usage.code_interpreter_sessions, usage.costs):
            page = ask(start_time=start)
            self.assertEqual((page.object, page.data[0].object), ("page", "bucket"))

    def test_the_audit_log(self):
        events = self.organization.audit_logs.list(resource_ids=[self.project.id], event_types=["project.created"]).data
        self.assertEqual([(event.type, event.project_created.id) for event in events], [("project.created", self.project.id)])



if __name__ == "__main__":
    unittest.main()
