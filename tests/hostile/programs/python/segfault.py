# Crashes the interpreter on purpose.
# ends: trap|program
def run(input):
    import faulthandler
    faulthandler._sigsegv()
