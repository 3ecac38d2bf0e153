"""Tenants, keys and models written straight into a server's database, as another process of the same data directory would:
until the operations that administer them are served, there is no other way to have two projects."""
import contextlib
import hashlib
import json
import secrets
import sqlite3
import time


@contextlib.contextmanager
def _database(server):
    connection = sqlite3.connect(server.data / "hearth.db", timeout=10)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        with connection:
            yield connection
    finally:
        connection.close()


def add_project(server, name="Another"):
    """(project id, api key, key id) of a new project in the server's organization."""
    project, key, secret = f"proj_{secrets.token_hex(8)}", f"key_{secrets.token_hex(8)}", f"sk-proj-{secrets.token_hex(24)}"
    organization, now = server.keys["organization_id"], int(time.time())
    with _database(server) as database:
        database.execute("INSERT INTO projects (id, organization_id, name, status, is_default, created_at) VALUES (?, ?, ?, 'active', 0, ?)",
                         (project, organization, name, now))
        account = f"svc_acct_{secrets.token_hex(8)}"
        database.execute("INSERT INTO service_accounts (id, organization_id, project_id, name, role, created_at, sequence) "
                         "VALUES (?, ?, ?, 'Tests', 'owner', ?, 1)", (account, organization, project, now))
        database.execute("INSERT INTO api_keys (id, organization_id, project_id, kind, name, hash, redacted_value, owner, created_at) "
                         "VALUES (?, ?, ?, 'project', ?, ?, 'sk-proj-...', ?, ?)",
                         (key, organization, project, name, hashlib.sha256(secret.encode()).hexdigest(), account, now))
    return project, secret, key


def revoke(server, key):
    with _database(server) as database:
        database.execute("UPDATE api_keys SET revoked_at = ? WHERE id = ?", (int(time.time()), key))
        database.execute("UPDATE epochs SET value = value + 1")


def archive(server, project):
    with _database(server) as database:
        database.execute("UPDATE projects SET status = 'archived' WHERE id = ?", (project,))
        database.execute("UPDATE epochs SET value = value + 1")


def add_fine_tuned_model(server, name, file, project=None):
    spec = {"file": str(file), "slots": 1, "threads": 1, "capabilities": ["chat", "completion"], "owned_by": "tests"}
    with _database(server) as database:
        database.execute("INSERT INTO models (id, organization_id, project_id, spec, fine_tuned, created_at) VALUES (?, ?, ?, ?, 1, ?)",
                         (name, server.keys["organization_id"], project or server.keys["project_id"], json.dumps(spec), int(time.time())))
