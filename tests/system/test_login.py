"""People: invitations by mail, the pages where they log in and make keys, and who is kept out."""
import re
import secrets
import time
import unittest

from support.browser import Browser
from support import tenants
from support.hearth import Hearth, eventually, upstream_model
from support.raw_http import request
from support.smtp_sink import SmtpSink

PASSWORD = "correct horse battery"


class Pages(unittest.TestCase):
    database = "sqlite"

    @classmethod
    def setUpClass(cls):
        cls.sink = SmtpSink()
        cls.server = Hearth(engine=False, models=upstream_model("up", ["http://127.0.0.1:9/v1"]),
                            settings={"smtp.url": cls.sink.url, "smtp.from": "Hearth <hearth@example.org>"}, database=cls.database)
        cls.server.start(wait="alive")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.server.remove()
        cls.sink.__exit__()

    # ---- steps

    def admin(self, method, path, body=None):
        return self.server.request(method, f"/v1/organization{path}", body,
                                   headers={"authorization": f"Bearer {self.server.keys['admin_key']}"})

    def invite(self, role="reader", email=None, **more):
        """(email, link path) of a new invitation, read from the mail."""
        email = email or f"p{secrets.token_hex(4)}@example.org"
        invited = self.admin("POST", "/invites", {"email": email, "role": role, **more})
        self.assertEqual(invited.status, 200, invited.body)
        mail = next(message for _, recipients, message in self.sink.mails if recipients == [f"<{email}>"])
        link = re.search(r"http://\S+", mail.get_content()).group()
        self.assertTrue(link.startswith(f"http://{self.server.listen}/invites/accept?token="), link)
        return email, link[link.index("/invites"):]

    def join(self, **more):
        """A browser that is logged in as a new user, its account page, and the user's email."""
        email, link = self.invite(**more)
        browser = Browser(self.server.target)
        fields = browser.get(link).form("/invites/accept") | {"name": "Ann <b>", "password": PASSWORD, "password_again": PASSWORD}
        page = browser.submit("/invites/accept", fields)
        self.assertEqual(page.status, 200, page.text)
        return browser, page, email

    def events(self, query):
        return self.admin("GET", f"/audit_logs?{query}").json()["data"]

    def change(self, statement, *values):
        tenants.change(self.server, statement, values)

    # ---- invitations

    def test_accept_then_make_a_key_that_works(self):
        browser, page, email = self.join()
        self.assertIn(email, page.text)
        self.assertIn("Ann &lt;b&gt;", page.source)
        self.assertIn("reader of the organization", page.text)
        self.assertRegex(browser.last_cookie, r"^hearth_session=[A-Za-z0-9]{48}; Path=/; HttpOnly; SameSite=Lax; Max-Age=43200$")
        page = browser.submit("/account/keys", page.form("/account/keys") | {"name": "Laptop"})
        key = re.search(r"sk-proj-[A-Za-z0-9]{48}", page.source).group()
        models = request(self.server.target, "GET", "/v1/models", headers={"authorization": f"Bearer {key}"})
        self.assertEqual(models.status, 200)
        self.assertNotIn(key, browser.get("/account").source)
        page = browser.submit("/account/keys/delete", browser.get("/account").form("/account/keys/delete"))
        self.assertNotIn("Laptop", page.text)
        self.assertEqual(request(self.server.target, "GET", "/v1/models", headers={"authorization": f"Bearer {key}"}).status, 401)
        found = self.events(f"actor_emails[]={email}")
        self.assertEqual(sorted(event["type"] for event in found),
                         ["api_key.created", "api_key.deleted", "invite.accepted", "login.succeeded"] + ["user.added"] * 2)  # and to the project
        for event in found:
            session = event["actor"]["session"]
            self.assertEqual((session["user"]["email"], session["ip_address"], session["user_agent"]), (email, "127.0.0.1", "test-browser"))

    def test_a_link_opens_once_and_not_too_late(self):
        browser, _, email = self.join()
        _, link = self.invite()
        for path in ("/invites/accept?token=nonsense", "/invites/accept", "/password/reset?token=nonsense"):
            page = Browser(self.server.target).get(path)
            self.assertEqual(page.status, 404)
            self.assertIn("does not work", page.text)
        fields = Browser(self.server.target).get(link).form("/invites/accept")
        fields |= {"name": "Bob", "password": PASSWORD, "password_again": PASSWORD}
        self.assertEqual(Browser(self.server.target).submit("/invites/accept", fields).status, 200)
        self.assertEqual(Browser(self.server.target).get(link).status, 404)
        self.assertEqual(Browser(self.server.target).submit("/invites/accept", fields).status, 404)
        email, link = self.invite()
        self.change("UPDATE one_time_links SET expires_at = ? WHERE subject IN (SELECT id FROM invites WHERE email = ?)",
                      int(time.time()) - 1, email)
        self.assertEqual(Browser(self.server.target).get(link).status, 404)

    def test_what_is_not_right_in_the_form_is_said(self):
        email, link = self.invite()
        browser = Browser(self.server.target)
        fields = browser.get(link).form("/invites/accept")
        for change, words in (({"name": ""}, "name is missing"), ({"name": "x" * 300}, "too long"), ({"name": "a\nb"}, "one line"),
                              ({"password": "short", "password_again": "short"}, "too short"),
                              ({"password": "x" * 257, "password_again": "x" * 257}, "too long"),
                              ({"password_again": "another password"}, "differ")):
            with self.subTest(words):
                page = browser.submit("/invites/accept", fields | {"name": "Ann", "password": PASSWORD, "password_again": PASSWORD} | change)
                self.assertEqual(page.status, 400)
                self.assertIn(words, page.text)
                self.assertIn(email, page.text)

    # ---- sessions

    def test_login_and_logout(self):
        browser, page, email = self.join()
        browser.submit("/logout", page.form("/logout"))
        self.assertEqual(browser.cookies, {})
        self.assertIn("Log in", browser.get("/account").text)
        page = browser.submit("/login", {"email": email.upper(), "password": PASSWORD})
        self.assertIn("Your account", page.text)
        self.assertIn("Your account", browser.get("/login").text)
        token = dict(browser.cookies)
        browser.submit("/logout", page.form("/logout"))
        browser.cookies = token
        self.assertIn("Log in", browser.get("/account").text)
        self.assertEqual(len(self.events(f"actor_emails[]={email}&event_types[]=logout.succeeded")), 2)

    def test_a_session_ends_in_time(self):
        browser, _, email = self.join()
        self.change("UPDATE sessions SET expires_at = ? WHERE user_id = (SELECT id FROM users WHERE email = ?)", int(time.time()) - 1, email)
        self.assertIn("Log in", browser.get("/account").text)

    def test_a_removed_user_is_out(self):
        browser, _, email = self.join()
        user = next(event for event in self.events(f"actor_emails[]={email}&event_types[]=user.added"))["user.added"]["id"]
        self.assertEqual(self.admin("DELETE", f"/users/{user}").status, 200)
        self.assertIn("Log in", browser.get("/account").text)
        self.assertEqual(browser.submit("/login", {"email": email, "password": PASSWORD}).status, 401)

    def test_who_guesses_is_locked_out(self):
        _, _, email = self.join()
        guesser = Browser(self.server.target)
        for _ in range(5):
            page = guesser.submit("/login", {"email": email, "password": "wrong password"})
            self.assertEqual(page.status, 401)
        page = guesser.submit("/login", {"email": email, "password": PASSWORD})
        self.assertEqual(page.status, 429)
        self.assertGreater(int(page.header("retry-after")), 0)
        self.assertIn("Too many attempts", page.text)
        guesser.submit("/login", {"email": email, "password": PASSWORD})
        failed = self.events(f"actor_emails[]={email}&event_types[]=login.failed")
        self.assertEqual([event["login.failed"]["error_code"] for event in failed], ["too_many_attempts"] + ["invalid_credentials"] * 5)
        unknown = f"nobody{secrets.token_hex(4)}@example.org"
        self.assertEqual(guesser.submit("/login", {"email": unknown, "password": PASSWORD}).status, 401)

    def test_a_new_password_ends_the_other_sessions(self):
        browser, page, email = self.join()
        other = Browser(self.server.target)
        other.submit("/login", {"email": email, "password": PASSWORD})
        new = "another good password"
        wrong = page.form("/account/password") | {"current_password": "nonsense", "password": new, "password_again": new}
        self.assertEqual(browser.submit("/account/password", wrong).status, 403)
        page = browser.submit("/account/password", wrong | {"current_password": PASSWORD})
        self.assertIn("Your account", page.text)
        self.assertIn("Log in", other.get("/account").text)
        self.assertEqual(other.submit("/login", {"email": email, "password": PASSWORD}).status, 401)
        self.assertEqual(other.submit("/login", {"email": email, "password": new}).status, 200)

    # ---- forged and broken requests

    def test_forms_of_other_sites_are_refused(self):
        browser, page, email = self.join()
        fields = page.form("/account/keys") | {"name": "Stolen"}
        login = {"email": email, "password": PASSWORD}
        for headers in ({}, {"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
                        {"sec-fetch-site": "same-site", "origin": f"http://{self.server.listen}"}):
            with self.subTest(headers):
                self.assertEqual(browser.submit("/account/keys", fields, headers=headers).status, 403)
                self.assertEqual(Browser(self.server.target).submit("/login", login, headers=headers).status, 403)
        self.assertEqual(browser.submit("/account/keys", fields, headers={"sec-fetch-site": "same-origin"}).status, 200)
        for token in ("", "0" * 64, self.join()[1].form("/logout")["form_token"]):
            for action in ("/account/keys", "/account/keys/delete", "/account/password", "/logout"):
                self.assertEqual(browser.submit(action, fields | {"form_token": token}).status, 403)
        self.assertNotIn("Stolen2", browser.get("/account").text)

    def test_another_users_things_are_out_of_reach(self):
        browser, page, _ = self.join()
        page = browser.submit("/account/keys", page.form("/account/keys") | {"name": "Mine"})
        key = page.form("/account/keys/delete")["key_id"]
        stranger, other, _ = self.join()
        refused = stranger.submit("/account/keys/delete", other.form("/logout") | {"key_id": key})
        self.assertEqual(refused.status, 404)
        self.assertIn("Mine", browser.get("/account").text)
        project = self.admin("POST", "/projects", {"name": f"Closed {secrets.token_hex(4)}"}).json()["id"]
        refused = stranger.submit("/account/keys", other.form("/account/keys") | {"name": "x", "project_id": project})
        self.assertEqual(refused.status, 404)
        self.assertNotIn(project, other.options)
        owner, page, _ = self.join(role="owner")
        self.assertIn(project, page.options)
        self.assertEqual(owner.submit("/account/keys", page.form("/account/keys") | {"name": "x", "project_id": project}).status, 200)

    def test_pages_are_closed_to_scripts_frames_and_caches(self):
        browser, page, _ = self.join()
        for shown in (page, browser.get("/account"), Browser(self.server.target).get("/login"), Browser(self.server.target).get("/invites/accept")):
            policy = shown.header("content-security-policy")
            for part in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"):
                self.assertIn(part, policy)
            self.assertEqual(shown.header("cache-control"), "no-store")
            self.assertEqual(shown.header("x-content-type-options"), "nosniff")
            self.assertTrue(shown.header("content-type").startswith("text/html"))
            self.assertNotIn("<script", shown.source)
            self.assertNotIn("access-control-allow-origin", dict(shown.response.headers))

    def test_broken_requests(self):
        target, origin = self.server.target, {"origin": f"http://{self.server.listen}"}
        form = origin | {"content-type": "application/x-www-form-urlencoded"}
        self.assertEqual(request(target, "POST", "/login", b"email=%zz&password=x", form).status, 400)
        self.assertEqual(request(target, "POST", "/login", b"email=%ff&password=x", form).status, 400)
        self.assertEqual(request(target, "POST", "/login", b"{}", origin | {"content-type": "application/json"}).status, 415)
        self.assertEqual(request(target, "POST", "/login", b"a=" + b"x" * 20_000, form).status, 413)
        self.assertEqual(request(target, "GET", "/login?x=%zz").status, 400)
        self.assertEqual(request(target, "HEAD", "/login").status, 200)
        for method, path, allow in (("DELETE", "/login", "GET, HEAD, POST"), ("GET", "/logout", "POST"), ("POST", "/account", "GET, HEAD")):
            refused = request(target, method, path, b"", form)
            self.assertEqual((refused.status, refused.header("allow")), (405, allow))
        self.assertEqual(request(target, "POST", "/login", b"", form).status, 401)


class PagesOnPostgres(Pages):
    database = "postgres"


class Mail(unittest.TestCase):
    def serve(self, url):
        server = Hearth(engine=False, models=upstream_model("up", ["http://127.0.0.1:9/v1"]),
                        settings={"smtp.url": url, "smtp.from": "Hearth <hearth@example.org>", "server.public_url": "https://ai.example.org/"})
        self.addCleanup(server.remove)
        self.addCleanup(server.stop)
        return server.start(wait="alive")

    @staticmethod
    def invite(server, email):
        return server.request("POST", "/v1/organization/invites", {"email": email, "role": "reader"},
                              headers={"authorization": f"Bearer {server.keys['admin_key']}"})

    def test_the_mail_says_where_to_go(self):
        with SmtpSink() as sink:
            server = self.serve(sink.url)
            self.assertEqual(self.invite(server, "ann@example.org").status, 200)
            (sender, recipients, message), = sink.mails
            self.assertEqual((sender, recipients), ("<hearth@example.org>", ["<ann@example.org>"]))
            self.assertEqual(message["To"], "ann@example.org")
            self.assertEqual(message["From"], "Hearth <hearth@example.org>")
            self.assertRegex(message.get_content(), r"https://ai\.example\.org/invites/accept\?token=[A-Za-z0-9]{48}\n")
            token = re.search(r"token=(\w+)", message.get_content()).group(1)
            self.assertNotIn(token, server.log())
            browser = Browser(server.target, {"origin": "https://ai.example.org"})
            fields = browser.get(f"/invites/accept?token={token}").form("/invites/accept")
            self.assertEqual(browser.submit("/invites/accept", fields | {"name": "A", "password": PASSWORD, "password_again": PASSWORD}).status, 200)
            self.assertTrue(browser.last_cookie.endswith("; Secure"))

    def test_a_mail_that_fails_leaves_the_invite(self):
        with SmtpSink(refuse={"RCPT": "550 no such person"}) as sink:
            server = self.serve(sink.url)
            invited = self.invite(server, "ann@example.org")
            self.assertEqual((invited.status, invited.json()["status"]), (200, "pending"))
            self.assertEqual(sink.mails, [])
            eventually(lambda: "invite_not_sent" in server.log(), what="a line in the log")

    def test_no_mail_server_at_all(self):
        server = self.serve("smtp://127.0.0.1:9")
        self.assertEqual(self.invite(server, "ann@example.org").status, 200)
        self.assertIn("invite_not_sent", server.log())
