"""Projects, service accounts and keys, made by the API with the admin key; what it cannot make (people, their keys, fine-tuned
models) is written straight into the server's database, as another process of the same data directory would."""
import contextlib
import hashlib
import json
import secrets
import sqlite3
import time

from . import postgres


class _Postgres:
    """What _database() yields on PostgreSQL: collects changes, which then run in one transaction; questions are asked at once."""

    def __init__(self, url):
        self.url, self.statements, self.rows = url, [], []

    def execute(self, sql, values=()):
        literals = iter([self._literal(value) for value in values])
        text = "".join(part + next(literals, "") for part in sql.split("?"))
        if text.startswith("SELECT"):
            self.rows = [tuple(line.split("\t")) for line in postgres.run_sql(self.url, text).splitlines()]
        else:
            self.statements.append(text)
        return self

    def fetchall(self):
        return self.rows

    @staticmethod
    def _literal(value):
        if value is None:
            return "NULL"
        return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


class Refused(Exception):
    """A request of the administration that was not answered 200."""


@contextlib.contextmanager
def _database(server):
    if server.database_url:
        database = _Postgres(server.database_url)
        yield database
        if not database.statements:
            return
        text = ";".join(["BEGIN", *database.statements, "SELECT pg_notify('hearth_changed', 'tests')", "COMMIT"])
        postgres.run_sql(server.database_url, text)
        return
    connection = sqlite3.connect(server.data / "hearth.db", timeout=10)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        with connection:
            yield connection
    finally:
        connection.close()


def change(server, statement, values=()):
    """What no operation can bring about, such as the time having passed."""
    change_all(server, [(statement, values)])


def change_all(server, statements):
    """The same with several (statement, values), in one transaction."""
    with _database(server) as database:
        for statement, values in statements:
            database.execute(statement, values)


def admin_headers(server):
    return {"authorization": f"Bearer {server.keys['admin_key']}"}


def administer(server, method, path, body=None):
    """The reply's body to a request with the admin key; `path` goes on from /v1/organization."""
    reply = server.request(method, f"/v1/organization{path}", body, admin_headers(server))
    if reply.status != 200:
        raise Refused(f"{method} {path}: {reply.status} {reply.body[:500]!r}")
    return reply.json()


def add_service_account(server, project, name="Tests"):
    """(account id, secret, key id)"""
    made = administer(server, "POST", f"/projects/{project}/service_accounts", {"name": name})
    return made["id"], made["api_key"]["value"], made["api_key"]["id"]


def add_project(server, name="Another"):
    """(project id, api key, service account id) of a new project in the server's organization."""
    project = administer(server, "POST", "/projects", {"name": name})["id"]
    account, secret, _ = add_service_account(server, project)
    return project, secret, account


def remove_service_account(server, project, account):
    """With its keys."""
    administer(server, "DELETE", f"/projects/{project}/service_accounts/{account}")


def add_ephemeral_key(server, project, seconds):
    """A key with an end, as the operations of the realtime API will make them."""
    key, secret, now = f"key_{secrets.token_hex(8)}", f"ek_{secrets.token_hex(24)}", int(time.time())
    with _database(server) as database:
        database.execute("INSERT INTO api_keys (id, organization_id, project_id, kind, name, hash, redacted_value, owner, created_at, expires_at) "
                         "SELECT ?, ?, ?, 'ephemeral', 'Realtime', ?, 'ek_...', MIN(id), ?, ? FROM service_accounts WHERE project_id = ?",
                         (key, server.keys["organization_id"], project, hashlib.sha256(secret.encode()).hexdigest(), now, now + seconds, project))
    return secret


def archive(server, project):
    administer(server, "POST", f"/projects/{project}/archive")


def add_user(server, email, role="reader", name="Somebody"):
    """The id of a new user."""
    user, organization = f"user-{secrets.token_hex(8)}", server.keys["organization_id"]
    with _database(server) as database:
        database.execute("INSERT INTO users (id, organization_id, email, email_key, name, role, added_at, sequence) "
                         "VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(sequence), 0) + 1 FROM users))",
                         (user, organization, email, email.lower(), name, role, int(time.time())))
        database.execute("UPDATE access_epochs SET value = value + 1")
    return user


def add_user_key(server, user, project=None, name="A user's key"):
    """(secret, key id) of a key that acts for the user: an admin key where no project is given."""
    kind = "project" if project else "admin"
    secret, key = f"sk-{'proj' if project else 'admin'}-{secrets.token_hex(24)}", f"key_{secrets.token_hex(8)}"
    with _database(server) as database:
        database.execute("INSERT INTO api_keys (id, organization_id, project_id, kind, name, hash, redacted_value, owner_kind, owner, created_at) "
                         "VALUES (?, ?, ?, ?, ?, ?, 'sk-...', 'user', ?, ?)",
                         (key, server.keys["organization_id"], project, kind, name, hashlib.sha256(secret.encode()).hexdigest(), user,
                          int(time.time())))
        database.execute("UPDATE access_epochs SET value = value + 1")
    return secret, key


def add_organization(server):
    """A second organization in the same database, with one of everything that an organization has: {what: its id}, and the secret of
    an admin key and of a project's key. No operation makes one yet."""
    def identity(prefix):
        return f"{prefix}{secrets.token_hex(8)}"
    now, day = int(time.time()), int(time.time()) // 86_400 * 86_400
    made = {"organization": identity("org-"), "project": identity("proj_"), "account": identity("svc_acct_"), "user": identity("user-"),
            "invite": identity("invite-"), "certificate": identity("cert_"), "admin_key": identity("key_"), "key": identity("key_"),
            "event": identity("audit_log-"), "admin_secret": f"sk-admin-{secrets.token_hex(24)}", "secret": f"sk-svcacct-{secrets.token_hex(24)}"}
    organization, project, account, user = (made[name] for name in ("organization", "project", "account", "user"))
    with _database(server) as database:
        def insert(table, **row):
            database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
        insert("organizations", id=organization, name="Elsewhere", created_at=now)
        mine = {"organization_id": organization}
        insert("projects", id=project, name="Theirs", status="active", is_default=1, created_at=now, sequence=1, **mine)
        insert("service_accounts", id=account, project_id=project, name="Theirs", role="owner", administers=1, created_at=now, sequence=1, **mine)
        insert("users", id=user, email="them@example.net", email_key="them@example.net", name="Them", role="owner", added_at=now, sequence=1, **mine)
        insert("project_users", project_id=project, user_id=user, role="owner", added_at=now, sequence=1, **mine)
        insert("invites", id=made["invite"], email="theirs@example.net", email_key="theirs@example.net", role="reader", invited_at=now,
               expires_at=now + 86_400, sequence=1, **mine)
        insert("invite_projects", invite_id=made["invite"], project_id=project, role="member")
        insert("certificates", id=made["certificate"], name="Theirs", content="none", fingerprint="none", valid_at=now, expires_at=now + 86_400,
               created_at=now, sequence=1, active=0, **mine)
        for number, (kind, key, secret, place) in enumerate((("admin", made["admin_key"], made["admin_secret"], None),
                                                             ("project", made["key"], made["secret"], project))):
            insert("api_keys", id=key, project_id=place, kind=kind, name="Theirs", hash=hashlib.sha256(secret.encode()).hexdigest(),
                   redacted_value="sk-...", owner_kind="service_account", owner=account, created_at=now, sequence=number, **mine)
        insert("audit_logs", sequence=1, id=made["event"], effective_at=now, type="user.added", project_id=project, project_name="Theirs",
               actor_type="api_key", actor_key_id=made["admin_key"], actor_owner_kind="service_account", actor_id=account, actor_email="",
               ip_address="127.0.0.1", user_agent="", details=json.dumps({"id": user, "data": {"role": "owner"}}), **mine)
        insert("audit_log_resources", resource_id=user, type="user.added", effective_at=now, sequence=1, **mine)
        series = 900_001
        insert("usage_series", id=series, scope=series, kind="completions", project_id=project, user_id="", api_key_id=made["key"], model="up",
               batch="false", source="", size="", **mine)
        for table, bucket in (("usage_days", day), ("usage_hours", now // 3600 * 3600), ("usage_minutes", now // 60 * 60)):
            insert(table, scope=series, bucket=bucket, series=series, requests=7, input_tokens=7, input_cached_tokens=0, output_tokens=7,
                   input_audio_tokens=0, output_audio_tokens=0, images=0, characters=0, seconds=0, sessions=0)
        insert("cost_days", bucket=day, project_id=project, line_item="up, input", amount=10**9, **mine)
        database.execute("UPDATE access_epochs SET value = value + 1")
    return made


def age_invite(server, invite, seconds):
    """As if it had been made that long ago."""
    with _database(server) as database:
        database.execute("UPDATE invites SET invited_at = invited_at - ?, expires_at = expires_at - ? WHERE id = ?", (seconds, seconds, invite))


def accept_invite(server, invite):
    """Only marks it: no user is made."""
    with _database(server) as database:
        database.execute("UPDATE invites SET accepted_at = ? WHERE id = ?", (int(time.time()), invite))


def audit_events(server):
    """(type, details, project) of everything that was audited, in its order."""
    with _database(server) as database:
        rows = database.execute("SELECT type, details, project_id FROM audit_logs ORDER BY sequence").fetchall()
    return [(kind, json.loads(details), project or None) for kind, details, project in rows]


def facts(server):
    """What the first start did not make, as the database has it."""
    with _database(server) as database:
        def rows(sql):
            return database.execute(sql).fetchall()
        return {"accounts": {row[0] for row in rows("SELECT id FROM service_accounts WHERE administers = 0")},
                "keys": {row[0] for row in rows("SELECT id FROM api_keys WHERE revoked_at IS NULL AND name NOT LIKE 'First %'")},
                "names": dict(rows("SELECT id, name FROM projects WHERE is_default = 0")),
                "roles": dict(rows("SELECT user_id, role FROM project_users")),
                "limits": {project: int(limit) for project, limit in rows("SELECT project_id, requests_per_minute FROM project_rate_limits")},
                "keys_without_owner": len(rows(
                    "SELECT id FROM api_keys WHERE revoked_at IS NULL AND owner NOT IN (SELECT id FROM service_accounts) "
                    "AND owner NOT IN (SELECT id FROM users)"))}


def add_fine_tuned_model(server, name, file, project=None):
    spec = {"file": str(file), "slots": 1, "threads": 1, "capabilities": ["chat", "completion"], "owned_by": "tests"}
    with _database(server) as database:
        database.execute("INSERT INTO models (id, organization_id, project_id, spec, fine_tuned, created_at) VALUES (?, ?, ?, ?, 1, ?)",
                         (name, server.keys["organization_id"], project or server.keys["project_id"], json.dumps(spec), int(time.time())))
