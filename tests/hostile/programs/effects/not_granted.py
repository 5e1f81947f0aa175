# Asks for every effect without having been granted any.
# ends: ran
# says: []
import host

def run(input):
    got = []
    for attempt in (
        lambda: host.http_get("http://169.254.169.254/latest/meta-data/"), lambda: host.http_get("http://127.0.0.1:22/"),
        lambda: host.sql("hr", "select 1"), lambda: host.call("under_test", {}), lambda: host.call("../under_test"),
        lambda: open("/docs/a.txt").read(), lambda: host.request("files.read", path="/docs/a.txt"),
        lambda: host.request("files.write", path="/docs/a.txt", text="x"), lambda: host.request("shell.run", command="id"),
        lambda: host.request("secrets.get", name="API_KEY"), lambda: host.request("env", name="HOME"),
    ):
        try:
            got.append(repr(attempt()))
        except Exception:
            pass
    return got
