"""From the start of the program to its first answer, and what it takes while nobody asks."""
import socket
import subprocess
import time

from processes import BUILD, BenchError, Hearth, canned_upstream, free_port, upstream_model, work_folder
from table import Table, median

MOST_MILLISECONDS, MOST_MIB = 150, 60


def run(effort):
    repetitions, idle_seconds = effort.choose((9, 2), (3, 2), (1, 0))
    upstream = canned_upstream()
    models = upstream_model("canned", upstream.port)
    table = Table("Start-up and idle memory", ["", "median", "most", "target"])
    for title, is_first in (("to /healthz, first start of a data directory", True), ("to /healthz, later starts", False)):
        folder = work_folder("startup")
        times = [_start(work_folder("startup") if is_first else folder, models) for _ in range(repetitions + 1)][1:]
        table.add(title, f"{median(times):.0f} ms", f"{max(times):.0f} ms", f"< {MOST_MILLISECONDS} ms", holds=median(times) < MOST_MILLISECONDS)
    hearth = Hearth(models)
    time.sleep(idle_seconds)
    memory = hearth.resident_bytes() / (1 << 20)
    table.add("resident memory, idle", f"{memory:.1f} MiB", "", f"< {MOST_MIB} MiB", holds=memory < MOST_MIB)
    hearth.stop()
    upstream.stop()
    return [table]


def _start(folder, models):
    """Milliseconds until /healthz answers 200."""
    port = free_port()
    (folder / "hearth.toml").write_text(models)
    began = time.perf_counter()
    process = subprocess.Popen([BUILD / "hearth", "serve", "--data", folder / "data", "--listen", f"127.0.0.1:{port}", "--bootstrap",
                                folder / "bootstrap.json", "--config", folder / "hearth.toml"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() - began < 20:
            if process.poll() is not None:
                raise BenchError(f"the server ended with {process.returncode}")
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as connection:
                    connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: bench\r\n\r\n")
                    if connection.recv(4096).startswith(b"HTTP/1.1 200"):
                        return (time.perf_counter() - began) * 1000
            except ConnectionError:
                pass
            time.sleep(0.001)
        raise BenchError("/healthz did not answer within 20 s")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
