;; Has a data segment that ends beyond the last address.
;; ends: trap
(module (memory (export "memory") 1) (data (i32.const -1) "AB") (func (export "_start")))
