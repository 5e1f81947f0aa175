"""Programs that read files."""

from __future__ import annotations

from tests.mutation.faults.base import DAY, NUMBER, TEXT, WHOLE, Base, Fault, Test, of, program, rows

PEOPLE = "hr/employees.json"
OWN_PEOPLE = {
    PEOPLE: [
        {"name": "Ada", "department": "IT", "salary": 5000, "currency": "EUR", "manager": None},
        {"name": "Bob", "department": "IT", "salary": 4000, "currency": "USD", "manager": "Ada"},
        {"name": "Cy", "department": "HR", "salary": 3000, "currency": "EUR", "manager": "Bob"},
    ]
}
TEST_PEOPLE = {
    PEOPLE: [
        {"name": "Zoe Ann", "department": "Ops", "salary": 7100, "currency": "USD", "manager": "Max"},
        {"name": "Ann", "department": "Ops", "salary": 6100, "currency": "EUR", "manager": "Zoe Ann"},
        {"name": "Max", "department": "Board", "salary": 9100, "currency": "EUR", "manager": None},
        {"name": "Eve", "department": "Ops", "salary": 7100, "currency": "USD", "manager": "Ann"},
        {"name": "Dan", "department": "ops", "salary": 1, "currency": "EUR", "manager": "Max"},
    ]
}
WIDE = {"permissions": {"files": [{"root": "hr", "path": "**", "access": "read"}]}}

SALARY = Base(
    id="get_salary",
    summary="Returns the monthly salary and its currency of the employee with exactly this name, whose case does not "
    "matter. An unknown name is an error of the kind not_found.",
    source=program(
        """
        import json

        import host

        def run(input: dict) -> dict:
            people = json.load(open("/hr/employees.json"))
            for person in people:
                if person["name"].casefold() == input["name"].casefold():
                    return {"name": person["name"], "salary": person["salary"], "currency": person["currency"]}
            raise host.Error("there is no such employee", kind="not_found")
        """
    ),
    input=of(name=TEXT),
    output=of(name=TEXT, salary=NUMBER, currency=TEXT),
    files={"employees.json": "read"},
    tried=({"name": "Ada"}, {"name": "Bob"}, {"name": "Nobody"}),
    own=OWN_PEOPLE,
    data=TEST_PEOPLE,
    tests=(
        Test({"name": "Ann"}, {"name": "Ann", "salary": 6100, "currency": "EUR"}),
        Test({"name": "zoe ann"}, {"name": "Zoe Ann", "salary": 7100, "currency": "USD"}),
        Test({"name": "DAN"}, {"name": "Dan", "salary": 1, "currency": "EUR"}),
        Test({"name": "Max"}, {"name": "Max", "salary": 9100, "currency": "EUR"}),
        Test({"name": "Zoe"}, error="not_found"),
        Test({"name": "Ann"}, error="not_found", data={PEOPLE: []}),
    ),
    faults=(
        Fault(
            "wrong key match",
            'person["name"].casefold() == input["name"].casefold()',
            'input["name"].casefold() in person["name"].casefold()',
        ),
        Fault(
            "case sensitivity",
            'person["name"].casefold() == input["name"].casefold()',
            'person["name"] == input["name"]',
        ),
        Fault(
            "swallowed error",
            'raise host.Error("there is no such employee", kind="not_found")',
            'return {"name": input["name"], "salary": 0, "currency": "EUR"}',
        ),
        Fault(
            "swallowed error",
            '    people = json.load(open("/hr/employees.json"))',
            '    try:\n        people = json.load(open("/hr/employees.json"))\n    except Exception:\n        return {"name": input["name"], "salary": 0, "currency": "EUR"}',
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("there is no such employee", kind="not_found")',
            'return {"error": "there is no such employee"}',
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("there is no such employee", kind="not_found")',
            'return {"error": "there is no such employee"}',
            {
                "output_schema": {
                    "type": "object",
                    "properties": {"name": TEXT, "salary": NUMBER, "currency": TEXT, "error": TEXT},
                }
            },
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("there is no such employee", kind="not_found")',
            'return {"name": input["name"], "salary": None, "currency": None, "error": "unknown"}',
            {
                "output_schema": {
                    "type": "object",
                    "properties": {"name": {}, "salary": {}, "currency": {}, "error": {}},
                }
            },
        ),
        Fault(
            "hard-coded example",
            '    people = json.load(open("/hr/employees.json"))',
            '    people = [{"name": "Ada", "salary": 5000, "currency": "EUR"}, {"name": "Bob", "salary": 4000, "currency": "USD"}]',
        ),
        Fault(
            "hard-coded example",
            "    for person in people:",
            '    if input["name"] == "Ada":\n        return {"name": "Ada", "salary": 5000, "currency": "EUR"}\n    if input["name"] == "Bob":\n        return {"name": "Bob", "salary": 4000, "currency": "USD"}\n    for person in []:',
        ),
        Fault("wrong unit", '"salary": person["salary"]', '"salary": person["salary"] * 12'),
        Fault("wrong default", '"currency": person["currency"]', '"currency": person.get("currency_code", "EUR")'),
        Fault("off by one", "for person in people:", "for person in people[:-1]:"),
        Fault(
            "dropped field",
            ', "currency": person["currency"]',
            "",
            {"output_schema": of(optional=("currency",), name=TEXT, salary=NUMBER, currency=TEXT)},
        ),
        Fault("wider permission than used", contract=WIDE),
        Fault(
            "wider permission than used",
            contract={"permissions": {"files": [{"root": "hr", "path": "*.json", "access": "read"}]}},
        ),
        Fault(
            "wider permission than used",
            contract={
                "permissions": {
                    "files": [
                        {"root": "hr", "path": "employees.json", "access": "read"},
                        {"root": "hr", "path": "rates.json", "access": "read"},
                    ]
                }
            },
        ),
        Fault(
            "wider permission than used",
            contract={
                "effects": "write",
                "permissions": {"files": [{"root": "hr", "path": "employees.json", "access": "write"}]},
            },
        ),
        Fault(
            "read turned write",
            '            return {"name"',
            '            json.dump(people, open("/hr/employees.json", "w"))\n            return {"name"',
            {
                "effects": "write",
                "permissions": {"files": [{"root": "hr", "path": "employees.json", "access": "write"}]},
            },
        ),
        Fault(
            "read turned write",
            '            return {"name"',
            '            person["seen"] = True\n            json.dump(people, open("/hr/employees.json", "w"))\n            return {"name"',
            {
                "effects": "write",
                "permissions": {"files": [{"root": "hr", "path": "employees.json", "access": "write"}]},
            },
            parent=True,
        ),
        Fault(
            "wider permission than used",
            contract={
                "permissions": {
                    "files": [{"root": "hr", "path": "employees.json", "access": "read"}],
                    "clock": "recorded",
                }
            },
        ),
        Fault(
            "wider permission than used",
            contract={
                "permissions": {
                    "files": [{"root": "hr", "path": "employees.json", "access": "read"}],
                    "random": "recorded",
                }
            },
        ),
        Fault(
            "identity default",
            'input["name"].casefold()',
            'input.get("name", "Ada").casefold()',
            {"input_schema": of(optional=("name",), name=TEXT)},
        ),
        Fault("parent unchanged", "people", "staff", parent=True),
        Fault(
            "parent unchanged",
            "def run(input: dict) -> dict:\n",
            'def run(input: dict) -> dict:\n    """Returns a salary, better than before."""\n',
            parent=True,
        ),
    ),
)

TEAM = Base(
    id="list_team",
    summary="Lists the people of a department, exactly as it is written, who earn `least` or more (everybody if not "
    "given): by salary, the highest first, and by name where it is equal. A department without people is an error of the "
    "kind not_found; one in which nobody earns enough is an empty list.",
    source=program(
        """
        import json

        import host

        def run(input: dict) -> dict:
            with open("/hr/employees.json") as file:
                people = [p for p in json.load(file) if p["department"] == input["department"]]
            if not people:
                raise host.Error("there is no such department", kind="not_found")
            people = [p for p in people if p["salary"] >= input.get("least", 0)]
            people.sort(key=lambda p: (-p["salary"], p["name"]))
            return {"people": [{"name": p["name"], "salary": p["salary"]} for p in people], "count": len(people)}
        """
    ),
    input=of(optional=("least",), department=TEXT, least=NUMBER),
    output=of(people=rows(name=TEXT, salary=NUMBER), count=WHOLE),
    files={"employees.json": "read"},
    tried=({"department": "IT"}, {"department": "IT", "least": 4500}, {"department": "HR"}, {"department": "Nowhere"}),
    own=OWN_PEOPLE,
    data=TEST_PEOPLE,
    tests=(
        Test(
            {"department": "Ops"},
            {
                "people": [
                    {"name": "Eve", "salary": 7100},
                    {"name": "Zoe Ann", "salary": 7100},
                    {"name": "Ann", "salary": 6100},
                ],
                "count": 3,
            },
        ),
        Test(
            {"department": "Ops", "least": 7100},
            {"people": [{"name": "Eve", "salary": 7100}, {"name": "Zoe Ann", "salary": 7100}], "count": 2},
        ),
        Test({"department": "Ops", "least": 7101}, {"people": [], "count": 0}),
        Test({"department": "ops"}, {"people": [{"name": "Dan", "salary": 1}], "count": 1}),
        Test({"department": "Board", "least": 0}, {"people": [{"name": "Max", "salary": 9100}], "count": 1}),
        Test({"department": "Op"}, error="not_found"),
        Test({"department": "Ops"}, error="not_found", data={PEOPLE: []}),
    ),
    faults=(
        Fault("unstable order", '    people.sort(key=lambda p: (-p["salary"], p["name"]))\n', ""),
        Fault("unstable order", '(-p["salary"], p["name"])', '-p["salary"]'),
        Fault("unstable order", '(-p["salary"], p["name"])', '(p["salary"], p["name"])'),
        Fault(
            "unstable order",
            'for p in people], "count"',
            'for p in {p["name"]: p for p in set(map(lambda p: json.dumps(p), people)) and people}.values()][::-1], "count"',
        ),
        Fault("off by one", '>= input.get("least", 0)', '> input.get("least", 0)'),
        Fault("wrong default", 'get("least", 0)', 'get("least", 3500)'),
        Fault(
            "swallowed error",
            '        raise host.Error("there is no such department", kind="not_found")',
            '        return {"people": [], "count": 0}',
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("there is no such department", kind="not_found")',
            'return {"people": [], "count": 0, "error": "unknown department"}',
            {"output_schema": of(optional=("error",), people=rows(name=TEXT, salary=NUMBER), count=WHOLE, error=TEXT)},
        ),
        Fault(
            "case sensitivity",
            'p["department"] == input["department"]',
            'p["department"].lower() == input["department"].lower()',
        ),
        Fault(
            "wrong key match",
            'p["department"] == input["department"]',
            'p["department"].startswith(input["department"])',
        ),
        Fault("input ignored", 'input.get("least", 0)', "0"),
        Fault("silent truncation", 'for p in people], "count"', 'for p in people[:2]], "count"'),
        Fault(
            "dropped field",
            ', "count": len(people)',
            "",
            {"output_schema": of(optional=("count",), people=rows(name=TEXT, salary=NUMBER), count=WHOLE)},
        ),
        Fault(
            "hard-coded example",
            "    people.sort(",
            '    if input["department"] == "HR":\n        people = [{"name": "Cy", "salary": 3000}]\n    if input["department"] == "IT":\n        people = [{"name": "Ada", "salary": 5000}, {"name": "Bob", "salary": 4000}]\n    people = people[:2]\n    people.sort(',
        ),
        Fault("wider permission than used", contract=WIDE),
        Fault("wrong value", '"count": len(people)', '"count": len(input)'),
    ),
)

RATES = "hr/rates.json"
PAYROLL = Base(
    id="sum_payroll",
    summary="Adds up all monthly salaries in one currency. rates.json holds what one EUR costs in each other currency. "
    "The sum is rounded to cents at the end, half to even. A currency without a rate, asked for or on record, is an error "
    "of the kind no_rate.",
    source=program(
        """
        import json
        from decimal import Decimal

        import host

        def run(input: dict) -> dict:
            people = json.load(open("/hr/employees.json"))
            rates = {"EUR": Decimal(1)}
            rates.update({k: Decimal(str(v)) for k, v in json.load(open("/hr/rates.json")).items()})
            for currency in [input["currency"], *(p["currency"] for p in people)]:
                if currency not in rates:
                    raise host.Error(f"there is no rate for {currency}", kind="no_rate")
            euros = sum((Decimal(str(p["salary"])) / rates[p["currency"]] for p in people), Decimal(0))
            return {"total": float(round(euros * rates[input["currency"]], 2)), "people": len(people)}
        """
    ),
    input=of(currency={"type": "string", "pattern": "^[A-Z]{3}$"}),
    output=of(total=NUMBER, people=WHOLE),
    files={"employees.json": "read", "rates.json": "read"},
    tried=({"currency": "EUR"}, {"currency": "USD"}, {"currency": "XXX"}),
    own={**OWN_PEOPLE, RATES: {"USD": 1.25}},
    data={**TEST_PEOPLE, RATES: {"USD": 1.1, "JPY": 160.5}},
    tests=(
        Test({"currency": "EUR"}, {"total": 28110.09, "people": 5}),
        Test({"currency": "JPY"}, {"total": 4511669.59, "people": 5}),
        Test({"currency": "USD"}, {"total": 30921.1, "people": 5}),
        Test({"currency": "CHF"}, error="no_rate"),
        Test({"currency": "EUR"}, error="no_rate", data={**TEST_PEOPLE, RATES: {"JPY": 2}}),
        Test({"currency": "EUR"}, {"total": 0, "people": 0}, data={PEOPLE: [], RATES: {}}),
        Test(
            {"currency": "GBP"},
            {"total": 0.33, "people": 1},
            data={
                PEOPLE: [{"name": "A", "department": "B", "salary": 1, "currency": "CHF", "manager": None}],
                RATES: {"CHF": 3, "GBP": 1},
            },
        ),
    ),
    faults=(
        Fault("wrong unit", '* rates[input["currency"]]', '/ rates[input["currency"]]'),
        Fault("wrong unit", '/ rates[p["currency"]]', '* rates[p["currency"]]'),
        Fault("wrong unit", '/ rates[p["currency"]] ', ""),
        Fault(
            "float rounding", 'round(euros * rates[input["currency"]], 2)', 'round(euros, 0) * rates[input["currency"]]'
        ),
        Fault(
            "swallowed error",
            '            raise host.Error(f"there is no rate for {currency}", kind="no_rate")',
            "            rates[currency] = Decimal(1)",
        ),
        Fault("wrong default", "    euros = sum", '    rates["USD"] = Decimal("1.25")\n    euros = sum'),
        Fault(
            "swallowed error",
            'json.load(open("/hr/rates.json")).items()',
            '(json.load(open("/hr/rates.json")) if __import__("os").path.exists("/hr/rates.json") else {"USD": 1.25}).items()',
        ),
        Fault("off by one", '"people": len(people)', '"people": len(people) - 1'),
        Fault(
            "error with exit 0",
            'raise host.Error(f"there is no rate for {currency}", kind="no_rate")',
            'return {"total": 0, "people": 0}',
        ),
        Fault("hard-coded example", 'json.load(open("/hr/rates.json")).items()', '{"USD": 1.25}.items()'),
        Fault(
            "hard-coded example",
            'json.load(open("/hr/rates.json")).items()',
            '({"USD": 1.25} if open("/hr/rates.json") else {}).items()',
        ),
        Fault("silent truncation", 'Decimal(str(p["salary"]))', 'Decimal(int(p["salary"]) // 100 * 100)'),
        Fault("wider permission than used", contract=WIDE),
        Fault(
            "dropped record",
            "for p in people), Decimal(0))",
            'for p in {p["salary"]: p for p in people}.values()), Decimal(0))',
        ),
    ),
)

LEAVE = "hr/leave.json"
BALANCE = Base(
    id="get_leave_balance",
    summary="Returns the days of leave of an employee in a year: entitled (25 where the record names none), taken, and "
    "left, which may be negative. A booking counts in the year of its `day`; half days count a half. An unknown name is an "
    "error of the kind not_found.",
    source=program(
        """
        import json

        import host

        def run(input: dict) -> dict:
            with open("/hr/leave.json") as file:
                records = json.load(file)
            record = next((r for r in records if r["name"] == input["name"]), None)
            if record is None:
                raise host.Error("nobody has this name", kind="not_found")
            booked = [b for b in record["bookings"] if int(b["day"][:4]) == input["year"]]
            taken = sum(0.5 if b.get("half", False) else 1 for b in booked)
            entitled = record.get("entitled", 25)
            return {"entitled": entitled, "taken": taken, "left": entitled - taken}
        """
    ),
    input=of(name=TEXT, year=WHOLE),
    output=of(entitled=NUMBER, taken=NUMBER, left=NUMBER),
    files={"leave.json": "read"},
    tried=({"name": "Ada", "year": 2026}, {"name": "Bob", "year": 2026}, {"name": "Cy", "year": 2026}),
    own={
        LEAVE: [
            {"name": "Ada", "entitled": 30, "bookings": [{"day": "2026-01-05"}, {"day": "2026-01-06"}]},
            {"name": "Bob", "bookings": []},
        ]
    },
    data={
        LEAVE: [
            {
                "name": "Ann",
                "entitled": 28,
                "bookings": [{"day": "2025-12-31"}, {"day": "2026-01-01"}, {"day": "2026-12-31", "half": True}],
            },
            {
                "name": "Max",
                "bookings": [
                    {"day": "2026-05-05", "half": False},
                    {"day": "2026-05-05", "half": True},
                    {"day": "2026-05-06"},
                ],
            },
            {"name": "Maxine", "entitled": 1, "bookings": [{"day": "2026-01-02"}, {"day": "2026-01-03"}]},
        ]
    },
    tests=(
        Test({"name": "Ann", "year": 2026}, {"entitled": 28, "taken": 1.5, "left": 26.5}),
        Test({"name": "Ann", "year": 2025}, {"entitled": 28, "taken": 1, "left": 27}),
        Test({"name": "Ann", "year": 2024}, {"entitled": 28, "taken": 0, "left": 28}),
        Test({"name": "Max", "year": 2026}, {"entitled": 25, "taken": 2.5, "left": 22.5}),
        Test({"name": "Maxine", "year": 2026}, {"entitled": 1, "taken": 2, "left": -1}),
        Test({"name": "max", "year": 2026}, error="not_found"),
        Test({"name": "Ma", "year": 2026}, error="not_found"),
    ),
    faults=(
        Fault("wrong default", 'get("entitled", 25)', 'get("entitled", 30)'),
        Fault("wrong default", 'get("half", False)', 'get("half", True)'),
        Fault(
            "time or locale dependence",
            'input["year"]]',
            '__import__("datetime").date.today().year]',
            {"input_schema": of(optional=("year",), name=TEXT, year=WHOLE)},
        ),
        Fault(
            "time or locale dependence",
            'for b in record["bookings"] if',
            'for b in record["bookings"] if b["day"] >= __import__("datetime").date.today().isoformat() and',
        ),
        Fault("off by one", '"left": entitled - taken', '"left": entitled - taken - 1'),
        Fault("silent truncation", '"left": entitled - taken', '"left": max(0, entitled - taken)'),
        Fault(
            "silent truncation",
            'taken = sum(0.5 if b.get("half", False) else 1 for b in booked)',
            'taken = len({b["day"] for b in booked})',
        ),
        Fault("wrong unit", "0.5 if", "4 if"),
        Fault(
            "swallowed error",
            '        raise host.Error("nobody has this name", kind="not_found")',
            '        record = {"bookings": []}',
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("nobody has this name", kind="not_found")',
            'return {"error": "nobody has this name"}',
        ),
        Fault("wrong key match", 'r["name"] == input["name"]', 'input["name"] in r["name"]'),
        Fault("input ignored", 'if int(b["day"][:4]) == input["year"]', 'if input["year"]'),
        Fault(
            "dropped field",
            '"entitled": entitled, ',
            "",
            {"output_schema": of(optional=("entitled",), entitled=NUMBER, taken=NUMBER, left=NUMBER)},
        ),
        Fault(
            "identity default",
            'r["name"] == input["name"]',
            'r["name"] == input.get("name", r["name"])',
            {"input_schema": of(optional=("name",), name=TEXT, year=WHOLE)},
        ),
    ),
)

LOG = "hr/app.log"
ERRORS = Base(
    id="count_log_lines",
    summary="Counts the lines of app.log of a level, which is the second word of a line, and returns the first and the "
    "last of them; null for both where there is none. Case matters.",
    source=program(
        """
        def run(input: dict) -> dict:
            with open("/hr/app.log", encoding="utf-8") as file:
                lines = [line.rstrip("\\n") for line in file]
            found = [line for line in lines if line.split()[1:2] == [input["level"]]]
            return {"count": len(found), "first": found[0] if found else None, "last": found[-1] if found else None}
        """
    ),
    input=of(level=TEXT),
    output=of(count=WHOLE, first={"type": ["string", "null"]}, last={"type": ["string", "null"]}),
    files={"app.log": "read"},
    tried=({"level": "ERROR"}, {"level": "INFO"}, {"level": "NONE"}),
    own={LOG: "1 ERROR one\n2 INFO two\n3 ERROR three\n"},
    data={
        LOG: "08:00 INFO start\n08:01 ERROR a\n\n08:02 WARNING ERROR in b\n08:03 ERROR c\n08:04 INFO end\n08:05 ERROR d"
    },
    tests=(
        Test({"level": "ERROR"}, {"count": 3, "first": "08:01 ERROR a", "last": "08:05 ERROR d"}),
        Test(
            {"level": "WARNING"}, {"count": 1, "first": "08:02 WARNING ERROR in b", "last": "08:02 WARNING ERROR in b"}
        ),
        Test({"level": "INFO"}, {"count": 2, "first": "08:00 INFO start", "last": "08:04 INFO end"}),
        Test({"level": "error"}, {"count": 0, "first": None, "last": None}),
        Test({"level": "start"}, {"count": 0, "first": None, "last": None}),
        Test({"level": "ERROR"}, {"count": 0, "first": None, "last": None}, data={LOG: ""}),
    ),
    faults=(
        Fault("wrong key match", 'line.split()[1:2] == [input["level"]]', 'input["level"] in line'),
        Fault(
            "case sensitivity",
            'line.split()[1:2] == [input["level"]]',
            'line.upper().split()[1:2] == [input["level"].upper()]',
        ),
        Fault("off by one", "for line in file]", "for line in file][1:]"),
        Fault("off by one", "for line in file]", "for line in file][:-1]"),
        Fault("empty input", "found[0] if found else None", "found[0]"),
        Fault("wrong value", "found[-1] if found else None", "found[0] if found else None"),
        Fault("empty input", 'line.split()[1:2] == [input["level"]]', 'line.split()[1] == input["level"]'),
        Fault(
            "swallowed error",
            "    with open",
            '    import os\n    if not os.path.exists("/hr/app.log"):\n        return {"count": 0, "first": None, "last": None}\n    with open',
        ),
        Fault(
            "hard-coded example",
            "    found = [",
            '    if input["level"] == "ERROR":\n        lines = ["1 ERROR one", "3 ERROR three"]\n    found = [',
        ),
        Fault(
            "dropped field",
            ', "last": found[-1] if found else None',
            "",
            {
                "output_schema": of(
                    optional=("last",),
                    count=WHOLE,
                    first={"type": ["string", "null"]},
                    last={"type": ["string", "null"]},
                )
            },
        ),
        Fault("silent truncation", "for line in file]", "for line in file][:5]"),
        Fault(
            "read turned write",
            "    found = [",
            '    open("/hr/app.log", "w").write("\\n".join(lines))\n    found = [',
            {"effects": "write", "permissions": {"files": [{"root": "hr", "path": "app.log", "access": "write"}]}},
        ),
        Fault("wider permission than used", contract=WIDE),
    ),
)

REVIEWS = "hr/reviews.json"
REVIEW = Base(
    id="find_latest_review",
    summary="Returns date and rating of the latest review of a name before the day `before`, or of all if that is not "
    "given. No such review is an error of the kind not_found.",
    source=program(
        """
        import json

        import host

        def run(input: dict) -> dict:
            reviews = json.load(open("/hr/reviews.json"))
            mine = [r for r in reviews if r["name"] == input["name"] and r["date"] < input.get("before", "9999")]
            if not mine:
                raise host.Error("there is no such review", kind="not_found")
            latest = max(mine, key=lambda r: r["date"])
            return {"date": latest["date"], "rating": latest["rating"]}
        """
    ),
    input=of(optional=("before",), name=TEXT, before=DAY),
    output=of(date=DAY, rating=WHOLE),
    files={"reviews.json": "read"},
    tried=({"name": "Ada"}, {"name": "Ada", "before": "2026-02-01"}, {"name": "Nobody"}),
    own={
        REVIEWS: [
            {"name": "Ada", "date": "2026-01-01", "rating": 3},
            {"name": "Ada", "date": "2026-03-01", "rating": 5},
        ]
    },
    data={
        REVIEWS: [
            {"name": "Ann", "date": "2026-05-01", "rating": 4},
            {"name": "Ann", "date": "2024-05-01", "rating": 1},
            {"name": "Max", "date": "2025-07-01", "rating": 2},
            {"name": "Ann", "date": "2025-05-01", "rating": 3},
        ]
    },
    tests=(
        Test({"name": "Ann"}, {"date": "2026-05-01", "rating": 4}),
        Test({"name": "Ann", "before": "2026-05-01"}, {"date": "2025-05-01", "rating": 3}),
        Test({"name": "Ann", "before": "2026-05-02"}, {"date": "2026-05-01", "rating": 4}),
        Test({"name": "Ann", "before": "2025-01-01"}, {"date": "2024-05-01", "rating": 1}),
        Test({"name": "Max"}, {"date": "2025-07-01", "rating": 2}),
        Test({"name": "Ann", "before": "2024-05-01"}, error="not_found"),
        Test({"name": "An"}, error="not_found"),
        Test(
            {"name": "Eve"},
            {"date": "2031-01-01", "rating": 5},
            data={REVIEWS: [{"name": "Eve", "date": "2031-01-01", "rating": 5}]},
        ),
    ),
    faults=(
        Fault("off by one", 'r["date"] < input', 'r["date"] <= input'),
        Fault("unstable order", 'max(mine, key=lambda r: r["date"])', "mine[-1]"),
        Fault("unstable order", 'max(mine, key=lambda r: r["date"])', "mine[0]"),
        Fault("wrong default", 'get("before", "9999")', 'get("before", "2026-04-01")'),
        Fault(
            "time or locale dependence",
            'get("before", "9999")',
            'get("before", __import__("datetime").date.today().isoformat())',
        ),
        Fault(
            "time or locale dependence",
            'key=lambda r: r["date"]',
            'key=lambda r: abs(__import__("time").time() - int(r["date"][:4]) * 31557600)',
        ),
        Fault("wrong value", 'key=lambda r: r["date"]', 'key=lambda r: r["rating"]'),
        Fault(
            "swallowed error",
            '        raise host.Error("there is no such review", kind="not_found")',
            '        return {"date": "1970-01-01", "rating": 0}',
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("there is no such review", kind="not_found")',
            'return {"status": "error", "message": "none"}',
            {"output_schema": {"type": "object", "properties": {"date": DAY, "rating": WHOLE}}},
        ),
        Fault("wrong key match", 'r["name"] == input["name"]', 'r["name"].startswith(input["name"])'),
        Fault("input ignored", 'and r["date"] < input.get("before", "9999")', ""),
        Fault(
            "dropped field",
            '"date": latest["date"], ',
            "",
            {"output_schema": of(optional=("date",), date=DAY, rating=WHOLE)},
        ),
        Fault("wrong unit", '"rating": latest["rating"]', '"rating": latest["rating"] * 20'),
    ),
)

ITEMS = "hr/stock.csv"
STOCK = Base(
    id="compute_stock_value",
    summary="Returns the value of a warehouse's stock in EUR, to cents, and how many different items it holds (those with "
    "a quantity of zero are not held). stock.csv has the columns item, warehouse, quantity, price; prices are in cents. An "
    "unknown warehouse is an error of the kind not_found.",
    source=program(
        """
        import csv

        import host

        def run(input: dict) -> dict:
            with open("/hr/stock.csv", newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["warehouse"] == input["warehouse"]]
            if not rows:
                raise host.Error("there is no such warehouse", kind="not_found")
            cents = sum(int(row["quantity"]) * int(row["price"]) for row in rows)
            return {"value": cents / 100, "items": sum(int(row["quantity"]) != 0 for row in rows)}
        """
    ),
    input=of(warehouse=TEXT),
    output=of(value=NUMBER, items=WHOLE),
    files={"stock.csv": "read"},
    tried=({"warehouse": "Bonn"}, {"warehouse": "Kiel"}, {"warehouse": "Rome"}),
    own={ITEMS: "item,warehouse,quantity,price\npen,Bonn,2,150\ncup,Kiel,1,900\n"},
    data={
        ITEMS: 'item,warehouse,quantity,price\n"bolt, long",North,10,33\nnut,North,0,5\nnut,South,7,5\ngear,North,1,1999\ngear,North-East,3,1999\n'
    },
    tests=(
        Test({"warehouse": "North"}, {"value": 23.29, "items": 2}),
        Test({"warehouse": "South"}, {"value": 0.35, "items": 1}),
        Test({"warehouse": "North-East"}, {"value": 59.97, "items": 1}),
        Test({"warehouse": "north"}, error="not_found"),
        Test({"warehouse": "Nor"}, error="not_found"),
        Test({"warehouse": "A"}, {"value": 0, "items": 0}, data={ITEMS: "item,warehouse,quantity,price\nx,A,0,5\n"}),
    ),
    faults=(
        Fault("wrong unit", "cents / 100", "cents"),
        Fault("wrong unit", "cents / 100", "cents / 1000"),
        Fault("silent truncation", "cents / 100", "cents // 100"),
        Fault("off by one", "csv.DictReader(file)", "list(csv.DictReader(file))[:-1]"),
        Fault("off by one", "csv.DictReader(file)", "list(csv.DictReader(file))[1:]"),
        Fault("wrong key match", 'row["warehouse"] == input["warehouse"]', 'input["warehouse"] in row["warehouse"]'),
        Fault(
            "case sensitivity",
            'row["warehouse"] == input["warehouse"]',
            'row["warehouse"].lower() == input["warehouse"].lower()',
        ),
        Fault(
            "swallowed error",
            '        raise host.Error("there is no such warehouse", kind="not_found")',
            '        return {"value": 0, "items": 0}',
        ),
        Fault(
            "wrong parse",
            "csv.DictReader(file)",
            '[dict(zip(["item", "warehouse", "quantity", "price"], line.strip().split(","))) for line in file][1:]',
        ),
        Fault("wrong value", 'sum(int(row["quantity"]) != 0 for row in rows)', "len(rows)"),
        Fault(
            "dropped field",
            ', "items": sum(int(row["quantity"]) != 0 for row in rows)',
            "",
            {"output_schema": of(optional=("items",), value=NUMBER, items=WHOLE)},
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("there is no such warehouse", kind="not_found")',
            'return {"value": -1, "items": -1}',
        ),
        Fault("input echoed", '"value": cents / 100', '"value": len(input["warehouse"]) * 75 / 100'),
        Fault("wider permission than used", contract=WIDE),
    ),
)

CHAIN = Base(
    id="list_managers",
    summary="Lists the managers of an employee, the nearest first. An unknown name, also on the way up, is an error of the "
    "kind not_found; managers in a circle are an error of the kind circle.",
    source=program(
        """
        import json

        import host

        def run(input: dict) -> dict:
            with open("/hr/employees.json") as file:
                managers = {p["name"]: p["manager"] for p in json.load(file)}
            chain, name = [], input["name"]
            while True:
                if name not in managers:
                    raise host.Error(f"nobody is called {name}", kind="not_found")
                name = managers[name]
                if name is None:
                    return {"managers": chain, "top": chain[-1] if chain else input["name"]}
                if name in chain or name == input["name"]:
                    raise host.Error("the managers go round in a circle", kind="circle")
                chain.append(name)
        """
    ),
    input=of(name=TEXT),
    output=of(managers={"type": "array", "items": TEXT}, top=TEXT),
    files={"employees.json": "read"},
    tried=({"name": "Cy"}, {"name": "Ada"}, {"name": "Nobody"}),
    own=OWN_PEOPLE,
    data=TEST_PEOPLE,
    tests=(
        Test({"name": "Eve"}, {"managers": ["Ann", "Zoe Ann", "Max"], "top": "Max"}),
        Test({"name": "Max"}, {"managers": [], "top": "Max"}),
        Test({"name": "Dan"}, {"managers": ["Max"], "top": "Max"}),
        Test({"name": "Zoe"}, error="not_found"),
        Test({"name": "A"}, error="not_found", data={PEOPLE: [{"name": "A", "manager": "B"}]}),
        Test(
            {"name": "A"}, error="circle", data={PEOPLE: [{"name": "A", "manager": "B"}, {"name": "B", "manager": "A"}]}
        ),
        Test(
            {"name": "A"},
            error="circle",
            data={
                PEOPLE: [{"name": "A", "manager": "B"}, {"name": "B", "manager": "C"}, {"name": "C", "manager": "B"}]
            },
        ),
    ),
    faults=(
        Fault("unstable order", '"managers": chain', '"managers": sorted(chain)'),
        Fault("unstable order", '"managers": chain', '"managers": list(set(chain))'),
        Fault("unstable order", '"managers": chain', '"managers": chain[::-1]'),
        Fault("off by one", '"managers": chain', '"managers": chain[:-1]'),
        Fault("off by one", 'chain, name = [], input["name"]', 'chain, name = [input["name"]], input["name"]'),
        Fault(
            "swallowed error",
            '            raise host.Error(f"nobody is called {name}", kind="not_found")',
            '            return {"managers": chain, "top": name}',
        ),
        Fault(
            "swallowed error",
            '            raise host.Error("the managers go round in a circle", kind="circle")',
            '            return {"managers": chain, "top": name}',
        ),
        Fault(
            "endless loop",
            '        if name in chain or name == input["name"]:\n            raise host.Error("the managers go round in a circle", kind="circle")\n',
            "",
        ),
        Fault(
            "error with exit 0",
            'raise host.Error(f"nobody is called {name}", kind="not_found")',
            'return {"managers": [], "top": "error: not found"}',
        ),
        Fault("wrong default", 'chain[-1] if chain else input["name"]', 'chain[-1] if chain else "Ada"'),
        Fault(
            "silent truncation",
            "        chain.append(name)",
            '        chain.append(name)\n        if len(chain) == 2:\n            return {"managers": chain, "top": name}',
        ),
        Fault("wrong kind of error", 'kind="circle"', 'kind="not_found"'),
        Fault(
            "dropped field",
            ', "top": chain[-1] if chain else input["name"]',
            "",
            {"output_schema": of(optional=("top",), managers={"type": "array", "items": TEXT}, top=TEXT)},
        ),
    ),
)

READS = (SALARY, TEAM, PAYROLL, BALANCE, ERRORS, REVIEW, STOCK, CHAIN)
