"""The snippets of the manual pages, taken from their source.

A comment says how one is run:

	.\\" run: sh
	.Bd -literal -offset indent
	curl -s $URL/health
	.Ed

and one without such a comment is a mistake, except in evhub-sql(7), all of
which is SQL and run by a unit test.
"""

import collections
import glob
import os
import re

import procs

Snippet = collections.namedtuple("Snippet", "page line kind text")
ESCAPES = {r"\(aq": "'", r"\(dq": '"', r"\e": "\\", r"\-": "-", r"\&": ""}


def pages():
    return sorted(glob.glob(os.path.join(procs.SOURCE, "man", "*.[1-9]")))


def unescape(text):
    text = re.sub(r"\\\((?:aq|dq)|\\[e&-]", lambda m: ESCAPES[m.group()], text)
    return text


def of_page(path):
    with open(path) as f:
        lines = f.read().split("\n")
    found = []
    for i, line in enumerate(lines):
        if line.startswith(".Dl "):
            text = line[4:]
        elif line.startswith(".Bd -literal"):
            text = "\n".join(lines[i + 1:lines.index(".Ed", i)])
        else:
            continue
        mark = re.fullmatch(r'\.\\" run: (\w+)', lines[i - 1])
        found.append(Snippet(os.path.basename(path), i + 1, mark and mark.group(1), unescape(text) + "\n"))
    return found


def of(page, kind=None):
    """The snippets of a page, of one kind or all."""
    everything = of_page(os.path.join(procs.SOURCE, "man", page))
    return [s for s in everything if kind is None or s.kind == kind]
