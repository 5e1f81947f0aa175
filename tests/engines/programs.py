"""Programs as models write them: (name, source, input, expected output)."""

from typing import Any

Program = tuple[str, str, Any, Any]

PROGRAMS: list[Program] = [
    (
        "datetime and zoneinfo",
        """
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

def run(input: dict) -> dict:
    meeting = datetime.strptime(input["when"], "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(input["zone"]))
    utc = meeting.astimezone(timezone.utc)
    return {"utc": utc.isoformat(), "tokyo": meeting.astimezone(ZoneInfo("Asia/Tokyo")).strftime("%A %H:%M"),
            "week_later": (meeting + timedelta(weeks=1)).isoformat(), "weekday": meeting.isocalendar().weekday}
""",
        {"when": "2024-03-28 10:00", "zone": "Europe/Berlin"},
        {
            "utc": "2024-03-28T09:00:00+00:00",
            "tokyo": "Thursday 18:00",
            "week_later": "2024-04-04T10:00:00+02:00",
            "weekday": 4,
        },
    ),
    (
        "decimal money",
        """
from decimal import Decimal, ROUND_HALF_UP, getcontext

def run(input):
    getcontext().prec = 28
    total = sum((Decimal(str(i["price"])) * i["quantity"] for i in input["items"]), Decimal(0))
    tax = (total * Decimal("0.19")).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    return {"net": str(total), "tax": str(tax), "gross": float(total + tax)}
""",
        {"items": [{"price": 19.99, "quantity": 3}, {"price": 0.1, "quantity": 7}]},
        {"net": "60.67", "tax": "11.53", "gross": 72.2},
    ),
    (
        "regular expressions",
        r"""
import re
LINE = re.compile(r'(?P<ip>\d+\.\d+\.\d+\.\d+) - \[(?P<day>\d+)/(?P<month>\w+)\] "(?P<verb>GET|POST) (?P<path>[^"]+)"')

def run(input):
    found = [m.groupdict() for m in LINE.finditer(input["log"])]
    return {"found": found, "redacted": re.sub(r"\d+(?=\.\d+ )", "x", input["log"])}
""",
        {"log": '10.0.0.1 - [03/Mar] "GET /a"\n'},
        {
            "found": [{"ip": "10.0.0.1", "day": "03", "month": "Mar", "verb": "GET", "path": "/a"}],
            "redacted": '10.0.x.1 - [03/Mar] "GET /a"\n',
        },
    ),
    (
        "dataclasses and enum",
        """
from __future__ import annotations
from dataclasses import asdict, dataclass, field, replace
from enum import Enum, auto

class Grade(Enum):
    JUNIOR = auto()
    SENIOR = auto()

@dataclass(order=True, frozen=True, slots=True)
class Employee:
    name: str
    salary: int = 0
    grade: Grade = Grade.JUNIOR
    tags: list[str] = field(default_factory=list)

def run(input: dict) -> dict:
    people = sorted(Employee(p["name"], p["salary"]) for p in input["people"])
    promoted = replace(people[0], grade=Grade.SENIOR)
    return {"first": asdict(people[0]) | {"grade": people[0].grade.name}, "promoted": promoted.grade.name}
""",
        {"people": [{"name": "Zoe", "salary": 1}, {"name": "Ann", "salary": 2}]},
        {"first": {"name": "Ann", "salary": 2, "grade": "JUNIOR", "tags": []}, "promoted": "SENIOR"},
    ),
    (
        "csv in memory",
        """
import csv, io

def run(input):
    rows = list(csv.DictReader(io.StringIO(input["csv"]), delimiter=";"))
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=["name", "double"], lineterminator="\\n")
    writer.writeheader()
    writer.writerows({"name": r["name"], "double": int(r["n"]) * 2} for r in rows)
    return {"csv": out.getvalue()}
""",
        {"csv": 'name;n\n"a;b";4\n'},
        {"csv": "name,double\na;b,8\n"},
    ),
    (
        "sqlite in memory",
        """
import sqlite3

def run(input):
    with sqlite3.connect(":memory:") as db:
        db.row_factory = sqlite3.Row
        db.execute("create table sale (region text, amount real)")
        db.executemany("insert into sale values (:region, :amount)", input["sales"])
        rows = db.execute("select region, sum(amount) as total, row_number() over (order by sum(amount) desc) as place"
                          " from sale group by region order by place").fetchall()
    return [dict(row) for row in rows]
""",
        {"sales": [{"region": "N", "amount": 1.5}, {"region": "S", "amount": 4}, {"region": "N", "amount": 1}]},
        [{"region": "S", "total": 4.0, "place": 1}, {"region": "N", "total": 2.5, "place": 2}],
    ),
    (
        "statistics and fractions",
        """
import math, statistics
from fractions import Fraction

def run(input):
    xs = input["xs"]
    return {"mean": statistics.fmean(xs), "median": statistics.median(xs), "stdev": round(statistics.stdev(xs), 6),
            "quantiles": statistics.quantiles(xs, n=4), "ratio": str(Fraction(xs[0], xs[1])), "hypot": math.hypot(3, 4),
            "fit": list(statistics.linear_regression([1, 2, 3, 4], xs))}
""",
        {"xs": [2, 4, 6, 8]},
        {
            "mean": 5.0,
            "median": 5.0,
            "stdev": 2.581989,
            "quantiles": [2.5, 5.0, 7.5],
            "ratio": "1/2",
            "hypot": 5.0,
            "fit": [2.0, 0.0],
        },
    ),
    (
        "pathlib in the private folder",
        """
from pathlib import Path
import shutil, tempfile, os, glob, zipfile

def run(input):
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "a" / "b").mkdir(parents=True)
        (base / "a" / "x.txt").write_text("hällo\\n")
        (base / "a" / "b" / "y.txt").write_bytes(b"12345")
        shutil.copyfile(base / "a" / "x.txt", base / "z.txt")
        shutil.copytree(base / "a", base / "c")
        (base / "z.txt").rename(base / "w.txt")
        with zipfile.ZipFile(base / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(base.rglob("*.txt")):
                archive.write(file, file.relative_to(base))
        with zipfile.ZipFile(base / "all.zip") as archive:
            names = archive.namelist()
        walked = sorted(name for _, _, files in os.walk(folder) for name in files)
        sizes = [p.stat().st_size for p in sorted(base.glob("*.txt"))]
        exists = [(base / "w.txt").is_file(), (base / "z.txt").exists(), (base / "a").is_dir()]
        globbed = len(glob.glob(folder + "/**/*.txt", recursive=True))
    return {"names": names, "walked": walked, "sizes": sizes, "exists": exists, "globbed": globbed,
            "gone": not os.path.exists(folder), "left": os.listdir("/tmp")}
""",
        {},
        {
            "names": ["a/b/y.txt", "a/x.txt", "c/b/y.txt", "c/x.txt", "w.txt"],
            "walked": ["all.zip", "w.txt", "x.txt", "x.txt", "y.txt", "y.txt"],
            "sizes": [7],
            "exists": [True, False, True],
            "globbed": 5,
            "gone": True,
            "left": [],
        },
    ),
    (
        "temporary files",
        """
import os, tempfile

def run(input):
    with tempfile.NamedTemporaryFile("w+", suffix=".txt", delete=False) as f:
        f.write("line one\\nline two\\n")
        f.flush()
        f.seek(0)
        lines = f.readlines()
    with open(f.name, "a") as more:
        more.write("three")
    handle, path = tempfile.mkstemp()
    os.write(handle, b"raw")
    os.close(handle)
    with tempfile.TemporaryFile() as t:
        t.write(b"abc")
        t.seek(1)
        tail = t.read()
    size = os.path.getsize(f.name)
    os.remove(f.name)
    return {"lines": lines, "size": size, "raw": open(path).read(), "tail": tail.decode()}
""",
        {},
        {"lines": ["line one\n", "line two\n"], "size": 23, "raw": "raw", "tail": "bc"},
    ),
    (
        "asyncio",
        """
import asyncio, time

async def fetch(name, delay):
    await asyncio.sleep(delay)
    return name

async def main(input):
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetch(n, d)) for n, d in input["jobs"]]
    queue = asyncio.Queue()
    await queue.put(1)
    try:
        async with asyncio.timeout(1):
            await asyncio.sleep(60)
    except TimeoutError:
        late = True
    threaded = await asyncio.to_thread(len, "four")
    return {"results": [t.result() for t in tasks], "seconds": round(time.monotonic() - began), "late": late,
            "queued": await queue.get(), "threaded": threaded,
            "gathered": await asyncio.gather(*(fetch(i, 0.01) for i in range(3)))}

def run(input):
    return asyncio.run(main(input))
""",
        {"jobs": [["a", 3], ["b", 1]]},
        {"results": ["a", "b"], "seconds": 4, "late": True, "queued": 1, "threaded": 4, "gathered": [0, 1, 2]},
    ),
    (
        "an async run",
        """
import asyncio
async def run(input):
    await asyncio.sleep(0)
    return {"ok": True}
""",
        {},
        {"ok": True},
    ),
    (
        "sleeping moves every clock and blocks nothing",
        """
import time, datetime

def run(input):
    before, wall, day = time.perf_counter(), time.time(), datetime.datetime.now()
    time.sleep(3600)
    return [round(time.perf_counter() - before), round(time.time() - wall), (datetime.datetime.now() - day).seconds]
""",
        {},
        [3600, 3600, 3600],
    ),
    (
        "random, seeded by the program",
        """
import random
def run(input):
    r = random.Random(7)
    random.seed("x")
    return {"picks": [r.randint(1, 100) for _ in range(3)], "same": random.random() == random.Random("x").random(),
            "shuffled": r.sample(range(10), 3)}
""",
        {},
        {"picks": [42, 20, 51], "same": True, "shuffled": [0, 1, 8]},
    ),
    (
        "identifiers and secrets",
        """
import os, secrets, uuid
def run(input):
    ids = {str(uuid.uuid4()) for _ in range(10)}
    return {"distinct": len(ids), "version": uuid.UUID(ids.pop()).version, "token": len(secrets.token_hex(16)),
            "bytes": len(os.urandom(1000)), "v5": str(uuid.uuid5(uuid.NAMESPACE_DNS, "example.com"))}
""",
        {},
        {"distinct": 10, "version": 4, "token": 32, "bytes": 1000, "v5": "cfbff0d1-9375-5685-968c-48ce8b15ae17"},
    ),
    (
        "logging",
        """
import io, logging
def run(input):
    stream = io.StringIO()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:%(message)s",
                        handlers=[logging.StreamHandler(stream)])
    log = logging.getLogger(__name__)
    log.debug("hidden")
    log.info("seen %d", 3)
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("oh")
    lines = stream.getvalue().splitlines()
    return {"first": lines[0], "last": lines[-1], "name": log.name}
""",
        {},
        {"first": "INFO:seen 3", "last": "ZeroDivisionError: division by zero", "name": "capability"},
    ),
    (
        "hashing and encoding",
        """
import base64, binascii, hashlib, hmac, struct, zlib
def run(input):
    data = input["text"].encode()
    return {"sha256": hashlib.sha256(data).hexdigest()[:16], "md5": hashlib.md5(data).hexdigest()[:8],
            "blake2": hashlib.blake2b(data, digest_size=4).hexdigest(), "sha3": hashlib.sha3_256(data).hexdigest()[:8],
            "hmac": hmac.new(b"key", data, "sha1").hexdigest()[:8], "crc": zlib.crc32(data),
            "b64": base64.urlsafe_b64encode(data).decode(),
            "packed": binascii.hexlify(struct.pack("<Hd", 7, 1.5)).decode(),
            "pbkdf2": hashlib.pbkdf2_hmac("sha256", b"p", b"s", 10).hex()[:8]}
""",
        {"text": "métier"},
        {
            "sha256": "9006e69ed9261056",
            "md5": "2f7a22b2",
            "blake2": "bfb55585",
            "sha3": "cfafca80",
            "hmac": "f646df21",
            "crc": 2560371504,
            "b64": "bcOpdGllcg==",
            "packed": "0700000000000000f83f",
            "pbkdf2": "1d6f1f70",
        },
    ),
    (
        "text tools",
        """
import difflib, string, textwrap, unicodedata
from string import Template
def run(input):
    text = textwrap.fill(input["text"], width=20)
    return {"lines": text.splitlines(), "short": textwrap.shorten(input["text"], 15), "close":
            difflib.get_close_matches("appel", ["ape", "apple", "peach"]), "ascii":
            unicodedata.normalize("NFKD", "Ångström").encode("ascii", "ignore").decode(),
            "template": Template("$who costs $$5").substitute(who="it"), "name": unicodedata.name("é"),
            "table": "abc".translate(str.maketrans("abc", "xyz")), "printable": len(string.printable)}
""",
        {"text": "The quick brown fox jumps over"},
        {
            "lines": ["The quick brown fox", "jumps over"],
            "short": "The quick [...]",
            "close": ["apple", "ape"],
            "ascii": "Angstrom",
            "template": "it costs $5",
            "name": "LATIN SMALL LETTER E WITH ACUTE",
            "table": "xyz",
            "printable": 100,
        },
    ),
    (
        "xml and html",
        """
import xml.etree.ElementTree as ET
from html import escape, unescape
from html.parser import HTMLParser
from xml.dom import minidom

class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []
    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.found.append(dict(attrs).get("href"))

def run(input):
    root = ET.fromstring(input["xml"])
    parser = Links()
    parser.feed('<p><a href="/x">x</a> <a href=/y>y</a>')
    out = ET.Element("out", n=str(len(root)))
    ET.SubElement(out, "v").text = "a<b"
    return {"titles": [b.findtext("title") for b in root.iter("book")], "links": parser.found, "xml":
            ET.tostring(out, encoding="unicode"), "dom": minidom.parseString("<a><b/></a>").documentElement.tagName,
            "escaped": escape("<&>"), "unescaped": unescape("&eacute;")}
""",
        {"xml": "<r><book><title>One</title></book><book><title>Two</title></book></r>"},
        {
            "titles": ["One", "Two"],
            "links": ["/x", "/y"],
            "xml": '<out n="2"><v>a&lt;b</v></out>',
            "dom": "a",
            "escaped": "&lt;&amp;&gt;",
            "unescaped": "é",
        },
    ),
    (
        "urls and addresses",
        """
import ipaddress
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit
def run(input):
    parts = urlsplit(input["url"])
    return {"host": parts.hostname, "port": parts.port, "query": parse_qs(parts.query),
            "joined": urljoin(input["url"], "../c"),
            "encoded": urlencode({"q": "a b&c", "x": [1, 2]}, doseq=True), "quoted": quote("ä/ö"),
            "hosts": ipaddress.ip_network("10.0.0.0/29").num_addresses}
""",
        {"url": "https://example.com:8443/a/b?x=1&x=2"},
        {
            "host": "example.com",
            "port": 8443,
            "query": {"x": ["1", "2"]},
            "joined": "https://example.com:8443/c",
            "encoded": "q=a+b%26c&x=1&x=2",
            "quoted": "%C3%A4/%C3%B6",
            "hosts": 8,
        },
    ),
    (
        "email",
        """
import email.policy
from email import message_from_string
from email.message import EmailMessage
from email.utils import parseaddr
def run(input):
    message = message_from_string(input["raw"], policy=email.policy.default)
    reply = EmailMessage()
    reply["Subject"] = "Re: " + message["Subject"]
    reply["To"] = message["From"]
    reply.set_content("Danke, schön!\\n")
    reply.add_attachment(b"1,2", maintype="text", subtype="csv", filename="a.csv")
    again = message_from_string(reply.as_string(), policy=email.policy.default)
    return {"from": parseaddr(message["From"]), "subject": reply["Subject"], "body":
            again.get_body().get_content(), "attached": [a.get_filename() for a in again.iter_attachments()]}
""",
        {"raw": "From: Ann <ann@example.com>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nhi"},
        {
            "from": ["Ann", "ann@example.com"],
            "subject": "Re: Grüße",
            "body": "Danke, schön!\n",
            "attached": ["a.csv"],
        },
    ),
    (
        "classes and pickle",
        """
import copy, pickle
class Stack[T]:
    def __init__(self): self.items: list[T] = []
    def push(self, item: T) -> None: self.items.append(item)
class Celsius(float):
    @property
    def fahrenheit(self): return self * 9 / 5 + 32
def run(input):
    s = Stack[int]()
    for n in input["ns"]: s.push(n)
    twin = pickle.loads(pickle.dumps(s))
    twin.push(99)
    deep = copy.deepcopy(s)
    return {"own": s.items, "twin": twin.items, "deep": deep.items, "f": Celsius(100).fahrenheit}
""",
        {"ns": [1, 2]},
        {"own": [1, 2], "twin": [1, 2, 99], "deep": [1, 2], "f": 212.0},
    ),
    (
        "typing",
        """
from typing import Annotated, Literal, NamedTuple, Protocol, TypedDict, get_type_hints, overload
import typing as t
class Row(TypedDict, total=False):
    name: str
    age: t.Optional[int]
class Point(NamedTuple):
    x: int
    y: int = 0
type Pair = tuple[int, int]
class Shape(Protocol):
    def area(self) -> float: ...
def describe(row: Row, mode: Literal["a", "b"] = "a") -> Annotated[str, "text"]:
    return f"{row['name']}/{mode}"
def run(input: dict[str, t.Any]) -> dict[str, object]:
    return {"d": describe({"name": "x"}), "hints": sorted(get_type_hints(describe)), "p": Point(3)._asdict()}
""",
        {},
        {"d": "x/a", "hints": ["mode", "return", "row"], "p": {"x": 3, "y": 0}},
    ),
    (
        "f-strings, match, generators, walrus",
        """
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from functools import cache, partial, reduce, singledispatch
from itertools import accumulate, batched, groupby, pairwise
import operator

def kind(value):
    match value:
        case {"type": "circle", "r": (int() | float()) as r} if r > 0: return f"circle {r:.2f}"
        case [first, *rest]: return f"list of {first!r} and {len(rest)}"
        case str(text): return f"{text=}"
        case None | True | False: return "constant"
        case _: return "other"

@cache
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)

def numbers():
    total = yield 0
    while total is not None:
        total = yield total * 2

def run(input):
    g = numbers(); next(g)
    groups = {k: [v["n"] for v in vs] for k, vs in groupby(input["rows"], key=lambda r: r["k"])}
    return {"kinds": [kind(v) for v in input["values"]], "fib": fib(50), "sent": g.send(21), "groups": groups,
            "wide": f"{1234567.891:,.2f}|{'x':^5}|{255:#06x}|{0.256:.1%}", "batches": list(batched(range(5), 2)),
            "common": Counter("banana").most_common(1), "sums": list(accumulate([1, 2, 3], operator.mul)),
            "big": [y for x in range(5) if (y := x * x) > 3], "pairs": list(pairwise("abc"))}
""",
        {
            "values": [{"type": "circle", "r": 2}, [1, 2, 3], "s", None, 4.5],
            "rows": [{"k": "a", "n": 1}, {"k": "a", "n": 2}],
        },
        {
            "kinds": ["circle 2.00", "list of 1 and 2", "text='s'", "constant", "other"],
            "fib": 12586269025,
            "sent": 42,
            "groups": {"a": [1, 2]},
            "wide": "1,234,567.89|  x  |0x00ff|25.6%",
            "batches": [[0, 1], [2, 3], [4]],
            "common": [["a", 3]],
            "sums": [1, 2, 6],
            "big": [4, 9, 16],
            "pairs": [["a", "b"], ["b", "c"]],
        },
    ),
    (
        "configuration formats",
        """
import configparser, json, plistlib, tomllib, io, gzip
def run(input):
    ini = configparser.ConfigParser()
    ini.read_string(input["ini"])
    return {"toml": tomllib.loads(input["toml"]), "ini": dict(ini["a"]),
            "gzip": gzip.decompress(gzip.compress(b"x" * 9)).decode(),
            "plist": plistlib.loads(plistlib.dumps({"a": [1]})),
            "json": json.dumps({"é": 1}, indent=None, sort_keys=True)}
""",
        {"toml": '[x]\ny = "z"\n', "ini": "[a]\nk = v\n"},
        {
            "toml": {"x": {"y": "z"}},
            "ini": {"k": "v"},
            "gzip": "xxxxxxxxx",
            "plist": {"a": [1]},
            "json": '{"\\u00e9": 1}',
        },
    ),
    (
        "thread pools run one after another",
        """
from concurrent.futures import ThreadPoolExecutor, as_completed
def run(input):
    with ThreadPoolExecutor(max_workers=4) as pool:
        squares = list(pool.map(lambda x: x * x, input["xs"]))
        done = sorted(f.result() for f in as_completed([pool.submit(pow, 2, n) for n in input["xs"]]))
        failed = pool.submit(lambda: 1 / 0).exception()
    return {"squares": squares, "done": done, "failed": type(failed).__name__}
""",
        {"xs": [1, 2, 3]},
        {"squares": [1, 4, 9], "done": [2, 4, 8], "failed": "ZeroDivisionError"},
    ),
    (
        "codecs",
        """
def run(input):
    t = "Grüße €"
    return [len(t.encode(e)) for e in ("utf-8", "utf-16", "cp1252", "iso8859-15", "utf-7", "mac_roman")] + [
        "münchen.de".encode("idna").decode(), "日本".encode("shift_jis").hex(),
        b"\\xff".decode("latin-1"), "x".encode("ascii").hex()]
""",
        {},
        [11, 16, 7, 7, 17, 7, "xn--mnchen-3ya.de", "93fa967b", "ÿ", "78"],
    ),
]
