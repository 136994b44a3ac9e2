"""A disc quota for one process: a library that stands before the C library's own write, compiled when it is needed."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long written;

static int over(int file, size_t count) {
    const char *folder = getenv("QUOTA_FOLDER"), *bytes = getenv("QUOTA_BYTES");
    char link[64], path[PATH_MAX];
    if (!folder || !bytes) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || strncmp(path, folder, strlen(folder))) return 0;
    return (written += count) > atol(bytes);
}

ssize_t write(int file, const void *data, size_t count) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) next = dlsym(RTLD_NEXT, "write");
    if (over(file, count)) { errno = EDQUOT; return -1; }
    return next(file, data, count);
}
"""


@cache
def quota_library(folder: Path) -> Path:
    """The library, for LD_PRELOAD; QUOTA_BYTES may be written into files of QUOTA_FOLDER, and no more."""
    source, library = folder / "quota.c", folder / "quota.so"
    source.write_text(_SOURCE)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library
