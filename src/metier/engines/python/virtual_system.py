"""Clocks, streams, processes, threads, sockets and the event loop of a run.

What has a meaning in a closed, single-threaded program is given it; what has none fails with an error that says so.
"""

import codecs
import io
import os
import sys
import time

import host
import virtual_files
import wit_world

class _StandardError(io.RawIOBase):
    """Bytes out to the host; a character is never split between two writes."""

    def __init__(self):
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self):
        return True

    def write(self, data):
        text = self._decoder.decode(bytes(data))
        if text:
            wit_world.write_stderr(text)
        return len(data)


class _Shared(io.BufferedWriter):
    def close(self):
        """A program that closes one of the streams keeps the other."""
        self.flush()


def _streams():
    """Standard output and standard error in one buffer, so that what they say stays in order."""
    shared = _Shared(_StandardError(), 8192)
    virtual_files.standard_output = shared
    for name in ("stdout", "stderr"):
        stream = io.TextIOWrapper(shared, "utf-8", "backslashreplace", write_through=True)
        stream.mode = "w"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.BytesIO()), "utf-8")


def flush():
    virtual_files.standard_output.flush()


def _sleep(seconds):
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    wit_world.sleep(min(int(seconds * 1_000_000_000), 2**63))


def _exit(status=0):
    raise SystemExit(status)


def _refuse(message, error=OSError):
    def refuse(*args, **kwargs):
        raise error(message)

    return refuse


def _randomness():
    """The runtime of componentize-py seeds `random` anew when a run begins; 32 bytes do, instead of 2,496."""
    import random

    plain_seed = random.Random.seed

    def seed(self, a=None, version=2):
        plain_seed(self, os.urandom(32) if a is None else a, version)

    random.Random.seed = seed
    random.seed = random._inst.seed


def _hashing():
    """`hashlib.pbkdf2_hmac`, which CPython takes from OpenSSL only."""
    import hashlib
    import hmac

    def pbkdf2_hmac(hash_name, password, salt, iterations, dklen=None):
        start = hmac.new(password, digestmod=hash_name)
        size = start.digest_size if dklen is None else dklen
        derived, block = b"", 0
        while len(derived) < size:
            block += 1
            message, total = salt + block.to_bytes(4, "big"), 0
            for _ in range(iterations):
                mac = start.copy()
                mac.update(message)
                message = mac.digest()
                total ^= int.from_bytes(message, "big")
            derived += total.to_bytes(start.digest_size, "big")
        return derived[:size]

    hashlib.pbkdf2_hmac = pbkdf2_hmac


def _event_loop():
    import asyncio

    class Selector:
        """No files to wait for: time passes."""

        def select(self, timeout=None):
            if timeout is None:
                raise RuntimeError("deadlock: every task waits, and nothing is left that could wake one")
            if timeout > 0:
                time.sleep(timeout)
            return []

        def close(self):
            pass

    class EventLoop(asyncio.BaseEventLoop):
        """asyncio without files and threads; what would go to a thread runs at once."""

        def __init__(self):
            super().__init__()
            self._selector = Selector()

        def _process_events(self, event_list):
            pass

        def _write_to_self(self):
            pass

        def run_in_executor(self, executor, func, *args):
            future = self.create_future()
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)
            return future

    asyncio.EventLoop = asyncio.new_event_loop = asyncio.events.new_event_loop = EventLoop
    for name in ("_DefaultEventLoopPolicy", "DefaultEventLoopPolicy"):
        policy = getattr(asyncio.unix_events, name, None)
        if policy is not None:
            policy._loop_factory = EventLoop


def _threads():
    import _thread
    import concurrent.futures
    import concurrent.futures.thread
    import threading

    refuse = _refuse(
        "threads are not available inside a capability: call the function directly, or use asyncio or a "
        "ThreadPoolExecutor, which run one thing after another",
        RuntimeError,
    )
    _thread.start_new_thread = _thread.start_joinable_thread = refuse
    threading._start_new_thread = threading._start_joinable_thread = refuse

    class Lock:
        """A lock in a program with one thread: to wait for it is to wait for nobody."""

        def __init__(self):
            self._locked = False

        def acquire(self, blocking=True, timeout=-1):
            if not self._locked:
                self._locked = True
                return True
            if blocking and timeout < 0:
                raise RuntimeError("deadlock: the program waits for another thread, and there is none")
            if blocking:
                time.sleep(timeout)
            return False

        def release(self):
            if not self._locked:
                raise RuntimeError("release unlocked lock")
            self._locked = False

        def locked(self):
            return self._locked

        def __enter__(self):
            return self.acquire()

        def __exit__(self, *exc):
            self.release()

    threading.Lock = threading._allocate_lock = Lock

    class ThreadPoolExecutor(concurrent.futures.Executor):
        """Runs what is submitted at once."""

        def __init__(self, max_workers=None, thread_name_prefix="", initializer=None, initargs=(), **kwargs):
            if max_workers is not None and max_workers <= 0:
                raise ValueError("max_workers must be greater than 0")
            self._closed = False
            if initializer is not None:
                initializer(*initargs)

        def submit(self, fn, /, *args, **kwargs):
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            future = concurrent.futures.Future()
            future.set_running_or_notify_cancel()
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as error:
                future.set_exception(error)
            return future

        def shutdown(self, wait=True, *, cancel_futures=False):
            self._closed = True

    concurrent.futures.ThreadPoolExecutor = concurrent.futures.thread.ThreadPoolExecutor = ThreadPoolExecutor
    concurrent.futures.ProcessPoolExecutor = ThreadPoolExecutor


def _network():
    import email.message
    import io
    import socket
    import urllib.request
    import urllib.response

    refuse = _refuse("sockets are not available inside a capability: use host.http_get or urllib.request")
    for name in ("create_connection", "create_server", "getaddrinfo", "gethostbyname", "gethostname", "socketpair"):
        setattr(socket, name, refuse)
    socket.socket.__init__ = refuse

    class HostHandler(urllib.request.BaseHandler):
        """`urllib.request.urlopen` by way of the host."""

        handler_order = 100

        def http_open(self, request):
            reply = host.http_request(
                request.get_method(), request.full_url, dict(request.header_items()), request.data
            )
            headers = email.message.Message()
            for name, value in dict(reply.get("headers") or {}).items():
                headers[name] = value
            body = reply.get("body", "")
            if not isinstance(body, str):
                import json

                body = json.dumps(body, ensure_ascii=False)
            response = urllib.response.addinfourl(
                io.BytesIO(body.encode()), headers, request.full_url, reply.get("status", 200)
            )
            response.msg = reply.get("reason", "")
            return response

        https_open = http_open

    opener = urllib.request.OpenerDirector()
    for handler in (
        HostHandler,
        urllib.request.UnknownHandler,
        urllib.request.DataHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    urllib.request.install_opener(opener)


def install():
    """Replace what would block or reach outside. After every module has been imported."""
    import linecache
    import shutil
    import signal

    time.sleep = _sleep
    os._exit = _exit
    os.abort = _refuse("os.abort is not available inside a capability", RuntimeError)
    signal.raise_signal = _refuse("signals are not available inside a capability")
    os.cpu_count = os.process_cpu_count = lambda: 1
    linecache.updatecache = lambda filename, module_globals=None: []  # no source to look for, and no effect to spend on it
    linecache.checkcache = lambda filename=None: None
    shutil._use_fd_functions = shutil.rmtree.avoids_symlink_attacks = False
    _randomness()
    _hashing()
    _event_loop()
    _threads()
    _network()
    _streams()
