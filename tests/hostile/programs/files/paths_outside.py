# Spells the way out in every way that some system understands.
# ends: ran
# says: []
# grant: write
TARGETS = [
    "../canary/secret.txt", "/docs/../canary/secret.txt", "/docs/../../canary/secret.txt", "/docs/sub/../../../canary/secret.txt",
    "/docs/./.././../canary/secret.txt", "/docs//..//..//canary/secret.txt", "/../../../../../../etc/passwd", "/etc/passwd", "//etc/passwd",
    "/docs/%2e%2e/%2e%2e/canary/secret.txt", "/docs/..%2f..%2fcanary/secret.txt", "/docs/..%c0%af..%c0%afcanary/secret.txt",
    "/docs\\..\\..\\canary\\secret.txt", "..\\..\\canary\\secret.txt", "C:\\Windows\\win.ini", "\\\\localhost\\c$", "/docs/.. /canary/secret.txt",
    "/docs/\u2024\u2024/canary/secret.txt", "/docs/\uff0e\uff0e/\uff0e\uff0e/canary/secret.txt", "/docs\u2215..\u2215canary", "/docs/\u2025/canary/secret.txt",
    "/docs/a.txt\x00/../../canary/secret.txt", "file:///etc/passwd", "~/.ssh/id_rsa", "$HOME/.ssh/id_rsa", "/dev/fd/3", "/dev/stdin", "/proc/self/environ",
    "/proc/self/root/etc/passwd", "/proc/self/fd/3", "/sys/kernel", "/docs/a.txt/../../canary/secret.txt", "/docs/" + "x/../" * 800 + "../canary/secret.txt",
    "/docs/" + "../" * 1300 + "etc/passwd", "/docs/sub/" + "a" * 5000, "/docs/a.txt/x", "/DOCS/../canary/secret.txt", "/docs/folder/secret.txt",
    "/docs/link.txt", "/docs/absolute.txt", "/docs/hard.txt", "/docs/zero", "/docs/pipe", "/docs/device", "/docs/self/environ", "/docs/circle", "/docs/circle/x",
]

def run(input):
    got = []
    for target in TARGETS:
        for mode in ("rb", "r+b"):
            try:
                with open(target, mode) as file:
                    got.append([target[:60], file.read(100).decode("latin-1")])
            except (OSError, ValueError):
                pass
    return got
