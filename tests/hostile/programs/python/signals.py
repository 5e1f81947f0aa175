# Catches the signals by which it would be stopped, and sends some.
# ends: ran|program
import os
import signal

def run(input):
    for call in (lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN), lambda: signal.alarm(1), lambda: signal.raise_signal(9), lambda: os.kill(os.getppid(), 15), lambda: os.killpg(0, 9)):
        try:
            call()
        except Exception:
            pass
    return True
