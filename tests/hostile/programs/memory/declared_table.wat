;; Declares a table of four billion elements.
;; ends: table|refused
(module (table 4000000000 funcref) (memory (export "memory") 1) (func (export "_start")))
