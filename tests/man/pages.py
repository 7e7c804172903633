#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks the manual pages: one for every exported symbol, with the header's prototype, of this version, with
references that lead somewhere, and free of what mandoc and groff warn of."""
import os
import re
import shlex
import shutil
import subprocess
import sys

TOP = os.environ.get("top_srcdir", ".")
MAN = os.path.join(TOP, "man")


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


def pages():
    return sorted(name for name in os.listdir(MAN) if re.fullmatch(r"\w+\.[137]", name))


def version():
    header = read("include", "mpix_layout.h")
    return ".".join(re.search(rf"VERSION_{part} (\d+)", header).group(1) for part in ("MAJOR", "MINOR", "PATCH"))


def resolved(name):
    """The text of a page, which may stand in another one."""
    text = read("man", name)
    link = re.match(r"\.so man\d/(\S+)\n$", text)
    return read("man", link.group(1)) if link else text


def names_of(text):
    """The names that a page's first section says it is about."""
    section = re.search(r'^\.SH NAME\n(.*?)^\.SH', text, re.MULTILINE | re.DOTALL)
    return section.group(1).split("\\-")[0].replace("\n", " ").split(", ") if section else []


def prototypes_of_header():
    text = re.sub(r"/\*.*?\*/", "", read("include", "mpix_layout.h"), flags=re.DOTALL)
    found = re.findall(r"MPIX_LAYOUT_API (int (\w+)\([^;]*\);)", text)
    return {name: re.sub(r"\s", "", prototype) for prototype, name in found}


def prototypes_of_page(text):
    """The C synopsis, without fonts and spaces."""
    synopsis = text.split(".SH SYNOPSIS")[1].split(".B use mpix_layout_f08")[0]
    lines = [line[4:] for line in synopsis.splitlines() if line.startswith(".BI ")]
    return re.sub(r"\s", "", "".join("".join(shlex.split(line)) for line in lines))


def symbol_faults():
    prototypes = prototypes_of_header()
    for symbol in read("src", "api", "exported-symbols.txt").split():
        page = "mpix_layout_errors.7" if symbol.startswith("MPIX_ERR_") else f"{symbol}.3"
        if page not in pages():
            yield f"{symbol}: no page"
        elif symbol not in [name.strip() for name in names_of(resolved(page))]:
            yield f"{symbol}: not among the names of its page"
        elif symbol in prototypes and prototypes[symbol] not in prototypes_of_page(resolved(page)):
            yield f"{symbol}: the page's prototype is not {prototypes[symbol]}"


def header_faults(name, text):
    title = re.search(r'^\.TH (\S+) (\d) \S+ "mpix-layout ([\d.]+)"', text, re.MULTILINE)
    if not title or f"{title.group(1)}.{title.group(2)}" != name:
        yield f"{name}: the .TH line does not name the page"
    elif title.group(3) != version():
        yield f"{name}: is of version {title.group(3)}, not {version()}"


def reference_faults(name, text):
    for target, section in re.findall(r"^\.BR (mpix_\w+|MPIX_\w+) \((\d)\)", text, re.MULTILINE | re.IGNORECASE):
        if f"{target}.{section}" not in pages():
            yield f"{name}: refers to {target}({section}), which does not exist"


def lint_faults(name):
    path = os.path.join(MAN, name)
    commands = {"mandoc": ["mandoc", "-Tlint", "-Wwarning", path],
                "groff": ["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z", path]}
    for tool, command in commands.items():
        if shutil.which(tool):
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            yield from (run.stdout + run.stderr).splitlines()


def main():
    faults = list(symbol_faults())
    for name in pages():
        text = read("man", name)
        if text.startswith(".so "):
            continue
        faults += [*header_faults(name, text), *reference_faults(name, text), *lint_faults(name)]
    print("\n".join(faults + [f"{len(pages())} pages, {len(faults)} faults"]))
    if not shutil.which("mandoc"):
        print("SKIP: the pages were not looked at by mandoc, which is not installed")
    return 1 if faults or not pages() else 0 if shutil.which("mandoc") else 77


if __name__ == "__main__":
    sys.exit(main())
