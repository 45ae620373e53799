"""Writes test/vectors/password-hashes.json: password hashes made by the libraries that Postern imports from.

Each vector is {library, version, password, hash, good}; `good` is false when the password is not the one that was hashed.
Hashes that take long to verify come with the right password only. Run by hand when a format is added; no test runs it. Salts are random, so every run writes other hashes.

    python3 -m venv /tmp/vectors && /tmp/vectors/bin/pip install Werkzeug Django bcrypt argon2-cffi
    /tmp/vectors/bin/python scripts/make-hash-vectors.py
"""

import json
import pathlib

import argon2
import bcrypt
import django
from django.conf import settings
from django.contrib.auth import hashers
from importlib.metadata import version
from werkzeug.security import generate_password_hash

TARGET = pathlib.Path(__file__).parent.parent / "test" / "vectors" / "password-hashes.json"

# Cheap enough to be checked by the dozen, and each library's default where it is to be known that it works.
ASCII = "correct horse battery staple"
UMLAUT = "Größe über alles – naïve Ærø"
EMOJI = "пароль 密码 🔐🧑‍🚀"
LONG = "long passphrase " * 20  # 320 bytes: over one block of SHA-256, and over what bcrypt reads
PASSWORDS = [ASCII, UMLAUT, EMOJI, LONG]

settings.configure(
    PASSWORD_HASHERS=[
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
        "django.contrib.auth.hashers.Argon2PasswordHasher",
        "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
        "django.contrib.auth.hashers.BCryptPasswordHasher",
        "django.contrib.auth.hashers.ScryptPasswordHasher",
    ]
)
django.setup()

vectors = []


def add(library, password, hashed, good):
    entry = {"library": library, "version": version(library), "password": password, "hash": hashed, "good": good}
    vectors.append(entry)


def add_all(library, make, passwords=PASSWORDS, wrong=lambda password: password[:-1]):
    for password in passwords:
        hashed = make(password)
        add(library, password, hashed, True)
        if wrong is not None:
            add(library, wrong(password), hashed, False)


def bcrypt_hash(prefix, cost):
    # bcrypt 5 refuses what is over 72 bytes; the versions before cut it off, as is done here.
    return lambda password: bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost, prefix)).decode()


def django_bcrypt(hasher, cost):
    hasher.rounds = cost
    return lambda password: hasher.encode(password, hasher.salt())


def shorten_within_72_bytes(password):
    return password[1:]


# Werkzeug: its default, and the others it writes.
add_all("Werkzeug", lambda p: generate_password_hash(p), [ASCII, EMOJI], wrong=None)
add_all("Werkzeug", lambda p: generate_password_hash(p, "scrypt:1024:8:1"))
add_all("Werkzeug", lambda p: generate_password_hash(p, "scrypt:1024:4:3"), [UMLAUT])
add_all("Werkzeug", lambda p: generate_password_hash(p, "pbkdf2:sha256"), [ASCII], wrong=None)
add_all("Werkzeug", lambda p: generate_password_hash(p, "pbkdf2:sha256:1"))
add_all("Werkzeug", lambda p: generate_password_hash(p, "pbkdf2:sha256:100000"), [ASCII, LONG])
add_all("Werkzeug", lambda p: generate_password_hash(p, "pbkdf2:sha256:100001"))
add_all("Werkzeug", lambda p: generate_password_hash(p, "pbkdf2:sha1:5000"))
add_all("Werkzeug", lambda p: generate_password_hash(p, "pbkdf2:sha512:5000"))

# Django: every hasher with its own settings once, cheaper ones for the rest.
pbkdf2 = hashers.PBKDF2PasswordHasher()
pbkdf2_sha1 = hashers.PBKDF2SHA1PasswordHasher()
add_all("Django", lambda p: pbkdf2.encode(p, pbkdf2.salt()), [UMLAUT], wrong=None)
add_all("Django", lambda p: pbkdf2.encode(p, pbkdf2.salt(), 1_500_000), [EMOJI], wrong=None)
add_all("Django", lambda p: pbkdf2.encode(p, pbkdf2.salt(), 20_000))
add_all("Django", lambda p: pbkdf2.encode(p, pbkdf2.salt(), 120_000), [LONG], wrong=None)
add_all("Django", lambda p: pbkdf2_sha1.encode(p, pbkdf2_sha1.salt(), 20_000))
scrypt = hashers.ScryptPasswordHasher()
add_all("Django", lambda p: scrypt.encode(p, scrypt.salt()), [ASCII], wrong=None)
add_all("Django", lambda p: scrypt.encode(p, scrypt.salt(), 1024))
django_argon2 = hashers.Argon2PasswordHasher()
add_all("Django", lambda p: django_argon2.encode(p, django_argon2.salt()), [EMOJI], wrong=None)
add_all("Django", django_bcrypt(hashers.BCryptSHA256PasswordHasher(), 12), [ASCII], wrong=None)
add_all("Django", django_bcrypt(hashers.BCryptSHA256PasswordHasher(), 4))
add_all("Django", django_bcrypt(hashers.BCryptPasswordHasher(), 4), [ASCII, EMOJI])

# bcrypt itself. $2y$ is PHP's name for $2b$ and made from one.
add_all("bcrypt", bcrypt_hash(b"2b", 12), [UMLAUT], wrong=None)
add_all("bcrypt", bcrypt_hash(b"2b", 4), wrong=shorten_within_72_bytes)
add_all("bcrypt", bcrypt_hash(b"2a", 4), wrong=shorten_within_72_bytes)
add_all("bcrypt", lambda p: bcrypt_hash(b"2b", 4)(p).replace("$2b$", "$2y$"), [ASCII, UMLAUT])

# argon2-cffi: its default (64 MiB, 3 passes, 4 lanes), the other type, and small parameters.
add_all("argon2-cffi", argon2.PasswordHasher().hash, [UMLAUT], wrong=None)
add_all("argon2-cffi", argon2.PasswordHasher(1, 8192, 1).hash)
add_all("argon2-cffi", argon2.PasswordHasher(2, 1024, 8, hash_len=16, salt_len=8).hash, [ASCII])
add_all("argon2-cffi", argon2.PasswordHasher(3, 1024, 2, type=argon2.Type.I).hash, [ASCII, EMOJI])

TARGET.parent.mkdir(parents=True, exist_ok=True)
TARGET.write_text(json.dumps(vectors, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
print(f"{len(vectors)} vectors")
