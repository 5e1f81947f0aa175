;; Carries more data than a module may have.
;; ends: refused
;; says: more than the limit
;; limits: module_bytes=1000000
(module (memory (export "memory") 100) (data (i32.const 0) "{{ "A" * 2000000 }}") (func (export "_start")))
