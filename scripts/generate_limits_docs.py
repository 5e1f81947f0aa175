"""Writes the table of limits in docs/security.md from the one in the code.

python scripts/generate_limits_docs.py           write it
python scripts/generate_limits_docs.py --check   status 1 where it is not current
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from metier.sandbox.limits import markdown

PAGE = Path(__file__).parents[1] / "docs" / "security.md"


def main() -> int:
    text = PAGE.read_text(encoding="utf-8")
    current, found = re.subn(r"\| limit \|[^\n]*\n(\|[^\n]*\n)+", lambda _: markdown(), text)
    if found != 1:
        print(f"{PAGE} has {found} tables that begin with a column `limit`; it should have one", file=sys.stderr)
        return 1
    if "--check" in sys.argv[1:]:
        if current != text:
            print(f"{PAGE} is not current: run {Path(__file__).name}", file=sys.stderr)
        return int(current != text)
    PAGE.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
