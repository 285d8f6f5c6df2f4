"""The site under evaluation: a shop with an API, a blog with a login of its own, and some faults that attackers look for.

Listens on loopback only; standard library only; stops on SIGTERM. Every answer carries `x-site: 1`, which tells the site's own 403 from the gateway's.
Faults on purpose: the search can be injected into, and invoices believe any token and check no owner.
"""

import argparse
import http.cookies
import http.server
import json
import pathlib
import socketserver
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import accounts  # noqa: E402
import api  # noqa: E402
import pages  # noqa: E402
import stock  # noqa: E402
from answer import Answer, not_found  # noqa: E402

MOST_BODY_BYTES = 1 << 20


class Site:
    """All that the routes share."""

    def __init__(self, passwords):
        self.accounts = accounts.Accounts(passwords)
        self.products = stock.Products()
        self.orders = stock.orders_of(passwords)
        self.documents = stock.documents_of(passwords)
        self.files, self.jobs = stock.Numbered(), stock.Numbered()


class Request:
    """One request, read."""

    def __init__(self, handler, site):
        self.site, self.method = site, handler.command
        self.path, _, query = handler.path.partition("?")
        self.path = urllib.parse.unquote(self.path)
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.headers, self.body = handler.headers, handler.body

    def cookie(self, name):
        try:
            morsel = http.cookies.SimpleCookie(self.headers.get("cookie", "")).get(name)
        except http.cookies.CookieError:
            return None
        return morsel.value if morsel else None

    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def json(self):
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def bearer(self):
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    def caller(self):
        """The account that the request proves to be of, or None."""
        token, key = self.bearer(), self.headers.get("x-api-key")
        if token:
            return accounts.name_in_token(token, time.time())
        if key:
            return self.site.accounts.of_key(key)
        return self.site.accounts.of_session(self.cookie("session"))


class Handler(http.server.BaseHTTPRequestHandler):
    """Reads a request, asks the routes, writes the answer."""

    protocol_version = "HTTP/1.1"
    server_version = "site"
    wbufsize = -1
    disable_nagle_algorithm = True

    def answer(self):
        self.body = self.read_body()
        request = Request(self, self.server.site)
        answer = api.answer(request) or pages.answer(request) or not_found()
        self.write(answer)

    def read_body(self):
        if self.headers.get("transfer-encoding"):
            return self.read_chunks()
        length = self.headers.get("content-length") or "0"
        if not length.isdigit() or int(length) > MOST_BODY_BYTES:
            self.close_connection = True
            return b""
        return self.rfile.read(int(length))

    def read_chunks(self):
        body = b""
        while True:
            size = int(self.rfile.readline(100).split(b";")[0] or b"0", 16)
            body += self.rfile.read(size)
            self.rfile.readline(10)
            if size == 0 or len(body) > MOST_BODY_BYTES:
                return body

    def write(self, answer: Answer):
        body = answer.body
        self.send_response(answer.status)
        self.send_header("x-site", "1")
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.wfile.write(body)

    def log_message(self, *_arguments):
        """The gateway's log is the one that counts."""

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """One thread a connection; none keeps the process from ending."""

    daemon_threads = True
    request_queue_size = 512


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--accounts", type=pathlib.Path, required=True, help="a JSON object: a password for each name")
    arguments = parser.parse_args()
    server = Server(("127.0.0.1", arguments.port), Handler)
    server.site = Site(json.loads(arguments.accounts.read_text()))
    server.serve_forever()


if __name__ == "__main__":
    main()
