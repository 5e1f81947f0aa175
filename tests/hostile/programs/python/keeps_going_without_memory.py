# Catches the MemoryError and goes on taking what it can get.
# ends: memory|fuel|program|trap
def run(input):
    kept = []
    size = 1 << 26
    while True:
        try:
            kept.append(bytearray(size))
        except MemoryError:
            size = max(1, size // 2)
