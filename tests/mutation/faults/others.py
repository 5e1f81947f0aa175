"""Programs in other languages than Python."""

from __future__ import annotations

from tests.mutation.faults.base import TEXT, WHOLE, Base, Fault, Test, of, program

DURATION = Base(
    id="parse_duration",
    summary="Returns the seconds of a duration such as `1h30m`, `45s` or `2d`: whole numbers with d, h, m or s, each at "
    "most once and in this order. Anything else is an error of the kind invalid.",
    language="javascript",
    source=program(
        """
        const UNITS = { d: 86400, h: 3600, m: 60, s: 1 };

        export function run(input) {
          const found = /^(?:(\\d+)d)?(?:(\\d+)h)?(?:(\\d+)m)?(?:(\\d+)s)?$/.exec(input.text);
          if (!found || input.text === "") throw new host.Error("this is no duration", "invalid");
          let seconds = 0;
          Object.keys(UNITS).forEach((unit, at) => { seconds += Number(found[at + 1] || 0) * UNITS[unit]; });
          return { seconds };
        }
        """
    ),
    input=of(text={"type": "string"}),
    output=of(seconds=WHOLE),
    tried=({"text": "1h30m"}, {"text": "45s"}, {"text": "soon"}),
    tests=(
        Test({"text": "2d"}, {"seconds": 172800}),
        Test({"text": "1d1h1m1s"}, {"seconds": 90061}),
        Test({"text": "0s"}, {"seconds": 0}),
        Test({"text": "90m"}, {"seconds": 5400}),
        Test({"text": "12h5s"}, {"seconds": 43205}),
        Test({"text": ""}, error="invalid"),
        Test({"text": "30m1h"}, error="invalid"),
        Test({"text": "1h "}, error="invalid"),
        Test({"text": "1H"}, error="invalid"),
        Test({"text": "1.5h"}, error="invalid"),
        Test({"text": "5"}, error="invalid"),
    ),
    faults=(
        Fault("wrong unit", "h: 3600", "h: 360"),
        Fault("wrong unit", "{ seconds }", "{ seconds: seconds * 1000 }"),
        Fault("off by one", "found[at + 1]", "found[at]"),
        Fault("swallowed error", 'throw new host.Error("this is no duration", "invalid")', "return { seconds: 0 }"),
        Fault(
            "error with exit 0",
            'throw new host.Error("this is no duration", "invalid")',
            'return { error: "this is no duration" }',
        ),
        Fault("empty input", ' || input.text === ""', ""),
        Fault("case sensitivity", "?$/.exec", "?$/i.exec"),
        Fault("wrong default", "|| 0)", "|| 1)"),
        Fault("hard-coded example", "  return { seconds };", '  return { seconds: input.text === "45s" ? 45 : 5400 };'),
        Fault(
            "time or locale dependence",
            "  return { seconds };",
            "  return { seconds: seconds + (new Date().getHours() > 10 ? 1 : 0) };",
        ),
        Fault("parent unchanged", "  let seconds", "  // adds up\n  let seconds", parent=True),
    ),
)

VALUES = "hr/values.json"
TOTALS = Base(
    id="sum_by_group",
    summary="Adds up the values of values.json by group and returns the groups in alphabetical order, with their sums.",
    language="javascript",
    source=program(
        """
        export function run(input) {
          const records = JSON.parse(host.readText("/hr/values.json"));
          const sums = new Map();
          for (const record of records) {
            if (record.value < (input.least ?? -Infinity)) continue;
            sums.set(record.group, (sums.get(record.group) ?? 0) + record.value);
          }
          const groups = [...sums.keys()].sort();
          return { groups: groups.map((group) => ({ group, sum: sums.get(group) })) };
        }
        """
    ),
    input=of(optional=("least",), least=WHOLE),
    output=of(groups={"type": "array", "items": of(group=TEXT, sum=WHOLE)}),
    files={"values.json": "read"},
    tried=({}, {"least": 2}, {"least": 9}),
    own={VALUES: [{"group": "a", "value": 1}, {"group": "b", "value": 2}, {"group": "b", "value": 3}]},
    data={
        VALUES: [
            {"group": "z", "value": 5},
            {"group": "m", "value": -4},
            {"group": "z", "value": 1},
            {"group": "b", "value": 7},
        ]
    },
    tests=(
        Test({}, {"groups": [{"group": "b", "sum": 7}, {"group": "m", "sum": -4}, {"group": "z", "sum": 6}]}),
        Test({"least": 5}, {"groups": [{"group": "b", "sum": 7}, {"group": "z", "sum": 5}]}),
        Test({"least": 8}, {"groups": []}),
        Test(
            {"least": -4}, {"groups": [{"group": "b", "sum": 7}, {"group": "m", "sum": -4}, {"group": "z", "sum": 6}]}
        ),
        Test({}, {"groups": []}, data={VALUES: []}),
    ),
    faults=(
        Fault("unstable order", ".sort()", ""),
        Fault("unstable order", ".sort()", ".sort().reverse()"),
        Fault("off by one", "record.value < (", "record.value <= ("),
        Fault("wrong default", "-Infinity", "0"),
        Fault("silent truncation", "groups.map(", "groups.slice(0, 2).map("),
        Fault("wrong value", "(sums.get(record.group) ?? 0) + record.value", "record.value"),
        Fault(
            "hard-coded example",
            'JSON.parse(host.readText("/hr/values.json"))',
            '[{ group: "a", value: 1 }, { group: "b", value: 2 }, { group: "b", value: 3 }]',
        ),
        Fault(
            "swallowed error",
            '  const records = JSON.parse(host.readText("/hr/values.json"));',
            '  let records = [];\n  try { records = JSON.parse(host.readText("/hr/values.json")); } catch {}',
        ),
        Fault("input ignored", "(input.least ?? -Infinity)", "-Infinity"),
        Fault(
            "wider permission than used",
            contract={"permissions": {"files": [{"root": "hr", "path": "**", "access": "read"}]}},
        ),
    ),
)

OTHERS = (DURATION, TOTALS)
