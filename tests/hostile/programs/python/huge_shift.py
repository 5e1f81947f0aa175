# Shifts a one by eight gigabits.
# ends: memory|program
def run(input):
    return (1 << (1 << 33)).bit_length()
