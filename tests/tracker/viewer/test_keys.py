"""The table of keys: no key twice, none of the browser's, and the documentation shows the same."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter

import pytest

from tests.conftest import REPOSITORY
from tools.docs_keys import BEGIN, END, PAGE, keys_table, read_keys

OF_THE_BROWSER = {f"Ctrl+{key}" for key in "DFHJKLNOPRSTUW"} | {f"Ctrl+Shift+{key}" for key in "BDIJNPRTW"}
STATIC = REPOSITORY / "tracker" / "viewer" / "static"


def test_no_key_is_bound_twice() -> None:
    bound = Counter((key.get("mode"), name) for key in read_keys() for name in key["keys"])
    assert max(bound.values()) == 1


def test_no_key_belongs_to_the_browser() -> None:
    names = {name for key in read_keys() for name in key["keys"]}
    assert not names & OF_THE_BROWSER
    assert not [name for name in names if "Alt+" in name or (name[0] == "F" and name[1:].isdigit())]


def test_the_documentation_has_the_table_of_keys() -> None:
    _, _, rest = PAGE.read_text().partition(BEGIN)
    assert rest.partition(END)[0] == keys_table(read_keys()), "run `python -m tools.docs_keys`"


def test_types_of_the_page() -> None:
    tsc = shutil.which("tsc")
    if tsc is None:
        pytest.skip("there is no tsc; `npm install -g typescript` brings it")
    flags = "--noEmit --allowJs --checkJs --strict --target es2022 --lib es2023,dom,dom.iterable --module esnext"
    command = [tsc, *flags.split(), "--moduleResolution", "bundler", STATIC / "main.js", STATIC / "queue.js"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
