;; Recurses by tail calls, which no stack limit ends.
;; ends: fuel
(module (memory (export "memory") 1) (func $f (return_call $f)) (func (export "_start") (call $f)))
