"""Builds data/hr/company.db of the worked example from its JSON files; the same bytes each time and on every machine.

python scripts/build_example_database.py           # after a change of the JSON files
python scripts/build_example_database.py --check   # exit 1 where the committed file is another one
"""

import argparse
import json
import sqlite3
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "examples" / "hr" / "data" / "hr"
DATABASE = DATA / "company.db"

# Columns are named as the keys in the JSON files. NUMERIC keeps 25 an integer and 19.5 a fraction.
TABLES = {
    "employees": """
        id TEXT PRIMARY KEY, name TEXT NOT NULL, title TEXT NOT NULL, department TEXT NOT NULL,
        manager_id TEXT REFERENCES employees (id), email TEXT NOT NULL UNIQUE, location TEXT NOT NULL,
        start_date TEXT NOT NULL""",
    "salaries": """
        employee_id TEXT PRIMARY KEY REFERENCES employees (id), salary NUMERIC NOT NULL, currency TEXT NOT NULL,
        pay_period TEXT NOT NULL, bonus_target_percent NUMERIC NOT NULL""",
    "leave": """
        employee_id TEXT PRIMARY KEY REFERENCES employees (id), year INTEGER NOT NULL, entitled_days NUMERIC NOT NULL,
        carried_over_days NUMERIC NOT NULL, taken_days NUMERIC NOT NULL, booked_days NUMERIC NOT NULL,
        sick_days NUMERIC NOT NULL""",
    "cars": """
        employee_id TEXT PRIMARY KEY REFERENCES employees (id), make TEXT NOT NULL, model TEXT NOT NULL,
        year INTEGER NOT NULL, plate TEXT NOT NULL UNIQUE, ownership TEXT NOT NULL""",
    "performance_reviews": """
        employee_id TEXT NOT NULL REFERENCES employees (id), year INTEGER NOT NULL, rating INTEGER NOT NULL,
        reviewer_id TEXT NOT NULL REFERENCES employees (id), summary TEXT NOT NULL,
        PRIMARY KEY (employee_id, year)""",
}
HEADER_FIELDS_OF_THE_WRITER = ((24, 1), (92, 1), (96, 3_040_000))
"""Change counter, "version valid for" and SQLite's own version (sqlite.org/fileformat.html): the same for all of us."""


def build() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA page_size = 1024")
    for table, columns in TABLES.items():
        connection.execute(f"CREATE TABLE {table} ({' '.join(columns.split())}) WITHOUT ROWID")
        content = json.loads((DATA / f"{table}.json").read_text(encoding="utf-8"))
        marks = ", ".join(f":{name}" for name in content[0])
        connection.executemany(f"INSERT INTO {table} ({', '.join(content[0])}) VALUES ({marks})", content)
    connection.commit()
    image = bytearray(connection.serialize())
    for offset, value in HEADER_FIELDS_OF_THE_WRITER:
        image[offset : offset + 4] = value.to_bytes(4, "big")
    return bytes(image)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where the file would change")
    check = parser.parse_args().check
    image = build()
    if DATABASE.exists() and DATABASE.read_bytes() == image:
        return 0
    print(f"{'stale' if check else 'written'}: {DATABASE.name}, {len(image)} bytes")
    if not check:
        DATABASE.write_bytes(image)
    return int(check)


if __name__ == "__main__":
    sys.exit(main())
