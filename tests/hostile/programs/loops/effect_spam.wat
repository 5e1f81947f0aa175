;; Knocks at the effect door for ever with requests that are no requests.
;; ends: effects
;; says: more than 300 effects
(module {{ metier() }} (memory (export "memory") 1)
  (func (export "_start") (loop (drop (call $call (i32.const 0) (i32.const 0))) (br 0))))
