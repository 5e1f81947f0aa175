;; Exports a function as its memory.
;; ends: refused
(module (func (export "memory")) (func (export "_start")))
