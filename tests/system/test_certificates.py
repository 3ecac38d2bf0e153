"""Client certificates are demanded as soon as one is active, and no longer than that: handshakes, kept connections, resumed
sessions, projects, and a second process."""
import ssl
import unittest

from support import certificates, tenants
from support.certificates import Identity
from support.hearth import Hearth, eventually, free_port
from support.raw_http import Connection, request

REFUSED = "refused"


class Certificates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = server = Hearth(models="", engine=False, listen="unix:/tmp/x")
        server.listen = f"unix:{server.folder}/hearth.sock"            # for the machine's owner
        cls.tls = ("127.0.0.1", free_port())
        server.extra = ["--listen", f"{cls.tls[0]}:{cls.tls[1]}"]
        folder = server.folder
        cls.own = Identity(folder, "server")
        server.config_path.write_text(f'[server]\ntls_certificate = "{cls.own.certificate}"\ntls_key = "{cls.own.key}"\n')
        cls.root = certificates.authority(folder, "root")
        cls.middle = certificates.authority(folder, "middle", cls.root)
        cls.other = certificates.authority(folder, "other")
        cls.client = Identity(folder, "client", cls.root)
        cls.below = Identity(folder, "below", cls.middle)
        cls.stranger = Identity(folder, "stranger", cls.other)
        cls.expired = Identity(folder, "expired", cls.root, days=-1)
        server.start(wait="alive")
        cls.addClassCleanup(server.__exit__, None)

    def tearDown(self):
        """Nothing is active, and nothing is left, for the next test."""
        listed = self.admin("GET", "?limit=100")["data"]
        for at in range(0, len(listed), 10):
            self.admin("POST", "/deactivate", {"certificate_ids": [item["id"] for item in listed[at:at + 10]]})
        for item in listed:
            self.admin("DELETE", f"/{item['id']}")

    # ---- the administrator, on the UNIX socket

    def admin(self, method, path, body=None, status=200, base="/v1/organization/certificates"):
        reply = self.server.request(method, base + path, body, {"authorization": f"Bearer {self.server.keys['admin_key']}"})
        self.assertEqual(reply.status, status, reply.body)
        return reply.json()

    def upload(self, authority):
        return self.admin("POST", "", {"name": authority.name, "content": authority.text})["id"]

    def activate(self, *ids, project=None, how="activate"):
        base = f"/v1/organization/projects/{project}/certificates" if project else "/v1/organization/certificates"
        return self.admin("POST", f"/{how}", {"certificate_ids": list(ids)}, base=base)

    def deactivate(self, *ids, project=None):
        return self.activate(*ids, project=project, how="deactivate")

    # ---- clients, over TLS

    def context(self, identity=None, *between, version=ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=self.own.certificate)
        context.minimum_version = context.maximum_version = version
        if identity:
            context.load_cert_chain(identity.chain(*between), identity.key)
        return context

    def headers(self, key=None):
        return {"authorization": f"Bearer {key or self.server.api_key}"}

    def ask(self, identity=None, *between, key=None, path="/v1/models", **more):
        """The status, with the error's code where there is one; REFUSED when there is no reply at all."""
        try:
            reply = request(self.tls, "GET", path, headers=self.headers(key), tls=self.context(identity, *between, **more))
        except (ssl.SSLError, ConnectionError):
            return REFUSED
        if reply is None:
            return REFUSED
        return reply.status if reply.status < 400 else (reply.status, reply.error["code"])

    # ---- tests

    def test_an_organizations_certificate_is_demanded_at_once(self):
        self.assertEqual(self.ask(), 200)
        self.assertEqual(self.ask(self.stranger), 200, "nobody looks at it")
        root = self.upload(self.root)
        self.assertEqual(self.ask(), 200, "not active yet")
        activated = self.activate(root)
        self.assertEqual((activated["object"], activated["data"][0]["active"]), ("organization.certificate.activation", True))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                self.assertEqual(self.ask(version=version), REFUSED)
                self.assertEqual(self.ask(path="/healthz", version=version), REFUSED)
                self.assertEqual(self.ask(self.client, version=version), 200)
                self.assertEqual(self.ask(self.below, self.middle, version=version), 200)
                self.assertEqual(self.ask(self.below, version=version), REFUSED, "the one in between is missing")
                self.assertEqual(self.ask(self.stranger, version=version), REFUSED)
                self.assertEqual(self.ask(self.stranger, self.other, version=version), REFUSED)
                self.assertEqual(self.ask(self.expired, version=version), REFUSED)
        self.assertEqual(self.ask(self.client, key=self.server.keys["admin_key"], path="/v1/organization/certificates"), 200)
        self.assertEqual(self.server.get("/v1/models").status, 200, "the UNIX socket stays open")
        middle = self.upload(self.middle)
        self.activate(middle)
        self.assertEqual(self.ask(self.below), 200, "an authority in the middle is an anchor too")
        self.assertEqual(self.ask(self.client), 200)
        self.assertEqual(self.deactivate(root)["object"], "organization.certificate.deactivation")
        self.assertEqual(self.ask(self.client), REFUSED)
        self.deactivate(middle)
        self.assertEqual(self.ask(), 200)
        self.assertEqual(self.ask(self.stranger), 200)

    def test_kept_connections_are_judged_anew(self):
        root, other = self.upload(self.root), self.upload(self.other)
        with Connection(self.tls, tls=self.context(self.client)) as before:
            self.assertEqual(before.request("GET", "/v1/models", headers=self.headers()).status, 200)
            self.activate(root)
            reply = before.request("GET", "/v1/models", headers=self.headers())
            self.assertEqual((reply.status, reply.error["code"]), (401, "client_certificate_required"))
            self.assertEqual(reply.header("connection"), "close")
            self.assertTrue(before.closed_by_peer(5), "a new connection can do better")
        with Connection(self.tls, tls=self.context(self.client)) as kept:
            self.assertEqual(kept.request("GET", "/v1/models", headers=self.headers()).status, 200)
            self.activate(other)
            self.assertEqual(kept.request("GET", "/v1/models", headers=self.headers()).status, 200)
            self.deactivate(root)
            reply = kept.request("GET", "/v1/models", headers=self.headers())
            self.assertEqual((reply.status, reply.error["code"]), (401, "client_certificate_untrusted"))
            self.assertTrue(kept.closed_by_peer(5))

    def test_resumed_sessions_do_not_slip_through(self):
        root, other = self.upload(self.root), self.upload(self.other)

        def connect(context, session=None):
            """(status or REFUSED, whether the session was resumed, the session to resume)"""
            try:
                with Connection(self.tls) as connection:
                    connection.socket = context.wrap_socket(connection.socket, server_hostname="localhost", session=session)
                    reply = connection.request("GET", "/v1/models", headers=self.headers())
                    status = reply.status if reply else REFUSED
                    return status, connection.socket.session_reused, connection.socket.session
            except (ssl.SSLError, ConnectionError):
                return REFUSED, False, None

        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                anybody, known = self.context(version=version), self.context(self.client, version=version)
                status, _, session = connect(anybody)
                self.assertEqual(status, 200)
                self.assertEqual(connect(anybody, session)[:2], (200, True), "sessions are resumed where nothing is demanded")
                _, _, known_session = connect(known)
                self.activate(root)
                self.assertEqual(connect(anybody, session)[0], REFUSED)
                self.assertEqual(connect(known, known_session)[:2], (200, False))
                _, _, shown = connect(known)
                self.activate(other)
                self.deactivate(root)
                self.assertEqual(connect(known, shown)[0], REFUSED)
                self.deactivate(other)

    def test_a_projects_certificate_is_demanded_of_its_keys(self):
        project, key, _ = tenants.add_project(self.server)
        admin = self.server.keys["admin_key"]
        listing = "/v1/organization/certificates"
        root, other = self.upload(self.root), self.upload(self.other)
        activated = self.activate(root, project=project)
        self.assertEqual(activated["object"], "organization.project.certificate.activation")
        self.assertEqual(self.ask(key=key), (401, "client_certificate_required"))
        self.assertEqual(self.ask(self.client, key=key), 200)
        self.assertEqual(self.ask(), 200, "a key of another project")
        self.assertEqual(self.ask(key=admin, path=listing), 200)
        self.assertEqual(self.ask(path="/healthz"), 200)
        self.assertEqual(self.ask(self.stranger), REFUSED, "what chains to nothing is refused wherever it is shown")
        self.assertEqual(self.server.request("GET", "/v1/models", headers=self.headers(key)).status, 200, "on the UNIX socket")

        # Beside the organization's: either counts for the project, the organization's alone for all else.
        self.activate(other)
        self.assertEqual(self.ask(self.client, key=key), 200)
        self.assertEqual(self.ask(self.stranger, key=key), 200)
        self.assertEqual(self.ask(self.stranger), 200)
        self.assertEqual(self.ask(self.client), (401, "client_certificate_untrusted"))
        self.assertEqual(self.ask(self.client, key=admin, path=listing), (401, "client_certificate_untrusted"))
        self.assertEqual(self.ask(self.stranger, key=admin, path=listing), 200)
        self.assertEqual(self.ask(key=key), REFUSED)
        self.deactivate(other)

        listed = self.admin("GET", "", base=f"/v1/organization/projects/{project}/certificates")["data"]
        self.assertEqual({(item["id"], item["active"]) for item in listed}, {(root, True), (other, False)})
        self.admin("DELETE", f"/{root}", status=400)
        self.assertEqual(self.deactivate(root, project=project)["object"], "organization.project.certificate.deactivation")
        self.assertEqual(self.ask(key=key), 200)

    def test_an_archived_projects_certificates_rest(self):
        project, key, _ = tenants.add_project(self.server)
        root = self.upload(self.root)
        self.activate(root, project=project)
        tenants.archive(self.server, project)
        self.assertEqual(self.ask(self.stranger), 200, "nothing is demanded any more")
        for how in ("activate", "deactivate"):
            error = self.admin("POST", f"/{how}", {"certificate_ids": [root]}, 400, f"/v1/organization/projects/{project}/certificates")
            self.assertEqual(error["error"]["code"], "project_archived")

    def test_another_process_and_plain_tcp(self):
        root = self.upload(self.root)
        with Hearth(models="", engine=False, data=self.server.data).start(wait="alive") as other:
            def ask():
                reply = other.request("GET", "/v1/models", headers=self.headers())
                return reply.status if reply.status < 400 else (reply.status, reply.error["code"])
            self.assertEqual(ask(), 200)
            self.activate(root)
            eventually(lambda: ask() == (401, "client_certificate_required"), 1, "the refusal in the other process")
            self.assertEqual(request(other.target, "GET", "/healthz").status, 200)
            self.deactivate(root)
            eventually(lambda: ask() == 200, 1, "the way back in")

    def test_fifty_fit(self):
        folder = self.server.folder
        made = [self.upload(certificates.authority(folder, f"one-{number}")) for number in range(50)]
        one_more = certificates.authority(folder, "one-more").text
        error = self.admin("POST", "", {"content": one_more}, status=400)["error"]
        self.assertEqual((error["code"], error["param"]), ("too_many_certificates", None))
        self.admin("DELETE", f"/{made[0]}")
        self.admin("POST", "", {"content": one_more})


if __name__ == "__main__":
    unittest.main()
