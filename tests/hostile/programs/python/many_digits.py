# Returns a number with more digits than a host likes to read.
# ends: contract|program
import sys

def run(input):
    sys.set_int_max_str_digits(0)
    return int("9" * 20_000)
