"""The site's pages: shop front, form login, static files, and a blog whose login answers 200 to a wrong password, as WordPress does."""

import base64
import html
import re

import stock
from answer import Answer, as_json, as_page, not_found, redirect

POSTS = ("opening", "winter", "kettles", "ladders", "returns", "summer")
STATIC = {"app.js": "text/javascript", "style.css": "text/css", "logo.png": "image/png", "print.css": "text/css"}


def answer(request):
    """None when there is no such page."""
    method = "GET" if request.method == "HEAD" else request.method
    exact = EXACT.get((method, request.path))
    if exact:
        return exact(request)
    for pattern, page in PATTERNS:
        found = re.fullmatch(pattern, request.path)
        if found and method == "GET":
            return page(request, *found.groups())
    return None


def front(_request):
    links = "".join(f'<li><a href="{path}">{path}</a></li>' for path in ("/products", "/about", "/contact", "/blog/", "/login", "/sitemap.xml"))
    form = '<form action="/api/v1/search"><input name="q"></form>'
    return as_page("Shop", f'<link rel="stylesheet" href="/static/style.css"><ul>{links}</ul>{form}<img src="/static/logo.png">')


def catalogue(request):
    page = int(request.query.get("page", "1")) if request.query.get("page", "1").isdigit() else 1
    numbers = range(page * 10 - 9, min(page * 10, stock.PRODUCTS) + 1)
    links = "".join(f'<li><a href="/products/{n}">product {n}</a></li>' for n in numbers)
    following = f'<a href="/products?page={page + 1}">more</a>' if page * 10 < stock.PRODUCTS else ""
    return as_page("Products", f"<ul>{links}</ul>{following}")


def product(request, number):
    found = request.site.products.one(int(number))
    if found is None:
        return not_found()
    older = f'<a href="/products/{int(number) - 1}/reviews">reviews of an older one</a>' if int(number) % 9 == 0 else ""
    return as_page(found[0], f'<p>{found[1]}</p><img src="/static/img/{number}.png">{older}')


def static(_request, name):
    if name.startswith("img/"):
        return Answer(200, b"\x89PNG" * 50, (("content-type", "image/png"),))
    return Answer(200, b"/* shop */" * 200, (("content-type", STATIC[name]),)) if name in STATIC else not_found()


def login_form(_request):
    fields = '<input name="username"><input name="password" type="password">'
    return as_page("Log in", f'<form method="post" action="/login">{fields}<button>Log in</button></form>')


def login(request):
    given = request.form()
    if not request.site.accounts.matches(given.get("username", ""), given.get("password", "")):
        return as_page("Log in", "<p>Wrong name or password.</p>", 401)
    session = request.site.accounts.open_session(given["username"])
    return redirect("/account", (("set-cookie", f"session={session}; Path=/; HttpOnly"),))


def logout(request):
    request.site.accounts.close_session(request.cookie("session"))
    return redirect("/", (("set-cookie", "session=; Path=/; Max-Age=0"),))


def account(request):
    name = request.site.accounts.of_session(request.cookie("session"))
    return as_page("Your account", f"<p>{html.escape(name)}</p>") if name else redirect("/login")


def blog(_request):
    links = "".join(f'<li><a href="/blog/posts/{post}">{post}</a></li>' for post in POSTS)
    return as_page("Blog", f'<ul>{links}</ul><a href="/blog/wp-login.php">Log in</a>')


def post(_request, name):
    return as_page(name, "<p>Text of the post.</p>" * 20) if name in POSTS else not_found()


def blog_login_form(_request):
    return blog_form("")


def blog_form(message):
    fields = '<input name="log"><input name="pwd" type="password">'
    return as_page("Blog login", f'{message}<form method="post" action="/blog/wp-login.php">{fields}</form>')


def blog_login(request):
    given = request.form()
    if not request.site.accounts.matches(given.get("log", ""), given.get("pwd", "")):
        return blog_form("<p>Error: the password you entered is incorrect.</p>")
    session = request.site.accounts.open_session(given["log"])
    return redirect("/blog/wp-admin/", (("set-cookie", f"blog_session={session}; Path=/blog; HttpOnly"),), status=302)


def blog_admin(request):
    name = request.site.accounts.of_session(request.cookie("blog_session"))
    return as_page("Dashboard", f"<p>{html.escape(name)}</p>") if name else redirect("/blog/wp-login.php", status=302)


def forbidden(_request):
    return as_page("Forbidden", "<p>For the staff.</p>", 403)


def reports(request):
    """For the staff, by HTTP basic authentication."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, password = base64.b64decode(given if scheme.lower() == "basic" else "", validate=True).decode("utf-8", "replace").partition(":")
    except ValueError:
        name, password = "", ""
    if request.site.accounts.matches(name, password):
        return as_page("Reports", "<p>Sales are up.</p>")
    return as_page("Reports", "<p>For the staff.</p>", 401, (("www-authenticate", 'Basic realm="reports"'),))


def decoy(_request):
    return as_json({"files": ["2024.tar"]})


def text(content):
    return lambda _request: as_page(content, f"<p>{content}</p>" * 5)


def robots(_request):
    return Answer(200, b"User-agent: *\nDisallow: /account\n", (("content-type", "text/plain"),))


def sitemap(_request):
    urls = "".join(f"<url><loc>/products/{n}</loc></url>" for n in range(1, stock.PRODUCTS + 1))
    return Answer(200, f"<urlset>{urls}</urlset>".encode(), (("content-type", "application/xml"),))


EXACT = {
    ("GET", "/"): front,
    ("GET", "/products"): catalogue,
    ("GET", "/about"): text("About us"),
    ("GET", "/contact"): text("Contact"),
    ("GET", "/login"): login_form,
    ("POST", "/login"): login,
    ("POST", "/logout"): logout,
    ("GET", "/account"): account,
    ("GET", "/blog/"): blog,
    ("GET", "/blog/wp-login.php"): blog_login_form,
    ("POST", "/blog/wp-login.php"): blog_login,
    ("GET", "/blog/wp-admin/"): blog_admin,
    ("GET", "/admin"): forbidden,
    ("GET", "/admin/users"): forbidden,
    ("GET", "/reports/"): reports,
    ("GET", "/api/backup"): decoy,
    ("GET", "/robots.txt"): robots,
    ("GET", "/sitemap.xml"): sitemap,
    ("GET", "/health"): lambda _request: as_json({"status": "up"}),
    ("GET", "/favicon.ico"): lambda _request: Answer(200, b"icon", (("content-type", "image/x-icon"),)),
}
PATTERNS = (
    (r"/products/(\d{1,9})", product),
    (r"/static/((?:img/\d{1,4}|[a-z]+)\.[a-z]{2,3})", static),
    (r"/blog/posts/([a-z]{1,40})", post),
)
