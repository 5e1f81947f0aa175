"""Searches for inputs that break one of the readers, led by which of Metier's lines each input reaches (atheris).

    pip install --editable '.[dev]'
    python scripts/fuzz.py journal --seconds 600

The properties are those of the tests; this looks longer and further. An input that breaks one is shown and kept in
`fuzz/`, and `--again FILE` tries it once more. Status 77 if there is one, as libFuzzer has it.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from pathlib import Path

TARGETS = {
    "manifest": ("tests.hostile.test_fuzz", "test_a_manifest_is_void_or_names_nothing_outside"),
    "meta": ("tests.hostile.test_fuzz", "test_a_damaged_meta_json_is_a_broken_capability"),
    "wasi": ("tests.hostile.test_fuzz", "test_no_arguments_of_wasi_break_the_host"),
    "door": ("tests.hostile.test_fuzz", "test_no_request_breaks_the_door"),
    "journal": ("tests.hostile.test_fuzz", "test_a_damaged_journal_is_read_as_far_as_it_goes"),
    "rows": ("tests.hostile.test_fuzz", "test_odd_values_in_a_journal_break_nothing"),
    "json": ("tests.test_schemas", "test_any_text_is_a_value_or_an_error_of_one_line"),
    "schema": ("tests.test_schemas", "test_verdicts_are_those_of_the_reference_implementation"),
}
"""By name: the test whose property is to hold."""
ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="how long to search")
    parser.add_argument("--runs", type=int, default=-1, help="stop after so many inputs, and keep none of them")
    parser.add_argument("--again", type=Path, help="try this one input instead")
    arguments = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print(
            "atheris is not installed; there are wheels of it for Linux on x86-64: pip install atheris", file=sys.stderr
        )
        return 4
    sys.path.insert(0, str(ROOT))
    module, test = TARGETS[arguments.target]
    with atheris.instrument_imports(include=["metier"]):
        held = getattr(importlib.import_module(module), test).hypothesis.fuzz_one_input
    if arguments.again:
        held(arguments.again.read_bytes())
        return 0
    kept = ROOT / "fuzz" / arguments.target
    options = ["-len_control=0", "-max_len=4096", "-timeout=60", "-rss_limit_mb=4096", f"-artifact_prefix={kept}/"]
    options += [f"-max_total_time={arguments.seconds}", f"-runs={arguments.runs}"]
    kept.mkdir(parents=True, exist_ok=True)
    if arguments.runs < 0:
        options.append(str(kept))

    logging.disable()  # each damaged journal is worth a line

    def hold(data: bytes) -> None:
        held(data)

    atheris.Setup([sys.argv[0], *options], hold)
    atheris.Fuzz()  # ends the process
    return 0


if __name__ == "__main__":
    sys.exit(main())
