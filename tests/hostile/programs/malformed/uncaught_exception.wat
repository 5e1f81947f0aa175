;; Throws an exception that nobody catches, through the host.
;; ends: trap
(module (tag $t) (memory (export "memory") 1) (func (export "_start") (throw $t)))
