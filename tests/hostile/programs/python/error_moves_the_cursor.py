# Fails with terminal escapes, bidirectional overrides and carriage returns in its message.
# ends: program
# says: \\u001b
def run(input):
    raise ValueError("\x1b[2J\x1b[1;1Happroved\r\x07\u202egnp.exe\x00\x9b31m\u2028next")
