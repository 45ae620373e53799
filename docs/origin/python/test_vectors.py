"""The verifier and both middlewares against the shared vectors. Run: python -m unittest (in this directory)"""

import asyncio
import base64
import datetime
import json
import pathlib
import types
import unittest
from unittest import mock

from http_message_signatures import InvalidSignature

from postern import PosternASGI, PosternVerifier, PosternWSGI

FILE = json.loads((pathlib.Path(__file__).parent.parent / "vectors.json").read_text())
KEY = base64.b64decode(FILE["key"])
KEYS = {FILE["keyid"]: KEY}


def find(start):
    return next(v["origin_receives"] for v in FILE["vectors"] if v["name"].startswith(start))


def at(seconds):
    """Stops the library's clock that many seconds after the signatures were made."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.fromtimestamp(FILE["created"] + seconds, tz)

    stopped = types.SimpleNamespace(datetime=Clock, timedelta=datetime.timedelta, timezone=datetime.timezone)
    return mock.patch("http_message_signatures.signatures.datetime", stopped)


class Vectors(unittest.TestCase):
    def setUp(self):
        clock = at(0)
        clock.start()
        self.addCleanup(clock.stop)
        self.query = find("a query")

    def verify(self, received=None, keys=None, **changed):
        request = {**(received or self.query), **changed}
        return PosternVerifier(keys or KEYS).verify(request["method"], request["target"], request["headers"])

    def refuses(self, received=None, keys=None, **changed):
        with self.assertRaises(InvalidSignature):
            self.verify(received, keys, **changed)

    def test_accepts_every_vector(self):
        for vector in FILE["vectors"]:
            with self.subTest(vector["name"]):
                verified = self.verify(vector["origin_receives"])
                self.assertEqual(verified.request_id, vector["origin_receives"]["headers"]["x-request-id"])
                if vector["identity"] is None:
                    self.assertIsNone(verified.identity)
                else:
                    self.assertEqual(verified.identity.user_id, vector["identity"]["user_id"])
                    self.assertEqual(verified.identity.role, vector["identity"]["role"])
                    self.assertEqual(verified.identity.session_id, vector["identity"]["session_id"])

    def test_accepts_two_keys_while_one_is_being_replaced(self):
        self.assertIsNotNone(self.verify(keys={"postern-2": bytes(32), **KEYS}).identity)

    def test_refuses_another_method(self):
        self.refuses(method="POST")

    def test_refuses_another_path(self):
        self.refuses(target=self.query["target"].replace("users", "admin"))

    def test_refuses_another_query(self):
        self.refuses(target="/api/users?role=admin")

    def test_refuses_another_role(self):
        self.refuses(headers={**self.query["headers"], "x-user-role": "admin"})

    def test_refuses_an_unknown_keyid(self):
        self.refuses(keys={"postern-2": KEY})

    def test_refuses_another_key(self):
        self.refuses(keys={FILE["keyid"]: bytes(32)})

    def test_refuses_a_signature_over_fewer_components(self):
        headers = dict(self.query["headers"])
        headers["signature-input"] = headers["signature-input"].replace(' "x-user-role"', "")
        self.refuses(headers=headers)

    def test_refuses_identity_headers_under_a_public_signature(self):
        public = find("a public route")
        self.refuses(public, headers={**public["headers"], "x-user-id": "1"})

    def test_refuses_what_is_not_signed(self):
        self.refuses(headers={"x-user-id": "1"})

    def test_refuses_what_has_expired(self):
        with at(66):
            self.refuses()

    def test_asgi_middleware(self):
        async def call(target):
            sent, seen = [], []

            async def app(scope, receive, send):
                seen.append(scope["postern"].identity.role)

            async def send(message):
                sent.append(message)

            path, _, query = target.partition("?")
            headers = [(name.encode(), value.encode()) for name, value in self.query["headers"].items()]
            scope = {"type": "http", "method": "GET", "raw_path": path.encode(), "query_string": query.encode()}
            await PosternASGI(app, KEYS)({**scope, "headers": headers}, None, send)
            return seen or [sent[0]["status"]]

        self.assertEqual(asyncio.run(call(self.query["target"])), ["user"])
        self.assertEqual(asyncio.run(call("/api/other")), [401])

    def test_wsgi_middleware(self):
        def call(target):
            statuses = []
            environ = {"REQUEST_METHOD": "GET", "RAW_URI": target}
            for name, value in self.query["headers"].items():
                environ["HTTP_" + name.upper().replace("-", "_")] = value
            app = PosternWSGI(lambda environ, _start: [environ["postern"].identity.role.encode()], KEYS)
            return statuses or app(environ, lambda status, _headers: statuses.append(status)), statuses

        self.assertEqual(call(self.query["target"]), ([b"user"], []))
        self.assertEqual(call("/api/other")[1], ["401 Unauthorized"])


if __name__ == "__main__":
    unittest.main()
