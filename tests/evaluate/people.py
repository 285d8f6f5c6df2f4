"""The ordinary users of the run: who they are and how each behaves. None of them may ever be refused.

They are the hard ones for a detector: many behind one address, chatty, polling what is not there, clumsy, thorough, moving between networks, and one whose
name and account the attackers use. `CROWD` is the list; a behaviour runs until Over.
"""

import asyncio
from typing import Callable, NamedTuple

from site_facts import api_key, document_id, orders_of
from visitor import Over, Visitor

OFFICE = "127.20.0.1"


class Person(NamedTuple):
    """One ordinary user."""

    name: str
    source: str
    what: str
    behaviour: Callable
    agent: str | None = None


class World(NamedTuple):
    """What behaviours know of the site."""

    passwords: dict
    orders: dict

    @classmethod
    def of(cls, passwords):
        return cls(passwords, orders_of(passwords))

    def own_orders(self, name):
        return [number for number, owner in self.orders.items() if owner == name]


async def office_worker(visitor, world):
    """A session of her own behind the address that all share; mistypes her password once in a while."""
    await visitor.pause(0, 8)
    if visitor.random.random() < 0.4:
        await visitor.log_in_by_form("Sommer2O24")
        await visitor.pause(2, 5)
    await visitor.log_in_by_form(world.passwords[visitor.name])
    while True:
        await page(visitor, visitor.random.choice(("/", "/account", "/about", f"/products?page={visitor.random.randint(1, 6)}")))
        await visitor.pause(2, 7)
        await page(visitor, f"/products/{visitor.random.randint(1, 60)}")
        await visitor.get(f"/api/v1/search?q={visitor.random.choice(('lamp', 'grey%20kettle', 'drum', 'dusty+bench'))}")
        await visitor.pause(2, 9)
        await visitor.get("/api/v1/orders")
        await visitor.get(f"/api/v1/orders/{visitor.random.choice(world.own_orders(visitor.name))}")
        await visitor.pause(3, 10)


async def page(visitor, target):
    """A page with what hangs on it."""
    await visitor.get(target)
    for part in ("/static/style.css", "/static/app.js"):
        await visitor.get(part)


async def chatty_app(visitor, world):
    """A single-page app: bursts of parallel calls, telemetry, and pictures that most people do not have."""
    await page(visitor, "/")
    await visitor.log_in_by_api(world.passwords[visitor.name])
    own = world.own_orders(visitor.name)
    colleagues = ("anna", "benno", "carla", "dmitri", "elif")
    while True:
        calls = ["/api/v1/me", "/api/v1/orders", "/api/v1/notifications", "/api/v1/products?page=1", "/api/v1/products?page=2"]
        calls += [f"/api/v1/orders/{number}" for number in visitor.random.sample(own, 4)]
        calls += [f"/api/v1/avatars/{name}.png" for name in colleagues]
        calls += ["/static/app.js", "/static/app.js.map", "/static/style.css"]
        await asyncio.gather(*(visitor.get(call) for call in calls))
        for _ in range(visitor.random.randint(4, 10)):
            await visitor.post_json("/api/v1/events", {"scrolled": visitor.random.randint(0, 99)})
            await visitor.pause(0.2, 0.8)
        await visitor.pause(1, 4)


async def poller(visitor, world):
    """A script that asks the same few things again and again: 304 mostly, and 404 until its job is done."""
    await visitor.log_in_by_api(world.passwords[visitor.name])
    tag, job = None, None
    while True:
        reply = await visitor.get("/api/v1/notifications", **({"if_none_match": tag} if tag else {}))
        tag = reply.header(b"etag") or tag
        if job is None:
            job = (await visitor.post_json("/api/v1/jobs", {"report": "stock"})).json().get("job")
        elif (await visitor.get(f"/api/v1/jobs/{job}/result")).status == 200:
            job = None
        await visitor.pause(0.9, 1.1)


async def clumsy(visitor, world):
    """Three wrong passwords before the right one, typos in addresses, an old bookmark."""
    mistakes = ("/acount", "/prodcuts", "/products/6O", "/abuot", "/kontakt", "/blog/posts/sumer")
    while True:
        visitor.cookies.clear()
        await page(visitor, "/login")
        for wrong in visitor.random.sample(("hunter1", "Hunter2", "hunter22", "HUNTER2"), visitor.random.choice((2, 3))):
            await visitor.log_in_by_form(wrong)
            await visitor.pause(3, 8)
        await visitor.log_in_by_form(world.passwords[visitor.name])
        for _ in range(6):
            await page(visitor, visitor.random.choice(("/", "/account", "/products", "/contact", "/blog/")))
            await visitor.pause(3, 8)
            if visitor.random.random() < 0.5:
                await visitor.get(visitor.random.choice(mistakes))
                await visitor.pause(2, 5)
                await page(visitor, f"/products/{visitor.random.randint(1, 60)}")
        await visitor.pause(5, 15)


async def forgetful(visitor, world):
    """Gives up after three wrong passwords, looks around, and remembers a minute later."""
    await page(visitor, "/blog/")
    for wrong in ("kettle", "kettles", "Kettles!"):
        await visitor.call("POST", "/blog/wp-login.php", f"log={visitor.name}&pwd={wrong}".encode(), "application/x-www-form-urlencoded")
        await visitor.pause(4, 9)
    for _ in range(6):
        await page(visitor, f"/blog/posts/{visitor.random.choice(('winter', 'kettles', 'ladders'))}")
        await visitor.pause(6, 12)
    form = f"log={visitor.name}&pwd={world.passwords[visitor.name]}".encode()
    await visitor.call("POST", "/blog/wp-login.php", form, "application/x-www-form-urlencoded")
    while True:
        await page(visitor, "/blog/wp-admin/")
        await visitor.pause(4, 12)


async def link_checker(visitor, _world):
    """Follows every link of the site politely, dead ones included."""
    while True:
        await visitor.get("/robots.txt")
        await visitor.get("/sitemap.xml")
        for target in ("/", "/about", "/contact", "/blog/", *(f"/blog/posts/{post}" for post in ("opening", "winter", "summer", "kettles"))):
            await visitor.call("HEAD", target)
            await visitor.pause(0.5, 1.5)
        for number in visitor.random.sample(range(1, 61), 60):
            await visitor.call("HEAD", f"/products/{number}")
            await visitor.pause(0.5, 1.5)
            if number % 9 == 0:
                # The site's own dead links: it is not the crawler's fault that they are there.
                await visitor.call("HEAD", f"/products/{number - 1}/reviews")
                await visitor.pause(0.5, 1.5)


async def app_user(visitor, world):
    """Logs in once and does a few things at a time. The victim is one of these."""
    await visitor.log_in_by_api(world.passwords[visitor.name])
    own = world.own_orders(visitor.name)
    while True:
        await visitor.get("/api/v1/me")
        await visitor.get(f"/api/v1/orders/{visitor.random.choice(own)}")
        await visitor.get(f"/api/v1/documents/{document_id(visitor.name, visitor.random.randint(0, 5))}")
        await visitor.pause(3, 9)


async def victim(visitor, world):
    """Logs in again and again, while others guess her password and put her name into forged tokens."""
    while True:
        await visitor.log_in_by_api(world.passwords[visitor.name])
        for _ in range(6):
            await visitor.get("/api/v1/me")
            await visitor.get("/api/v1/orders")
            await visitor.pause(3, 8)


async def commuter(visitor, world):
    """One token, and an address that changes between home and a mobile network."""
    await visitor.log_in_by_api(world.passwords[visitor.name])
    home, mobile = visitor.source, "127.29.4.9"
    while True:
        for place in (home, mobile):
            visitor.move_to(place)
            for _ in range(8):
                await visitor.get("/api/v1/notifications")
                await visitor.get(f"/api/v1/orders/{visitor.random.choice(world.own_orders(visitor.name))}")
                await visitor.pause(2, 6)


async def uploader(visitor, world):
    """Puts files up, reads them back, and tidies up after itself."""
    await visitor.log_in_by_api(world.passwords[visitor.name])
    while True:
        files = []
        for _ in range(5):
            reply = await visitor.call("POST", "/api/v1/files", b"z" * visitor.random.randint(2000, 60000), "application/octet-stream")
            files.append(reply.json().get("file"))
            await visitor.pause(1, 4)
        for number in files:
            await visitor.get(f"/api/v1/files/{number}")
            await visitor.pause(0.5, 2)
        for number in files[:3]:
            await visitor.call("DELETE", f"/api/v1/files/{number}")
            await visitor.pause(1, 3)
        await visitor.pause(10, 20)


async def integration(visitor, world):
    """A partner's nightly job, by API key: lists its own orders and fetches each."""
    visitor.standing["x-api-key"] = api_key(visitor.name)
    while True:
        for number in (await visitor.get("/api/v1/orders")).json().get("orders", []):
            await visitor.get(f"/api/v1/orders/{number}")
            await visitor.pause(0.3, 1)
        await visitor.pause(25, 40)


async def health_check(visitor, _world):
    """A load balancer's probe."""
    while True:
        await visitor.get("/health")
        await visitor.pause(2, 2)


async def editor(visitor, world):
    """Writes for the blog; one wrong password in the morning."""
    await page(visitor, "/blog/wp-login.php")
    for password in ("blog", world.passwords[visitor.name]):
        await visitor.call("POST", "/blog/wp-login.php", f"log={visitor.name}&pwd={password}".encode(), "application/x-www-form-urlencoded")
        await visitor.pause(3, 6)
    while True:
        await page(visitor, "/blog/wp-admin/")
        await visitor.pause(3, 9)
        await page(visitor, f"/blog/posts/{visitor.random.choice(('opening', 'returns', 'summer'))}")


VICTIM = "victoria"
CROWD = (
    *(Person(name, OFFICE, "one of six behind a shared address", office_worker) for name in ("anna", "benno", "carla", "dmitri", "elif", "fatou")),
    Person("greta", "127.21.3.7", "chatty single-page app", chatty_app),
    Person("hakim", "127.22.3.7", "polling client (304, and 404 until a job is done)", poller, "order-watch/2.1"),
    Person("ines", "127.23.3.7", "clumsy: wrong passwords, then the right one; typos", clumsy),
    Person("jonas", "127.24.3.7", "forgot the blog password, gave up, remembered", forgetful),
    Person("linkcheck", "127.25.3.7", "link checker, dead links included", link_checker, "linkcheck/1.4 (+https://links.example/bot)"),
    Person(VICTIM, "127.26.3.7", "the victim: name forged, password guessed at", victim),
    Person("kofi", "127.27.3.7", "app user", app_user),
    Person("lena", "127.28.3.7", "one token, changing between two networks", commuter),
    Person("mateo", "127.30.3.7", "uploads, reads and deletes own files", uploader),
    Person("partner", "127.31.3.7", "integration: fetches all its own orders by API key", integration, "partner-sync/0.9 python-requests/2.32"),
    Person("probe", "127.32.3.7", "load balancer's health check", health_check, "health/1"),
    Person("nadia", "127.33.3.7", "editor of the blog", editor),
)


async def live(visitor, person, world):
    """Runs one person until the end. A lost connection is noted in the journal and the person begins anew."""
    while True:
        try:
            await person.behaviour(visitor, world)
        except Over:
            break
        except Exception as error:  # noqa: BLE001 - whatever one person runs into must not end the run of the others
            visitor.journal.errors += 1
            visitor.journal.last_error = repr(error)
        try:
            await visitor.pause(1, 2)
        except Over:
            break
    visitor.leave()


def arrive(person, gateway_port, random, clock, over):
    return Visitor(gateway_port, person.name, person.source, random, clock, over, person.agent)
