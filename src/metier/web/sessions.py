"""Browsers that have signed in, and the tokens that show that a form came from a page of ours.

Nothing is stored: a session is the time until which it holds, signed with a key that this process made for itself. So
a restart ends all sessions, and the server's token is in no cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

COOKIE = "metier_session"
SESSION_SECONDS = 12 * 60 * 60


class Sessions:
    """The sessions of one server. Without a `token` nobody has to sign in, and everybody shares one session, ""."""

    def __init__(self, token: str | None) -> None:
        self._token = token.encode("utf-8") if token else None
        self._key = secrets.token_bytes(32)

    @property
    def needed(self) -> bool:
        """Whether a browser has to sign in."""
        return self._token is not None

    def begin(self, token: str) -> str | None:
        """A new session for who knows the server's token; None for who does not."""
        if self._token is None or not hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self._token):
            return None
        until = f"{int(time.time()) + SESSION_SECONDS}.{secrets.token_hex(8)}"
        return f"{until}.{self._signed('session', until)}"

    def holds(self, session: str) -> bool:
        """Whether this is a session that was begun here and is not over."""
        said, _, signature = session.rpartition(".")
        if not session.isascii() or not hmac.compare_digest(signature, self._signed("session", said)):
            return False
        return time.time() < int(said.partition(".")[0])

    def form_token(self, session: str) -> str:
        """What forms of this session carry: other sites cannot read it, and can therefore not send it."""
        return self._signed("form", session if self.needed else "")

    def is_form_token(self, session: str, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self.form_token(session).encode("ascii"))

    def _signed(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()
