"""Copies the npm packages that the page uses into src/fugato/serve/page/vendor, with their licences.

python tools/vendor_page.py installs what package-lock.json pins (checked against its checksums) into a folder of its own and copies the
few files that the page loads. Nothing is bundled or minified here; the only change is that imports by package name become imports of the
file beside it, as a browser without an import map wants. The result is committed, so users and tests need no npm.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENDOR = ROOT / "src/fugato/serve/page/vendor"
LICENCES = Path(__file__).parent / "licences"  # texts that a package names without bringing them along

# package -> the files that are copied, under vendor/<last part of the name>/
FILES: dict[str, dict[str, str]] = {
    "@fontsource-variable/instrument-sans": {
        "files/instrument-sans-latin-wght-normal.woff2": "latin.woff2",
        "files/instrument-sans-latin-ext-wght-normal.woff2": "latin-ext.woff2",
        "LICENSE": "LICENSE",
    },
    "spessasynth_lib": {
        "dist/index.js": "index.js",
        "dist/spessasynth_processor.min.js": "spessasynth_processor.min.js",
        "LICENSE": "LICENSE",
    },
    "spessasynth_core": {"dist/index.js": "index.js", "LICENSE": "LICENSE"},
    "stb-vorbis": {"dist/index.js": "index.js", "LICENSE": "LICENSE"},
    "verovio": {"dist/verovio.mjs": "verovio.mjs", "dist/verovio-module.mjs": "verovio-module.mjs"},
    "swagger-ui-dist": {
        "swagger-ui-bundle.js": "swagger-ui-bundle.js",
        "swagger-ui.css": "swagger-ui.css",
        "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE.txt",
        "LICENSE": "LICENSE",
        "NOTICE": "NOTICE",
    },
}
EXTRA_LICENCES = {"verovio": ["LGPL-3.0.txt", "GPL-3.0.txt"]}  # the LGPL is the GPL with permissions added


def folder_of(package: str) -> str:
    return package.rsplit("/", 1)[-1].removesuffix("-dist")


def with_relative_imports(text: str) -> str:
    """`from "spessasynth_core"` -> `from "../spessasynth_core/index.js"`; no source map is brought along."""
    names = "|".join(re.escape(p) for p in FILES)
    text = re.sub(rf'(\bfrom\s*)"({names})"', lambda m: f'{m[1]}"../{folder_of(m[2])}/index.js"', text)
    return re.sub(r"\n?//# sourceMappingURL=\S+\s*$", "\n", text)


def main() -> int:
    shutil.rmtree(VENDOR, ignore_errors=True)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / name, scratch)
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(npm, cwd=scratch, check=True)
        for package, files in FILES.items():
            source = Path(scratch) / "node_modules" / package
            about = json.loads((source / "package.json").read_text(encoding="utf-8"))
            target = VENDOR / folder_of(package)
            target.mkdir(parents=True)
            for name, copied in files.items():
                if name.endswith(("index.js", "bundle.js", "min.js")):
                    text = (source / name).read_text(encoding="utf-8")
                    (target / copied).write_text(with_relative_imports(text), encoding="utf-8")
                else:
                    shutil.copyfile(source / name, target / copied)
            for name in EXTRA_LICENCES.get(package, []):
                shutil.copyfile(LICENCES / name, target / name)
            size = sum(f.stat().st_size for f in target.iterdir())
            rows.append(f"| {package} | {about['version']} | {about['license']} | {size / 1024:,.0f} kB |")
    table = "| package | version | licence | size |\n|---|---|---|---|\n" + "\n".join(rows)
    text = f"# What the page brings along\n\nMade by `python tools/vendor_page.py` from package-lock.json.\n\n{table}\n"
    (VENDOR / "README.md").write_text(text, encoding="utf-8")
    print(table, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
