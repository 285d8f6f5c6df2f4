"""The word lists of the attackers, made here from words of our own and one seed. Nothing is copied from anybody's list."""

import itertools

COMMON = (
    "admin", "backup", "old", "test", "dev", "private", "config", "data", "dump", "login", "manage", "panel", "secret", "server", "setup", "shell",
    "stats", "status", "system", "temp", "tmp", "upload", "uploads", "user", "users", "vendor", "web", "www", "api", "app", "assets", "bin", "cache",
    "cgi", "console", "cron", "db", "debug", "doc", "docs", "download", "error", "export", "files", "ftp", "hidden", "home", "import", "include", "info",
    "install", "internal", "lib", "log", "logs", "mail", "media", "monitor", "new", "portal", "report", "root", "script", "search", "service", "site",
    "source", "sql", "staging", "store", "support", "tools", "update", "v2", "about", "contact", "products", "blog", "account",
)
ENDINGS = ("", "/", ".php", ".bak", ".zip", ".sql", ".old", ".txt", ".json")
HIDDEN = (".env", ".git/HEAD", ".git/config", ".htaccess", ".htpasswd", ".svn/entries", ".DS_Store", "web.config", "phpinfo.php", "id_rsa", "server-status")
PASSWORD_WORDS = ("sommer", "winter", "kettle", "shop", "welcome", "letmein", "dragon", "monday", "qwertz", "football", "office", "secret", "hello", "coffee")
PASSWORD_ENDS = ("", "1", "12", "123", "1234", "2023", "2024", "2025", "2026", "!", "1!", "#1", "99", "00")
GIVEN = ("alex", "bea", "chris", "dana", "emil", "finn", "gina", "hugo", "ida", "jan", "kim", "leo", "mia", "nils", "olga", "paul", "rosa", "sven", "tina", "uwe")
FAMILY = ("berg", "costa", "dahl", "egger", "fuchs", "gruen", "huber", "ito", "jung", "koch")


def paths(random):
    """About seven hundred paths, in the mixed order that scanners' lists have."""
    found = [f"{word}{ending}" for word, ending in itertools.product(COMMON, ENDINGS)] + list(HIDDEN)
    random.shuffle(found)
    return found


def passwords(random):
    """Two hundred guesses."""
    found = [f"{word}{end}" for word, end in itertools.product(PASSWORD_WORDS, PASSWORD_ENDS)]
    random.shuffle(found)
    return found


def names(random):
    """Two hundred account names, of which the site has none."""
    found = [f"{given}{family}" for given, family in itertools.product(GIVEN, FAMILY)]
    random.shuffle(found)
    return found


def pairs(random, valid):
    """Leaked names with passwords, `valid` among them: stuffing does succeed now and then."""
    found = list(zip(names(random), passwords(random)))
    for place, pair in enumerate(valid.items()):
        found.insert(25 + 50 * place, pair)
    return found


def write(folder, random, valid):
    """All lists as files, one entry a line. Returns the placeholders of command lines."""
    lists = {
        "paths": paths(random), "passwords": passwords(random), "names": names(random),
        "pairs": [f"{name}:{password}" for name, password in pairs(random, valid)],
    }
    for name, entries in lists.items():
        (folder / f"{name}.txt").write_text("".join(f"{entry}\n" for entry in entries))
    return {name: str(folder / f"{name}.txt") for name in lists}
