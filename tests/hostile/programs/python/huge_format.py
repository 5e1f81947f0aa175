# Formats a number to a width of a billion.
# ends: memory|program
def run(input):
    return len("%*d" % (10**9, 1)) + len(f"{1:>{10**9}}")
