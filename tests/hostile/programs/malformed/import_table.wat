;; Imports a table of the host's functions.
;; ends: refused
(module (import "wasi_snapshot_preview1" "fd_write" (table 1 funcref))
  (memory (export "memory") 1) (func (export "_start")))
