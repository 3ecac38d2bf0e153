"""Replicas that write for different organizations on one PostgreSQL, some way away: do they wait for each other?"""
import contextlib
import select
import subprocess
import sys

from processes import PROGRAMS, ROOT, BenchError
from table import Table, median

sys.path.append(str(ROOT / "tests"))
from support.gate import TcpGate  # noqa: E402
from support.postgres import Database, PostgresServer, on_database  # noqa: E402

ONE_WAY = 0.001          # seconds that the gate adds to each direction: 2 ms to each round trip
CALLERS = 16             # of each replica, at once
LEAST = 1.7
SIDES = {"one": ["org-a"], "different": ["org-a", "org-b"], "same": ["org-a", "org-a"]}


class Replica:
    def __init__(self, url, organization):
        self.process = subprocess.Popen([PROGRAMS / "replica_writer", url, organization, str(CALLERS)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        if self.read(30) != "ready":
            raise BenchError("replica_writer did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def begin(self, seconds):
        print(seconds, file=self.process.stdin, flush=True)

    def read(self, timeout):
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise BenchError(f"replica_writer said nothing for {timeout} s")
        return line.strip()


def writes_per_second(url, organizations, seconds):
    """The writes of all replicas together, one for each of the organizations."""
    with contextlib.ExitStack() as stack:
        replicas = [stack.enter_context(Replica(url, organization)) for organization in organizations]
        for replica in replicas:
            replica.begin(seconds)
        return sum(float(replica.read(2 * seconds + 60)) for replica in replicas)


def run(effort):
    rounds, seconds = effort.choose((5, 4), (3, 2), (1, 0.3))
    measured = {name: [] for name in SIDES}
    with PostgresServer(fsync="on") as server, TcpGate(("127.0.0.1", server.port), delay=ONE_WAY) as gate:
        url = on_database(server.url, Database(server.url).name, gate.address[1])
        for _ in range(rounds):
            for name, organizations in SIDES.items():
                measured[name].append(writes_per_second(url, organizations, seconds))
    table = Table("Replicas: stored completions a second on PostgreSQL, 2 ms added to each round trip",
                  ["", "writes/s", "against one replica", "target"], f"{CALLERS} callers for each replica; medians of {rounds} rounds.")
    table.add("one replica", f"{median(measured['one']):.0f}", "", "")
    for name, label, target in (("different", "two replicas, two organizations", LEAST), ("same", "two replicas, one organization", None)):
        ratio = median(both / one for both, one in zip(measured[name], measured["one"]))
        table.add(label, f"{median(measured[name]):.0f}", f"{ratio:.2f}", f"≥ {target}" if target else "",
                  holds=ratio >= target if target else None)
    return [table]
