# Loads native code.
# ends: ran
# says: []
def run(input):
    got = []
    for name in ("ctypes", "_ctypes", "cffi", "mmap", "_posixsubprocess", "resource", "fcntl", "readline", "_testcapi", "_testinternalcapi", "numpy", "wasmtime"):
        try:
            __import__(name)
            got.append(name)
        except ImportError:
            pass
    return got
