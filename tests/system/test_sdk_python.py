"""The official Python SDK against the real server: sdk_checks.py, sdk_admin_checks.py."""
import unittest

from support import sdk


class PythonSdk(unittest.TestCase):
    def test_sdk(self):
        try:
            python = sdk.python_with_sdk()
        except sdk.Unreachable as error:
            self.skipTest(f"PyPI cannot be reached: {error}")
        for database in ("sqlite", "postgres"):
            with self.subTest(database), sdk.SdkBench(database) as bench:
                status, output = bench.run([python, "-m", "unittest", "sdk_checks", "sdk_admin_checks"])
                self.assertEqual(status, 0, output + bench.server.log_tail())


if __name__ == "__main__":
    unittest.main()
