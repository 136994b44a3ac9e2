"""Damaged annotations: every file is read or refused in one line; no other exception."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posetrail.errors import InputError
from tests.training.data.layouts import MAKERS, MATLAB, structs, write
from training.data.images import ImageFinder
from training.data.read import READERS, format_of, read_samples
from training.samples import Samples

NAME = {layout: layout.partition("_")[0].rstrip("0123456789") for layout in MAKERS} | {"lspet": "lsp"}  # of READERS
JSON_LAYOUTS = [layout for layout in MAKERS if layout not in MATLAB]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(-5, 5), max_size=4),
    st.dictionaries(st.sampled_from(["id", "keypoints", "x"]), st.integers(0, 3), max_size=2),
)


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Keys that lead to every value of a parsed file; of long lists of numbers, to the first few."""
    here = [path] if path else []
    if isinstance(content, dict):
        return here + [each for key, value in content.items() for each in places(value, (*path, key))]
    if isinstance(content, list):
        return here + [each for i, value in enumerate(content[:4]) for each in places(value, (*path, i))]
    return here


def damaged(content: Any, path: tuple[Any, ...], value: Any, remove: bool) -> Any:
    """The content with one value replaced or removed."""
    content = copy.deepcopy(content)
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    if remove:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return content


def refusal(read: Callable[[], Samples]) -> str | None:
    """The one line with which annotations are refused; None if they are read."""
    try:
        samples = read()
    except InputError as error:
        (line,) = str(error).splitlines()
        return line
    assert samples.labelled.shape == (len(samples), len(samples.skeleton))
    return None


@pytest.mark.parametrize("layout", JSON_LAYOUTS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_wrong_value_is_read_or_refused_in_one_line(layout: str, tmp_path: Path, data: st.DataObject) -> None:
    content = MAKERS[layout]()
    place = data.draw(st.sampled_from(places(content)))
    content = damaged(content, place, data.draw(VALUES), data.draw(st.booleans()))
    path = tmp_path / "annotations.json"
    line = refusal(lambda: READERS[NAME[layout]](path, content, ImageFinder(path, may_be_missing=True)))
    assert line is None or line.startswith(str(path))
    format_of(content)


def fields(content: Any) -> list[tuple[Any, Any]]:
    """Every field of the structures in a MATLAB file: what holds it, and its key."""
    if isinstance(content, dict):
        return [each for key, value in content.items() for each in [(content, key), *fields(value)]]
    if isinstance(content, np.ndarray) and content.dtype.names:
        elements = [(content[0, i], key) for i in range(content.size) for key in content.dtype.names]
        return [each for element, key in elements for each in [(element, key), *fields(element[key])]]
    return []


@pytest.mark.parametrize("layout", MATLAB)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_wrong_field_of_a_matlab_file_is_read_or_refused_in_one_line(
    layout: str, tmp_path: Path, data: st.DataObject
) -> None:
    content = MAKERS[layout]()
    holder, key = data.draw(st.sampled_from(fields(content)))
    values = ["x", "", -1.5, 1e12, np.nan, np.zeros((0, 0)), np.zeros((2, 3)), structs([{"a": 1}]), {"b": 2}]
    holder[key] = data.draw(st.sampled_from(values))
    path = write(tmp_path, layout, content)
    refusal(lambda: read_samples(path, format=NAME[layout], may_be_missing=True))


@pytest.mark.parametrize("layout", MATLAB)
def test_a_matlab_file_that_was_cut_off_is_refused_in_one_line(layout: str, tmp_path: Path) -> None:
    path = write(tmp_path, layout)
    content = path.read_bytes()
    for length in np.linspace(0, len(content) - 8, 30).astype(int).tolist():
        path.write_bytes(content[:length])
        assert refusal(lambda: read_samples(path, may_be_missing=True)) is not None


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner)))
def test_any_json_but_an_empty_list_is_refused_in_one_line(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content))
    for name in (None, *READERS):
        assert refusal(partial(read_samples, path, format=name)) is not None or content == []
