"""How long the pages take in a library of 5,000 capabilities, over HTTP, as multiples of a page that says nothing.

    python bench/pages.py [--capabilities N]

Times are medians of requests one after the other, to a server in this process; the first request of each page, which
reads the library and makes embeddings, stands beside them.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.conftest import ECHO

from metier import Runtime
from metier.capability import Capability, Contract, contract_fields
from metier.library import Artifact, Library
from metier.version_folder import META, hash_of, meta_text
from metier.web.server import listen, make_server

ROUNDS = 15
PAGES = {
    "nothing (sign-in)": "/ui/sign-in",
    "first page": "/ui/",
    "library": "/ui/library",
    "library, searched": "/ui/library?q=convert+money+into+another+currency",
    "library, page 60": "/ui/library?page=60",
    "map": "/ui/library/map?picture=1",
    "capability": "/ui/capabilities/convert_0",
    "runs": "/ui/runs",
    "health": "/ui/health",
}
BOUNDS = {"first page": 0.1, "library": 0.3}
"""Seconds that these are to stay below."""
VERBS = ("convert", "find", "list", "send", "count", "translate", "book", "cancel", "compare", "predict")
THINGS = (
    "currencies",
    "flights",
    "songs",
    "invoices",
    "weather",
    "recipes",
    "players",
    "stocks",
    "parcels",
    "patients",
)
PLACES = ("a city", "a customer", "the last week", "one account", "a warehouse", "a team", "two dates", "a region")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--capabilities", type=int, default=5000)
    with tempfile.TemporaryDirectory() as folder:
        library = Library.create(Path(folder) / "capabilities")
        fill(library, parser.parse_args().capabilities)
        with Runtime.open(library.path) as runtime, listen("127.0.0.1", 0, token=None) as listening:
            server = make_server(runtime, listening)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            try:
                with httpx2.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60) as client:
                    measure(client)
            finally:
                server.should_exit = True
                thread.join()


def fill(library: Library, count: int) -> None:
    """Writes capabilities as publishing would, without waiting for the disk."""
    chance = random.Random(1)
    for number in range(count):
        verb, thing, place = VERBS[number % len(VERBS)], chance.choice(THINGS), chance.choice(PLACES)
        summary = f"{verb.title()} {thing} of {place}, number {number}."
        contract = Contract(id=f"{verb}_{number}", summary=summary, language="wat")
        capability = Capability(
            **contract_fields(contract), binary=f"{contract.id}.wasm", version=1, sha256=None, status="active"
        )
        capability = capability.model_copy(update={"sha256": hash_of(Artifact(capability, ECHO, {}))})
        home = library.path / contract.id
        home.mkdir()
        (home / capability.binary).write_bytes(ECHO)
        (home / META).write_bytes(meta_text(capability))


def measure(client: httpx2.Client) -> None:
    floor = 0.0
    print(f"{'page':20} {'first':>9} {'median':>9} {'multiple':>9} {'size':>9}")
    for name, path in PAGES.items():
        times, size = [], 0
        for _ in range(ROUNDS + 1):
            begin = time.perf_counter()
            response = client.get(path)
            times.append(time.perf_counter() - begin)
            size = len(response.raise_for_status().content)
        median = statistics.median(times[1:])
        floor = floor or median
        bound = f"   (to stay below {BOUNDS[name] * 1e3:.0f} ms)" if name in BOUNDS else ""
        line = f"{name:20} {times[0] * 1e3:6.0f} ms {median * 1e3:6.1f} ms {median / floor:8.1f}× {size / 1e3:6.0f} kB"
        print(line + bound)


if __name__ == "__main__":
    main()
