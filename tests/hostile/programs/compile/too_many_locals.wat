;; Has a million locals in one function.
;; ends: refused
(module (memory (export "memory") 1) (func (export "_start") (local {{ "i64 " * 1000000 }})))
