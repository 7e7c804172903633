#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Keeps the parts of mpix_layout(7) that are made from other files.

usage: fill.py [--check] PAGE TOP INFO

PAGE is the page, TOP the folder that the names of examples refer to, INFO the program mpix_layout_info. Writes what
stands between the page's begin and end comments; with --check, only says whether it is up to date.
"""
import difflib
import os
import re
import subprocess
import sys

PART = re.compile(r'(?P<begin>\.\\" begin (?P<name>\S+)\n).*?(?P<end>\.\\" end (?P=name)\n)', re.DOTALL)


def escape(line):
    """A line of a program as roff text."""
    line = line.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha").replace("~", "\\(ti")
    line = line.replace("`", "\\(ga").replace("'", "\\(aq")
    return "\\&" + line if line.startswith(".") else line


def content(name, top, info):
    if name == "config":
        return subprocess.run([info, "--config=man"], check=True, capture_output=True, text=True).stdout
    with open(os.path.join(top, name), encoding="utf-8") as source:
        return "".join(escape(line) for line in source)


def main():
    check = "--check" in sys.argv[1:]
    path, top, info = [argument for argument in sys.argv[1:] if argument != "--check"]
    with open(path, encoding="utf-8") as page:
        old = page.read()
    names = [match.group("name") for match in PART.finditer(old)]
    new = PART.sub(lambda match: match.group("begin") + content(match.group("name"), top, info) + match.group("end"), old)
    if not check:
        with open(path, "w", encoding="utf-8") as page:
            page.write(new)
        return 0
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), path, "made from its sources"))
    print(f"{os.path.basename(path)}: {', '.join(names)}: {'up to date' if old == new else 'out of date: run man/fill.py'}")
    return 0 if old == new and names else 1


if __name__ == "__main__":
    sys.exit(main())
