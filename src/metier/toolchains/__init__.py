"""From source to a module of the sandbox, one file a language; `sdk` has what compiled languages link."""
