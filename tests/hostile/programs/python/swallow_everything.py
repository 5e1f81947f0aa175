# Loops for ever and swallows every exception that could end it.
# ends: fuel
def run(input):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
