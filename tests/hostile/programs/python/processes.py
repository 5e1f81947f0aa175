# Starts processes in every way that the standard library has.
# ends: ran
# says: []
import asyncio
import os

def run(input):
    got = []
    def attempt(name, call):
        try:
            got.append([name, repr(call())])
        except (Exception, SystemExit):
            pass
    attempt("system", lambda: os.system("touch /tmp/escaped"))
    attempt("popen", lambda: os.popen("id").read())
    attempt("fork", lambda: os.fork())
    attempt("execv", lambda: os.execv("/bin/sh", ["sh", "-c", "touch /tmp/escaped"]))
    attempt("spawn", lambda: os.spawnl(os.P_WAIT, "/bin/sh", "sh"))
    attempt("posix_spawn", lambda: os.posix_spawn("/bin/sh", ["sh"], {}))
    attempt("kill", lambda: os.kill(1, 9))
    attempt("subprocess", lambda: __import__("subprocess").run(["id"], capture_output=True).stdout)
    attempt("asyncio", lambda: asyncio.run(asyncio.create_subprocess_exec("id")))
    attempt("pty", lambda: __import__("pty").spawn("/bin/sh"))
    attempt("multiprocessing", lambda: __import__("multiprocessing").Process(target=print).start())
    return got
