"""What the site under evaluation holds: products in a database that can be injected into, and objects that belong to accounts.

Everything is made from the names of the accounts: two runs have the same orders under the same numbers, and the clients know which are theirs.
"""

import hashlib
import sqlite3
import threading
import time
import uuid

PRODUCTS = 60
INVOICES = 500
ORDERS_PER_ACCOUNT = 12
ADJECTIVES = ("amber", "brisk", "cobalt", "dusty", "early", "fallow", "grey", "hollow")
THINGS = ("lamp", "kettle", "ladder", "basket", "mirror", "anchor", "drum", "bench")


class Products:
    """The catalogue. Its search pastes text into SQL on purpose: an injection works, and a lone quote is an error."""

    def __init__(self):
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.lock = threading.Lock()
        self.database.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, price INTEGER)")
        rows = [(n, f"{ADJECTIVES[n % 8]} {THINGS[n // 8 % 8]}", 100 + 37 * n % 900) for n in range(1, PRODUCTS + 1)]
        self.database.executemany("INSERT INTO products VALUES (?, ?, ?)", rows)

    def search(self, text):
        """Raises sqlite3.Error for what is no SQL any more."""
        with self.lock:
            rows = self.database.execute(f"SELECT id, name, price FROM products WHERE name LIKE '%{text}%' LIMIT 20").fetchall()
        return [{"id": row[0], "name": row[1], "price": row[2]} for row in rows]

    def one(self, number):
        with self.lock:
            return self.database.execute("SELECT name, price FROM products WHERE id = ?", (number,)).fetchone()


def orders_of(names):
    """Order numbers, whose they are: twelve for each account, interleaved as they would come in over the months."""
    names = sorted(names)
    return {1000 + turn * len(names) + place: name for turn in range(ORDERS_PER_ACCOUNT) for place, name in enumerate(names)}


def documents_of(names):
    """Document ids (UUIDs), whose they are: six for each account."""
    return {document_id(name, n): name for name in names for n in range(6)}


def document_id(name, number):
    return str(uuid.UUID(bytes=hashlib.sha256(f"{name} {number}".encode()).digest()[:16], version=4))


class Numbered:
    """What clients make: uploads and jobs. Numbered in turn, each its maker's; the oldest give way."""

    MOST = 10_000

    def __init__(self):
        self.made, self.next, self.lock = {}, 1, threading.Lock()

    def add(self, owner):
        with self.lock:
            number, self.next = self.next, self.next + 1
            if len(self.made) >= self.MOST:
                self.made.pop(next(iter(self.made)))
            self.made[number] = (owner, time.monotonic())
        return number

    def owner(self, number):
        return self.made.get(number, (None, 0))[0]

    def is_older(self, number, seconds):
        return number in self.made and time.monotonic() - self.made[number][1] > seconds

    def remove(self, number):
        with self.lock:
            return self.made.pop(number, None) is not None
