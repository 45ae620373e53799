"""Verifies that a request came through Postern (RFC 9421), with the PyPI package http-message-signatures.

FastAPI, Starlette:  app.add_middleware(PosternASGI, keys={"postern-1": b64decode(os.environ["ORIGIN_SECRET"])})
                     then request.scope["postern"] is a Verified
Flask, Django:       app.wsgi_app = PosternWSGI(app.wsgi_app, keys=...)
                     then request.environ["postern"] is a Verified
"""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass

from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature, algorithms


@dataclass(frozen=True)
class Identity:
    user_id: str
    role: str
    session_id: str
    method: str


@dataclass(frozen=True)
class Verified:
    #: None on a route that Postern lets through without a credential.
    identity: Identity | None
    request_id: str
    #: The same for every replay of this request, and for nothing else: refuse it when seen before.
    nonce: str


IDENTITY = ("x-user-id", "x-user-role", "x-session-id", "x-auth-method")
SIGNATURE_INPUT = re.compile(
    r"postern=(?P<covered>\([^()]*\))"
    r';created=[0-9]+;expires=[0-9]+;keyid="(?P<keyid>[A-Za-z0-9._-]{1,64})";alg="hmac-sha256"'
)
MAX_AGE = datetime.timedelta(seconds=60)


def _covering(*fields: str) -> str:
    return "(" + " ".join(f'"{name}"' for name in ("@method", "@path", "@query", *fields)) + ")"


COVERS_IDENTITY = _covering(*IDENTITY, "x-request-id")
COVERS_NO_IDENTITY = _covering("x-request-id")


class _Keys(HTTPSignatureKeyResolver):
    def __init__(self, keys: Mapping[str, bytes]):
        self.keys = keys

    def resolve_public_key(self, key_id: str) -> bytes:
        if key_id not in self.keys:
            raise InvalidSignature("not signed with a key that is accepted")
        return self.keys[key_id]


@dataclass(frozen=True)
class _Message:
    method: str
    url: str
    headers: Mapping[str, str]


class PosternVerifier:
    def __init__(self, keys: Mapping[str, bytes]):
        """:param keys: by keyid: one, or two while ORIGIN_SECRET is being changed"""
        self._verifier = HTTPMessageVerifier(
            signature_algorithm=algorithms.HMAC_SHA256, key_resolver=_Keys(keys)
        )

    def verify(self, method: str, target: str, headers: Mapping[str, str]) -> Verified:
        """
        :param target: path and query exactly as they were received: ``/api/users?page=2``
        :param headers: by lower-case name, repeated fields joined with ", "
        :raises InvalidSignature: the request did not come through Postern, or not in the last 60 s
        """
        match = SIGNATURE_INPUT.fullmatch(headers.get("signature-input", ""))
        if match is None:
            raise InvalidSignature("not signed by Postern")
        # A valid signature proves only what it covers: all of the identity, or none of it with no identity header present.
        has_identity = any(name in headers for name in IDENTITY)
        if match["covered"] != (COVERS_IDENTITY if has_identity else COVERS_NO_IDENTITY):
            raise InvalidSignature("the signature covers too little")
        # Host and scheme are not signed: any will do to make the URL absolute.
        self._verifier.verify(_Message(method, "http://origin" + target, headers), max_age=MAX_AGE)
        identity = Identity(*(headers[name] for name in IDENTITY)) if has_identity else None
        return Verified(identity, headers["x-request-id"], headers["signature"])


class PosternASGI:
    def __init__(self, app, keys: Mapping[str, bytes]):
        self.app = app
        self.verifier = PosternVerifier(keys)

    async def __call__(self, scope, receive, send):
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        # raw_path, since path is decoded and what is signed is not.
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        try:
            verified = self.verifier.verify(scope.get("method", "GET"), target, headers)
        except InvalidSignature:
            if scope["type"] == "websocket":
                return await send({"type": "websocket.close", "code": 1008})
            await send({"type": "http.response.start", "status": 401, "headers": []})
            return await send({"type": "http.response.body"})
        return await self.app({**scope, "postern": verified}, receive, send)


class PosternWSGI:
    def __init__(self, app, keys: Mapping[str, bytes]):
        self.app = app
        self.verifier = PosternVerifier(keys)

    def __call__(self, environ, start_response):
        headers = {
            name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
        }
        # PATH_INFO is decoded and what is signed is not. gunicorn and Werkzeug have RAW_URI, uWSGI has REQUEST_URI.
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        try:
            environ["postern"] = self.verifier.verify(environ["REQUEST_METHOD"], target, headers)
        except InvalidSignature:
            start_response("401 Unauthorized", [("Content-Length", "0")])
            return [b""]
        return self.app(environ, start_response)
