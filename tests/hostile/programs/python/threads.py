# Starts threads that outlive the run.
# ends: ran|program|fuel|time
import threading
import _thread

def forever():
    while True:
        pass

def run(input):
    for start in (lambda: threading.Thread(target=forever, daemon=True).start(), lambda: _thread.start_new_thread(forever, ())):
        try:
            start()
        except Exception:
            pass
    return "done"
