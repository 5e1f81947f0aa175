;; Has a data segment larger than its memory.
;; ends: trap
(module (memory (export "memory") 1) (data (i32.const 0) "{{ "A" * 1000000 }}") (func (export "_start")))
