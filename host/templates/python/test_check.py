"""Tests of the job's own logic: `python3 -m unittest`."""

import unittest

import check

URL = "https://example.com/"


class Check(unittest.TestCase):
    def test_an_answer_is_summed_up(self):
        asked = []

        def fetch(url):
            asked.append(url)
            return 200, b"hello"

        self.assertEqual(check.check(URL, fetch), "https://example.com/ answered 200 with 5 bytes")
        self.assertEqual(asked, [URL])

    def test_a_service_that_is_down_is_a_failure(self):
        with self.assertRaisesRegex(check.Down, "https://example.com/ answered 503"):
            check.check(URL, lambda url: (503, b""))


if __name__ == "__main__":
    unittest.main()
