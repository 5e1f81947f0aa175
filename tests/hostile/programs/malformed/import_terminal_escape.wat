;; Imports a name that clears the screen and forges a line of the message.
;; ends: refused
;; says: \\u001b
(module (import "x\1b[2J\0aapproved: yes\0a" "\e2\80\ae{{ "y" * 5000 }}" (func))
  (memory (export "memory") 1) (func (export "_start")))
