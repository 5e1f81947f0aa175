# Makes folders in folders without end.
# ends: effects|program
# grant: write
# limits: effects=100000
import os

def run(input):
    path = "/docs"
    while True:
        path += "/d"
        os.mkdir(path)
