;; Imports from the older WASI that some hosts still serve.
;; ends: refused
(module (import "wasi_unstable" "path_open" (func (param i32) (result i32)))
  (memory (export "memory") 1) (func (export "_start")))
