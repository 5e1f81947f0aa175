"""Tables as CSV files, and people by what they are called."""

import csv
from datetime import date, datetime, timedelta

import host


def read(path, columns):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
        header = [] if not rows else list(rows[0])
    if rows and not set(columns) <= set(header):
        raise host.Error(f"{path} lacks some of the columns {', '.join(columns)}", kind="bad_data")
    return rows


def write(path, rows, columns):
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def next_id(rows, key):
    return str(max((int(row[key]) for row in rows), default=0) + 1).zfill(8)


def address_of(who, addresses):
    """The one address that a first name, a full name or an address stands for."""
    wanted = who.strip().casefold()
    known = sorted(set(addresses))
    if "@" in wanted:
        found = [a for a in known if a.casefold() == wanted]
    else:
        found = [a for a in known if set(wanted.split()) <= set(a.casefold().partition("@")[0].split("."))]
    if not wanted or not found:
        raise host.Error(f'nobody is known as "{who}"; known are {", ".join(known[:40])}', kind="not_found")
    if len(found) > 1:
        raise host.Error(f'"{who}" could be {", ".join(found)}', kind="ambiguous")
    return found[0]


def day(text):
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise host.Error(f'"{text}" is no date; write it as 2024-05-31', kind="invalid_input") from None
