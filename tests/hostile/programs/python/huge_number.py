# Computes a number with a hundred million digits in one instruction.
# ends: fuel|time|memory
# limits: seconds=2 fuel=10**17
def run(input):
    return len(str(10 ** 10**8))
