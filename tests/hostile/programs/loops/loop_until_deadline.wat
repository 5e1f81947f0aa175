;; Loops for ever with more fuel than anybody has time for.
;; ends: time
;; limits: seconds=0.2 fuel=10**17
(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))
