"""What a release consists of, in dist/: the wheel and the source archive, hashes of all that they install, a bill of materials, checksums.

    python tools/release.py             build, check, and write all of it
    python tools/release.py --audit     ask the advisory databases about every pinned package too (pip-audit; needs the internet)

Wheel and source archive are built twice, from two copies of what git has committed, and must come out the same to the byte. The time
in them is that of the last commit (SOURCE_DATE_EPOCH). `requirements-hashed.txt` pins every package with the hashes of its files, for
`pip install --require-hashes -r requirements-hashed.txt` before `pip install --no-deps fugato-*.whl`. `sbom.cdx.json` lists them in
CycloneDX 1.5. Needs uv, pip-audit and build, installed by `make release`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
EXTRAS = ("serve", "train", "scale", "scores", "encoder")
PYTHON = "3.11.7"


def run(*command: str | Path, **options: Any) -> str:
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, **options)
    return done.stdout.strip()


def built(place: Path) -> dict[str, Path]:
    """Wheel and source archive of the last commit, built in a copy of it."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(place / "source", filter="data")
    seconds = run("git", "log", "-1", "--format=%ct", cwd=ROOT)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": seconds}
    out = place / "dist"
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, place / "source", env=environment)
    return {path.name: path for path in sorted(out.iterdir())}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same_twice() -> list[Path]:
    """Build twice, compare, and keep the first."""
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        first, second = built(Path(one)), built(Path(other))
        for name, path in first.items():
            if sha256(path) != sha256(second[name]):
                raise SystemExit(f"{name} does not come out the same twice")
        return [Path(shutil.copy(path, DIST / name)) for name, path in first.items()]


def hashed() -> Path:
    """Every package that the base and the extras install, pinned as constraints.txt has it, with the hashes of its files."""
    out = DIST / "requirements-hashed.txt"
    extras = [part for extra in EXTRAS for part in ("--extra", extra)]
    pins = ["--constraint", "constraints.txt", "--generate-hashes", "--no-annotate", "--no-header"]
    command = ["uv", "pip", "compile", "pyproject.toml", *extras, *pins, "--python-version", PYTHON, "--quiet"]
    run(sys.executable, "-m", *command, "--output-file", out, cwd=ROOT)
    return out


def bill_of_materials(requirements: Path, version: str) -> Path:
    """CycloneDX 1.5 of the packages in a file of hashed requirements."""
    components = []
    for block in re.split(r"\n(?=\S)", requirements.read_text(encoding="utf-8")):
        found = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", block)
        if not found:
            continue
        name, number = found.groups()
        components.append(
            {
                "type": "library",
                "name": name,
                "version": number,
                "purl": f"pkg:pypi/{name}@{number}",
                "hashes": [{"alg": "SHA-256", "content": h} for h in re.findall(r"sha256:([0-9a-f]{64})", block)],
            }
        )
    about = {"type": "library", "name": "fugato", "version": version, "purl": f"pkg:pypi/fugato@{version}"}
    licence = [{"license": {"id": "Apache-2.0"}}]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**about, "licenses": licence}},
        "components": components,
    }
    out = DIST / "sbom.cdx.json"
    out.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audit", action="store_true")
    args = parser.parse_args()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    made = same_twice()
    requirements = hashed()
    made += [requirements, bill_of_materials(requirements, version)]
    sums = "".join(f"{sha256(path)}  {path.name}\n" for path in made)
    (DIST / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(sums, end="")
    if args.audit:
        audit = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--require-hashes"]
        sys.exit(subprocess.run([*audit, "--disable-pip"], check=False).returncode)


if __name__ == "__main__":
    main()
