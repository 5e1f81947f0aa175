# Lets itself be denied for ever; a denial costs as much as an effect.
# ends: effects
import host

def run(input):
    while True:
        try:
            host.request("files.remove", path="/etc/passwd")
        except host.Error:
            pass
