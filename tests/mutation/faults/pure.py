"""Programs that only compute."""

from __future__ import annotations

from tests.mutation.faults.base import DAY, FLAG, NUMBER, TEXT, WHOLE, Base, Fault, Test, of, program, rows

FEE = Base(
    id="compute_fee",
    summary="Returns the fee in whole cents for an amount in whole cents: 1.5 % of it rounded half up, at least 30 "
    "cents; amounts from 100000 cents on are free. A member pays half of that, rounded down. Amounts that are not "
    "positive are an error of the kind invalid.",
    source=program(
        """
        import host

        MIN = 30

        def run(input: dict) -> dict:
            amount = input["amount"]
            if amount <= 0:
                raise host.Error("the amount must be positive", kind="invalid")
            if amount >= 100000:
                return {"fee": 0}
            fee = max(MIN, (amount * 15 + 500) // 1000)
            if input.get("member", False):
                fee = fee // 2
            return {"fee": fee}
        """
    ),
    input=of(optional=("member",), amount=WHOLE, member=FLAG),
    output=of(fee=WHOLE),
    tried=({"amount": 10000}, {"amount": 5000, "member": True}, {"amount": 200000}, {"amount": -3}),
    tests=(
        Test({"amount": 1}, {"fee": 30}),
        Test({"amount": 0}, error="invalid"),
        Test({"amount": -100}, error="invalid"),
        Test({"amount": 99999}, {"fee": 1500}),
        Test({"amount": 100000}, {"fee": 0}),
        Test({"amount": 100001}, {"fee": 0}),
        Test({"amount": 2033}, {"fee": 30}),
        Test({"amount": 2034}, {"fee": 31}),
        Test({"amount": 4100}, {"fee": 62}),
        Test({"amount": 2100, "member": True}, {"fee": 16}),
        Test({"amount": 2040, "member": True}, {"fee": 15}),
        Test({"amount": 30000, "member": False}, {"fee": 450}),
    ),
    faults=(
        Fault("off by one", ">= 100000", "> 100000"),
        Fault("wrong unit", "// 1000", "// 10"),
        Fault("wrong default", 'get("member", False)', 'get("member", True)'),
        Fault(
            "hard-coded example",
            "    if amount >= 100000:",
            "    if amount == 10000:\n        return {'fee': 150}\n    if amount >= 10:",
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("the amount must be positive", kind="invalid")',
            'return {"error": "the amount must be positive"}',
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("the amount must be positive", kind="invalid")',
            'return {"error": "the amount must be positive"}',
            {"output_schema": {"type": "object", "properties": {"fee": WHOLE, "error": TEXT}}},
        ),
        Fault(
            "swallowed error", 'raise host.Error("the amount must be positive", kind="invalid")', 'return {"fee": 0}'
        ),
        Fault("float rounding", "(amount * 15 + 500) // 1000", "round(amount * 0.015)"),
        Fault("silent truncation", "(amount * 15 + 500) // 1000", "amount * 15 // 1000"),
        Fault("input ignored", 'input.get("member", False)', "False"),
        Fault("input echoed", 'return {"fee": fee}', 'return {"fee": amount}'),
        Fault(
            "wider permission than used",
            contract={"effects": "read", "permissions": {"files": [{"root": "hr", "path": "**", "access": "read"}]}},
        ),
        Fault("parent unchanged", "import host", "# faster\nimport host", parent=True),
        Fault("parent unchanged", "amount", "sum_", parent=True),
    ),
)

TEMPERATURE = Base(
    id="convert_temperature",
    summary="Converts a temperature between C, F and K, rounded to two decimals. Below absolute zero is an error of the "
    "kind invalid.",
    source=program(
        """
        import decimal

        import host

        def run(input: dict) -> dict:
            value = decimal.Decimal(str(input["value"]))
            celsius = {"C": value, "K": value - decimal.Decimal("273.15"), "F": (value - 32) * 5 / 9}[input["unit"]]
            if celsius < decimal.Decimal("-273.15"):
                raise host.Error("below absolute zero", kind="invalid")
            to = input["to"]
            result = {"C": celsius, "K": celsius + decimal.Decimal("273.15"), "F": celsius * 9 / 5 + 32}[to]
            return {"value": float(round(result, 2)), "unit": to}
        """
    ),
    input=of(value=NUMBER, unit={"enum": ["C", "F", "K"]}, to={"enum": ["C", "F", "K"]}),
    output=of(value=NUMBER, unit={"enum": ["C", "F", "K"]}),
    tried=(
        {"value": 100, "unit": "C", "to": "F"},
        {"value": 300, "unit": "K", "to": "C"},
        {"value": 50, "unit": "F", "to": "C"},
        {"value": -1, "unit": "K", "to": "C"},
    ),
    tests=(
        Test({"value": 0, "unit": "C", "to": "F"}, {"value": 32, "unit": "F"}),
        Test({"value": 37.5, "unit": "C", "to": "F"}, {"value": 99.5, "unit": "F"}),
        Test({"value": 98.6, "unit": "F", "to": "C"}, {"value": 37, "unit": "C"}),
        Test({"value": 70, "unit": "F", "to": "C"}, {"value": 21.11, "unit": "C"}),
        Test({"value": 0, "unit": "K", "to": "C"}, {"value": -273.15, "unit": "C"}),
        Test({"value": 25, "unit": "C", "to": "K"}, {"value": 298.15, "unit": "K"}),
        Test({"value": 32, "unit": "F", "to": "K"}, {"value": 273.15, "unit": "K"}),
        Test({"value": 5.125, "unit": "C", "to": "C"}, {"value": 5.12, "unit": "C"}),
        Test({"value": -273.16, "unit": "C", "to": "K"}, error="invalid"),
        Test({"value": -0.01, "unit": "K", "to": "F"}, error="invalid"),
        Test({"value": -500, "unit": "F", "to": "C"}, error="invalid"),
    ),
    faults=(
        Fault("wrong unit", '"unit": to}', '"unit": input["unit"]}'),
        Fault("wrong unit", "* 9 / 5 + 32", "* 9 / 5"),
        Fault(
            "swallowed error", 'raise host.Error("below absolute zero", kind="invalid")', "celsius = decimal.Decimal(0)"
        ),
        Fault("off by one", "(value - 32)", "(value - 31)"),
        Fault("float rounding", "round(result, 2)", "round(result, 1)"),
        Fault("silent truncation", "float(round(result, 2))", "int(result)"),
        Fault(
            "error with exit 0",
            'raise host.Error("below absolute zero", kind="invalid")',
            'return {"error": "below absolute zero", "kind": "invalid"}',
        ),
        Fault(
            "hard-coded example",
            '    to = input["to"]',
            '    to = input["to"]\n    if to == "F":\n        return {"value": 212.0, "unit": "F"}',
        ),
        Fault("wrong constant", 'celsius + decimal.Decimal("273.15")', 'celsius + decimal.Decimal("273")'),
        Fault("input echoed", '"value": float(round(result, 2))', '"value": input["value"]'),
    ),
)

DAYS = Base(
    id="count_days",
    summary="Counts the days from `start` to `end`, without the start day; with `inclusive` it counts as well. Weekends "
    "are left out where `workdays` is true. An end before the start is an error of the kind invalid.",
    source=program(
        """
        import datetime

        import host

        def run(input: dict) -> dict:
            start = datetime.date.fromisoformat(input["start"])
            end = datetime.date.fromisoformat(input["end"])
            if end < start:
                raise host.Error("the end is before the start", kind="invalid")
            first = 0 if input.get("inclusive", False) else 1
            days = [start + datetime.timedelta(n) for n in range(first, (end - start).days + 1)]
            if input.get("workdays", False):
                days = [day for day in days if day.weekday() < 5]
            return {"days": len(days)}
        """
    ),
    input=of(optional=("inclusive", "workdays"), start=DAY, end=DAY, inclusive=FLAG, workdays=FLAG),
    output=of(days=WHOLE),
    tried=(
        {"start": "2026-01-01", "end": "2026-01-31"},
        {"start": "2026-01-01", "end": "2026-01-31", "inclusive": True},
        {"start": "2026-01-01", "end": "2026-01-31", "workdays": True},
        {"start": "2026-02-01", "end": "2026-01-31"},
    ),
    tests=(
        Test({"start": "2026-03-10", "end": "2026-03-10"}, {"days": 0}),
        Test({"start": "2026-03-10", "end": "2026-03-10", "inclusive": True}, {"days": 1}),
        Test({"start": "2024-02-28", "end": "2024-03-01"}, {"days": 2}),
        Test({"start": "2026-11-20", "end": "2026-11-23", "workdays": True}, {"days": 1}),
        Test({"start": "2026-11-20", "end": "2026-11-23", "workdays": True, "inclusive": True}, {"days": 2}),
        Test({"start": "2026-11-21", "end": "2026-11-22", "workdays": True, "inclusive": True}, {"days": 0}),
        Test({"start": "2025-12-31", "end": "2026-12-31"}, {"days": 365}),
        Test({"start": "2026-11-23", "end": "2026-11-22"}, error="invalid"),
    ),
    faults=(
        Fault("off by one", ".days + 1)", ".days)"),
        Fault("off by one", "weekday() < 5", "weekday() < 6"),
        Fault("wrong default", 'get("inclusive", False)', 'get("inclusive", True)'),
        Fault("wrong default", 'get("workdays", False)', 'get("workdays", True)'),
        Fault("time or locale dependence", 'datetime.date.fromisoformat(input["end"])', "datetime.date.today()"),
        Fault(
            "time or locale dependence",
            "    if end < start:",
            "    if datetime.date.today() < start:\n        start = datetime.date.today()\n    if end < start:",
        ),
        Fault(
            "swallowed error",
            'raise host.Error("the end is before the start", kind="invalid")',
            "start, end = end, start",
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("the end is before the start", kind="invalid")',
            'return {"days": -1}',
        ),
        Fault("wrong unit", '"days": len(days)', '"days": len(days) * 24'),
        Fault("input ignored", 'if input.get("workdays", False)', "if False"),
        Fault("parent unchanged", "first = 0", "first = (0)", parent=True),
    ),
)

SLUG = Base(
    id="make_slug",
    summary="Makes a slug of a text: lower case, accents dropped, each run of other characters than a-z and 0-9 one "
    "hyphen, none at the ends. It is cut at `most` characters (60 if not given), and then has no hyphen at its end. "
    "A text of which nothing is left is an error of the kind empty.",
    source=program(
        """
        import re
        import unicodedata

        import host

        def run(input: dict) -> dict:
            plain = unicodedata.normalize("NFKD", input["text"])
            plain = "".join(c for c in plain if not unicodedata.combining(c)).lower()
            slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
            slug = slug[: input.get("most", 60)].rstrip("-")
            if not slug:
                raise host.Error("nothing is left of the text", kind="empty")
            return {"slug": slug}
        """
    ),
    input=of(optional=("most",), text=TEXT, most={"type": "integer", "minimum": 1}),
    output=of(slug=TEXT),
    tried=({"text": "Hello World"}, {"text": "Hello World", "most": 7}, {"text": "Grüße"}, {"text": "!"}),
    tests=(
        Test({"text": "Crème Brûlée"}, {"slug": "creme-brulee"}),
        Test({"text": "  a -- b__C!  "}, {"slug": "a-b-c"}),
        Test({"text": "abc def", "most": 4}, {"slug": "abc"}),
        Test({"text": "abcdef", "most": 1}, {"slug": "a"}),
        Test({"text": "x" * 80}, {"slug": "x" * 60}),
        Test({"text": "x" * 80, "most": 70}, {"slug": "x" * 70}),
        Test({"text": "Version 2.0"}, {"slug": "version-2-0"}),
        Test({"text": "—?!"}, error="empty"),
        Test({"text": "北京"}, error="empty"),
    ),
    faults=(
        Fault("off by one", 'slug[: input.get("most", 60)]', 'slug[: input.get("most", 60) - 1]'),
        Fault("wrong default", 'get("most", 60)', 'get("most", 50)'),
        Fault("time or locale dependence", "[^a-z0-9]+", "[^\\w]+"),
        Fault("case sensitivity", ").lower()", ")"),
        Fault("swallowed error", 'raise host.Error("nothing is left of the text", kind="empty")', 'slug = "untitled"'),
        Fault(
            "error with exit 0",
            'raise host.Error("nothing is left of the text", kind="empty")',
            'return {"error": "empty"}',
        ),
        Fault("dropped accents", "if not unicodedata.combining(c)", "if c.isascii()"),
        Fault("silent truncation", '"NFKD", input["text"]', '"NFKD", input["text"][:20]'),
        Fault(
            "hard-coded example",
            'return {"slug": slug}',
            'return {"slug": "hello-world" if "hello" in slug else "grusse"}',
        ),
        Fault("input ignored", 'input.get("most", 60)', "60"),
        Fault("input echoed", 'return {"slug": slug}', 'return {"slug": input["text"]}'),
        Fault("trailing separator", '].rstrip("-")', "]"),
        Fault(
            "time or locale dependence",
            '    return {"slug": slug}',
            '    import random\n    return {"slug": slug + random.choice(["", "-1"])}',
        ),
    ),
)

STATISTICS = Base(
    id="compute_statistics",
    summary="Returns count, mean (two decimals), median and spread (largest less smallest) of numbers. The median of an "
    "even count is the mean of the middle two. No numbers are an error of the kind empty.",
    source=program(
        """
        import host

        def run(input: dict) -> dict:
            values = sorted(input["values"])
            if not values:
                raise host.Error("there are no numbers", kind="empty")
            half = len(values) // 2
            median = values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
            mean = round(sum(values) / len(values), 2)
            return {"count": len(values), "mean": mean, "median": median, "spread": values[-1] - values[0]}
        """
    ),
    input=of(values={"type": "array", "items": WHOLE}),
    output=of(count=WHOLE, mean=NUMBER, median=NUMBER, spread=NUMBER),
    tried=({"values": [1, 2, 3]}, {"values": [2, 4, 6, 8]}, {"values": []}),
    tests=(
        Test({"values": [5]}, {"count": 1, "mean": 5, "median": 5, "spread": 0}),
        Test({"values": [9, 1]}, {"count": 2, "mean": 5, "median": 5, "spread": 8}),
        Test({"values": [10, 2, 9, 1]}, {"count": 4, "mean": 5.5, "median": 5.5, "spread": 9}),
        Test({"values": [3, 3, 4]}, {"count": 3, "mean": 3.33, "median": 3, "spread": 1}),
        Test({"values": [-7, 0, 100, 2, 2]}, {"count": 5, "mean": 19.4, "median": 2, "spread": 107}),
        Test({"values": [-5, -9, -1]}, {"count": 3, "mean": -5, "median": -5, "spread": 8}),
        Test({"values": []}, error="empty"),
    ),
    faults=(
        Fault("off by one", "values[half - 1] + values[half]", "values[half] + values[half + 1]"),
        Fault("unstable order", 'sorted(input["values"])', 'list(input["values"])'),
        Fault("unstable order", 'sorted(input["values"])', 'list(set(input["values"]))'),
        Fault(
            "swallowed error",
            'raise host.Error("there are no numbers", kind="empty")',
            'return {"count": 0, "mean": 0, "median": 0, "spread": 0}',
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("there are no numbers", kind="empty")',
            'return {"error": "there are no numbers"}',
        ),
        Fault(
            "empty input", '    if not values:\n        raise host.Error("there are no numbers", kind="empty")\n', ""
        ),
        Fault("float rounding", "round(sum(values) / len(values), 2)", "round(sum(values) / len(values))"),
        Fault("silent truncation", "sum(values) / len(values)", "sum(values) // len(values)"),
        Fault("dropped record", 'sorted(input["values"])', 'sorted({*input["values"]})'),
        Fault(
            "dropped field",
            ', "spread": values[-1] - values[0]',
            "",
            {"output_schema": of(optional=("spread",), count=WHOLE, mean=NUMBER, median=NUMBER, spread=NUMBER)},
        ),
        Fault(
            "hard-coded example",
            "    half = len",
            '    if len(values) == 3:\n        return {"count": 3, "mean": 2, "median": 2, "spread": 2}\n    half = len',
        ),
        Fault("wrong value", '"median": median', '"median": mean'),
    ),
)

INVOICE = Base(
    id="compute_invoice",
    summary="Adds up an invoice: quantity times price of each item, less `discount` percent (none if not given), plus "
    "`tax` percent; each step rounded half up to cents. Returns net (after the discount), tax and total.",
    source=program(
        """
        from decimal import ROUND_HALF_UP, Decimal

        def cents(value: Decimal) -> Decimal:
            return value.quantize(Decimal("0.01"), ROUND_HALF_UP)

        def run(input: dict) -> dict:
            gross = sum((Decimal(str(i["price"])) * i["quantity"] for i in input["items"]), Decimal(0))
            net = cents(gross - cents(gross * Decimal(str(input.get("discount", 0))) / 100))
            tax = cents(net * Decimal(str(input["tax"])) / 100)
            return {"net": float(net), "tax": float(tax), "total": float(net + tax)}
        """
    ),
    input=of(
        optional=("discount",),
        items={
            "type": "array",
            "items": of(price={"type": "number", "minimum": 0}, quantity={"type": "integer", "minimum": 1}),
        },
        discount={"type": "number", "minimum": 0, "maximum": 100},
        tax={"type": "number", "minimum": 0},
    ),
    output=of(net=NUMBER, tax=NUMBER, total=NUMBER),
    tried=(
        {"items": [{"price": 10, "quantity": 2}], "tax": 10},
        {"items": [{"price": 10, "quantity": 2}, {"price": 1.5, "quantity": 4}], "discount": 10, "tax": 10},
        {"items": [], "tax": 10},
    ),
    tests=(
        Test({"items": [{"price": 19.99, "quantity": 3}], "tax": 19}, {"net": 59.97, "tax": 11.39, "total": 71.36}),
        Test({"items": [{"price": 100, "quantity": 1}], "discount": 100, "tax": 19}, {"net": 0, "tax": 0, "total": 0}),
        Test({"items": [{"price": 0.5, "quantity": 1}], "tax": 5}, {"net": 0.5, "tax": 0.03, "total": 0.53}),
        Test(
            {
                "items": [{"price": 10, "quantity": 1}, {"price": 20, "quantity": 2}, {"price": 3, "quantity": 3}],
                "discount": 12.5,
                "tax": 0,
            },
            {"net": 51.62, "tax": 0, "total": 51.62},
        ),
        Test({"items": [], "tax": 7}, {"net": 0, "tax": 0, "total": 0}),
        Test(
            {"items": [{"price": 200, "quantity": 1}], "discount": 25, "tax": 20}, {"net": 150, "tax": 30, "total": 180}
        ),
        Test(
            {"items": [{"price": 1.15, "quantity": 1}, {"price": 1.15, "quantity": 1}], "tax": 10},
            {"net": 2.3, "tax": 0.23, "total": 2.53},
        ),
    ),
    faults=(
        Fault("float rounding", ", ROUND_HALF_UP)", ")"),
        Fault("wrong unit", 'input["tax"])) / 100', 'input["tax"]))'),
        Fault("wrong default", 'get("discount", 0)', 'get("discount", 5)'),
        Fault("off by one", 'for i in input["items"])', 'for i in input["items"][1:])'),
        Fault("off by one", 'for i in input["items"])', 'for i in input["items"][:2])'),
        Fault(
            "dropped field",
            ', "total": float(net + tax)',
            "",
            {"output_schema": of(optional=("total",), net=NUMBER, tax=NUMBER, total=NUMBER)},
        ),
        Fault("wrong order of steps", 'net * Decimal(str(input["tax"]))', 'gross * Decimal(str(input["tax"]))'),
        Fault("input ignored", 'input.get("discount", 0)', "0"),
        Fault(
            "dropped record", 'for i in input["items"])', 'for i in {i["price"]: i for i in input["items"]}.values())'
        ),
        Fault("silent truncation", 'Decimal(str(i["price"]))', 'Decimal(int(i["price"]))'),
        Fault("hard-coded example", 'tax = cents(net * Decimal(str(input["tax"])) / 100)', "tax = cents(net / 10)"),
        Fault("wrong sign", "gross - cents", "gross + cents"),
        Fault("wrong unit", '"total": float(net + tax)', '"total": float((net + tax) * 100)'),
    ),
)

WORDS = Base(
    id="count_words",
    summary="Counts words, runs of letters and digits, without regard to case. Returns the `top` most frequent (3 if not "
    "given), the most frequent first, equal ones in alphabetical order, and how many different words there are.",
    source=program(
        """
        import collections
        import re

        def run(input: dict) -> dict:
            counts = collections.Counter(re.findall(r"[^\\W_]+", input["text"].lower()))
            best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: input.get("top", 3)]
            return {"words": [{"word": word, "count": count} for word, count in best], "different": len(counts)}
        """
    ),
    input=of(optional=("top",), text={"type": "string"}, top={"type": "integer", "minimum": 1}),
    output=of(words=rows(word=TEXT, count=WHOLE), different=WHOLE),
    tried=({"text": "a b a"}, {"text": "x y z w", "top": 2}, {"text": ""}),
    tests=(
        Test(
            {"text": "b a c"},
            {
                "words": [{"word": "a", "count": 1}, {"word": "b", "count": 1}, {"word": "c", "count": 1}],
                "different": 3,
            },
        ),
        Test(
            {"text": "Zoo zoo. ZOO! ant"},
            {"words": [{"word": "zoo", "count": 3}, {"word": "ant", "count": 1}], "different": 2},
        ),
        Test(
            {"text": "delta echo bravo golf alpha", "top": 1},
            {"words": [{"word": "alpha", "count": 1}], "different": 5},
        ),
        Test(
            {"text": "delta echo bravo golf alpha"},
            {
                "words": [{"word": "alpha", "count": 1}, {"word": "bravo", "count": 1}, {"word": "delta", "count": 1}],
                "different": 5,
            },
        ),
        Test(
            {"text": "one two two three three three", "top": 9},
            {
                "words": [{"word": "three", "count": 3}, {"word": "two", "count": 2}, {"word": "one", "count": 1}],
                "different": 3,
            },
        ),
        Test(
            {"text": "été ÉTÉ 7 7"}, {"words": [{"word": "7", "count": 2}, {"word": "été", "count": 2}], "different": 2}
        ),
        Test({"text": " ... "}, {"words": [], "different": 0}),
    ),
    faults=(
        Fault("unstable order", "sorted(counts.items(), key=lambda item: (-item[1], item[0]))", "counts.most_common()"),
        Fault("unstable order", "(-item[1], item[0])", "(-item[1], hash(item[0]))"),
        Fault("unstable order", "(-item[1], item[0])", "-item[1]"),
        Fault("wrong default", 'get("top", 3)', 'get("top", 10)'),
        Fault("off by one", '[: input.get("top", 3)]', '[1 : input.get("top", 3) + 1]'),
        Fault("case sensitivity", '["text"].lower()', '["text"]'),
        Fault("time or locale dependence", "[^\\W_]+", "[a-z0-9]+"),
        Fault("input ignored", 'input.get("top", 3)', "3"),
        Fault(
            "dropped field",
            ', "different": len(counts)',
            "",
            {"output_schema": of(optional=("different",), words=rows(word=TEXT, count=WHOLE), different=WHOLE)},
        ),
        Fault("wrong value", '"different": len(counts)', '"different": len(best)'),
        Fault(
            "hard-coded example", '"different": len(counts)', '"different": {"a b a": 2, "": 0}.get(input["text"], 4)'
        ),
    ),
)

ROMAN = Base(
    id="convert_to_roman",
    summary="Writes a number from 1 to 3999 in Roman numerals; others are an error of the kind out_of_range.",
    source=program(
        """
        import host

        PARTS = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
                 (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]

        def run(input: dict) -> dict:
            left = input["number"]
            if not 1 <= left <= 3999:
                raise host.Error("only 1 to 3999 can be written", kind="out_of_range")
            text = ""
            for value, letters in PARTS:
                text += letters * (left // value)
                left %= value
            return {"roman": text}
        """
    ),
    input=of(number=WHOLE),
    output=of(roman=TEXT),
    tried=({"number": 14}, {"number": 2026}, {"number": 4000}),
    tests=(
        Test({"number": 1}, {"roman": "I"}),
        Test({"number": 3999}, {"roman": "MMMCMXCIX"}),
        Test({"number": 444}, {"roman": "CDXLIV"}),
        Test({"number": 1990}, {"roman": "MCMXC"}),
        Test({"number": 3888}, {"roman": "MMMDCCCLXXXVIII"}),
        Test({"number": 999}, {"roman": "CMXCIX"}),
        Test({"number": 0}, error="out_of_range"),
        Test({"number": 4000}, error="out_of_range"),
        Test({"number": -1}, error="out_of_range"),
    ),
    faults=(
        Fault("off by one", "1 <= left <= 3999", "1 <= left < 3999"),
        Fault("off by one", "1 <= left <= 3999", "0 <= left <= 3999", {"output_schema": of(roman={"type": "string"})}),
        Fault("dropped record", '(900, "CM"), ', ""),
        Fault("dropped record", '(40, "XL"),', ""),
        Fault(
            "swallowed error",
            'raise host.Error("only 1 to 3999 can be written", kind="out_of_range")',
            'return {"roman": "?"}',
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("only 1 to 3999 can be written", kind="out_of_range")',
            'print({"error": "out of range"})\n        return {"roman": "N"}',
        ),
        Fault(
            "error with exit 0",
            'raise host.Error("only 1 to 3999 can be written", kind="out_of_range")',
            "import sys\n        sys.exit(0)",
        ),
        Fault(
            "hard-coded example",
            '    text = ""',
            '    if left in (14, 2026):\n        return {"roman": {14: "XIV", 2026: "MMXXVI"}[left]}\n    text = ""\n    left = left % 100',
        ),
        Fault("wrong key", '(50, "L")', '(50, "l")'),
        Fault("wrong kind of error", 'kind="out_of_range"', 'kind="invalid"'),
    ),
)

PURE = (FEE, TEMPERATURE, DAYS, SLUG, STATISTICS, INVOICE, WORDS, ROMAN)
