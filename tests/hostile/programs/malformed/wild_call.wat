;; Calls a function that is not in the table.
;; ends: trap
(module (memory (export "memory") 1) (table 1 funcref) (func (export "_start") (call_indirect (i32.const 99))))
