;; Has a _start that wants arguments, which would be read from where nobody put any.
;; ends: refused
(module (memory (export "memory") 1) (func (export "_start") (param i32 i64)))
