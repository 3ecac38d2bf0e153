"""The official Node SDK against the real server: sdk.test.mjs and admin.test.mjs."""
import re
import unittest

from support import sdk


class NodeSdk(unittest.TestCase):
    def test_sdk(self):
        node = sdk.node()
        sdk.install_node_sdk()
        for database in ("sqlite", "postgres"):
            with sdk.SdkBench(database) as bench:
                for script, least in (("sdk.test.mjs", 10), ("admin.test.mjs", 8)):
                    with self.subTest(f"{script} on {database}"):
                        status, output = bench.run([node, "--test", "--test-reporter=tap", script])
                        self.assertEqual(status, 0, output + bench.server.log_tail())
                        self.assertGreater(int(re.search(r"(?m)^# pass (\d+)", output)[1]), least, output)


if __name__ == "__main__":
    unittest.main()
