#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks the sources' #include lines against the table of who may include whom.

A folder may include itself and what its row names. Headers of MPI, UCX, hwloc and CUDA are rows' business too:
a folder without them must stay free of such calls.
"""
import os
import re
import sys

ROOT = os.environ.get("top_srcdir", ".")
PUBLIC = "mpix_layout.h"

# folder: (folders and single headers that it may include, libraries whose headers it may include)
BASE = ("base", "config.h")
TABLE = {
    "kernels": (("config.h",), ()),
    "src/base": (BASE, ()),
    "src/handle": (BASE, ("mpi", "ucx", "hwloc", "cuda")),
    "src/layout": (BASE + ("handle", "kernels/blocks.hpp"), ("mpi",)),
    "src/topology": (BASE + ("handle",), ("mpi", "hwloc")),
    "src/memory": (BASE + ("handle",), ("mpi", "ucx", "cuda")),
    "src/device": (BASE + ("handle", "memory/regions.hpp", "memory/gpu_memory.hpp", "kernels/blocks.hpp",
                           "kernels/device"), ("cuda",)),
    "src/plan": (BASE + ("layout", "topology", "kernels/blocks.hpp"), ()),
    "src/transport": (BASE + ("handle", "memory", "topology"), ("mpi", "ucx", "cuda")),
    "src/engine": (BASE + ("layout", "plan", "memory", "device/device.hpp", "kernels",
                           "transport/transport.hpp"), ("mpi",)),
    "src/api": (BASE + ("handle", "layout", "topology", "memory", "device/device.hpp", "plan", "transport",
                        "engine", "kernels", PUBLIC),
                ("mpi", "ucx", "hwloc", "cuda")),
    "src/fortran": ((PUBLIC, "config.h"), ("mpi",)),
    "src/tools": (BASE + (PUBLIC, "handle", "memory", "device/device.hpp", "topology", "transport", "kernels/host.hpp"),
                  ("mpi", "ucx", "hwloc")),
}
# Parts of transport/ that must not see each other.
TRANSPORTS = ("shm", "ucx", "cuda_ipc")
LIBRARIES = {
    "mpi": re.compile(r"mpi(-ext)?\.h$"),
    "ucx": re.compile(r"uc[pstm]/"),
    "hwloc": re.compile(r"hwloc"),
    "cuda": re.compile(r"cuda|nvml"),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def row_of(path):
    """The table's row for a source file."""
    parts = path.split("/")
    return parts[0] if parts[0] == "kernels" else "/".join(parts[:2])


def allowed(path, target):
    """Whether the file `path` may include the project's header `target`."""
    row = row_of(path)
    own = row.split("/")[-1]
    parts = path.split("/")
    if row == "src/transport" and len(parts) > 3:
        others = [name for name in TRANSPORTS if name != parts[2]]
        if any(target.startswith(f"transport/{name}/") for name in others):
            return False
    names = TABLE[row][0] + (own,)
    return any(target == name or target.startswith(name + "/") for name in names)


def faults_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match.group(2)
            libraries = [name for name, pattern in LIBRARIES.items() if pattern.match(target)]
            if libraries and libraries[0] not in TABLE[row_of(path)][1]:
                yield f"{path}:{number}: no headers of {libraries[0]} here: {target}"
            elif not libraries and (match.group(1) == '"' or target == PUBLIC) and not allowed(path, target):
                yield f"{path}:{number}: may not include {target}"


def sources():
    for top in ("src", "kernels"):
        for folder, _, files in os.walk(os.path.join(ROOT, top)):
            for name in files:
                if name.endswith((".c", ".cpp", ".h", ".hpp", ".cu", ".cuh")):
                    yield os.path.relpath(os.path.join(folder, name), ROOT)


def main():
    paths = sorted(sources())
    unknown = sorted({row_of(path) for path in paths} - set(TABLE))
    faults = [f"{row}: not in the table of tests/source/layering.py" for row in unknown]
    faults += [fault for path in paths if row_of(path) in TABLE for fault in faults_of(path)]
    print("\n".join(faults + [f"{len(paths)} files, {len(faults)} faults"]))
    return 1 if faults or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
