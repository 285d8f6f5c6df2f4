"""Accounts of the site under evaluation: passwords, sessions, bearer tokens, API keys.

Assumes one process and loopback: passwords are kept as they are, and the signing key is in the code. Nothing here is worth stealing.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading

SIGNING_KEY = b"only for the evaluation"
TOKEN_SECONDS = 3600


class Accounts:
    """Who exists, and who is logged in."""

    def __init__(self, passwords):
        self.passwords = dict(passwords)
        self.sessions = {}
        self.lock = threading.Lock()

    def matches(self, name, password):
        return name in self.passwords and self.passwords[name] == password

    def open_session(self, name):
        session = secrets.token_hex(16)
        with self.lock:
            self.sessions[session] = name
        return session

    def of_session(self, session):
        return self.sessions.get(session)

    def close_session(self, session):
        with self.lock:
            self.sessions.pop(session, None)

    def of_key(self, key):
        """API keys are derived from names, so that clients need no call to get one."""
        name, _, proof = key.partition(".")
        return name if name in self.passwords and hmac.compare_digest(proof, proof_of(name)) else None


def api_key(name):
    return f"{name}.{proof_of(name)}"


def proof_of(name):
    return hmac.new(SIGNING_KEY, f"key {name}".encode(), hashlib.sha256).hexdigest()[:32]


def signed_token(name, now):
    """A bearer token as identity providers make them, HS256."""
    text = ".".join((part({"alg": "HS256", "typ": "JWT"}), part({"sub": name, "exp": int(now) + TOKEN_SECONDS, "jti": secrets.token_hex(8)})))
    return f"{text}.{signature(text)}"


def forged_token(name, nonce):
    """What an attacker makes who knows a name and no key. No two attackers make the same."""
    return ".".join((part({"alg": "none", "typ": "JWT"}), part({"sub": name, "exp": 4102444800, "jti": nonce}), ""))


def name_in_token(token, now):
    """The name in a token that we signed, or None."""
    text, _, proof = token.rpartition(".")
    if not hmac.compare_digest(proof.encode(), signature(text).encode()):
        return None
    claims = claims_of(token)
    return claims.get("sub") if claims.get("exp", 0) > now else None


def claims_of(token):
    """What a token says, whoever made it. The site's one vulnerable route believes it."""
    try:
        middle = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signature(text):
    return base64.urlsafe_b64encode(hmac.new(SIGNING_KEY, text.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
