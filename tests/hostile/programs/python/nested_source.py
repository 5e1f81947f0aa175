# Evaluates source with a hundred thousand parentheses.
# ends: program|stack|memory|trap
def run(input):
    eval("(" * 100_000 + ")" * 100_000)
    eval("-" * 1_000_000 + "1")
