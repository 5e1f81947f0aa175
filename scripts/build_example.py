"""Makes the worked example whole: builds its capabilities, runs every example, writes hashes and provenance.

    python scripts/build_example.py           after a change of a source, a contract or the engine
    python scripts/build_example.py --check   says whether what is committed is what would be built

C and Go need `pip install 'metier[go,zig]'`, Rust needs Debian's rustc, libstd-rust-dev-wasm32 and lld, all three need
bubblewrap. Another version of a compiler makes other bytes; that of the committed ones is in each meta.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from metier.capability import Capability, Provenance, content_hash, meta_json
from metier.config import load_settings, root_paths
from metier.effects import HttpService, SqlStores
from metier.errors import MetierError
from metier.mutation.gates import check_examples
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.toolchains import Workshop, toolchain

EXAMPLE = Path(__file__).parents[1] / "examples" / "hr"
CREATED = "2026-11-24T00:00:00+00:00"


def whole(folder: Path, runner: Runner) -> tuple[Capability, bytes]:
    """The capability of a folder as it should be, and its module.

    Raises:
        SystemExit: it cannot be built, or one of its examples does not hold.
    """
    values = json.loads((folder / "meta.json").read_text("utf-8"))
    source = {p.name: p.read_bytes() for p in sorted((folder / "src").iterdir())}
    values |= {"sha256": values.get("sha256") or "0" * 64, "version": 1}
    values["provenance"] = {**(values.get("provenance") or {"author": "hand", "created": CREATED})}
    capability = Capability.model_validate({k: v for k, v in values.items() if v is not None})
    try:
        built = toolchain(capability.language).build(source, Workshop(runner.box))
    except MetierError as error:
        sys.exit(f"{capability.id}: {error}")
    provenance = Provenance(author="hand", created=CREATED, toolchain=built.toolchain)
    sha256 = content_hash(capability, built.wasm, source)
    capability = capability.model_copy(update={"sha256": sha256, "provenance": provenance, "engine": built.engine})
    findings = check_examples(runner, runner.load(capability, built.wasm), capability.examples)
    if findings:
        sys.exit(f"{capability.id}:\n" + "\n".join(findings))
    return capability, built.wasm


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where something would change")
    check = parser.parse_args().check
    settings = load_settings(EXAMPLE)
    box = Box(announce=lambda line: print(line, file=sys.stderr))
    runner = Runner(
        box,
        roots=root_paths(EXAMPLE, settings),
        policy=settings.policy,
        limits=settings.limits,
        http=HttpService(networks=settings.http.networks),
        stores=SqlStores(settings.stores, EXAMPLE),
    )
    stale = 0
    for folder in sorted(p.parent for p in EXAMPLE.glob("*/meta.json")):
        capability, wasm = whole(folder, runner)
        text = json.dumps(meta_json(capability), indent=2, ensure_ascii=False) + "\n"
        for path, content in ((folder / capability.binary, wasm), (folder / "meta.json", text.encode("utf-8"))):
            if not path.exists() or path.read_bytes() != content:
                stale += 1
                print(f"{'stale' if check else 'written'}: {path.relative_to(EXAMPLE)}")
                if not check:
                    path.write_bytes(content)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
