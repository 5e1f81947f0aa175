;; Imports fd_write with other types, so that a pointer would be read from a wide number.
;; ends: refused
(module (import "wasi_snapshot_preview1" "fd_write" (func (param i64 i64 i64 i64) (result i64)))
  (memory (export "memory") 1) (func (export "_start")))
