# Doubles a string until there is no memory.
# ends: memory|program
def run(input):
    text = "x"
    while True:
        text += text
