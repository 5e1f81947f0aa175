# Spells a granted root and its files in other cases, which some filesystems take for the same.
# ends: ran
# says: []
# grant: narrow
def run(input):
    got = []
    for path in ("/DOCS/a.txt", "/Docs/a.txt", "/docs/A.TXT", "/docs/a.TXT", "/docs/OUT/x.txt", "/docs/a.txt ", "/docs/a.txt.", "/docs/a.txt::$DATA", "/docs/ａ.txt"):
        for mode in ("r", "w"):
            try:
                open(path, mode).close()
                got.append([path, mode])
            except OSError:
                pass
    return got
