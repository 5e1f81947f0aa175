# Prints without end.
# ends: output
def run(input):
    while True:
        print("x" * 1000)
