"""What can be wrong in a file: bytes, values of a JSON tree, and words that a hostile user would choose."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from ..fuzz_posetrack import ODD_VALUES
from ..fuzz_posetrack import mutated as mutated_json
from .clips import cut_out, flipped, head_flipped, repeated, truncated, zeroed

_HOSTILE = (
    b"../evil", b"/etc/hostname", b"..", b".", b"", b"~", b"a/../../../evil", b"C:\\evil", b"evil\x00", b"x" * 5000,
    b"-1", b"1e308", b"999999999999999999999", b"nan", b"Infinity", b"[" * 3000, b'{"a":' * 3000, b"\xff\xfe", b"$(id)",
    b"file:///etc/hostname", b"http://127.0.0.1:9/x", b"\xe2\x80\xae", b"=cmd|1", b"con.txt",
)  # fmt: skip
_WORD = re.compile(rb"[\w./-]+")


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The file with something wrong in its bytes."""
    if not data:
        return rng.randbytes(10)
    return rng.choice([truncated, flipped, head_flipped, zeroed, cut_out, repeated])(data, rng)


def mutated_text(data: bytes, rng: random.Random) -> bytes:
    """A text file with wrong bytes, wrong values, or hostile words."""
    return rng.choice([damaged, mutated_json, mutated_json, hostile, hostile])(data, rng)


def hostile(data: bytes, rng: random.Random) -> bytes:
    """One or two words of the file, or values of its JSON tree, are of another sort."""
    for _ in range(rng.choice([1, 1, 2])):
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):
            words = list(_WORD.finditer(data))
            if not words:
                return rng.choice(_HOSTILE)
            word = rng.choice(words)
            data = data[: word.start()] + rng.choice(_HOSTILE) + data[word.end() :]
        else:
            _replace_a_leaf(content, rng)
            data = json.dumps(content).encode()
    return data


def _replace_a_leaf(content: Any, rng: random.Random) -> None:
    node = content
    while isinstance(node, dict | list) and node:
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        inside = node[key]
        if not isinstance(inside, dict | list) or not inside:
            word = rng.choice(_HOSTILE).decode(errors="replace")
            node[key] = rng.choice([word, word, word, [word], {word: word}, ODD_VALUES[rng.randrange(len(ODD_VALUES))]])
        node = inside
