"""Imports the standard library while the engine is built: a run can import nothing that is not in memory by then."""

import encodings
import importlib.machinery
import os
import sys

# Of no use in a program without a terminal, a display, processes or sockets of its own; a fallback for what is there
# in C; or a joke
_LEFT_OUT = set(
    "antigravity this idlelib turtle turtledemo tkinter ensurepip venv pydoc_data lib2to3 pip test curses webbrowser "
    "__phello__ _ios_support _android_support _apple_support _aix_support _osx_support cProfile profile pstats "
    "pdb bdb trace tracemalloc pty tty code codeop cmd pydoc py_compile compileall zipapp doctest unittest.mock "
    "smtplib poplib imaplib ftplib wsgiref xmlrpc nturl2path sitecustomize usercustomize http.server http.cookiejar "
    "msvcrt winreg winsound ctypes multiprocessing rlcompleter pyclbr modulefinder symtable tabnanny mailbox wave "
    "_pydecimal _pyio _pydatetime _pyrepl pickletools asyncio.__main__ asyncio.windows_events asyncio.windows_utils "
    "asyncio.proactor_events".split()
)
_ENCODINGS = set(
    "aliases ascii base64_codec big5 charmap cp437 cp850 cp852 cp858 cp866 cp932 cp949 cp950 cp1250 cp1251 cp1252 "
    "cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 euc_jp euc_kr gb18030 gb2312 gbk hex_codec hz idna iso2022_jp iso8859_1 "
    "iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 iso8859_9 iso8859_10 iso8859_13 iso8859_14 "
    "iso8859_15 iso8859_16 koi8_r koi8_u latin_1 mac_roman punycode quopri_codec raw_unicode_escape rot_13 shift_jis "
    "tis_620 undefined unicode_escape utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le utf_7 utf_8 utf_8_sig "
    "uu_codec zlib_codec".split()
)
_PACKAGES = (
    ["asyncio", "collections", "compression", "concurrent", "email", "encodings", "html", "http", "importlib", "json", "logging", "string", "sqlite3", "sysconfig", "unittest", "urllib", "xml", "zipfile", "zoneinfo", "tomllib", "re", "pathlib", "os", "dbm"]
)
_ELSEWHERE = {
    "requests": "for HTTP use host.http_get(url) or urllib.request",
    "httpx": "for HTTP use host.http_get(url) or urllib.request",
    "aiohttp": "for HTTP use host.http_get(url) or urllib.request",
    "numpy": "use lists, math and statistics",
    "pandas": "use csv, sqlite3, statistics and collections",
    "psycopg": "for SQL use host.sql(store, statement, parameters)",
    "psycopg2": "for SQL use host.sql(store, statement, parameters)",
    "sqlalchemy": "for SQL use host.sql(store, statement, parameters)",
    "yaml": "use json or tomllib",
    "pytz": "use zoneinfo",
    "dateutil": "use datetime and zoneinfo",
    "bs4": "use html.parser",
    "lxml": "use xml.etree.ElementTree",
}


def time_zones():
    """{name: TZif bytes} of the tzdata package, each distinct content held once."""
    import tzdata

    root = os.path.join(os.path.dirname(tzdata.__file__), "zoneinfo")
    zones, distinct = {}, {}
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                content = file.read()
            if content.startswith(b"TZif"):
                key = os.path.relpath(os.path.join(folder, name), root)
                zones[key] = distinct.setdefault(content, content)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tzdata"]:
        del sys.modules[name]
    return zones


def names():
    """The modules to import. Looks at real folders, so before the virtual files are installed."""
    found = sorted(sys.stdlib_module_names)
    library = os.path.dirname(os.path.dirname(encodings.__file__))  # os itself is frozen and names no real folder
    for package in _PACKAGES:
        for folder, _, files in sorted(os.walk(os.path.join(library, package))):
            prefix = os.path.relpath(folder, library).replace(os.sep, ".")
            modules = sorted(f[:-3] for f in files if f.endswith(".py") and not f.startswith("__"))
            if package == "encodings":
                modules = [m for m in modules if m in _ENCODINGS]
            found += [prefix, *(f"{prefix}.{m}" for m in modules)]
    return [name for name in found if name not in _LEFT_OUT]


def everything(found):
    """Import all of them that can be imported, without the docstrings, which would be a sixth of the engine."""
    importlib.machinery.SourceFileLoader.source_to_code = lambda self, data, path, **_: compile(
        data, path, "exec", dont_inherit=True, optimize=2
    )
    sys.meta_path.insert(0, LeftOut)
    for name in found:
        _attempt(name)
    sys.meta_path.remove(LeftOut)


class LeftOut:
    """The first finder while the engine is built: nothing comes in as the dependency of another either."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in _LEFT_OUT:
            raise ModuleNotFoundError(f"{name} is left out", name=name)


def _attempt(name):
    try:
        importlib.import_module(name)
    except Exception:  # a C part that CPython for WASI lacks, or a module for another platform
        for partial in [m for m in sys.modules if m == name or m.startswith(name + ".")]:
            del sys.modules[partial]


class Closed:
    """The last finder: says why a module is missing."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names:
            message = f"module {name!r} is not available inside a capability"
        else:
            hint = _ELSEWHERE.get(top)
            message = f"no module named {name!r}: a capability has the Python standard library and `host`"
            message += f"; {hint}" if hint else ""
        raise ModuleNotFoundError(message, name=name)


def close(zones):
    """Point the time zones at memory, and leave no way to look for modules in files."""
    import zoneinfo._common
    import zoneinfo._tzpath

    def load_tzdata(key):
        import io

        try:
            return io.BytesIO(zones[key])
        except KeyError:
            raise zoneinfo._common.ZoneInfoNotFoundError(f"No time zone found with key {key}") from None

    zoneinfo._common.load_tzdata = load_tzdata
    zoneinfo.available_timezones = zoneinfo._tzpath.available_timezones = lambda: set(zones)
    zoneinfo.reset_tzpath(())
    sys.meta_path[:] = [f for f in sys.meta_path if f.__name__ != "PathFinder"] + [Closed]
    sys.path[:] = []
    sys.path_importer_cache.clear()
