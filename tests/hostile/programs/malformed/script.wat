;; Is a shell script.
;; ends: refused
;; says: not a WebAssembly module
(module binary "#!/bin/sh\ntouch /tmp/escaped\n")
