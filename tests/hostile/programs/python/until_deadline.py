# Computes until its deadline, with more fuel than anybody has time for.
# ends: time
# limits: seconds=0.2 fuel=10**17
def run(input):
    total = 0
    while True:
        total += sum(range(10_000))
