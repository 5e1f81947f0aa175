"""Holds Metier's schema checker to the public test suite of JSON Schema 2020-12 and prints how many of its tests pass.

    git clone https://github.com/json-schema-org/JSON-Schema-Test-Suite
    python scripts/json_schema_suite.py JSON-Schema-Test-Suite

Refused by design are schemas that refer to other documents or hold several (`$id` in a sub-schema). Formats are held
to, where the suite's default is to ignore them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from metier import schemas

DEFAULTS = {
    "format.json": "Metier holds to formats",
    "vocabulary.json": "Metier reads no metaschema of another document",
}
"""Files in which Metier means to differ, and why."""
REFUSALS = ("points outside the document", "only the whole document may have one")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path, help="the suite's checkout")
    files = sorted((parser.parse_args().suite / "tests" / "draft2020-12").glob("*.json"))
    if not files:
        parser.error("there is no tests/draft2020-12 in it")
    counts: Counter[str] = Counter()
    for path in files:
        for group in json.loads(path.read_text(encoding="utf-8")):
            schema = group["schema"] if isinstance(group["schema"], dict) else {"allOf": [group["schema"]]}
            why = schemas.check_schema(schema)
            for test in group["tests"]:
                passed = why is None and (schemas.violation(schema, test["data"]) is None) == test["valid"]
                refused = why is not None and why.endswith(REFUSALS)
                end = "passed" if passed else "refused" if refused else "differs by design"
                if not passed and not refused and path.name not in DEFAULTS:
                    end = "failed"
                    print(f"{path.name}: {group['description']}: {test['description']}: {why or 'wrong verdict'}")
                counts[end] += 1
    print(", ".join(f"{count} {end}" for end, count in counts.most_common()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
