# Aborts the interpreter.
# ends: program|trap
import os

def run(input):
    os.abort()
