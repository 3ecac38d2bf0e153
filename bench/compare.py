#!/usr/bin/env python3
"""The gateway's rows for two builds of Hearth, which take turns with nginx in the same rounds: `./dev compare COMMIT`.

    compare.py BUILD_BEFORE [BUILD_AFTER] [--rounds N] [--seconds N]

Each build folder holds a release build of `hearth`; the second is build/release where it is not given. Prints one table; the
last column is the median of the rounds' ratios of the two.
"""
import argparse
import pathlib
import sys

import gateway
import processes
from table import Table, median


def main():
    parser = argparse.ArgumentParser(description="Compares two builds of Hearth as a gateway; see bench/README.md.")
    parser.add_argument("before", type=pathlib.Path)
    parser.add_argument("after", type=pathlib.Path, nargs="?", default=processes.BUILD)
    parser.add_argument("--rounds", type=int, default=10, help="the first warms up")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    options = parser.parse_args()
    builds = {"before": options.before.resolve(), "after": options.after.resolve()}
    for build in builds.values():
        if not (build / "hearth").exists():
            parser.error(f"{build} holds no hearth")
    processes.raise_descriptor_limit()
    processes.need("wrk", gateway.WRK)
    processes.need("nginx", gateway.NGINX_PROGRAM)
    upstream = processes.canned_upstream()
    models = processes.upstream_model("canned", upstream.port)
    candidates = [gateway.Candidate("nginx", gateway.start_nginx(upstream.port))]
    for name, build in builds.items():
        hearth = processes.Hearth(models, build=build)
        candidates.append(gateway.Candidate(name, hearth, hearth.headers))
    bodies = gateway.write_bodies()
    gateway.greet(candidates)
    table = Table("Gateway: two builds", ["replies", "connections", "nginx", *builds, "before / nginx", "after / nginx", "after / before"],
                  f"Chat completions a second, medians of {options.rounds - 1} rounds.")
    for kind, connections in gateway.SETTINGS:
        rates = gateway.measure_rates(candidates, bodies[kind], connections, options.rounds, options.seconds)
        ratio = {(one, other): median(mine / theirs for mine, theirs in zip(rates[one], rates[other]))
                 for one, other in (("before", "nginx"), ("after", "nginx"), ("after", "before"))}
        table.add(kind, connections, *(f"{median(values):,.0f}" for values in rates.values()), *(f"{value:.3f}" for value in ratio.values()))
        print(f"bench: {' | '.join(table.rows[-1])}", file=sys.stderr, flush=True)
    print(table.render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
