# Uses SQLite to reach files, to load code and to compute for ever.
# ends: ran|fuel|time|program
import sqlite3

def run(input):
    for statement in ("attach '/docs/../canary/secret.txt' as x", "select load_extension('/lib/x.so')", "select readfile('/etc/passwd')", "attach '/etc/passwd' as y"):
        try:
            with sqlite3.connect(":memory:") as db:
                db.enable_load_extension(True) if hasattr(db, "enable_load_extension") else None
                return db.execute(statement + " union select 1" * 0).fetchall() or 1 / 0
        except (sqlite3.Error, ZeroDivisionError):
            pass
    return "nothing"
