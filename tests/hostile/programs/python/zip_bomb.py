# Unpacks a thousand times its size, in layers.
# ends: memory|fuel
import zlib

def run(input):
    data = zlib.compress(bytes(30_000_000), 9)
    layers = [zlib.decompress(data) for _ in range(100)]
    return len(layers)
