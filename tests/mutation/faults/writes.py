"""Programs that change files."""

from __future__ import annotations

from tests.mutation.faults.base import NUMBER, TEXT, WHOLE, Base, Fault, Test, of, program
from tests.mutation.faults.reads import OWN_PEOPLE, PEOPLE


def person(name: str, salary: float, **more: object) -> dict[str, object]:
    return {"name": name, "salary": salary, **more}


ASK_ALL = {"permissions": {"files": [{"root": "hr", "path": "**", "access": "write"}]}}
RAISE = Base(
    id="raise_salary",
    summary="Raises the salary of one employee by a percentage, rounded to cents, and returns it before and after. "
    "Other records and other fields stay as they are. An unknown name is an error of the kind not_found, a percentage "
    "that is not positive one of the kind invalid; then nothing is changed.",
    source=program(
        """
        import json

        import host

        def run(input: dict) -> dict:
            if input["percent"] <= 0:
                raise host.Error("the percentage must be positive", kind="invalid")
            with open("/hr/employees.json") as file:
                people = json.load(file)
            person = next((p for p in people if p["name"] == input["name"]), None)
            if person is None:
                raise host.Error("there is no such employee", kind="not_found")
            before = person["salary"]
            after = round(before * (100 + input["percent"]) / 100, 2)
            person["salary"] = after
            with open("/hr/employees.json", "w") as file:
                json.dump(people, file)
            return {"before": before, "after": after}
        """
    ),
    input=of(name=TEXT, percent=NUMBER),
    output=of(before=NUMBER, after=NUMBER),
    files={"employees.json": "write"},
    tried=({"name": "Ada", "percent": 10}, {"name": "Bob", "percent": 5}, {"name": "Nobody", "percent": 5}),
    own=OWN_PEOPLE,
    data={PEOPLE: [person("Zed", 100, note="x"), person("Zedra", 200), person("Amy", 10.5, team=None)]},
    tests=(
        Test(
            {"name": "Zed", "percent": 10},
            {"before": 100, "after": 110},
            after={PEOPLE: [person("Zed", 110, note="x"), person("Zedra", 200), person("Amy", 10.5, team=None)]},
        ),
        Test(
            {"name": "Zedra", "percent": 0.5},
            {"before": 200, "after": 201},
            after={PEOPLE: [person("Zed", 100, note="x"), person("Zedra", 201), person("Amy", 10.5, team=None)]},
        ),
        Test(
            {"name": "Amy", "percent": 3},
            {"before": 10.5, "after": 10.81},
            after={PEOPLE: [person("Zed", 100, note="x"), person("Zedra", 200), person("Amy", 10.81, team=None)]},
        ),
        Test({"name": "Zed", "percent": 100}, {"before": 100, "after": 200}),
        Test({"name": "Zed", "percent": 0}, error="invalid"),
        Test({"name": "Zed", "percent": -5}, error="invalid"),
        Test({"name": "zed", "percent": 5}, error="not_found"),
        Test({"name": "Zedr", "percent": 5}, error="not_found"),
    ),
    faults=(
        Fault(
            "unsaved write", '    with open("/hr/employees.json", "w") as file:\n        json.dump(people, file)\n', ""
        ),
        Fault(
            "unsaved write",
            '"/hr/employees.json", "w"',
            '"/hr/employees.json.new", "w"',
            {
                "permissions": {
                    "files": [
                        {"root": "hr", "path": "employees.json", "access": "write"},
                        {"root": "hr", "path": "employees.json.new", "access": "write"},
                    ]
                }
            },
        ),
        Fault("unsaved write", '    person["salary"] = after\n', ""),
        Fault(
            "unsaved write",
            "json.dump(people, file)",
            "json.dump(json.load(open('/hr/employees.json')) if False else [dict(p, salary=before) if p is person else p for p in people], file)",
        ),
        Fault("returned the old value", '"after": after', '"after": before'),
        Fault(
            "returned the old value",
            'return {"before": before, "after": after}',
            'return {"before": after, "after": after}',
        ),
        Fault(
            "swallowed error",
            '        raise host.Error("there is no such employee", kind="not_found")',
            '        return {"before": 0, "after": 0}',
        ),
        Fault(
            "swallowed error",
            '        raise host.Error("there is no such employee", kind="not_found")',
            "        person = people[0]",
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("there is no such employee", kind="not_found")',
            'return {"error": "there is no such employee"}',
        ),
        Fault("wrong unit", '* (100 + input["percent"]) / 100', '* (1 + input["percent"])'),
        Fault("wrong unit", 'before * (100 + input["percent"]) / 100', 'before + input["percent"]'),
        Fault(
            "mutates other records",
            '    person["salary"] = after',
            '    for other in people:\n        if other["name"].startswith(input["name"]):\n            other["salary"] = after',
        ),
        Fault("mutates other records", "json.dump(people, file)", "json.dump([person], file)"),
        Fault(
            "mutates other records",
            "json.dump(people, file)",
            "json.dump(sorted(people, key=lambda p: p['name']), file)",
        ),
        Fault(
            "dropped field",
            "json.dump(people, file)",
            "json.dump([{'name': p['name'], 'salary': p['salary']} for p in people], file)",
        ),
        Fault("wrong key match", 'p["name"] == input["name"]', 'p["name"].startswith(input["name"])'),
        Fault("case sensitivity", 'p["name"] == input["name"]', 'p["name"].lower() == input["name"].lower()'),
        Fault("float rounding", "/ 100, 2)", "/ 100)"),
        Fault("off by one", "<= 0", "< 0"),
        Fault(
            "hard-coded example",
            '    person["salary"] = after',
            '    after = 5500.0 if before == 5000 else 4200.0\n    person["salary"] = after',
        ),
        Fault(
            "writes an unrelated file",
            "    return {",
            '    open("/hr/audit.json", "w").write(json.dumps(input))\n    return {',
            {
                "permissions": {
                    "files": [
                        {"root": "hr", "path": "employees.json", "access": "write"},
                        {"root": "hr", "path": "audit.json", "access": "write"},
                    ]
                }
            },
        ),
        Fault("wider permission than used", contract=ASK_ALL),
        Fault(
            "time or locale dependence",
            '    person["salary"] = after',
            '    person["salary"] = after\n    person["raised"] = __import__("datetime").date.today().isoformat()',
        ),
    ),
)

ADD = Base(
    id="add_employee",
    summary="Adds an employee at the end, with the next number (one more than the largest, 1 for the first) and the "
    "department `General` if none is given, and returns number and head count. A name that is there already is an error "
    "of the kind exists.",
    source=program(
        """
        import json

        import host

        def run(input: dict) -> dict:
            with open("/hr/staff.json") as file:
                staff = json.load(file)
            if any(p["name"] == input["name"] for p in staff):
                raise host.Error("this name is there already", kind="exists")
            number = max((p["number"] for p in staff), default=0) + 1
            staff.append({"number": number, "name": input["name"], "department": input.get("department", "General")})
            with open("/hr/staff.json", "w") as file:
                json.dump(staff, file)
            return {"number": number, "count": len(staff)}
        """
    ),
    input=of(optional=("department",), name=TEXT, department=TEXT),
    output=of(number=WHOLE, count=WHOLE),
    files={"staff.json": "write"},
    tried=({"name": "Eve"}, {"name": "Eve", "department": "IT"}, {"name": "Ada"}),
    own={"hr/staff.json": [{"number": 1, "name": "Ada", "department": "IT"}]},
    data={
        "hr/staff.json": [
            {"number": 7, "name": "Ann", "department": "A"},
            {"number": 3, "name": "Ben", "department": "B"},
        ]
    },
    tests=(
        Test(
            {"name": "Cat"},
            {"number": 8, "count": 3},
            after={
                "hr/staff.json": [
                    {"number": 7, "name": "Ann", "department": "A"},
                    {"number": 3, "name": "Ben", "department": "B"},
                    {"number": 8, "name": "Cat", "department": "General"},
                ]
            },
        ),
        Test(
            {"name": "ann", "department": "C"},
            {"number": 8, "count": 3},
            after={
                "hr/staff.json": [
                    {"number": 7, "name": "Ann", "department": "A"},
                    {"number": 3, "name": "Ben", "department": "B"},
                    {"number": 8, "name": "ann", "department": "C"},
                ]
            },
        ),
        Test({"name": "An"}, {"number": 8, "count": 3}),
        Test({"name": "Ben"}, error="exists"),
        Test({"name": "Ben", "department": "Z"}, error="exists"),
        Test(
            {"name": "Ben"},
            {"number": 1, "count": 1},
            data={"hr/staff.json": []},
            after={"hr/staff.json": [{"number": 1, "name": "Ben", "department": "General"}]},
        ),
    ),
    faults=(
        Fault("unsaved write", '    with open("/hr/staff.json", "w") as file:\n        json.dump(staff, file)\n', ""),
        Fault("unsaved write", "    staff.append(", "    (staff + []).append("),
        Fault("returned the old value", '"count": len(staff)', '"count": len(staff) - 1'),
        Fault("returned the old value", '"number": number, "count"', '"number": number - 1, "count"'),
        Fault("off by one", "default=0) + 1", "default=1) + 1"),
        Fault("off by one", 'max((p["number"] for p in staff), default=0) + 1', "len(staff) + 1"),
        Fault("wrong default", '"General"', '"IT"'),
        Fault("wrong default", 'input.get("department", "General")', 'input.get("department")'),
        Fault(
            "swallowed error",
            '        raise host.Error("this name is there already", kind="exists")',
            '        return {"number": 0, "count": len(staff)}',
        ),
        Fault(
            "swallowed error",
            '    with open("/hr/staff.json") as file:\n        staff = json.load(file)',
            '    try:\n        staff = json.load(open("/hr/staff.json"))\n    except Exception:\n        staff = []',
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("this name is there already", kind="exists")',
            'return {"error": "exists"}',
        ),
        Fault("mutates other records", "json.dump(staff, file)", "json.dump(staff[-1:], file)"),
        Fault(
            "mutates other records",
            "    staff.append(",
            '    for n, p in enumerate(staff):\n        p["number"] = n + 1\n    staff.append(',
        ),
        Fault("dropped field", ', "department": input.get("department", "General")}', "}"),
        Fault("unstable order", "    staff.append({", "    staff.insert(0, {"),
        Fault("wrong key match", 'p["name"] == input["name"]', 'input["name"] in p["name"]'),
        Fault("case sensitivity", 'p["name"] == input["name"]', 'p["name"].lower() == input["name"].lower()'),
        Fault(
            "time or locale dependence",
            'max((p["number"] for p in staff), default=0) + 1',
            "__import__('random').randint(1, 10**6)",
        ),
        Fault("input ignored", 'input.get("department", "General")', '"General"'),
    ),
)

MOVE = Base(
    id="move_stock",
    summary="Moves a quantity of an item from one warehouse to another; both are in stock.json, {warehouse: {item: "
    "quantity}}. Returns what each holds of it then; an item that is used up stays with 0. Unknown warehouses or items at "
    "the source are errors of the kind not_found, too few ones of the kind insufficient; then nothing is changed.",
    source=program(
        """
        import json

        import host

        def run(input: dict) -> dict:
            with open("/hr/stock.json") as file:
                stock = json.load(file)
            item, quantity = input["item"], input["quantity"]
            for place in (input["source"], input["target"]):
                if place not in stock:
                    raise host.Error(f"there is no warehouse {place}", kind="not_found")
            source, target = stock[input["source"]], stock[input["target"]]
            if item not in source:
                raise host.Error(f"there is no {item}", kind="not_found")
            if source[item] < quantity:
                raise host.Error(f"there are only {source[item]}", kind="insufficient")
            source[item] -= quantity
            target[item] = target.get(item, 0) + quantity
            with open("/hr/stock.json", "w") as file:
                json.dump(stock, file)
            return {"source": source[item], "target": target[item]}
        """
    ),
    input=of(item=TEXT, quantity={"type": "integer", "minimum": 1}, source=TEXT, target=TEXT),
    output=of(source=WHOLE, target=WHOLE),
    files={"stock.json": "write"},
    tried=(
        {"item": "pen", "quantity": 3, "source": "A", "target": "B"},
        {"item": "pen", "quantity": 1, "source": "B", "target": "A"},
        {"item": "pen", "quantity": 99, "source": "A", "target": "B"},
        {"item": "pen", "quantity": 1, "source": "A", "target": "X"},
        {"item": "cup", "quantity": 1, "source": "A", "target": "B"},
    ),
    own={"hr/stock.json": {"A": {"pen": 10}, "B": {"pen": 1}}},
    data={"hr/stock.json": {"N": {"nut": 5, "cog": 2}, "S": {"cog": 1}, "W": {}}},
    tests=(
        Test(
            {"item": "nut", "quantity": 5, "source": "N", "target": "S"},
            {"source": 0, "target": 5},
            after={"hr/stock.json": {"N": {"nut": 0, "cog": 2}, "S": {"cog": 1, "nut": 5}, "W": {}}},
        ),
        Test(
            {"item": "cog", "quantity": 1, "source": "N", "target": "S"},
            {"source": 1, "target": 2},
            after={"hr/stock.json": {"N": {"nut": 5, "cog": 1}, "S": {"cog": 2}, "W": {}}},
        ),
        Test({"item": "cog", "quantity": 1, "source": "S", "target": "S"}, {"source": 1, "target": 1}),
        Test({"item": "nut", "quantity": 6, "source": "N", "target": "S"}, error="insufficient"),
        Test({"item": "nut", "quantity": 1, "source": "S", "target": "N"}, error="not_found"),
        Test({"item": "nut", "quantity": 1, "source": "X", "target": "N"}, error="not_found"),
        Test({"item": "nut", "quantity": 1, "source": "N", "target": "n"}, error="not_found"),
    ),
    faults=(
        Fault("unsaved write", '    with open("/hr/stock.json", "w") as file:\n        json.dump(stock, file)\n', ""),
        Fault("unsaved write", 'stock[input["target"]]\n', 'dict(stock[input["target"]])\n'),
        Fault("unsaved write", 'stock[input["source"]], stock', 'dict(stock[input["source"]]), stock'),
        Fault(
            "returned the old value", '"source": source[item], "target"', '"source": source[item] + quantity, "target"'
        ),
        Fault("returned the old value", '"target": target[item]', '"target": target[item] - quantity'),
        Fault("off by one", "source[item] < quantity", "source[item] <= quantity"),
        Fault("off by one", "source[item] -= quantity", "source[item] -= quantity - 1"),
        Fault(
            "swallowed error",
            '            raise host.Error(f"there is no warehouse {place}", kind="not_found")',
            "            stock[place] = {}",
        ),
        Fault(
            "swallowed error",
            '        raise host.Error(f"there are only {source[item]}", kind="insufficient")',
            "        quantity = source[item]",
        ),
        Fault(
            "error with exit 0",
            'raise host.Error(f"there are only {source[item]}", kind="insufficient")',
            'return {"source": source[item], "target": -1}',
        ),
        Fault("wrong default", "target.get(item, 0)", "target.get(item, 1)"),
        Fault(
            "mutates other records",
            "    source[item] -= quantity\n",
            "    source[item] -= quantity\n    if not source[item]:\n        del source[item]\n        source = {item: 0}\n",
        ),
        Fault(
            "mutates other records",
            "json.dump(stock, file)",
            'json.dump({k: stock[k] for k in (input["source"], input["target"])}, file)',
        ),
        Fault(
            "hard-coded example",
            "    source[item] -= quantity",
            '    quantity = 3 if input["source"] == "A" else 1\n    source[item] -= quantity',
        ),
        Fault("wrong kind of error", 'kind="insufficient"', 'kind="not_found"'),
    ),
)

VISITS, COUNTS = "hr/visits.txt", "hr/counts.json"
VISIT = Base(
    id="log_visit",
    summary="Writes a line `DAY NAME` at the end of visits.txt and counts the visit of the name in counts.json (names that "
    "are not there begin with 1). Returns the count and the number of the line.",
    source=program(
        """
        import json

        def run(input: dict) -> dict:
            with open("/hr/counts.json") as file:
                counts = json.load(file)
            counts[input["name"]] = counts.get(input["name"], 0) + 1
            with open("/hr/visits.txt") as file:
                lines = file.read().splitlines()
            lines.append(f"{input['day']} {input['name']}")
            with open("/hr/visits.txt", "w") as file:
                file.write("\\n".join(lines) + "\\n")
            with open("/hr/counts.json", "w") as file:
                json.dump(counts, file)
            return {"count": counts[input["name"]], "line": len(lines)}
        """
    ),
    input=of(name={"type": "string", "pattern": "^[A-Z][a-z]+$"}, day={"type": "string", "format": "date"}),
    output=of(count=WHOLE, line=WHOLE),
    files={"visits.txt": "write", "counts.json": "write"},
    tried=(
        {"name": "Ada", "day": "2026-02-03"},
        {"name": "Bob", "day": "2026-02-03"},
        {"name": "Cy", "day": "2026-02-04"},
    ),
    own={VISITS: "2026-01-01 Ada\n", COUNTS: {"Ada": 1, "Bob": 3}},
    data={VISITS: "2020-01-01 Zed\n2020-01-02 Amy\n", COUNTS: {"Zed": 4, "Amy": 9}},
    tests=(
        Test(
            {"name": "Zed", "day": "2020-01-03"},
            {"count": 5, "line": 3},
            after={VISITS: "2020-01-01 Zed\n2020-01-02 Amy\n2020-01-03 Zed\n", COUNTS: {"Zed": 5, "Amy": 9}},
        ),
        Test(
            {"name": "New", "day": "2020-02-29"},
            {"count": 1, "line": 3},
            after={VISITS: "2020-01-01 Zed\n2020-01-02 Amy\n2020-02-29 New\n", COUNTS: {"Zed": 4, "Amy": 9, "New": 1}},
        ),
        Test({"name": "Amy", "day": "2019-12-31"}, {"count": 10, "line": 3}),
        Test(
            {"name": "Amy", "day": "2021-01-01"},
            {"count": 1, "line": 1},
            data={VISITS: "", COUNTS: {}},
            after={VISITS: "2021-01-01 Amy\n", COUNTS: {"Amy": 1}},
        ),
    ),
    faults=(
        Fault("partial write", '    with open("/hr/counts.json", "w") as file:\n        json.dump(counts, file)\n', ""),
        Fault(
            "partial write",
            '    with open("/hr/visits.txt", "w") as file:\n        file.write("\\n".join(lines) + "\\n")\n',
            "",
        ),
        Fault(
            "unsaved write",
            '    with open("/hr/visits.txt", "w") as file:\n        file.write("\\n".join(lines) + "\\n")\n    with open("/hr/counts.json", "w") as file:\n        json.dump(counts, file)\n',
            "",
        ),
        Fault(
            "unsaved write",
            "json.dump(counts, file)",
            'json.dump({**counts, input["name"]: counts[input["name"]] - 1}, file)',
        ),
        Fault("returned the old value", '"count": counts[input["name"]]', '"count": counts[input["name"]] - 1'),
        Fault("returned the old value", '"line": len(lines)', '"line": len(lines) - 1'),
        Fault("wrong default", 'get(input["name"], 0)', 'get(input["name"], 1)'),
        Fault("mutates other records", '"\\n".join(lines)', '"\\n".join(lines[-1:])'),
        Fault(
            "mutates other records",
            "json.dump(counts, file)",
            'json.dump({input["name"]: counts[input["name"]]}, file)',
        ),
        Fault(
            "time or locale dependence",
            "{input['day']} {input['name']}",
            "{__import__('datetime').date.today()} {input['name']}",
        ),
        Fault("unstable order", '"\\n".join(lines)', '"\\n".join(sorted(lines, key=lambda l: l.split()[1]))'),
        Fault("off by one", 'counts.get(input["name"], 0) + 1', 'counts.get(input["name"], 0) + 2'),
        Fault("missing newline", '"\\n".join(lines) + "\\n"', '"\\n".join(lines)'),
        Fault("wrong order of steps", "{input['day']} {input['name']}", "{input['name']} {input['day']}"),
        Fault("hard-coded example", "{input['day']} {input['name']}", "2026-02-03 {input['name']}"),
    ),
)

SETTING = Base(
    id="set_setting",
    summary="Sets a setting in settings.json to a text and returns what it was, null if it was not set. Its name is of "
    "the form section.key; a section that is not there is made.",
    source=program(
        """
        import json

        def run(input: dict) -> dict:
            with open("/hr/settings.json") as file:
                settings = json.load(file)
            section, key = input["name"].split(".")
            keys = settings.setdefault(section, {})
            was = keys.get(key)
            keys[key] = input["value"]
            with open("/hr/settings.json", "w") as file:
                json.dump(settings, file)
            return {"was": was, "is": keys[key]}
        """
    ),
    input=of(name={"type": "string", "pattern": "^[a-z]+\\.[a-z]+$"}, value={"type": "string"}),
    output=of(**{"was": {"type": ["string", "null"]}, "is": {"type": "string"}}),
    files={"settings.json": "write"},
    tried=(
        {"name": "ui.theme", "value": "dark"},
        {"name": "ui.font", "value": "serif"},
        {"name": "net.proxy", "value": "x"},
    ),
    own={"hr/settings.json": {"ui": {"theme": "light"}}},
    data={"hr/settings.json": {"a": {"b": "1", "c": ""}, "d": {"b": "2"}}},
    tests=(
        Test(
            {"name": "a.b", "value": "9"},
            {"was": "1", "is": "9"},
            after={"hr/settings.json": {"a": {"b": "9", "c": ""}, "d": {"b": "2"}}},
        ),
        Test(
            {"name": "d.b", "value": ""},
            {"was": "2", "is": ""},
            after={"hr/settings.json": {"a": {"b": "1", "c": ""}, "d": {"b": ""}}},
        ),
        Test(
            {"name": "a.c", "value": "x"},
            {"was": "", "is": "x"},
            after={"hr/settings.json": {"a": {"b": "1", "c": "x"}, "d": {"b": "2"}}},
        ),
        Test(
            {"name": "e.f", "value": "new"},
            {"was": None, "is": "new"},
            after={"hr/settings.json": {"a": {"b": "1", "c": ""}, "d": {"b": "2"}, "e": {"f": "new"}}},
        ),
        Test(
            {"name": "a.z", "value": " T "},
            {"was": None, "is": " T "},
            after={"hr/settings.json": {"a": {"b": "1", "c": "", "z": " T "}, "d": {"b": "2"}}},
        ),
    ),
    faults=(
        Fault(
            "unsaved write", '    with open("/hr/settings.json", "w") as file:\n        json.dump(settings, file)\n', ""
        ),
        Fault("unsaved write", "settings.setdefault(section, {})", "settings.get(section, {})"),
        Fault("returned the old value", '"is": keys[key]', '"is": was if was is not None else keys[key]'),
        Fault("returned the old value", '"was": was', '"was": keys[key]'),
        Fault("wrong default", "keys.get(key)", 'keys.get(key, "")'),
        Fault("empty input", "was = keys.get(key)", "was = keys.get(key) or None"),
        Fault("mutates other records", "settings.setdefault(section, {})", "settings[section] = {}"),
        Fault("mutates other records", "json.dump(settings, file)", "json.dump({section: keys}, file)"),
        Fault("silent truncation", 'keys[key] = input["value"]', 'keys[key] = input["value"].strip()'),
        Fault("case sensitivity", 'keys[key] = input["value"]', 'keys[key] = input["value"].lower()'),
        Fault(
            "swallowed error",
            '    with open("/hr/settings.json") as file:\n        settings = json.load(file)',
            '    try:\n        with open("/hr/settings.json") as file:\n            settings = json.load(file)\n    except OSError:\n        return {"was": None, "is": input["value"]}',
        ),
        Fault(
            "partial write",
            '    keys[key] = input["value"]',
            '    if was is None:\n        return {"was": None, "is": input["value"]}\n    keys[key] = input["value"]',
        ),
        Fault(
            "wrong key",
            'keys[key] = input["value"]',
            'keys[section] = input["value"]\n    keys[key] = keys.pop(section)',
        ),
        Fault("read turned write", contract={"id": "get_setting"}),
    ),
)

WRITES = (RAISE, ADD, MOVE, VISIT, SETTING)
