# Matches a regular expression that backtracks exponentially.
# ends: fuel|time
# limits: seconds=1 fuel=10**17
import re

def run(input):
    return bool(re.match(r"(a|aa|a?)+$", "a" * 60 + "!"))
