;; Has a branch with 400,000 targets.
;; ends: refused
(module (memory (export "memory") 1)
  (func (export "_start") (block i32.const 0 br_table {{ "0 " * 400000 }})))
