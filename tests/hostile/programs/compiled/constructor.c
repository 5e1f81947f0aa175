// Loops for ever before main is called.
// ends: fuel
__attribute__((constructor)) static void before(void) { for (volatile int i = 0;; i++) {} }
int main(void) { return 0; }
