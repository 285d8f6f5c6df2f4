"""What a route gives back, and the few kinds of it."""

import json
from typing import NamedTuple


class Answer(NamedTuple):
    """A status, a body, and headers beyond content-length."""

    status: int
    body: bytes = b""
    headers: tuple = ()


def as_json(value, status=200, headers=()):
    return Answer(status, json.dumps(value).encode() + b"\n", (("content-type", "application/json"), *headers))


def as_page(title, content, status=200, headers=()):
    text = f"<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1>{content}</body></html>\n"
    return Answer(status, text.encode(), (("content-type", "text/html; charset=utf-8"), *headers))


def redirect(location, headers=(), status=303):
    return Answer(status, b"", (("location", location), *headers))


def not_found():
    return as_page("Not found", "<p>There is nothing here.</p>", 404)
