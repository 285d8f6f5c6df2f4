"""The site's API, below /api/v1: logins, objects with owners, lists, uploads, polling.

Objects of others are answered 403 and missing ones 404, but for the invoices, which anybody gets who shows any token at all.
"""

import re
import sqlite3
import time

import accounts
import stock
from answer import Answer, as_json

PREFIX = "/api/v1"
JOB_SECONDS = 25


def answer(request):
    """None when the path is not the API's."""
    if not request.path.startswith(PREFIX + "/"):
        return None
    path = request.path.removeprefix(PREFIX)
    for method, pattern, route in ROUTES:
        found = re.fullmatch(pattern, path)
        if found and method in (request.method, "GET" if request.method == "HEAD" else None):
            return route(request, *found.groups())
    return as_json({"error": "no such resource"}, 404)


def login(request):
    given = request.json()
    name = str(given.get("username", ""))
    if not request.site.accounts.matches(name, given.get("password")):
        return as_json({"error": "wrong name or password"}, 401)
    return as_json({"token": accounts.signed_token(name, time.time())})


def for_callers(route):
    """A route that answers 401 to whom it does not know."""

    def guarded(request, *parts):
        caller = request.caller()
        return as_json({"error": "log in first"}, 401) if caller is None else route(request, caller, *parts)

    return guarded


@for_callers
def me(_request, caller):
    return as_json({"name": caller, "language": "en"})


@for_callers
def orders(request, caller):
    return as_json({"orders": [number for number, owner in request.site.orders.items() if owner == caller]})


@for_callers
def order(request, caller, number):
    return owned(request.site.orders.get(int(number)), caller, {"order": int(number), "total": 100 + int(number) % 77})


@for_callers
def document(request, caller, identifier):
    return owned(request.site.documents.get(identifier.lower()), caller, {"document": identifier, "text": "x" * 400})


def owned(owner, caller, value):
    if owner is None:
        return as_json({"error": "no such object"}, 404)
    return as_json(value) if owner == caller else as_json({"error": "not yours"}, 403)


def invoice(request, number):
    """The fault: whose token it is, and whether it is a token, nobody asks."""
    if "sub" not in accounts.claims_of(request.bearer() or ""):
        return as_json({"error": "log in first"}, 401)
    if not 1 <= int(number) <= stock.INVOICES:
        return as_json({"error": "no such object"}, 404)
    return as_json({"invoice": int(number), "to": f"customer {int(number) * 7919 % 997}", "iban": "x" * 22})


def products(request):
    page = int(request.query.get("page", "1")) if request.query.get("page", "1").isdigit() else 1
    rows = [{"id": n, "name": request.site.products.one(n)[0]} for n in range(page * 10 - 9, page * 10 + 1) if 1 <= n <= stock.PRODUCTS]
    return as_json({"products": rows, "pages": stock.PRODUCTS // 10})


def product(request, number):
    found = request.site.products.one(int(number))
    return as_json({"id": int(number), "name": found[0], "price": found[1]}) if found else as_json({"error": "no such product"}, 404)


def search(request):
    try:
        return as_json({"found": request.site.products.search(request.query.get("q", ""))})
    except (sqlite3.Error, sqlite3.Warning) as error:
        return as_json({"error": f"SQLite error: {error}"}, 500)


@for_callers
def upload(request, caller):
    return as_json({"file": request.site.files.add(caller), "bytes": len(request.body)}, 201)


@for_callers
def download(request, caller, number):
    return owned(request.site.files.owner(int(number)), caller, {"file": int(number), "content": "y" * 2000})


@for_callers
def delete(request, caller, number):
    verdict = owned(request.site.files.owner(int(number)), caller, {})
    if verdict.status != 200:
        return verdict
    request.site.files.remove(int(number))
    return Answer(204)


@for_callers
def notifications(request, caller):
    """Changes twice a minute; who polls gets 304 in between."""
    tag = f'"{caller}-{int(time.time()) // 30}"'
    if request.headers.get("if-none-match") == tag:
        return Answer(304, b"", (("etag", tag),))
    return as_json({"unread": int(time.time()) // 30 % 5}, headers=(("etag", tag),))


@for_callers
def order_job(request, caller):
    number = request.site.jobs.add(caller)
    return as_json({"job": number}, 202)


@for_callers
def job(request, caller, number):
    """Not there until it is done: polled with 404 for a while, as some job interfaces go."""
    if request.site.jobs.owner(int(number)) != caller or not request.site.jobs.is_older(int(number), JOB_SECONDS):
        return as_json({"error": "not there"}, 404)
    return as_json({"job": int(number), "state": "done"})


@for_callers
def avatar(_request, _caller, name):
    """Few people have a picture."""
    return Answer(200, b"\x89PNG", (("content-type", "image/png"),)) if len(name) % 5 == 0 else as_json({"error": "no picture"}, 404)


def event(_request):
    return Answer(204)


def profile(request, name):
    """Public, for tools that ask for names."""
    known = name in request.site.accounts.passwords
    return as_json({"name": name}) if known else as_json({"error": "nobody"}, 404)


ROUTES = (
    ("POST", "/login", login),
    ("GET", "/me", me),
    ("GET", "/orders", orders),
    ("GET", r"/orders/(\d{1,9})", order),
    ("GET", r"/documents/([0-9a-fA-F-]{36})", document),
    ("GET", r"/invoices/(\d{1,9})", invoice),
    ("GET", "/products", products),
    ("GET", r"/products/(\d{1,9})", product),
    ("GET", "/search", search),
    ("POST", "/files", upload),
    ("GET", r"/files/(\d{1,9})", download),
    ("DELETE", r"/files/(\d{1,9})", delete),
    ("GET", "/notifications", notifications),
    ("POST", "/jobs", order_job),
    ("GET", r"/jobs/(\d{1,9})/result", job),
    ("GET", r"/avatars/([a-z0-9]{1,40})\.png", avatar),
    ("POST", "/events", event),
    ("GET", r"/profiles/([a-z0-9]{1,40})", profile),
)
