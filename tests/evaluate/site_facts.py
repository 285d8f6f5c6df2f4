"""What clients know of the site: the modules of site/ that need no server, under one name."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "site"))

from accounts import api_key, forged_token  # noqa: E402, F401
from stock import document_id, orders_of  # noqa: E402, F401
